"""Responses are kept before their last event, and are in the database a moment later, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from inhouse.api.responses import keeping as module
from inhouse.api.responses import store
from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.keeping import Keeping
from inhouse.api.responses.store import Kept, StoredResponse
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database
from inhouse.storage.schema import response_items, responses
from scripted import Platform, ScriptedEngine


@pytest.fixture(autouse=True)
def _nothing_is_written_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_S", 3600)
    monkeypatch.setattr(module, "RETRY_S", 3600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
async def keeping(database: Database, folder: Path) -> AsyncIterator[Keeping]:
    keeping = Keeping(database, folder)
    await keeping.start()
    yield keeping
    await keeping.close()


def kept(text: str = "Hello", id: str | None = None) -> Kept:
    id = id or new_id("resp_")
    output = [StoredItem(new_id("msg_"), f'{{"said":"{text}"}}')]
    response = StoredResponse(
        id=id,
        created_at=1,
        status="completed",
        previous_response_id=None,
        conversation_id=None,
        body="{}",
        output=output,
    )
    return Kept("proj_one", response, [StoredItem(new_id("msg_"), '{"said":"Hi"}')])


async def ids(database: Database) -> list[str]:
    return await database.read(lambda c: list(c.execute(select(responses.c.id)).scalars()))


async def bodies(database: Database) -> list[str]:
    query = select(response_items.c.body).order_by(response_items.c.key)
    return await database.read(lambda c: list(c.execute(query).scalars()))


def die(keeping: Keeping) -> None:
    """What is left of it when its process was killed: its files, unlocked."""
    assert keeping._journal is not None
    for part in keeping._journal._parts:
        part.close()


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def test_many_become_one_transaction(keeping: Keeping, database: Database, folder: Path) -> None:
    made = [kept(str(number)) for number in range(50)]
    for each in made:
        await keeping.keep(each)
    assert await ids(database) == []
    assert size(folder) > 0
    await keeping.stored(made[7].response.id)
    assert sorted(await ids(database)) == sorted(each.response.id for each in made)
    said = [item.body for each in made for item in (*each.inputs, *each.response.output)]
    assert await bodies(database) == said, "in the order in which they were kept"
    assert size(folder) == 0, "what the database has is not kept twice"


async def test_a_killed_process_loses_none(database: Database, folder: Path) -> None:
    """Neither what the database had not been told, nor twice what it had."""
    keeping = Keeping(database, folder)
    await keeping.start()
    made = [kept(), kept()]
    for each in made:
        await keeping.keep(each)
    await database.write(lambda c: store.add_responses(c, [made[0]]))
    die(keeping)
    after = Keeping(database, folder)
    await after.start()
    assert sorted(await ids(database)) == sorted(each.response.id for each in made)
    assert len(await bodies(database)) == 4
    await after.close()
    assert list(folder.iterdir()) == []


async def test_what_a_living_process_keeps_is_its_own(keeping: Keeping, database: Database, folder: Path) -> None:
    await keeping.keep(kept())
    other = Keeping(database, folder)
    await other.start()
    await other.close()
    assert await ids(database) == []
    await keeping.written()
    assert len(await ids(database)) == 1


async def test_without_a_journal_it_is_committed_when_it_is_kept(database: Database) -> None:
    keeping = Keeping(database)
    await keeping.start()
    made = [kept() for _ in range(20)]
    await asyncio.gather(*(keeping.keep(each) for each in made))
    assert sorted(await ids(database)) == sorted(each.response.id for each in made)
    await keeping.close()


async def test_a_long_one_is_committed_at_once(keeping: Keeping, database: Database, folder: Path) -> None:
    await keeping.keep(long := kept("x" * module.MOST_CHARACTERS))
    assert await ids(database) == [long.response.id]
    assert size(folder) == 0


async def test_one_that_is_refused_takes_no_other_with_it(database: Database) -> None:
    keeping = Keeping(database)
    await keeping.keep(first := kept())
    second, third = kept(id=first.response.id), kept()
    refused = await asyncio.gather(keeping.keep(second), keeping.keep(third), return_exceptions=True)
    assert isinstance(refused[0], IntegrityError)
    assert sorted(await ids(database)) == sorted([first.response.id, third.response.id])
    await keeping.close()


async def test_a_failing_database_keeps_nobody_waiting_in_vain(
    keeping: Keeping, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keeping.keep(before := kept())
    write = database.write

    async def broken(work: Any) -> Any:
        raise OSError("disk full")

    monkeypatch.setattr(database, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        await keeping.stored(before.response.id)
    with pytest.raises(OSError, match="disk full"):
        await keeping.keep(kept())
    assert size(folder) > 0, "it is kept all the same"
    monkeypatch.setattr(database, "write", write)
    await keeping.written()
    assert before.response.id in await ids(database)
    await keeping.keep(kept())
    await keeping.written()
    await keeping.written()
    assert size(folder) == 0


async def test_a_full_disk_means_waiting_for_the_database(
    keeping: Keeping, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, data: bytes) -> int:
        raise OSError("no space left")

    monkeypatch.setattr("inhouse.storage.journal.os.write", full)
    await keeping.keep(made := kept())
    assert await ids(database) == [made.response.id]


async def test_nobody_can_tell_the_difference(keeping: Keeping, database: Database) -> None:
    """Whatever asks for a response that the database does not have yet gets it."""
    platform = Platform(database, ScriptedEngine(["Hello"]), keeping=keeping)
    made = await platform.call("createResponse", {"input": "Hi"})
    assert await ids(database) == []
    assert await platform.call("getResponse", response_id=made["id"]) == made

    made = await platform.call("createResponse", {"input": "Hi"})
    assert len((await platform.call("listInputItems", response_id=made["id"]))["data"]) == 1

    first = await platform.call("createResponse", {"input": "Hi"})
    second = await platform.call("createResponse", {"input": "And?", "previous_response_id": first["id"]})
    assert len((await platform.call("listInputItems", response_id=second["id"]))["data"]) == 3

    made = await platform.call("createResponse", {"input": "Hi"})
    named = {"type": "item_reference", "id": made["output"][0]["id"]}
    await platform.call("createResponse", {"input": [named, {"role": "user", "content": "And?"}]})
    made = await platform.call("createResponse", {"input": "Hi"})
    named = {"type": "item_reference", "id": made["output"][0]["id"]}
    conversation = await platform.call("createConversation", {"items": [named]})
    items = await platform.call("listConversationItems", conversation_id=conversation["id"])
    assert items["data"][0]["content"][0]["text"] == "Hello"

    made = await platform.call("createResponse", {"input": "Hi"})
    assert (await platform.call("deleteResponse", response_id=made["id"]))["deleted"]
    await keeping.written()
    assert made["id"] not in await ids(database)
    await platform.close()
