"""The process: one event loop with the platform and its HTTP server in it."""

from __future__ import annotations

import asyncio
import signal

import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from inhouse.app import Platform
from inhouse.settings import Settings

BACKLOG = 2048
"""Connections that may wait to be accepted."""
CONNECTIONS = 16_384
"""Requests that may be under way at once; more wait. A stream is a request until it ends."""


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then let open requests end."""
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    server = Server(
        Platform(settings),
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    await server.serve()
