"""A server that speaks Chat Completions and follows rules: these tests look at the contract, not at wits.

It calls the first tool that it has arguments for; when a tool has answered, or there is none, it speaks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ARGUMENTS: dict[str, dict[str, Any]] = {
    "get_weather": {"city": "Paris", "location": "Paris"},
    "transfer_to_spanish": {},
    "transfer_to_Spanish": {},
    "exec_command": {"cmd": "echo hello-from-$((40 + 2))"},
    "numbers__add": {"a": 20, "b": 22},
    "magic_function": {"input": 3},
    "magic_function_no_args": {},
    "greeting_generator": {"answer_style": "Pirate"},
}
KNOWN: dict[str, Any] = {"name": "Paris", "country": "France", "customer_name": "你好啊集团 こんにちは株式会社"}
"""What it says of things by their names, in the forms that it is asked to keep to."""

LENGTHS: list[int] = []
"""Of the requests that it was sent, in bytes."""


def message_for(body: dict[str, Any]) -> dict[str, Any]:
    """What the model says."""
    last = body["messages"][-1]
    choice = body.get("tool_choice")
    if choice != "none" and (call := _call(body.get("tools", []), choice, after=last["role"])) is not None:
        return {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": call}]}
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        schema = form["json_schema"]["schema"]
        return {"role": "assistant", "content": json.dumps(value_of(schema, schema))}
    if form.get("type") == "json_object":
        return {"role": "assistant", "content": '{"setup": "Knock knock.", "punchline": "Who is there?"}'}
    said = last["content"] if isinstance(last["content"], str) else "".join(p.get("text", "") for p in last["content"])
    count = len(body["messages"])
    return {"role": "assistant", "content": f"{last['role']} said {said!r} in message {count}"}


def _call(tools: list[Any], choice: Any, *, after: str) -> dict[str, str] | None:
    """The call that it makes, if it makes one."""
    functions = {tool["function"]["name"]: tool["function"] for tool in tools if tool["type"] == "function"}
    if isinstance(choice, dict):
        functions = {name: told for name, told in functions.items() if name == choice["function"]["name"]}
    name = next((name for name in functions if name in ARGUMENTS), None)
    if name is not None and after != "tool":
        taken = functions[name].get("parameters", {}).get("properties", {})
        return {"name": name, "arguments": json.dumps({k: v for k, v in ARGUMENTS[name].items() if k in taken})}
    if choice == "required" or isinstance(choice, dict):
        name, told = next(iter(functions.items()))
        schema = told.get("parameters", {})
        return {"name": name, "arguments": json.dumps(value_of(schema, schema))}
    return None


def value_of(schema: Any, root: Any, name: str = "") -> Any:
    """A value that fits a schema, as the frameworks of these tests write them."""
    if "$ref" in schema:
        found = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return value_of(found, root, name)
    if "anyOf" in schema:
        return value_of(schema["anyOf"][0], root, name)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {each: value_of(told, root, each) for each, told in schema.get("properties", {}).items()}
        case "array":
            return [value_of(schema.get("items", {}), root, name)]
        case "integer" | "number":
            return 3
        case "boolean":
            return True
    return KNOWN.get(name, "so it is")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        LENGTHS.append(int(self.headers["content-length"]))
        body = json.loads(self.rfile.read(LENGTHS[-1]))
        message = message_for(body)
        finish = "tool_calls" if "tool_calls" in message else "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            answer = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}
            self._send("application/json", json.dumps(answer).encode())
            return
        deltas: list[dict[str, Any]] = [
            {"tool_calls": [{"index": 0, **call}]} for call in message.get("tool_calls", [])
        ]
        deltas += [{"content": word + " "} for word in (message.get("content") or "").split(" ") if word]
        chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], "usage": usage})
        lines = [f"data: {json.dumps({'id': 'x', **chunk})}\n\n" for chunk in chunks]
        self._send("text/event-stream", "".join([*lines, "data: [DONE]\n\n"]).encode())

    def do_GET(self) -> None:
        self._send("application/json", b'{"object": "list", "data": []}')

    def _send(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def rule_model() -> Iterator[str]:
    """Its base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
