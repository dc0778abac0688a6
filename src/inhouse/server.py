"""The process: one event loop with the platform and its HTTP server in it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop

from inhouse.app import Platform, Receive, Scope, Send
from inhouse.connection import Connection
from inhouse.settings import Settings

log = structlog.get_logger(__name__)

BACKLOG = 2048
"""Connections that may wait to be accepted."""
GRACE_SECONDS = 20
"""How long open requests may go on after the first signal. Orchestrators commonly kill after 30 seconds."""


def own_port(host: str, port: int) -> socket.socket:
    """A socket with the port for this process alone, not listening yet; port 0 takes a free one.

    Raises:
        OSError: somebody listens there, or the address is not this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def serve(settings: Settings, port: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM.

    Open requests may then go on for ``GRACE_SECONDS``, or until a second signal; those that are left are cancelled and
    settled.
    """
    # What was imported stays: a full collection need not walk it, which is a seventh of what a request costs.
    gc.collect()
    gc.freeze()
    uvloop.run(_serve(settings, port))


async def _serve(settings: Settings, port: socket.socket) -> None:
    platform = Platform(settings)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await platform(scope, receive, send)
        except asyncio.CancelledError:
            if not server.should_exit:  # cut off on purpose; the connection is closed, and there is no more to say
                raise

    server = _Server(
        uvicorn.Config(
            app,
            http=Connection,
            ws="websockets-sansio",
            ws_max_size=settings.server.max_body_bytes,
            # Compression would hold buffers for every connection that is open.
            ws_per_message_deflate=False,
            lifespan="on",
            proxy_headers=bool(settings.server.trusted_proxies),
            forwarded_allow_ips=list(settings.server.trusted_proxies),
            server_header=False,
            access_log=False,
            log_config=None,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )

    def stop() -> None:
        if server.should_exit:
            server.cut_off()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[port])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals come through the loop, and end the process with an exit status of its own, not by the signal."""
        yield

    def cut_off(self) -> None:
        """End the requests that are still open; they are settled as calls whose client left."""
        open_requests = self.server_state.tasks
        if open_requests:
            log.warning("requests were cut off by the shutdown", requests=len(open_requests))
        for request in open_requests:
            request.cancel()
