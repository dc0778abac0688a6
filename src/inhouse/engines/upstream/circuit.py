"""One target with its circuit: how it has answered lately, and so whether it is asked."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping
from typing import Literal
from urllib.parse import urlsplit

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream.connection import Connection, ConnectionFailed, Pool
from inhouse.engines.upstream.spec import Target, TargetStatus, UpstreamError, UpstreamSpec, check_headers

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 60.0
LONGEST_RETRY_AFTER = 3600.0


class Circuit:
    """A target in use.

    Closed: it is asked. Open: put aside after a failure, for 1 s, doubled with each further one in a row up to 60 s, or
    for as long as its ``retry-after`` says. Half open: that time is over, and one request tries it.
    """

    def __init__(self, target: Target, spec: UpstreamSpec) -> None:
        self.target = target
        self.url = target.url.rstrip("/")
        self.model = target.model
        self.in_flight = 0
        self.failures = 0
        self.opens_at = 0.0
        """Loop time at which an open circuit may be tried."""
        self.limited: UpstreamError | None = None
        """The 429 that put it aside; shown to callers until its time is over."""
        self.trial = False
        self.last_error: str | None = None
        self._spec = spec
        self._loop = asyncio.get_running_loop()
        parts = urlsplit(self.url)
        tls = parts.scheme == "https"
        self._host = parts.netloc
        self._base = parts.path
        self._heads: dict[tuple[str, str], str] = {}
        self._pool = Pool(
            self.url,
            parts.hostname or "",
            parts.port or (443 if tls else 80),
            tls=tls,
            connect_timeout=spec.connect_timeout,
            limit=spec.max_connections,
            idle_timeout=spec.idle_timeout,
        )

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        if not self.failures:
            return "closed"
        return "open" if self.opens_at > self._loop.time() else "half_open"

    @property
    def available(self) -> bool:
        """Closed, or due for a trial that nobody is making."""
        return not self.failures or (not self.trial and self.opens_at <= self._loop.time())

    def status(self) -> TargetStatus:
        return TargetStatus(
            url=self.url,
            state=self.state,
            in_flight=self.in_flight,
            failures=self.failures,
            retry_in=round(max(0.0, self.opens_at - self._loop.time()), 3) if self.failures else 0.0,
            connections=self._pool.size,
            last_error=self.last_error,
        )

    def succeeded(self) -> None:
        if self.failures:
            self.failures = 0
            self.opens_at = 0.0
            self.limited = None
            self.last_error = None
        self.trial = False

    def failed(self, error: EngineFailed) -> None:
        self.failures += 1
        self.trial = False
        self.last_error = str(error)
        wait = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(self.failures - 1, 10))
        self.limited = None
        if isinstance(error, UpstreamError):
            if error.retry_after is not None:
                wait = min(error.retry_after, LONGEST_RETRY_AFTER)
            if error.status == 429:
                self.limited = UpstreamError(error.url, 429, error.body, error.headers)
        self.opens_at = self._loop.time() + wait

    def still_limited(self) -> UpstreamError | None:
        """The 429 that keeps the target aside, with the time that is left of it."""
        left = self.opens_at - self._loop.time()
        if self.limited is None or left <= 0:
            return None
        headers = {name: value for name, value in self.limited.headers.items() if name != "retry-after-ms"}
        headers["retry-after"] = str(math.ceil(left))
        return UpstreamError(self.url, 429, self.limited.body, headers)

    async def open(self, method: str, path: str, body: bytes, headers: Mapping[str, str] | None) -> Connection:
        """Send a request; the connection that its answer comes on is handed out when the answer's head has come.

        Args:
            path: below the base URL, with a leading slash; or, with a leading double slash, below the server's root.

        Raises:
            ConnectionFailed, EngineBusy
        """
        head = self._head(method, path, len(body), headers)
        times = (self._spec.first_byte_timeout, self._spec.stall_timeout)
        connection = await self._pool.take()
        if connection.used:
            try:
                return await self._request(connection, head, body, times)
            except ConnectionFailed as error:
                # The server closed an idle connection while we were about to use it: that is no failure of its.
                if not error.unanswered:
                    raise
            connection = await self._pool.connect()
        return await self._request(connection, head, body, times)

    async def _request(
        self, connection: Connection, head: bytes, body: bytes, times: tuple[float, float]
    ) -> Connection:
        try:
            await connection.request(head, body, *times)
            if connection.headers.get("content-encoding", "identity") != "identity":
                raise EngineFailed(f"{self.url} compressed its answer, which it was asked not to do")
        except BaseException:
            connection.finish()
            raise
        return connection

    def close(self) -> None:
        self._pool.close()

    def _head(self, method: str, path: str, length: int, headers: Mapping[str, str] | None) -> bytes:
        fixed = self._heads.get((method, path))
        if fixed is None:
            where = path[1:] if path.startswith("//") else self._base + path
            if not where.isascii() or not where.isprintable() or " " in where:
                raise ValueError(f"not a path: {path!r}")
            lines = [f"{method} {where} HTTP/1.1", f"host: {self._host}", "accept-encoding: identity"]
            lines.append("user-agent: inhouse")
            lines += [f"{name}: {value}" for name, value in self._spec.headers.items()]
            fixed = "\r\n".join(lines) + "\r\n"
            if len(self._heads) < 64:
                self._heads[method, path] = fixed
        if not headers or not any(name.lower() == "content-type" for name in headers):
            fixed += "content-type: application/json\r\n"
        if headers:
            check_headers(headers)
            fixed += "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        if self.target.key_env is not None:
            key = os.environ.get(self.target.key_env, "").strip()
            if not key.isascii() or not key.isprintable():
                raise EngineFailed(f"the environment variable {self.target.key_env} holds what cannot be an API key")
            if not key:
                raise EngineFailed(
                    f"the environment variable {self.target.key_env} with the key of {self.url} is not set"
                )
            fixed += f"authorization: Bearer {key}\r\n"
        return f"{fixed}content-length: {length}\r\n\r\n".encode("latin-1")
