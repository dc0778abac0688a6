from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, select, text, update

from inhouse.kit.ids import request_id
from inhouse.metering import instances, rollups
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger
from inhouse.metering.usage import Usage
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, unsettled, usage_rollups
from inhouse.storage.schema import instances as instances_table

Open = Callable[[str], Database]


def opening(**more: Any) -> Opening:
    values: dict[str, Any] = {
        "id": request_id(),
        "created_at": time.time_ns() // 1000,
        "organization_id": "org-1",
        "project_id": "proj_1",
        "key_id": "key_1",
        "operation": "createChatCompletion",
        "model": "gpt-4.1",
        "snapshot": "gpt-4.1-2025-04-14",
        "deployment": "{}",
        "service_tier": "default",
        "input_price": 2000,
        "cached_input_price": 500,
        "output_price": 8000,
    }
    return Opening(**values | more)


def settlement(id: str, tokens: tuple[int, int, int] = (10, 4, 5), **more: Any) -> Settlement:
    new, cached, out = tokens
    values: dict[str, Any] = {
        "id": id,
        "settled_at": time.time_ns() // 1000,
        "status": 200,
        "error_code": None,
        "input_tokens": new,
        "cached_input_tokens": cached,
        "output_tokens": out,
        "cost_nanos": (new - cached) * 2000 + cached * 500 + out * 8000,
    }
    return Settlement(**values | more)


async def kept(database: Database, width: int) -> list[Any]:
    return list(await database.read(lambda c: c.execute(rollups.as_kept(width)).all()))


async def agree(database: Database) -> None:
    for width in rollups.WIDTHS:

        def both(connection: Connection, width: int = width) -> tuple[list[Any], list[Any]]:
            return (
                sorted(tuple(map(str, row)) for row in connection.execute(rollups.as_booked(width))),
                sorted(tuple(map(str, row)) for row in connection.execute(rollups.as_kept(width))),
            )

        booked, found = await database.read(both)
        assert booked == found


async def rows(database: Database) -> list[Any]:
    return list(await database.read(lambda c: c.execute(select(calls).order_by(calls.c.created_at)).all()))


@pytest.fixture
async def ledger(database: Database) -> Any:
    ledger = Ledger(database, beat_s=3600)
    await ledger.start()
    yield ledger
    await ledger.close()


async def test_a_settled_call_is_in_every_sum(ledger: Ledger, database: Database) -> None:
    at = 1_800_000_000 * 1_000_000  # 2027-01-15 08:00:00 UTC
    first, second, failed = opening(), opening(user_id="user-1"), opening()
    for each in (first, second, failed):
        await ledger.open(each)
    await ledger.settle(settlement(first.id, settled_at=at + 59_999_999))
    await ledger.settle(settlement(second.id, settled_at=at + 60_000_000, units=3, fee_nanos=7))
    await ledger.settle(settlement(failed.id, (0, 0, 0), settled_at=at, status=503, error_code="server_is_overloaded"))
    await agree(database)
    by_minute = sorted((row.user_id, row.start, row.requests, row.input_nanos) for row in await kept(database, 60))
    assert by_minute == [("", 1_800_000_000, 1, 12_000), ("user-1", 1_800_000_060, 1, 12_000)]
    day = {row.user_id: row for row in await kept(database, 86_400)}
    assert {row.start for row in day.values()} == {1_800_000_000 - 8 * 3600}
    assert (day["user-1"].cached_input_nanos, day["user-1"].output_nanos) == (2_000, 40_000)
    assert (day["user-1"].units, day["user-1"].fee_nanos) == (3, 7)


async def test_a_second_settlement_changes_nothing(ledger: Ledger, database: Database) -> None:
    call = opening()
    await ledger.open(call)
    await asyncio.gather(ledger.settle(settlement(call.id)), ledger.settle(settlement(call.id, (99, 0, 99))))
    await ledger.settle(settlement(call.id, (77, 0, 77)))
    assert [row.input_tokens for row in await rows(database)] == [10]
    await agree(database)


async def test_a_settlement_without_a_call_changes_nothing(ledger: Ledger, database: Database) -> None:
    await ledger.settle(settlement("req_unknown"))
    assert await rows(database) == []
    assert await kept(database, 60) == []


async def test_many_at_once_from_two_processes(database: Database, database_url: str, open_database: Open) -> None:
    ledgers = [Ledger(database), Ledger(open_database(database_url))]
    for ledger in ledgers:
        await ledger.start()

    async def call(number: int) -> None:
        made = opening(key_id=f"key_{number % 7}", project_id=f"proj_{number % 3}")
        ledger = ledgers[number % 2]
        await asyncio.shield(ledger.open(made))
        await ledger.settle(settlement(made.id, (number, 0, 1)))

    await asyncio.gather(*(call(number) for number in range(400)))
    for ledger in ledgers:
        await ledger.close()
    assert {row.state for row in await rows(database)} == {"settled"}
    await agree(database)
    assert sum(row.requests for row in await kept(database, 86_400)) == 400
    assert sum(row.input_tokens for row in await kept(database, 60)) == sum(range(400))
    assert await database.read(lambda c: c.execute(select(instances_table)).all()) == []


async def test_a_dead_process_is_billed_what_was_last_recorded(
    database: Database, database_url: str, open_database: Open
) -> None:
    dying, alive = Ledger(database, beat_s=3600), Ledger(open_database(database_url), beat_s=3600)
    await dying.start()
    await alive.start()
    usage = Usage(input_tokens=20, cached_tokens=5, output_tokens=3, fee_nanos=11)
    theirs, mine = opening(), opening()
    await dying.open(theirs, usage)
    await alive.open(mine)
    await dying.beat()
    usage.output_tokens = 9  # after the last beat: lost with the process
    assert await alive.recover() == 0, "both processes are alive"

    await database.write(
        lambda c: (
            c.execute(
                update(instances_table).where(instances_table.c.id == dying.instance).values(beat_at=1, process="")
            ).rowcount
        )
    )
    await alive.beat()
    found = {row.id: row for row in await rows(database)}
    assert found[mine.id].state == "open"
    row = found[theirs.id]
    assert (row.state, row.status, row.error_code) == ("interrupted", 500, "interrupted")
    assert (row.input_tokens, row.cached_input_tokens, row.output_tokens) == (20, 5, 3)
    assert row.cost_nanos == 15 * 2000 + 5 * 500 + 3 * 8000 + 11
    await agree(database)

    # It was only paused: what it settles now comes too late, and it goes on under another name.
    name = dying.instance
    await dying.settle(settlement(theirs.id))
    await dying.beat()
    assert dying.instance != name
    await agree(database)
    assert {row.id: row.state for row in await rows(database)}[theirs.id] == "interrupted"
    later = opening()
    await dying.open(later)
    await alive.beat()
    assert {row.id: row.state for row in await rows(database)}[later.id] == "open"
    for ledger in (dying, alive):
        await ledger.close()


async def test_calls_of_no_instance_are_settled_at_the_start(database: Database) -> None:
    old = opening()
    values = {"id": old.id, "state": "open", "cost_nanos": 0, "deployment": "{}"}
    values |= {name: getattr(old, name) for name in ("created_at", "organization_id", "project_id", "key_id")}
    values |= {name: getattr(old, name) for name in ("operation", "model", "snapshot", "service_tier")}
    await database.write(lambda c: c.execute(insert(calls), values).rowcount)
    ledger = Ledger(database)
    assert await ledger.start() == 1
    assert [row.state for row in await rows(database)] == ["interrupted"]
    await ledger.close()


async def test_what_could_not_be_settled_is_settled_later(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = opening()
    await ledger.open(call)
    write = database.write

    async def full(work: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(database, "write", full)
    with pytest.raises(OSError, match="disk full"):
        await ledger.settle(settlement(call.id))
    monkeypatch.setattr(database, "write", write)
    assert [row.state for row in await rows(database)] == ["open"]
    await ledger.beat()
    assert [row.state for row in await rows(database)] == ["settled"]
    await agree(database)


async def test_open_calls_are_found_without_reading_the_whole_ledger(database: Database) -> None:
    from inhouse.metering.booking import _ABANDONED

    def plan(connection: Connection) -> str:
        statement = _ABANDONED.compile(connection, compile_kwargs={"literal_binds": False})
        assert not statement.params
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            return str(connection.execute(text(f"EXPLAIN {statement}")).all())
        return str(connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all())

    assert "ix_calls_open" in await database.read(plan)


def test_processes_are_told_apart() -> None:
    me = instances.this_process()
    if not me:
        pytest.skip("this system does not tell of processes")
    place, _, rest = me.rpartition(" ")
    number, _, started = rest.partition(":")
    assert not instances._is_gone(me)
    assert instances._is_gone(f"{place} {number}:{int(started) - 1}"), "the number was given to another process"
    assert instances._is_gone(f"{place} 4194999:1")
    assert not instances._is_gone(f"elsewhere pid:[1] {number}:1"), "another machine or container"
    assert not instances._is_gone("")


async def test_series_are_remembered_only_once_they_are_committed(database: Database) -> None:
    series = rollups.Series("org-1", "completions", "p", "", "k", "m", False, "default")
    booking = rollups.Booking(series, 10**15, rollups.sums_of(200, 1, 0, 1, 0, 1, 1, 1, 0))

    def work(connection: Connection) -> None:
        rollups.add(connection, [booking], {})
        raise LookupError

    with pytest.raises(LookupError):
        await database.write(work)
    assert await database.read(lambda c: c.execute(select(usage_rollups)).all()) == []
    known = await database.write(lambda c: rollups.add(c, [booking], {}))
    assert await database.write(lambda c: rollups.add(c, [booking], known)) == {}
    assert [row.requests for row in await kept(database, 60)] == [2]


async def test_a_settlement_that_the_database_cannot_take_is_set_aside(ledger: Ledger, database: Database) -> None:
    bad, good, late = opening(), opening(), opening()
    used = Usage(input_tokens=7, output_tokens=1)
    for each in (bad, good):
        await ledger.open(each, used if each is bad else None)
    await ledger.beat()
    impossible = settlement(bad.id, (2**70, 0, 1))
    # All three in one group, one of them opened in it, too.
    ledger.open_lazily(late)
    await asyncio.gather(*(ledger.settle(each) for each in (impossible, settlement(good.id), settlement(late.id))))
    states = {row.id: row for row in await rows(database)}
    assert {states[good.id].state, states[late.id].state} == {"settled"}
    assert states[bad.id].state == "interrupted"
    assert (states[bad.id].input_tokens, states[bad.id].output_tokens) == (7, 1)
    assert states[bad.id].cost_nanos == 7 * 2000 + 8000
    [kept] = await database.read(lambda c: c.execute(select(unsettled)).all())
    assert kept.id == bad.id
    assert json.loads(kept.settlement) == msgspec.structs.asdict(impossible)
    await agree(database)
    verdict = await verify(database)
    assert [(each.what, each.examples) for each in verdict.findings] == [
        ("settlements that the database refused", [bad.id])
    ]
    # It is not tried again.
    await ledger.beat()
    assert len(await database.read(lambda c: c.execute(select(unsettled)).all())) == 1


async def test_an_opening_that_the_database_cannot_take_is_not_served(ledger: Ledger, database: Database) -> None:
    bad, good = opening(input_price=2**70), opening()
    answers = await asyncio.gather(ledger.open(bad), ledger.open(good), return_exceptions=True)
    assert isinstance(answers[0], Exception)
    assert [row.id for row in await rows(database)] == [good.id]
    await ledger.settle(settlement(good.id))
    assert [row.state for row in await rows(database)] == ["settled"]


async def test_usage_that_cannot_be_recorded_does_not_stop_the_beat(ledger: Ledger, database: Database) -> None:
    call, used = opening(), Usage()
    await ledger.open(call, used)
    used.input_tokens = 2**70
    before = await database.read(lambda c: c.execute(select(instances_table.c.beat_at)).scalar())
    await ledger.beat()
    assert await database.read(lambda c: c.execute(select(instances_table.c.beat_at)).scalar()) > before


async def test_other_servers_are_known_by_their_beats(database: Database) -> None:
    first, second = (Ledger(database, beat_s=0.2) for _ in range(2))
    await first.start()
    assert await first.others() == 0
    await second.start()
    assert await second.others() == 1
    await first.close()
    assert await second.others() == 0
    # One that was killed where this one cannot look leaves a row without beats.
    await database.write(lambda c: instances.register(c, "inst_elsewhere", "another boot 1:1"))
    assert await second.others() == 0
    await second.close()
