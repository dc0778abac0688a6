"""An example request for each operation: written for the ones that people begin with, made from the rest's schemas."""

from __future__ import annotations

import json
import re
from typing import Any

from inhouse.console.code import snippets
from inhouse.console.schemas import Schema

BODIES: dict[str, dict[str, Any]] = {
    "createChatCompletion": {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "Answer in one sentence."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
        "max_completion_tokens": 60,
    },
    "createResponse": {"model": "gpt-4.1", "input": "Why is the sky blue?", "max_output_tokens": 60},
    "Getinputtokencounts": {"model": "gpt-4.1", "input": "Why is the sky blue?"},
    "Compactconversation": {
        "model": "gpt-4.1",
        "input": [{"role": "user", "content": "My name is Ada. Remember it."}],
    },
    "createCompletion": {"model": "gpt-3.5-turbo-instruct", "prompt": "The sky is", "max_tokens": 16},
    "createEmbedding": {"model": "text-embedding-3-small", "input": ["The sky is blue.", "Grass is green."]},
    "createModeration": {"model": "omni-moderation-latest", "input": "I will bake you a cake."},
    "createConversation": {"metadata": {"topic": "sky"}, "items": [{"role": "user", "content": "Hello!"}]},
    "createWebhookEndpoint": {
        "name": "Jobs",
        "url": "https://example.com/webhooks",
        "event_types": ["response.completed"],
    },
    "create-project": {"name": "Website"},
    "admin-api-keys-create": {"name": "Dashboards"},
    "create-project-service-account": {"name": "Crawler"},
}
QUERIES: dict[str, dict[str, Any]] = {"usage-costs": {"start_time": 1_767_225_600}}
RUNNABLE = (
    "createChatCompletion",
    "createResponse",
    "createCompletion",
    "createEmbedding",
    "createModeration",
    "createConversation",
    "listModels",
    "listFiles",
)
"""Examples that run as pasted on a fresh installation; the tests run them."""

_ADMIN = ("/organization/", "/projects/")


def example(operation_id: str, method: str, path: str, told: Schema, base_url: str, components: Any) -> dict[str, str]:
    """Code by language for an operation of the document; empty where it has no plain example."""
    content = told.get("requestBody", {}).get("content", {})
    filled = re.sub(r"\{([a-z_]+)\}", lambda found: _placeholder(found[1]), path)
    admin = path.startswith(_ADMIN)
    if "multipart/form-data" in content:
        return _form(operation_id, filled, base_url, content["multipart/form-data"]["schema"], components)
    body = BODIES.get(operation_id)
    if body is None and "application/json" in content:
        body = minimal(content["application/json"]["schema"], components)
    query = QUERIES.get(operation_id)
    if query is None and operation_id.startswith("usage-"):
        query = QUERIES["usage-costs"]
    return snippets(method, filled, body or None, base_url, query=query, admin=admin)


def body_of(operation_id: str, told: Schema, components: Any) -> str | None:
    """The body of an operation's example as JSON to change and send; None where it takes none, or a form."""
    content = told.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    body = BODIES.get(operation_id) or minimal(content["application/json"]["schema"], components)
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
            return {name: minimal(known[name], components, depth - 1) for name in names if name in known}
        case "array":
            return [minimal(schema.get("items", {}), components, depth - 1)] if depth else []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "…"


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
