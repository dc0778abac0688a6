"""The yardstick: a relay on asyncio's own streams that decodes and encodes every request, answer and chunk, and does
nothing else. No keys, no limits, no metering, no failover, and it trusts both sides.

    python -m bench.relay --upstream http://127.0.0.1:PORT/v1      prints its port, serves until stdin closes
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop


class Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Request(msgspec.Struct, omit_defaults=True):
    model: str
    messages: list[Message]
    stream: bool = False
    temperature: float | None = None
    max_tokens: int | None = None


class Choice(msgspec.Struct, omit_defaults=True):
    index: int
    message: Message | None = None
    delta: dict[str, Any] | None = None
    finish_reason: str | None = None


class Answer(msgspec.Struct, omit_defaults=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, Any] | None = None


_request = msgspec.json.Decoder(Request).decode
_answer = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"\r\ncontent-length:")[2].split(b"\r\n", 1)[0]
    return head, int(length or 0)


class Relay:
    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.path = f"{parts.path}/chat/completions".encode()
        self.idle: list[Streams] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                _, length = await _head(reader)
                request = _request(await reader.readexactly(length))
                if self.idle:
                    upstream = self.idle.pop()
                else:
                    upstream = await asyncio.open_connection(self.host, self.port)
                body = _encode(request)
                upstream[1].write(
                    b"POST %b HTTP/1.1\r\nhost: upstream\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n%b" % (self.path, len(body), body)
                )
                await (self._stream if request.stream else self._whole)(upstream[0], writer)
                self.idle.append(upstream)
        writer.close()

    async def _whole(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, length = await _head(upstream)
        body = _encode(_answer(await upstream.readexactly(length)))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()

    async def _stream(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(upstream)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        while size := int(await upstream.readuntil(b"\r\n"), 16):
            event = (await upstream.readexactly(size + 2))[6:-4]
            if event != b"[DONE]":
                event = _encode(_answer(event))
            writer.write(b"%x\r\ndata: %b\n\n\r\n" % (len(event) + 8, event))
            await writer.drain()
        await upstream.readexactly(2)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def main(upstream: str) -> None:
    server = await asyncio.start_server(Relay(upstream).serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--upstream", required=True)
    uvloop.run(main(parser.parse_args().upstream))
