"""An example request for each operation: written for the ones that people begin with, made from the rest's schemas."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from inhouse.console.code import snippets
from inhouse.console.schemas import Schema


@cache
def bodies() -> dict[str, dict[str, Any]]:
    """Written examples of bodies, by operation."""
    read = tomllib.loads(files("inhouse.console").joinpath("examples.toml").read_text("utf-8"))
    return {operation: body for family in read.values() for operation, body in family.items()}


QUERIES: dict[str, dict[str, Any]] = {"usage-costs": {"start_time": 1_767_225_600}}
_ADMIN = ("/organization/", "/projects/")


def example(operation_id: str, method: str, path: str, told: Schema, base_url: str, components: Any) -> dict[str, str]:
    """Code by language for an operation of the document; empty where it has no plain example."""
    content = told.get("requestBody", {}).get("content", {})
    ids = [_placeholder(name) for name in re.findall(r"\{([a-z_]+)\}", path)]
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: _placeholder(found[1]), path)
    header: Schema = next((each["schema"] for each in told.get("parameters", ()) if each["name"] == "OpenAI-Beta"), {})
    admin = path.startswith(_ADMIN)
    if "multipart/form-data" in content:
        return _form(operation_id, filled, base_url, content["multipart/form-data"]["schema"], components)
    body = bodies().get(operation_id)
    if body is None and "application/json" in content:
        body = minimal(content["application/json"]["schema"], components)
    query = QUERIES.get(operation_id)
    if query is None and operation_id.startswith("usage-"):
        query = QUERIES["usage-costs"]
    beta = str(header.get("const") or next(iter(header.get("enum", ())), ""))
    return snippets(method, path, body, base_url, ids=ids, query=query, admin=admin, beta=beta)


def body_of(operation_id: str, told: Schema, components: Any) -> str | None:
    """The body of an operation's example as JSON to change and send; None where it takes none, or a form."""
    content = told.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    body = bodies().get(operation_id) or minimal(content["application/json"]["schema"], components)
    return json.dumps(body, indent=2, ensure_ascii=False)


def minimal(schema: Schema, components: dict[str, Schema], depth: int = 3) -> Any:
    """The smallest value of a schema: its required properties alone."""
    while "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("anyOf"):
        return minimal(next((each for each in schema["anyOf"] if each.get("type") != "null"), {}), components, depth)
    match schema.get("type"):
        case "object":
            known = schema.get("properties", {})
            names = schema.get("required", []) if depth else []
            return {
                name: _named(name) or minimal(known[name], components, depth - 1) for name in names if name in known
            }
        case "array":
            return [minimal(schema.get("items", {}), components, depth - 1)] if depth else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "…"


def _named(name: str) -> str | list[str] | None:
    """What stands for an id in a body, told by its name."""
    if name.endswith("_ids"):
        return [name[:-1].upper()]
    return name.upper() if name.endswith("_id") else None


def _placeholder(name: str) -> str:
    return "gpt-4.1" if name == "model" else name.upper()


_FORMS = {
    "createFile": ("files.create", 'file=open("notes.pdf", "rb"), purpose="user_data"'),
    "createTranscription": ("audio.transcriptions.create", 'model="whisper-1", file=open("speech.mp3", "rb")'),
    "createTranslation": ("audio.translations.create", 'model="whisper-1", file=open("speech.mp3", "rb")'),
    "addUploadPart": ("uploads.parts.create", 'upload_id="UPLOAD_ID", data=open("part-1", "rb")'),
}


def _form(operation_id: str, path: str, base_url: str, schema: Schema, components: dict[str, Schema]) -> dict[str, str]:
    known = _FORMS.get(operation_id)
    if known is None:
        return {}
    call, arguments = known
    fields = re.findall(r'(\w+)=(?:open\("([^"]+)", "rb"\)|"([^"]+)")', arguments)
    sent = [(name, f"@{file}" if file else value) for name, file, value in fields if name != "upload_id"]
    given = ", ".join(
        f"{name}: fs.createReadStream({file!r})".replace("'", '"') if file else f'{name}: "{value}"'
        for name, file, value in fields
        if name != "upload_id"
    )
    first = '"UPLOAD_ID", ' if operation_id == "addUploadPart" else ""
    return {
        "python": f"from openai import OpenAI\n\nclient = OpenAI(base_url={base_url!r})\n".replace("'", '"')
        + f"answer = client.{call}({arguments})\nprint(answer)",
        "javascript": 'import fs from "node:fs";\nimport OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{base_url}" }});\n'
        f"const answer = await client.{call}({first}{{ {given} }});\nconsole.log(answer);",
        "curl": " \\\n  ".join(
            [
                f"curl {base_url}{path}",
                '-H "Authorization: Bearer $OPENAI_API_KEY"',
                *(f"-F {name}={value}" for name, value in sent),
            ]
        ),
    }
