"""Failed attempts to sign in are counted by all processes together."""

from __future__ import annotations

from sqlalchemy import func, select

from inhouse.console.attempts import Attempts
from inhouse.storage.database import Database
from inhouse.storage.schema import sign_in_failures


async def test_processes_count_together(database: Database) -> None:
    here, there = Attempts(database, most=3), Attempts(database, most=3)
    await here.failed("10.0.0.1", "person ada")
    await there.failed("10.0.0.2", "person ada")
    assert not await here.tired("10.0.0.1", "person ada")
    await there.failed("10.0.0.3", "person ada")
    assert await here.tired("10.0.0.1", "person ada")
    assert await there.tired("person ada")
    assert not await here.tired("10.0.0.1", "person grace")


async def test_failures_are_forgotten_when_they_no_longer_count(database: Database) -> None:
    short, long = Attempts(database, most=1, window_s=0), Attempts(database, most=1)
    await long.failed("person ada")
    assert not await short.tired("person ada")
    await short.failed("person grace")
    kept = await database.read(lambda c: c.execute(select(func.count()).select_from(sign_in_failures)).scalar_one())
    assert kept == 1
    assert not await long.tired("person ada")


async def test_no_address_is_kept_as_it_is(database: Database) -> None:
    await Attempts(database).failed("10.0.0.1", "person ada@example.com")
    names = await database.read(lambda c: c.execute(select(sign_in_failures.c.name)).scalars().all())
    assert len(names) == 2
    assert all(len(name) == 64 and "ada" not in name for name in names)
