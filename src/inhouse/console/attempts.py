"""Counting failures, so that passwords and keys cannot be tried for ever.

In the database, so that each process of a server and each server behind a balancer counts all of them.
"""

from __future__ import annotations

import hashlib
import time

from sqlalchemy import Connection, delete, func, insert, select

from inhouse.kit.ids import new_id
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import sign_in_failures


class Attempts:
    """Attempts by name: an address of the network, or of a person. Kept as digests, for as long as they count.

    An attempt counts from its beginning, and no longer once it was right: of any that are made at the same time, no
    more than ``most`` are looked at.

    Args:
        most: failures in ``window_s`` seconds after which there are no more attempts.
    """

    def __init__(self, database: Database, most: int = 10, window_s: float = 60.0) -> None:
        self._database = database
        self._most = most
        self._window_us = round(window_s * 1_000_000)

    async def begin(self, *names: str) -> list[str] | None:
        """Count an attempt for each name; what to ``forgive`` if it is right. None, and nothing counted, where any of
        them has failed too often."""
        digests = sorted(map(_digest, names))
        found = sign_in_failures.c

        def work(connection: Connection) -> list[str] | None:
            for digest in digests:  # in one order everywhere, so that nobody waits for each other
                lock(connection, f"attempts {digest}")
            now = _now()
            connection.execute(delete(sign_in_failures).where(found.failed_at <= now - self._window_us))
            counts = select(func.count()).where(found.name.in_(digests)).group_by(found.name)
            if connection.execute(counts.having(func.count() >= self._most).limit(1)).first() is not None:
                return None
            ids = [new_id("failure_") for _ in digests]
            rows = [{"id": id, "name": name, "failed_at": now} for id, name in zip(ids, digests, strict=True)]
            connection.execute(insert(sign_in_failures), rows)
            return ids

        return await self._database.write(work)

    async def forgive(self, attempt: list[str]) -> None:
        """It was right, so it counts for nothing."""
        statement = delete(sign_in_failures).where(sign_in_failures.c.id.in_(attempt))
        await self._database.write(lambda connection: connection.execute(statement))


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _now() -> int:
    return time.time_ns() // 1000
