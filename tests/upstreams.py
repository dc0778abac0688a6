"""A server that speaks Chat Completions as a test wrote it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Scripted:
    """What the server answers to everything, and what it was asked."""

    url: str = ""
    answer: Any = None
    """Of a request that is not streamed: a body, or bytes as they are."""
    status: int = 200
    chunks: list[Any] = field(default_factory=list)
    """Of a stream: JSON values, or bytes as they are."""
    done: bool = True
    hangs: bool = False
    """A stream waits after its chunks until ``release`` is set."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    models: list[dict[str, Any]] | None = None
    """What it lists; without, it has no such list."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    chats: list[dict[str, Any]] = field(default_factory=list)
    """Of the bodies, those that asked for an answer, not for a count of tokens."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client left a stream that hangs."""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if request.path.endswith("/completions"):
            self.chats.append(body)
        if not body.get("stream") or self.status != 200:
            content = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
            return web.Response(status=self.status, body=content, content_type="application/json")
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        try:
            for chunk in self.chunks:
                data = chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()
                await stream.write(b"data: " + data + b"\n\n")
            if self.hangs:
                await self.release.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        if self.done:
            await stream.write(b"data: [DONE]\n\n")
        return stream

    async def list_models(self, request: web.Request) -> web.Response:
        if self.models is None:
            return web.Response(status=404)
        return web.json_response({"object": "list", "data": self.models})


@asynccontextmanager
async def scripted_upstream() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    app = web.Application()
    app.router.add_get("/v1/models", scripted.list_models)
    app.router.add_post("/{path:.*}", scripted.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield scripted
    finally:
        await runner.cleanup()


def delta(index: int = 0, finish: str | None = None, usage: Any = None, **fields: Any) -> dict[str, Any]:
    """A chunk of a stream."""
    chunk: dict[str, Any] = {"id": "x", "choices": [{"index": index, "delta": fields, "finish_reason": finish}]}
    if usage is not None:
        chunk["usage"] = usage
    return chunk


def whole(*choices: dict[str, Any], usage: Any = None) -> dict[str, Any]:
    """A whole answer; a choice is its message, with the reason under ``finish``."""
    told = [
        {"index": index, "finish_reason": choice.pop("finish", "stop"), "message": {"role": "assistant", **choice}}
        for index, choice in enumerate(map(dict, choices))
    ]
    return {"id": "x", "choices": told, "usage": usage or {"prompt_tokens": 7, "completion_tokens": 3}}
