"""Counting failures, so that passwords and keys cannot be tried for ever.

In the database, so that each process of a server and each server behind a balancer counts all of them.
"""

from __future__ import annotations

import hashlib
import time

from sqlalchemy import Connection, delete, func, insert, select

from inhouse.kit.ids import new_id
from inhouse.storage.database import Database
from inhouse.storage.schema import sign_in_failures


class Attempts:
    """Failures by name: an address of the network, or of a person. Kept as digests, for as long as they count.

    Args:
        most: failures in ``window_s`` seconds after which ``tired`` says so.
    """

    def __init__(self, database: Database, most: int = 10, window_s: float = 60.0) -> None:
        self._database = database
        self._most = most
        self._window_us = round(window_s * 1_000_000)

    async def tired(self, *names: str) -> bool:
        since, digests = _now() - self._window_us, [_digest(name) for name in names]
        found = sign_in_failures.c
        counts = (
            select(func.count())
            .where(found.name.in_(digests), found.failed_at > since)
            .group_by(found.name)
            .having(func.count() >= self._most)
        )
        return await self._database.read(lambda connection: connection.execute(counts.limit(1)).first() is not None)

    async def failed(self, *names: str) -> None:
        def work(connection: Connection) -> None:
            now = _now()
            connection.execute(delete(sign_in_failures).where(sign_in_failures.c.failed_at <= now - self._window_us))
            rows = [{"id": new_id("failure_"), "name": _digest(name), "failed_at": now} for name in names]
            connection.execute(insert(sign_in_failures), rows)

        await self._database.write(work)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _now() -> int:
    return time.time_ns() // 1000
