"""HTTP/1.1 to one server: pooled connections on asyncio's transports, parsed by llhttp (``httptools``).

A general client spends more on a request than all the rest of the gateway does; the figures are in
``docs/performance.md``. What is left out: redirects, cookies, compression, proxies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import cast

import httptools

from inhouse.engines.protocol import EngineBusy, EngineFailed

READ_AHEAD = 256 << 10
"""Bytes of an answer held for a slow consumer before the socket is no longer read."""
MAX_HEAD = 64 << 10
DRAIN_SECONDS = 1.0
"""How long a stream whose last event came may take to end before its connection is given up."""


class ConnectionFailed(EngineFailed):
    """No connection, or it broke.

    Args:
        unanswered: it was closed before any byte of the answer.
        timed_out: the caller has waited long already.
    """

    def __init__(self, message: str, *, unanswered: bool = False, timed_out: bool = False) -> None:
        super().__init__(message)
        self.unanswered = unanswered
        self.timed_out = timed_out


class Connection(asyncio.Protocol):
    """One connection; it carries one exchange at a time: ``request``, ``read`` until empty, ``finish``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._loop = pool.loop
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._error: ConnectionFailed | None = None
        self._busy = False
        self._draining = False
        self._paused = False
        self.closed = False
        self.used = False
        self.idle_since = 0.0
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.complete = False
        self._reusable = False
        self._parts: list[bytes] = []
        self._held = 0
        self._received = 0

    # The exchange

    async def request(self, head: bytes, body: bytes, first_byte_timeout: float, stall_timeout: float) -> None:
        """Send a request and wait for the head of its answer: ``status`` and ``headers`` are set then.

        Args:
            head: request line and headers with the empty line that ends them.

        Raises:
            ConnectionFailed: the server closed, fell silent, or does not speak HTTP.
        """
        self._begin()
        self._busy = True
        self._first_byte_timeout = first_byte_timeout
        self._stall_timeout = stall_timeout
        self._touched = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(min(first_byte_timeout, stall_timeout), self._check_silence)
        if len(body) <= MAX_HEAD:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """What has arrived of the body since the last read; empty at its end. Raises ``ConnectionFailed``."""
        while not self._parts:
            if self.complete:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._touched = self._loop.time()
            self._transport.resume_reading()
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole body. Raises ``ConnectionFailed``, also when it is larger than ``limit`` bytes."""
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise ConnectionFailed(f"{self._pool.url} answered more than {limit} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def finish(self, *, drain: bool = False) -> None:
        """End the exchange. A connection whose answer is not complete is closed at once, which stops the server's work;
        with ``drain``, the few bytes after a stream's last event are waited for instead."""
        self._busy = False
        if self.complete and self._reusable and self._error is None and not self.closed:
            # The timer stays for the next exchange; if none comes, it ends by itself.
            self.used = True
            self._pool.give(self)
            return
        self._stop_timer()
        if self.closed:
            return
        if drain and not self.complete and self._error is None:
            self._draining = True
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            self._timer = self._loop.call_later(DRAIN_SECONDS, self._transport.abort)
        else:
            self._transport.abort()

    def _drained(self) -> None:
        if self.complete:
            self._draining = False
            self._stop_timer()
            self.finish()

    def abort(self) -> None:
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        if not (self._busy or self._draining) or self.complete:
            self._fail("sent bytes that nobody asked for")
            return
        self._touched = self._loop.time()
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"does not speak HTTP/1.1: {error}")
            return
        if self._draining:
            self._drained()
            return
        if not self.status and self._received > MAX_HEAD:
            self._fail(f"sent more than {MAX_HEAD} bytes of headers")
            return
        if self._held > READ_AHEAD and not self._paused and not self.complete:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._stop_timer()
        self._pool.lost(self)
        if self._ends_with_connection and error is None and self._error is None:
            self.complete = True
        elif not self.complete and self._error is None:
            when = "before it answered" if not self._received else "in the middle of its answer"
            self._error = ConnectionFailed(
                f"{self._pool.url} closed the connection {when}", unanswered=not self._received
            )
        self._wake()

    # httptools

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status

    def on_body(self, data: bytes) -> None:
        if not self._draining:
            self._parts.append(data)
            self._held += len(data)

    def on_message_complete(self) -> None:
        if not self.status:  # 100 Continue and its like come before the answer
            self.headers = {}
            return
        self.complete = True
        self._reusable = self._parser.should_keep_alive()

    # Within

    @property
    def _ends_with_connection(self) -> bool:
        return bool(self.status) and not self.headers.keys() & {"content-length", "transfer-encoding"}

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, reason: str, *, timed_out: bool = False) -> None:
        self._error = self._error or ConnectionFailed(f"{self._pool.url} {reason}", timed_out=timed_out)
        self._pool.lost(self)
        self._transport.abort()
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_silence(self) -> None:
        """One timer for a connection, that looks when the last bytes came, instead of one for each read."""
        if not self._busy:
            self._timer = None
            return
        now = self._loop.time()
        if self._parts or self._paused:
            self._touched = now  # it is the consumer who is slow
        limit = self._stall_timeout if self.status else self._first_byte_timeout
        left = self._touched + limit - now
        if left > 0:
            soonest = min(left, self._stall_timeout, self._first_byte_timeout)
            self._timer = self._loop.call_later(soonest, self._check_silence)
        elif not self.complete:
            self._fail(f"sent nothing for {limit:g} s", timed_out=True)


class Pool:
    """Connections to one server. The last one used is the first one reused, so that surplus ones grow old and close."""

    def __init__(
        self, url: str, host: str, port: int, *, tls: bool, connect_timeout: float, limit: int, idle_timeout: float
    ) -> None:
        self.url = url
        self.loop = asyncio.get_running_loop()
        self._host = host
        self._port = port
        self._tls = ssl.create_default_context() if tls else None
        self._connect_timeout = connect_timeout
        self._limit = limit
        self._idle_timeout = idle_timeout
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._connecting = 0
        self._closed = False
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        return len(self._open) + self._connecting

    async def take(self) -> Connection:
        """An idle connection, else a new one. Raises ``EngineBusy`` at the limit, and as ``connect`` does."""
        if self._idle:
            return self._idle.pop()
        return await self.connect()

    async def connect(self) -> Connection:
        """Raises ``ConnectionFailed`` and ``EngineBusy``."""
        if self._closed:
            raise EngineFailed(f"the client of {self.url} is closed")
        if self.size >= self._limit:
            raise EngineBusy(f"{self.url} has {self.size} connections already")
        self._connecting += 1
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self), self._host, self._port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ConnectionFailed(
                f"no connection to {self.url} within {self._connect_timeout:g} s", timed_out=True
            ) from error
        except (OSError, UnicodeError) as error:
            raise ConnectionFailed(
                f"no connection to {self.url}: {getattr(error, 'strerror', None) or error}"
            ) from error
        finally:
            self._connecting -= 1
        return connection

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)

    def give(self, connection: Connection) -> None:
        connection.idle_since = self.loop.time()
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(self._idle_timeout, self._sweep)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    def close(self) -> None:
        """Close every connection, those in use too, for good."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self._open):
            connection.abort()

    def _sweep(self) -> None:
        self._sweeper = None
        oldest = self.loop.time() - self._idle_timeout
        for connection in [idle for idle in self._idle if idle.idle_since <= oldest]:
            self._idle.remove(connection)
            connection.abort()
        if self._idle:
            due = self._idle[0].idle_since + self._idle_timeout - self.loop.time()
            self._sweeper = self.loop.call_later(max(due, 0.05), self._sweep)
