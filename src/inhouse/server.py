"""The process: one event loop with the platform and its HTTP server in it."""

from __future__ import annotations

import asyncio
import signal
import socket
from typing import Any

import structlog
import uvloop
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from inhouse.app import Platform, Receive, Scope, Send
from inhouse.settings import Settings

BACKLOG = 2048
"""Connections that may wait to be accepted."""
CONNECTIONS = 16_384
"""Requests that may be under way at once; more wait. A stream is a request until it ends."""
GRACE_SECONDS = 20.0
"""How long open requests may go on after the first signal. Orchestrators commonly kill after 30 seconds."""

log = structlog.get_logger(__name__)


def own_port(host: str, port: int) -> int:
    """The port to listen on: ``port`` itself, or a free one in place of 0.

    The server opens its port with ``SO_REUSEPORT``, so a second one could open it too and silently take half of the
    connections. Opened without it first, a port that somebody listens on is an error.

    Raises:
        OSError: somebody listens there, or the address is not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return int(probe.getsockname()[1])


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Open requests may then go on for ``GRACE_SECONDS``, or until a second signal; those that are left are cancelled,
    settled, and their connections closed.
    """
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    requests = _Requests(Platform(settings))
    server = Server(
        requests,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGI,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        log_level=LogLevels.error,
    )
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if server.interrupt_signal:
            requests.cancel()
        else:
            server.stop()  # type: ignore[no-untyped-call]
            loop.call_later(GRACE_SECONDS, requests.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await server.serve()


class _Requests:
    """The platform, with a list of what it is serving."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._open: set[asyncio.Task[Any]] = set()
        self._cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._platform(scope, receive, send)
            return
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._platform(scope, receive, send)
        except asyncio.CancelledError:
            # The server takes an answer that stays incomplete as a reason to cut the connection, and says no more.
            if not self._cancelled:
                raise
        finally:
            self._open.discard(task)

    def cancel(self) -> None:
        """End every request that is still open."""
        self._cancelled = True
        if self._open:
            log.warning("requests were cut off by the shutdown", requests=len(self._open))
        for task in self._open:
            task.cancel()
