"""Requests as code in Python, JavaScript and curl that runs as pasted, once OPENAI_API_KEY is set."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

LANGUAGES = {"python": "Python", "javascript": "JavaScript", "curl": "curl"}
_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_SHORT = 56
"""Characters of a list or an object that stays on one line."""
_PLACE = re.compile(r"\{[^}]*\}")


@cache
def _methods() -> dict[str, tuple[str, list[str]]]:
    """By verb and path, the official SDKs' method and its names of what stands in the path."""
    file = files("inhouse.console").joinpath("sdk_methods.json")
    return msgspec.json.decode(file.read_bytes(), type=dict[str, tuple[str, list[str]]])


def official() -> Collection[str]:
    """All operations of the official SDKs: verb and path, with ``{}`` for what stands in it."""
    return _methods()


class _Request(msgspec.Struct, frozen=True):
    """A request to be written as code. ``args``: what a method takes by name, from the path, the query and the body."""

    method: str
    route: str
    ids: Sequence[str]
    query: Mapping[str, Any]
    body: Mapping[str, Any] | None
    base_url: str
    admin: bool
    beta: str

    @property
    def path(self) -> str:
        left = iter(self.ids)
        path = _PLACE.sub(lambda _: next(left), self.route)
        return path + ("?" + "&".join(f"{name}={value}" for name, value in self.query.items()) if self.query else "")

    @property
    def call(self) -> str | None:
        """The method of the SDK in Python's names; None if it has none."""
        found = _methods().get(self._operation)
        return found[0] if found else None

    @property
    def args(self) -> dict[str, Any]:
        names = _methods()[self._operation][1]
        return {**dict(zip(names[:-1], self.ids, strict=False)), **self.query, **(self.body or {})}

    @property
    def streams(self) -> bool:
        return bool(self.body and self.body.get("stream"))

    @property
    def binary(self) -> str | None:
        """The file that a call answers with; None where it answers with JSON."""
        return _BINARY.get(self._operation)

    @property
    def _operation(self) -> str:
        return f"{self.method} {_PLACE.sub('{}', self.route)}"


_BINARY = {"POST /audio/speech": "speech.mp3", "GET /files/{}/content": "content"}


def snippets(
    method: str,
    route: str,
    body: Mapping[str, Any] | None,
    base_url: str,
    *,
    ids: Sequence[str] = (),
    query: Mapping[str, Any] | None = None,
    admin: bool = False,
    beta: str = "",
) -> dict[str, str]:
    """Code by language, keys of ``LANGUAGES``.

    Args:
        route: without ``/v1``, with placeholders.
        base_url: with ``/v1``.
        ids: what stands in the placeholders' places.
        admin: whether it needs an admin key, in OPENAI_ADMIN_KEY.
        beta: what the header ``OpenAI-Beta`` must say; the SDKs send it themselves.
    """
    request = _Request(method, route, ids, query or {}, body, base_url, admin, beta)
    return {"python": _python(request), "javascript": _javascript(request), "curl": _curl(request)}


def _python(request: _Request) -> str:
    lines = ["from openai import OpenAI", "", f"client = OpenAI(base_url={_literal(request.base_url)})"]
    if request.call is None:
        key = ', api_key=os.environ["OPENAI_ADMIN_KEY"]' if request.admin else ""
        lines[-1] = f"client = OpenAI(base_url={_literal(request.base_url)}{key})"
        sent = "" if request.body is None else f", body={_literal(dict(request.body))}"
        sent += f', options={{"headers": {{"OpenAI-Beta": {_literal(request.beta)}}}}}' if request.beta else ""
        lines.append(f"answer = client.{request.method.lower()}({_literal(request.path)}, cast_to=object{sent})")
        return "\n".join([*(["import os", ""] if request.admin else []), *lines, "print(answer)"])
    first = [_literal(request.ids[-1])] if request.ids else []
    named = [f"{name}={{}}" for name in request.args]
    short = ", ".join(
        [*first, *(each.format(_literal(value)) for each, value in zip(named, request.args.values(), strict=True))]
    )
    if "\n" in short or len(short) > 70 or len(named) > 2:
        given = [
            *first,
            *(each.format(_literal(value, 1)) for each, value in zip(named, request.args.values(), strict=True)),
        ]
        short = "\n" + "".join(f"    {each},\n" for each in given)
    lines.append(f"{'stream' if request.streams else 'answer'} = client.{request.call}({short})")
    if request.streams and request.route == "/responses":
        lines += ["for event in stream:", '    if event.type == "response.output_text.delta":']
        lines += ['        print(event.delta, end="", flush=True)']
    elif request.streams:
        lines += ["for chunk in stream:", "    print(chunk)"]
    elif request.binary:
        lines += [f"answer.write_to_file({_literal(request.binary)})", f'print("written to {request.binary}")']
    else:
        lines.append(f"print({_SAYS.get((request.method, request.route), 'answer')})")
    return "\n".join(lines)


def _javascript(request: _Request) -> str:
    lines = ['import OpenAI from "openai";', ""]
    options = f"baseURL: {_json(request.base_url)}"
    if request.call is None:
        options += ", apiKey: process.env.OPENAI_ADMIN_KEY" if request.admin else ""
        more = [] if request.body is None else [f"body: {_json(dict(request.body), 0)}"]
        more += [f'headers: {{ "OpenAI-Beta": {_json(request.beta)} }}'] if request.beta else []
        sent = f", {{ {', '.join(more)} }}" if more else ""
        lines.append(f"const client = new OpenAI({{ {options} }});")
        lines.append(f"const answer = await client.{request.method.lower()}({_json(request.path)}{sent});")
        return "\n".join([*lines, "console.log(answer);"])
    lines.append(f"const client = new OpenAI({{ {options} }});")
    given = [_json(request.ids[-1])] if request.ids else []
    given += [_json(request.args, 0)] if request.args else []
    called = ".".join(_camel(each) for each in request.call.split("."))
    lines.append(f"const {'stream' if request.streams else 'answer'} = await client.{called}({', '.join(given)});")
    if request.streams and request.route == "/responses":
        lines += ["for await (const event of stream) {"]
        lines += ['  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);', "}"]
    elif request.streams:
        lines += ["for await (const chunk of stream) console.log(chunk);"]
    elif request.binary:
        lines.insert(0, 'import fs from "node:fs";')
        lines.append(f"fs.writeFileSync({_json(request.binary)}, Buffer.from(await answer.arrayBuffer()));")
        lines.append(f'console.log("written to {request.binary}");')
    else:
        lines.append(f"console.log({_SAYS.get((request.method, request.route), 'answer')});")
    return "\n".join(lines)


_SAYS = {
    ("POST", "/responses"): "answer.output_text",
    ("POST", "/chat/completions"): "answer.choices[0].message.content",
}
"""What of the answer people look at first; it is called the same in both languages."""


def _camel(name: str) -> str:
    """``admin_api_keys`` as the SDK for JavaScript calls it: ``adminAPIKeys``."""
    first, *more = name.split("_")
    return first + "".join("API" if each == "api" else each.capitalize() for each in more)


def _curl(request: _Request) -> str:
    variable = "OPENAI_ADMIN_KEY" if request.admin else "OPENAI_API_KEY"
    lines = [f"curl{' -N' if request.streams else ''} {shlex.quote(request.base_url + request.path)}"]
    if request.method not in ("GET", "POST") or (request.method == "POST" and request.body is None):
        lines.append(f"-X {request.method}")
    lines.append(f'-H "Authorization: Bearer ${variable}"')
    if request.beta:
        lines.append(f"-H {shlex.quote(f'OpenAI-Beta: {request.beta}')}")
    if request.body is not None:
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d {shlex.quote(json.dumps(request.body, indent=2, ensure_ascii=False))}")
    if request.binary:
        lines.append(f"-o {request.binary}")
    return " \\\n  ".join(lines)


def _literal(value: Any, depth: int = 0) -> str:
    """``value`` as Python, indented as people write it."""
    inner, outer = "    " * (depth + 1), "    " * depth
    if isinstance(value, dict) and value:
        short = "{" + ", ".join(f"{json.dumps(name)}: {_literal(each)}" for name, each in value.items()) + "}"
        if len(short) <= _SHORT and "\n" not in short:
            return short
        lines = (f"{inner}{json.dumps(name)}: {_literal(each, depth + 1)},\n" for name, each in value.items())
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list) and value:
        short = "[" + ", ".join(_literal(each) for each in value) + "]"
        if len(short) <= _SHORT and "\n" not in short:
            return short
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
        named = [(name if _NAME.fullmatch(name) else json.dumps(name), each) for name, each in value.items()]
        short = "{ " + ", ".join(f"{name}: {_json(each, 0)}" for name, each in named) + " }"
        if len(short) <= _SHORT and "\n" not in short:
            return short
        return "{\n" + "".join(f"{inner}{name}: {_json(each, depth + 1)},\n" for name, each in named) + outer + "}"
    if isinstance(value, list) and value:
        short = "[" + ", ".join(_json(each, 0) for each in value) + "]"
        if len(short) <= _SHORT and "\n" not in short:
            return short
        return "[\n" + "".join(f"{inner}{_json(each, depth + 1)},\n" for each in value) + outer + "]"
    return json.dumps(value, ensure_ascii=False)
