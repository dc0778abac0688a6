"""The ledger: one row a call, opened when it is admitted, settled exactly once.

Rows are buffered and written in groups, so that the cost of a commit is shared by all calls of the moment. A row is
durable before the first byte of its answer leaves, and settled before the last.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, insert, update

from inhouse.storage.database import Database
from inhouse.storage.schema import calls

INTERRUPTED_STATUS = 500


class Opening(msgspec.Struct, kw_only=True, frozen=True):
    """What is known when a call is admitted. Times are Unix microseconds."""

    id: str
    created_at: int
    organization_id: str
    project_id: str
    key_id: str
    operation: str
    model: str
    snapshot: str
    deployment: str
    service_tier: str


class Settlement(msgspec.Struct, kw_only=True, frozen=True):
    """What a call came to. Money in nano-dollars, durations in milliseconds."""

    id: str
    settled_at: int
    status: int
    error_code: str | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    cost_nanos: int
    first_token_ms: float | None = None
    prefill_ms: float | None = None
    decode_ms: float | None = None


_OPEN = insert(calls)
_SETTLE = (
    update(calls)
    .where(calls.c.id == bindparam("call_id"), calls.c.state == "open")
    .values({name: bindparam(f"new_{name}") for name in (*Settlement.__struct_fields__[1:], "state")})
)


class Ledger:
    """Writes calls to the database in groups.

    Errors of the database reach every call of the group: a call whose row cannot be written is not served.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened: dict[str, dict[str, Any]] = {}
        self._settled: list[dict[str, Any]] = []
        self._flushed: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None

    def open(self, opening: Opening) -> asyncio.Future[None]:
        """Book a call. The future resolves when the row is durable; shield it when you await it."""
        row = msgspec.structs.asdict(opening)
        row["state"] = "open"
        self._opened[opening.id] = row
        return self._flush()

    async def settle(self, settlement: Settlement) -> None:
        """Close a call's row. Returns when it is durable; a second settlement of one id changes nothing."""
        values = msgspec.structs.asdict(settlement)
        call_id = values.pop("id")
        self._settled.append(
            {"call_id": call_id, "new_state": "settled", **{f"new_{name}": value for name, value in values.items()}}
        )
        await asyncio.shield(self._flush())

    async def recover(self) -> int:
        """Settle the rows that a killed process left open: interrupted, nothing billed beyond what is recorded.

        Returns:
            How many there were. Call it once, before the first call is opened.
        """
        now = time.time_ns() // 1000
        statement = (
            update(calls)
            .where(calls.c.state == "open")
            .values(state="interrupted", settled_at=now, status=INTERRUPTED_STATUS, error_code="interrupted")
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def close(self) -> None:
        """Wait until everything is written."""
        if self._writer is not None:
            await asyncio.shield(self._writer)

    def _flush(self) -> asyncio.Future[None]:
        """The write that will hold everything buffered so far."""
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return self._flushed

    async def _write(self) -> None:
        try:
            while (flushed := self._flushed) is not None:
                self._flushed = None
                opened, self._opened = self._opened, {}
                settled, self._settled = self._settled, []
                try:
                    await self._database.write(partial(_store, opened=opened, settled=settled))
                except asyncio.CancelledError:  # the loop ends; nobody may be left waiting for this group
                    flushed.cancel()
                    raise
                except Exception as error:
                    flushed.set_exception(error)
                    flushed.exception()  # an opening that nobody awaits any more is not a warning
                else:
                    flushed.set_result(None)
        finally:
            self._writer = None


def _store(connection: Connection, opened: dict[str, dict[str, Any]], settled: list[dict[str, Any]]) -> None:
    if opened:
        connection.execute(_OPEN, list(opened.values()))
    if settled:
        connection.execute(_SETTLE, settled)
