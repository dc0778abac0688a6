"""Buckets in Valkey or Redis, shared by all processes.

One script takes from all buckets of a request at once, on the server's own clock, so processes cannot overtake each
other nor disagree on the time. What arrives while an exchange with the server is under way goes out together in the
next one: many requests cost little more than one, over a single connection.

A store that fails in an exchange may have taken what it never said. That is lost to the client until it refills; never
is more admitted than the limits say.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from inhouse.limits.buckets import Amounts, Bucket, StoreDown, Taken
from inhouse.settings import SettingsError

TIMEOUT_S = 1.0
"""For connecting, and for an answer."""
PROBE_EVERY_S = 1.0
"""How often a store that failed is tried again. Requests do not wait for it meanwhile."""
MOST_AT_ONCE = 256
MOST_SETTLEMENTS = 100_000
"""Settlements that may wait. Beyond, what was taken stays taken until it refills."""

Reply = asyncio.Future[bytes]

log = structlog.get_logger(__name__)


class _Script:
    def __init__(self, name: str) -> None:
        self.text = files("inhouse.limits").joinpath("lua", name).read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode()).hexdigest()  # noqa: S324 - the protocol's name for a script


_TAKE, _SETTLE = _Script("take.lua"), _Script("settle.lua")


class _Command:
    """One run of a script, and who waits for its answer."""

    __slots__ = ("arguments", "reply")

    def __init__(self, script: _Script, buckets: Sequence[Bucket], amounts: Amounts, reply: Reply | None) -> None:
        arguments: list[str | int] = ["EVALSHA", script.sha, len(buckets), *(bucket.key for bucket in buckets)]
        for bucket in buckets:
            arguments += (repr(bucket.window), repr(bucket.per_unit), amounts[bucket.unit])
        self.arguments = arguments
        self.reply = reply


class Valkey:
    """See ``BucketStore``.

    Args:
        url: ``redis://``, ``rediss://``, ``unix://``, or the same with ``valkey``.

    Raises:
        SettingsError: the URL cannot be used. The message never shows a password.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        try:
            self._client: Any = Redis.from_url(
                re.sub(r"^valkey(s?)://", r"redis\1://", url),
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # A kept connection may have been closed by the server meanwhile: that is worth one more try.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError:
            raise SettingsError(
                "limits.store_url: cannot be read; write redis://host:6379/0, rediss://… or unix:///path"
            ) from None
        self._waiting: list[_Command] = []
        self._sender: asyncio.Task[None] | None = None
        self._prober: asyncio.Task[None] | None = None
        self._settlements = 0

    async def take(self, buckets: Sequence[Bucket], amounts: Amounts) -> Taken:
        if self._prober is not None:
            raise StoreDown("the store failed, and does not answer yet")
        reply: Reply = asyncio.get_running_loop().create_future()
        self._send(_Command(_TAKE, buckets, amounts, reply))
        admitted, now, *full_at = (await reply).split()
        return Taken(admitted == b"1", float(now), [float(each) for each in full_at])

    def settle(self, buckets: Sequence[Bucket], change: Amounts) -> None:
        changed = [bucket for bucket in buckets if change[bucket.unit]]
        if changed and self._settlements < MOST_SETTLEMENTS and self._prober is None:
            self._settlements += 1
            self._send(_Command(_SETTLE, changed, change, None))

    async def close(self) -> None:
        """Send what waits, then leave."""
        if self._prober is not None:
            self._prober.cancel()
        if self._sender is not None:
            await self._sender
        await self._client.aclose()

    def _send(self, command: _Command) -> None:
        self._waiting.append(command)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                self._settlements -= sum(command.reply is None for command in batch)
                try:
                    await self._exchange(batch)
                except Exception as error:  # whatever it is, nobody may wait for ever
                    self._fail(batch, error)
        finally:
            self._sender = None

    async def _exchange(self, batch: list[_Command]) -> None:
        replies = await self._run(batch)
        unknown = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # a server that is new or was restarted
            await self._client.script_load(_TAKE.text)
            await self._client.script_load(_SETTLE.text)
            for number, reply in zip(unknown, await self._run([batch[number] for number in unknown]), strict=True):
                replies[number] = reply
        for command, reply in zip(batch, replies, strict=True):
            if isinstance(reply, Exception):
                self._fail([command], reply)
            elif command.reply is not None and not command.reply.done():
                command.reply.set_result(reply)

    async def _run(self, batch: list[_Command]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in batch:
                pipeline.execute_command(*command.arguments)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
            return replies

    def _fail(self, batch: list[_Command], error: Exception) -> None:
        if self._prober is None:
            log.error("the store of the rate limits failed", reason=f"{type(error).__name__}: {error}")
            self._prober = asyncio.create_task(self._probe())
        for command in batch:
            if command.reply is not None and not command.reply.done():
                command.reply.set_exception(StoreDown(str(error)))
                command.reply.exception()  # its request may have left; that is not a warning

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            with contextlib.suppress(RedisError, OSError):
                await self._client.ping()
                break
        log.info("the store of the rate limits answers again")
        self._prober = None
