"""Speeds measured on this machine: what the engines' own timings in the ledger say."""

from __future__ import annotations

import time
from statistics import median

import msgspec
from sqlalchemy import select

from inhouse.storage.database import Database
from inhouse.storage.schema import calls

RECENT = 200
"""Calls that a speed is taken from."""
LOOKED_AT = 10 * RECENT
"""Calls among which others than a batch's are looked for: its lines share the slots, and are slow each by itself."""
ENOUGH_TOKENS = 16
"""Fewer tokens than this say little of speed."""
KEEP_SECONDS = 30.0


class Speed(msgspec.Struct, frozen=True):
    """Median tokens a second over recent calls; None where nothing was measured."""

    prefill: float | None
    decode: float | None


class Speeds:
    """Measured speed of each deployment, remembered for half a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Speed]] = {}

    async def of(self, deployment: str) -> Speed:
        known = self._known.get(deployment)
        now = time.monotonic()
        if known is None or now - known[0] > KEEP_SECONDS:
            known = self._known[deployment] = (now, await self._measure(deployment))
        return known[1]

    async def _measure(self, deployment: str) -> Speed:
        read = calls.c.input_tokens - calls.c.cached_input_tokens
        query = (
            select(calls.c.batch, read.label("read"), calls.c.output_tokens, calls.c.prefill_ms, calls.c.decode_ms)
            .where(calls.c.deployment == deployment, calls.c.decode_ms.is_not(None))
            .order_by(calls.c.created_at.desc())
            .limit(LOOKED_AT)
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        rows = ([row for row in found if not row.batch] or found)[:RECENT]
        return Speed(
            _median([(row.read, row.prefill_ms) for row in rows]),
            _median([(row.output_tokens, row.decode_ms) for row in rows]),
        )


def _median(samples: list[tuple[int, float | None]]) -> float | None:
    rates = [tokens * 1000 / ms for tokens, ms in samples if ms and tokens >= ENOUGH_TOKENS]
    return median(rates) if rates else None
