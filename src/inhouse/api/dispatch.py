"""The ASGI application that serves operations. What happens to one request is in ``exchange``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from inhouse.api.exchange import Exchange, Receive, Scope, Send
from inhouse.api.operation import Operation
from inhouse.api.routing import Router
from inhouse.api.socket import SocketOperation, Sockets
from inhouse.storage.blobs import Spool

if TYPE_CHECKING:
    from inhouse.access import Caller

Observe = Callable[[Operation | None, int, float], None]


class Access(Protocol):
    """Who is calling."""

    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Caller:
        """The caller that the request's headers prove. Raises Unauthenticated, in words that fit the route."""


class Dispatcher:
    """Serves operations under a prefix, as plain ASGI.

    Args:
        operations: bound to their faces, see ``operations_of``.
        access: authenticates every request to a known route.
        prefix: where it is mounted. Works under Starlette's ``Mount(prefix, ...)`` and directly.
        max_body_bytes: longer request bodies are answered 413.
        keepalive_s: a stream that is silent this long gets a comment line, seconds.
        cors_origins: origins whose pages may call from a browser; ``*`` for any.
        observe: called once for each request with the operation (None: no such route), the status and the seconds it
            took, streams included; status 499 stands for a client that left. Must not raise.
        access_log: whether every request is logged, not only failures.
        sockets: WebSockets, see ``sockets_of``.
        spool: makes the scratch files that uploaded files are written to.
        official: see ``Router``.
    """

    def __init__(
        self,
        operations: Iterable[Operation],
        access: Access,
        *,
        prefix: str = "/v1",
        max_body_bytes: int = 50 * 1024 * 1024,
        keepalive_s: float = 10.0,
        cors_origins: Sequence[str] = (),
        observe: Observe | None = None,
        access_log: bool = False,
        sockets: Iterable[SocketOperation] = (),
        spool: Callable[[], Spool] | None = None,
        official: Iterable[str] = (),
    ) -> None:
        self.router = Router(operations, prefix, official)
        self.access = access
        self.max_body_bytes = max_body_bytes
        self.keepalive_s = keepalive_s
        self.cors_origins = frozenset(cors_origins)
        self.observe = observe
        self.access_log = access_log
        self._sockets = Sockets(sockets, access, prefix)
        self.spool = spool or (lambda: Spool(Path(tempfile.gettempdir())))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(self, scope, receive, send).run()
        elif scope["type"] == "websocket":
            await self._sockets(scope, receive, send)
