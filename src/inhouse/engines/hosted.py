"""The parent's half of a Python host: one model of our own in a child process. The child's half is ``hosting``."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec

from inhouse.engines.hosting import END, FAULT, Fault, HostConfig
from inhouse.engines.hosts import HOSTS, Kind
from inhouse.engines.llama.admission import Admission
from inhouse.engines.protocol import EngineFailed, Refused
from inhouse.engines.supervisor import Endpoint, Settings, Status, Supervisor

T = TypeVar("T")
Upload = bytes | AsyncIterable[bytes]


class HostedStatus(msgspec.Struct, kw_only=True):
    """What an operator sees of the engine."""

    child: Status
    running: int
    queued: int
    slots: int


class HostedEngine:
    """One model of our own in a child process that starts with the first call.

    Requests get their turn as in ``llama.admission``: fair between tenants, bounded, by priority.

    Args:
        kind: which host runs it.
        config: handed to the host; ``config.slots`` requests reach it at once.
        max_queue: requests that may wait for their turn; one more raises EngineBusy.
        queue_timeout: seconds that a request may wait for its turn before it raises EngineBusy.
        settings: of the child process: idle unload, timeouts, delays between restarts.
        log_folder: where the child's log goes; None keeps only its last lines, in memory.
        stall_timeout: seconds of silence after which the host counts as hung; a call that is not streamed is silent
            until it is done.
        command: what runs in the child instead of the kind's host.
    """

    def __init__(
        self,
        kind: Kind,
        config: HostConfig,
        *,
        name: str | None = None,
        max_queue: int = 256,
        queue_timeout: float | None = None,
        settings: Settings | None = None,
        log_folder: Path | None = None,
        stall_timeout: float = 600.0,
        command: list[str] | None = None,
    ) -> None:
        self.kind = kind
        self.config = config
        self._supervisor = Supervisor(
            name or kind,
            command or [sys.executable, "-m", HOSTS[kind].module],
            config=config,
            environment={"OMP_NUM_THREADS": str(config.threads), "GOMP_SPINCOUNT": "0"},
            settings=settings,
            log_folder=log_folder,
        )
        self._admission = Admission(config.slots, 0, max_queue, queue_timeout)
        self._timeout = aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=stall_timeout)
        self._session: aiohttp.ClientSession | None = None

    @property
    def status(self) -> HostedStatus:
        return HostedStatus(
            child=self._supervisor.status,
            running=self._admission.running,
            queued=self._admission.queued,
            slots=self._admission.slots,
        )

    async def start(self) -> None:
        """Load the model now rather than with the first call.

        Raises:
            EngineFailed: with the reason from the child's log.
        """
        async with self._supervisor.use():
            pass

    async def stop(self) -> None:
        """Unload; the next call loads again."""
        await self._supervisor.stop()

    async def close(self) -> None:
        """Unload for good."""
        await self._supervisor.close()
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        path: str,
        request: msgspec.Struct,
        answer: type[T],
        *,
        upload: Upload | None = None,
        tenant: str = "",
        priority: int = 0,
    ) -> T:
        """One answer. Cancelling closes the connection, which tells the host to stop.

        Args:
            upload: for a function that takes one: the body, whole or in pieces.
            tenant: whose request it is; tenants of the same priority take turns.
            priority: higher goes first.

        Raises:
            Refused: the host does not take the request.
            EngineBusy: no turn.
            EngineFailed: the host fails, hangs or is gone.
        """
        async with self._turn(tenant, priority) as endpoint, self._post(endpoint, path, request, upload) as response:
            data = await response.read()
            if response.status != 200:
                raise _failure(self._supervisor.name, response.status, data)
            return msgspec.msgpack.decode(data, type=answer)

    async def stream(
        self,
        path: str,
        request: msgspec.Struct,
        item: type[T],
        *,
        upload: Upload | None = None,
        tenant: str = "",
        priority: int = 0,
    ) -> AsyncGenerator[T, None]:
        """The items of a streamed answer: Structs, or ``bytes`` where ``item`` is that. Arguments and errors as
        ``call``; closing the generator tells the host to stop."""
        async with self._turn(tenant, priority) as endpoint, self._post(endpoint, path, request, upload) as response:
            if response.status != 200:
                raise _failure(self._supervisor.name, response.status, await response.read())
            read = response.content.readexactly
            while (length := int.from_bytes(await read(4), "big")) != END:
                if length == FAULT:
                    fault = await read(int.from_bytes(await read(4), "big"))
                    raise _failure(self._supervisor.name, 500, fault)
                data: Any = await read(length)
                yield data if item is bytes else msgspec.msgpack.decode(data, type=item)

    @contextlib.asynccontextmanager
    async def _turn(self, tenant: str, priority: int) -> AsyncIterator[Endpoint]:
        lease = await self._admission.acquire(self._admission.rank(priority, tenant), 0, resumable=False)
        try:
            async with self._supervisor.use() as endpoint:
                try:
                    yield endpoint
                except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
                    raise await self._broken(endpoint, error) from error
        finally:
            self._admission.release(lease)

    def _post(self, endpoint: Endpoint, path: str, request: msgspec.Struct, upload: Upload | None) -> Any:
        if self._session is None:
            # A connection of its own for each call: a child that ends must not break the next call on a kept one.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        encoded = msgspec.msgpack.encode(request)
        body = encoded if upload is None else _before(encoded, upload)
        return self._session.post(endpoint.url + path, data=body, headers=headers)

    async def _broken(self, endpoint: Endpoint, error: Exception) -> EngineFailed:
        name = self._supervisor.name
        if isinstance(error, TimeoutError):
            return EngineFailed(f"{name} gave no answer for {self._timeout.sock_read:.0f} s")
        reason = await self._supervisor.why_dead(endpoint)
        return EngineFailed(reason or f"{name} broke off: {error or type(error).__name__}")


async def _before(request: bytes, upload: Upload) -> AsyncGenerator[bytes, None]:
    """A body of both, as ``hosting`` reads it."""
    yield len(request).to_bytes(4, "big") + request
    if isinstance(upload, bytes):
        yield upload
        return
    async for piece in upload:
        yield piece


def _failure(name: str, status: int, data: bytes) -> Exception:
    try:
        fault = msgspec.msgpack.decode(data, type=Fault)
    except msgspec.DecodeError:
        return EngineFailed(f"{name} answered {status}")
    if fault.refused:
        return Refused(fault.message, code=fault.code, param=fault.param)
    return EngineFailed(f"{name} failed: {fault.message}")
