"""The ledger with a journal: on the books at once, in the database a little later, each call once."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.metering.test_ledger import agree, kept, opening, rows, settlement

from inhouse.metering import ledger as module
from inhouse.metering.ledger import Ledger, _decoder
from inhouse.metering.usage import Usage
from inhouse.metering.verify import verify
from inhouse.storage.database import Database
from inhouse.storage.journal import Journal, abandoned


@pytest.fixture(autouse=True)
def _nothing_is_written_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_S", 3600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def ledger(database: Database, folder: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(database, folder, beat_s=3600)
    await ledger.start()
    yield ledger
    await ledger.close()


def die(ledger: Ledger) -> None:
    """What is left of a ledger whose process was killed: its files, unlocked, and a row that names no process."""
    assert ledger._journal is not None
    assert ledger._beating is not None
    ledger._beating.cancel()
    for part in ledger._journal._parts:
        part.close()


async def restart(database: Database, folder: Path) -> tuple[Ledger, int]:
    from sqlalchemy import update

    from inhouse.storage.schema import instances

    await database.write(lambda c: c.execute(update(instances).values(beat_at=1, process="")).rowcount)
    ledger = Ledger(database, folder, beat_s=3600)
    return ledger, await ledger.start()


async def test_the_database_learns_it_later_and_all_at_once(ledger: Ledger, database: Database, folder: Path) -> None:
    made = [opening() for _ in range(100)]
    for each in made:
        await ledger.open(each)
        await ledger.settle(settlement(each.id))
    assert await rows(database) == []
    assert sum(path.stat().st_size for path in folder.iterdir()) > 0
    await ledger.written()
    assert [row.state for row in await rows(database)] == ["settled"] * 100
    assert sum(path.stat().st_size for path in folder.iterdir()) == 0, "what the database has is not kept twice"
    await agree(database)


async def test_a_clean_end_leaves_nothing_behind(database: Database, folder: Path) -> None:
    ledger = Ledger(database, folder)
    await ledger.start()
    call = opening()
    ledger.open_lazily(call)
    await ledger.settle(settlement(call.id))
    await ledger.close()
    assert list(folder.iterdir()) == []
    assert [row.state for row in await rows(database)] == ["settled"]


async def test_what_a_killed_process_wrote_down_is_booked(database: Database, folder: Path) -> None:
    ledger = Ledger(database, folder, beat_s=3600)
    await ledger.start()
    settled, under_way, in_database, then_settled = (opening() for _ in range(4))
    for each in (in_database, then_settled):
        await ledger.open(each, Usage(input_tokens=3, output_tokens=1))
    await ledger.written()
    await ledger.beat()
    for each in (settled, under_way):
        await ledger.open(each)
    await ledger.settle(settlement(settled.id))
    await ledger.settle(settlement(then_settled.id))
    await ledger.settle(settlement(then_settled.id, (999, 0, 999)))
    die(ledger)

    after, interrupted = await restart(database, folder)
    assert interrupted == 2
    found = {row.id: (row.state, row.input_tokens, row.output_tokens) for row in await rows(database)}
    assert found == {
        settled.id: ("settled", 10, 5),
        then_settled.id: ("settled", 10, 5),
        in_database.id: ("interrupted", 3, 1),
        under_way.id: ("interrupted", 0, 0),
    }
    await agree(database)
    await after.close()
    assert (await verify(database)).clean
    assert list(folder.iterdir()) == []


async def test_killed_between_the_commit_and_the_emptying(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database has it, and the journal too: it counts once."""
    ledger = Ledger(database, folder, beat_s=3600)
    await ledger.start()
    monkeypatch.setattr("inhouse.storage.journal._Part.empty", lambda part: None)
    call, other = opening(), opening()
    await ledger.open(call)
    await ledger.settle(settlement(call.id))
    await ledger.open(other)
    await ledger.written()
    await ledger.settle(settlement(other.id))
    die(ledger)
    after, interrupted = await restart(database, folder)
    assert interrupted == 0
    assert [row.state for row in await rows(database)] == ["settled"] * 2
    await agree(database)
    assert sum(row.requests for row in await kept(database, 60)) == 2
    await after.close()


async def test_a_line_cut_short_costs_nothing_but_itself(database: Database, folder: Path) -> None:
    journal = Journal(folder, "inst_dead")
    call = opening()
    journal.write([call, settlement(call.id)])
    for part in journal._parts:
        part.close()
    with (folder / "inst_dead.0.jsonl").open("ab") as file:
        file.write(b'{"type":"settle","id":"req_')
    ledger = Ledger(database, folder)
    assert await ledger.start() == 0
    assert [row.state for row in await rows(database)] == ["settled"]
    await ledger.close()


async def test_nobody_reads_the_journal_of_a_living_process(ledger: Ledger, database: Database, folder: Path) -> None:
    call = opening()
    await ledger.open(call)
    assert list(abandoned(folder, _decoder)) == []
    other = Ledger(database, folder)
    assert await other.start() == 0
    await other.close()
    await ledger.settle(settlement(call.id))
    await ledger.written()
    assert [row.state for row in await rows(database)] == ["settled"]


async def test_a_full_disk_means_waiting_for_the_database(
    ledger: Ledger, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    kept_call = opening()
    await ledger.open(kept_call)

    room: list[int] = []

    def full(file: int, data: bytes) -> int:
        if room:
            return write(file, data[: room.pop()])
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("inhouse.storage.journal.os.write", full)
    for bytes_left in ([], [7]):
        room[:] = bytes_left
        call = opening()
        await ledger.open(call)
        assert {row.id: row.state for row in await rows(database)}[call.id] == "open", "the database had to take it"
    monkeypatch.undo()
    lines = b"".join(path.read_bytes() for path in folder.iterdir())
    assert lines in (b"", lines[: lines.rfind(b"\n") + 1]), "no half line stays"


async def test_a_failing_database_serves_nobody_and_loses_nothing(
    ledger: Ledger, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = opening(), opening()
    await ledger.open(before)
    await ledger.settle(settlement(before.id))
    write = database.write

    async def broken(work: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(database, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        await ledger.written()
    with pytest.raises(OSError, match="disk full"):
        await ledger.open(after)
    assert sum(path.stat().st_size for path in folder.iterdir()) > 0
    monkeypatch.setattr(database, "write", write)
    await ledger.beat()
    assert {row.id: row.state for row in await rows(database)}[before.id] == "settled"
    later = opening()
    await ledger.open(later)
    await ledger.settle(settlement(later.id))
    await ledger.written()
    await ledger.written()
    assert sum(path.stat().st_size for path in folder.iterdir()) == 0
    await agree(database)


async def test_many_at_once_over_many_groups(
    ledger: Ledger, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_S", 0.005)

    async def call(number: int) -> None:
        made = opening(project_id=f"proj_{number % 3}")
        if number % 2:
            await ledger.open(made)
        else:
            ledger.open_lazily(made)
        await asyncio.sleep(number % 7 / 200)
        await ledger.settle(settlement(made.id, (number, 0, 1)))

    await asyncio.gather(*(call(number) for number in range(500)))
    await ledger.written()
    assert {row.state for row in await rows(database)} == {"settled"}
    await agree(database)
    assert sum(row.input_tokens for row in await kept(database, 60)) == sum(range(500))


async def test_an_end_in_one_file_and_its_beginning_in_the_other(database: Database, folder: Path) -> None:
    """Whichever of the two files is read first."""
    for first in range(2):
        journal = Journal(folder, f"inst_dead{first}")
        call = opening()
        journal._parts[first].append(msgspec.json.encode(call) + b"\n")
        journal._parts[1 - first].append(msgspec.json.encode(settlement(call.id)) + b"\n")
        for part in journal._parts:
            part.close()
    ledger = Ledger(database, folder)
    assert await ledger.start() == 0
    assert [row.state for row in await rows(database)] == ["settled"] * 2
    await agree(database)
    await ledger.close()
    assert list(folder.iterdir()) == []


async def test_killed_while_the_database_is_told_of_a_call_that_then_ends(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(database, folder, beat_s=3600)
    await ledger.start()
    call = opening()
    ledger.open_lazily(call)
    write = database.write
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(database, "write", lambda work: never)
    ledger._flusher.flush()
    await asyncio.sleep(0.01)
    await ledger.settle(settlement(call.id))
    die(ledger)
    monkeypatch.setattr(database, "write", write)
    after, interrupted = await restart(database, folder)
    assert interrupted == 0
    assert [(row.id, row.state) for row in await rows(database)] == [(call.id, "settled")]
    await after.close()
    never.cancel()


async def test_a_call_that_ends_after_the_database_failed_has_its_row(
    ledger: Ledger, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = database.write

    async def broken(work: Any) -> Any:
        raise OSError("busy")

    call = opening()
    ledger.open_lazily(call)
    monkeypatch.setattr(database, "write", broken)
    with pytest.raises(OSError, match="busy"):
        await ledger.written()
    monkeypatch.setattr(database, "write", write)
    await ledger.settle(settlement(call.id))
    await ledger.written()
    assert [(row.id, row.state) for row in await rows(database)] == [(call.id, "settled")]
    await agree(database)


async def test_who_holds_a_journal_is_spared_however_late_its_beat(
    ledger: Ledger, database: Database, folder: Path
) -> None:
    """A process that was stopped for a minute has ended calls, which only its journal knows."""
    call, under_way = opening(), opening()
    for each in (call, under_way):
        await ledger.open(each)
    await ledger.written()
    await ledger.settle(settlement(call.id))
    after, interrupted = await restart(database, folder)
    assert interrupted == 0
    await ledger.written()
    assert {row.id: row.state for row in await rows(database)} == {call.id: "settled", under_way.id: "open"}
    await after.close()


async def test_lines_that_cannot_be_read_are_kept_aside(database: Database, folder: Path) -> None:
    folder.mkdir()
    (folder / "inst_dead.0.jsonl").write_bytes(b'{"type":"open","id":"req_of_another_version"}\n')
    ledger = Ledger(database, folder)
    await ledger.start()
    await ledger.close()
    (kept_aside,) = folder.iterdir()
    assert b"req_of_another_version" in kept_aside.read_bytes()
    assert list(abandoned(folder, _decoder)) == []
