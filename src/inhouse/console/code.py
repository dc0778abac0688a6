"""Requests as code in Python, JavaScript and curl that runs as pasted, once OPENAI_API_KEY is set."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

LANGUAGES = {"python": "Python", "javascript": "JavaScript", "curl": "curl"}
_CALLS = {
    ("POST", "/responses"): "responses.create",
    ("POST", "/chat/completions"): "chat.completions.create",
    ("POST", "/completions"): "completions.create",
    ("POST", "/embeddings"): "embeddings.create",
    ("POST", "/moderations"): "moderations.create",
    ("POST", "/conversations"): "conversations.create",
}
"""Operations that the official SDKs have a method for, which takes the body's properties by name."""
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def snippets(
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    base_url: str,
    *,
    query: Mapping[str, Any] | None = None,
    admin: bool = False,
) -> dict[str, str]:
    """Code by language, keys of ``LANGUAGES``.

    Args:
        path: without ``/v1``, its placeholders filled.
        base_url: with ``/v1``.
        admin: whether it needs an admin key, in OPENAI_ADMIN_KEY.
    """
    if query:
        path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
    return {
        "python": _python(method, path, body, base_url, admin),
        "javascript": _javascript(method, path, body, base_url, admin),
        "curl": _curl(method, path, body, base_url, admin),
    }


def _python(method: str, path: str, body: Mapping[str, Any] | None, base_url: str, admin: bool) -> str:
    key = ', api_key=os.environ["OPENAI_ADMIN_KEY"]' if admin else ""
    lines = [*(["import os", ""] if admin else []), "from openai import OpenAI", ""]
    lines += [f"client = OpenAI(base_url={_literal(base_url)}{key})"]
    call = _CALLS.get((method, path))
    if call is None:
        sent = f", body={_literal(dict(body))}" if body else ""
        verb = method.lower()
        return "\n".join([*lines, f"answer = client.{verb}({_literal(path)}, cast_to=object{sent})", "print(answer)"])
    given = "".join(f"    {name}={_literal(value, 1)},\n" for name, value in (body or {}).items())
    streams = bool(body and body.get("stream"))
    lines.append(f"{'stream' if streams else 'answer'} = client.{call}(\n{given})")
    if streams and path == "/responses":
        lines += ["for event in stream:", '    if event.type == "response.output_text.delta":']
        lines += ['        print(event.delta, end="", flush=True)']
    elif streams:
        lines += ["for chunk in stream:", "    print(chunk)"]
    elif path == "/responses":
        lines.append("print(answer.output_text)")
    elif path == "/chat/completions":
        lines.append("print(answer.choices[0].message.content)")
    else:
        lines.append("print(answer)")
    return "\n".join(lines)


def _javascript(method: str, path: str, body: Mapping[str, Any] | None, base_url: str, admin: bool) -> str:
    key = ", apiKey: process.env.OPENAI_ADMIN_KEY" if admin else ""
    lines = ['import OpenAI from "openai";', ""]
    lines.append(f"const client = new OpenAI({{ baseURL: {_json(base_url)}{key} }});")
    call = _CALLS.get((method, path))
    if call is None:
        sent = f", {{ body: {_json(dict(body), 0)} }}" if body else ""
        lines.append(f"const answer = await client.{method.lower()}({_json(path)}{sent});")
        return "\n".join([*lines, "console.log(answer);"])
    streams = bool(body and body.get("stream"))
    lines.append(f"const {'stream' if streams else 'answer'} = await client.{call}({_json(dict(body or {}), 0)});")
    if streams and path == "/responses":
        lines += ["for await (const event of stream) {"]
        lines += ['  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);', "}"]
    elif streams:
        lines += ["for await (const chunk of stream) console.log(chunk);"]
    elif path == "/responses":
        lines.append("console.log(answer.output_text);")
    elif path == "/chat/completions":
        lines.append("console.log(answer.choices[0].message.content);")
    else:
        lines.append("console.log(answer);")
    return "\n".join(lines)


def _curl(method: str, path: str, body: Mapping[str, Any] | None, base_url: str, admin: bool) -> str:
    variable = "OPENAI_ADMIN_KEY" if admin else "OPENAI_API_KEY"
    lines = [f"curl{' -N' if body and body.get('stream') else ''} {shlex.quote(base_url + path)}"]
    if method not in ("GET", "POST") or (method == "POST" and not body):
        lines.append(f"-X {method}")
    lines.append(f'-H "Authorization: Bearer ${variable}"')
    if body:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def _literal(value: Any, depth: int = 0) -> str:
    """``value`` as Python, indented as people write it."""
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict) and value:
        lines = (f"{inner}{json.dumps(name)}: {_literal(each, depth + 1)},\n" for name, each in value.items())
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_literal(each, depth + 1)},\n" for each in value) + outer + "]"
    if isinstance(value, str):
        return repr(value) if '"' in value and "'" not in value else _quoted(value)
    return repr(value)


def _quoted(text: str) -> str:
    """A string with double quotes: JSON's escapes are Python's too, but for what lies outside the 16-bit plane."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() or text.isascii() else repr(text)


def _json(value: Any, depth: int | None = None) -> str:
    """``value`` as JavaScript: JSON, with names bare where they can be."""
    if depth is None:
        return json.dumps(value, ensure_ascii=False)
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict) and value:
        named = ((name if _NAME.fullmatch(name) else json.dumps(name), each) for name, each in value.items())
        return "{\n" + "".join(f"{inner}{name}: {_json(each, depth + 1)},\n" for name, each in named) + outer + "}"
    if isinstance(value, list) and value:
        return "[\n" + "".join(f"{inner}{_json(each, depth + 1)},\n" for each in value) + outer + "]"
    return json.dumps(value, ensure_ascii=False)
