"""A receiver of webhooks on loopback, which answers what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from openai import OpenAI

UNWRAPPER = OpenAI(api_key="unused")


@dataclass
class Receiver:
    url: str = ""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answers: Callable[[int], int] = lambda count: 200
    """The status, by how many were taken before."""
    headers: dict[str, str] = field(default_factory=dict)
    stalls: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.taken]

    def events(self, secret: str) -> list[Any]:
        """What came, as the official SDK verifies and reads it."""
        return [UNWRAPPER.webhooks.unwrap(body.decode(), headers, secret=secret) for headers, body in self.taken]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.taken.append(({name.lower(): value for name, value in request.headers.items()}, body))
        if self.stalls:
            await self.released.wait()
        return web.Response(status=self.answers(len(self.taken) - 1), headers=self.headers)


@asynccontextmanager
async def receiving(port: int = 0, **options: Any) -> AsyncIterator[Receiver]:
    receiver = Receiver(**options)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver._take)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        receiver.released.set()
        await runner.cleanup()
