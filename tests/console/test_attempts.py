"""Failed attempts to sign in are counted by all processes together."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from inhouse.console.attempts import Attempts
from inhouse.storage.database import Database
from inhouse.storage.schema import sign_in_failures


async def test_processes_count_together(database: Database) -> None:
    here, there = Attempts(database, most=3), Attempts(database, most=3)
    assert await here.begin("10.0.0.1", "person ada")
    assert await there.begin("10.0.0.2", "person ada")
    assert await there.begin("10.0.0.3", "person ada")
    assert await here.begin("10.0.0.1", "person ada") is None
    assert await there.begin("person ada") is None
    assert await here.begin("10.0.0.1", "person grace")


async def test_no_more_are_looked_at_however_many_come_at_once(database_url: str) -> None:
    databases = Database(database_url), Database(database_url)
    attempts = [Attempts(each, most=10) for each in databases]
    names = ("10.0.0.1", "person ada"), ("person ada", "10.0.0.1")
    begun = await asyncio.gather(*(attempts[n % 2].begin(*names[n // 2 % 2]) for n in range(40)))
    assert sum(each is not None for each in begun) == 10
    for each in databases:
        await each.close()


async def test_what_was_right_does_not_count(database: Database) -> None:
    attempts = Attempts(database, most=2)
    for _ in range(4):
        attempt = await attempts.begin("10.0.0.1", "person ada")
        assert attempt is not None
        await attempts.forgive(attempt)
    assert await kept(database) == 0
    assert await attempts.begin("10.0.0.1")
    attempt = await attempts.begin("10.0.0.1", "person ada")
    assert attempt is not None
    assert await attempts.begin("10.0.0.1") is None
    await attempts.forgive(attempt)
    assert await attempts.begin("10.0.0.1")


async def test_failures_are_forgotten_when_they_no_longer_count(database: Database) -> None:
    long, short = Attempts(database, most=1), Attempts(database, most=1, window_s=0)
    assert await long.begin("person ada")
    assert await long.begin("person ada") is None
    assert await short.begin("person ada")
    assert await kept(database) == 1


async def test_no_address_is_kept_as_it_is(database: Database) -> None:
    await Attempts(database).begin("10.0.0.1", "person ada@example.com")
    names = await database.read(lambda c: c.execute(select(sign_in_failures.c.name)).scalars().all())
    assert len(names) == 2
    assert all(len(name) == 64 and "ada" not in name for name in names)


async def kept(database: Database) -> int:
    return await database.read(lambda c: c.execute(select(func.count()).select_from(sign_in_failures)).scalar_one())
