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
    "get_weather": {"city": "Paris"},
    "transfer_to_spanish": {},
    "transfer_to_Spanish": {},
    "exec_command": {"cmd": "echo hello-from-$((40 + 2))"},
}
CITY = {"name": "Paris", "country": "France"}


def message_for(body: dict[str, Any]) -> dict[str, Any]:
    """What the model says."""
    last = body["messages"][-1]
    names = [tool["function"]["name"] for tool in body.get("tools", []) if tool["type"] == "function"]
    called = next((name for name in names if name in ARGUMENTS), None)
    if called is not None and last["role"] != "tool" and body.get("tool_choice") != "none":
        function = {"name": called, "arguments": json.dumps(ARGUMENTS[called])}
        return {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    if body.get("response_format", {}).get("type") == "json_schema":
        return {"role": "assistant", "content": json.dumps(CITY)}
    said = last["content"] if isinstance(last["content"], str) else "".join(p.get("text", "") for p in last["content"])
    count = len(body["messages"])
    return {"role": "assistant", "content": f"{last['role']} said {said!r} in message {count}"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        message = message_for(body)
        finish = "tool_calls" if "tool_calls" in message else "stop"
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        if not body.get("stream"):
            answer = {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}
            self._send("application/json", json.dumps(answer).encode())
            return
        deltas = [{"tool_calls": [{"index": 0, **call}]} for call in message.get("tool_calls", [])]
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
