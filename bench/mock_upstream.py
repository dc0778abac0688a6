"""An OpenAI-compatible chat server that does no work, so that what is measured is the gateway before it.

    python -m bench.mock_upstream            prints the port it listens on, then serves until stdin closes

``POST …/chat/completions`` answers a fixed completion, or with ``"stream": true`` a stream of ``CHUNKS`` chunks, each
in a send of its own as a real engine does it (one token, one packet); ``--burst`` sends them all at once instead. With
``include_usage`` the chunk with the usage follows. ``GET …/models`` lists one model. HTTP/1.1 with keep-alive; requests
need a content-length, as all clients of this contract send it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any, cast

import uvloop

CHUNKS = 51
MODEL = "mock"
_USAGE = {"prompt_tokens": 12, "completion_tokens": CHUNKS - 2, "total_tokens": 12 + CHUNKS - 2}


def _answer(body: bytes, content_type: bytes = b"application/json", status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, content_type, len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _event(delta: dict[str, Any], finish: str | None = None, usage: bool = False) -> bytes:
    payload: dict[str, Any] = {
        "id": "chatcmpl-mock0000000000000000000000000",
        "object": "chat.completion.chunk",
        "created": 1_750_000_000,
        "model": MODEL,
        "choices": [] if usage else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    if usage:
        payload["usage"] = _USAGE
    return _chunk(b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n")


COMPLETION = _answer(
    json.dumps(
        {
            "id": "chatcmpl-mock0000000000000000000000000",
            "object": "chat.completion",
            "created": 1_750_000_000,
            "model": MODEL,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": " word" * (CHUNKS - 2)},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _USAGE,
        }
    ).encode()
)
MODELS = _answer(
    json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 1 << 20}]}).encode()
)
NOT_FOUND = _answer(b'{"error":{"message":"not found"}}', status=b"404 Not Found")
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM = [
    _event({"role": "assistant", "content": ""}),
    *[_event({"content": " word"}) for _ in range(CHUNKS - 2)],
    _event({}, "stop"),
]
USAGE = _event({}, usage=True)
STREAM_END = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    burst = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.buffer = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast(asyncio.Transport, transport)
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            _, _, after = head.partition(b"\r\ncontent-length:")
            length = int(after.split(b"\r\n", 1)[0]) if after else 0
            total = end + 4 + length
            if len(self.buffer) < total:
                return
            body, self.buffer = self.buffer[end + 4 : total], self.buffer[total:]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/models"):
            self.transport.write(MODELS)
        elif not path.endswith(b"/chat/completions"):
            self.transport.write(NOT_FOUND)
        elif b'"stream":true' not in body and b'"stream": true' not in body:
            self.transport.write(COMPLETION)
        else:
            chunks = [*STREAM, USAGE] if b'"include_usage":true' in body.replace(b" ", b"") else STREAM
            self.transport.write(STREAM_HEAD)
            if self.burst:
                self.transport.write(b"".join(chunks) + STREAM_END)
            else:
                self.loop.call_soon(self.send_next, iter([*chunks, STREAM_END]))

    def send_next(self, chunks: Any) -> None:
        """One chunk in each turn of the loop, so that the event loop cannot join them into one send."""
        if self.open and (chunk := next(chunks, None)) is not None:
            self.transport.write(chunk)
            self.loop.call_soon(self.send_next, chunks)


async def serve(burst: bool) -> None:
    Connection.burst = burst
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--burst", action="store_true")
    uvloop.run(serve(parser.parse_args().burst))
