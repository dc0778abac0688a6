"""What a turn goes on from is what the database has, however much of it is at hand, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event

from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.past import NOTHING, Past, Pasts
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine

ONE = "proj_one"


@pytest.fixture
async def platform(database: Database) -> AsyncIterator[Platform]:
    platform = Platform(database, ScriptedEngine(["Hello"]))
    yield platform
    await platform.close()


@pytest.fixture
def pasts(database: Database) -> Pasts:
    return Pasts(database)


def said(past: Past) -> list[str]:
    return [item.text for item in past.reading().items()]  # type: ignore[union-attr]


async def fresh(platform: Platform, previous: str | None, conversation: str | None) -> list[StoredItem]:
    return (await Pasts(platform.database).gather(ONE, previous, conversation)).stored


async def test_a_chain_is_read_once(platform: Platform, pasts: Pasts) -> None:
    first = await platform.call("createResponse", {"input": "One"})
    second = await platform.call("createResponse", {"input": "Two", "previous_response_id": first["id"]})
    past = await pasts.gather(ONE, second["id"], None)
    assert said(past) == ["One", "Hello", "Two", "Hello"]
    asked: list[str] = []

    @event.listens_for(platform.database._reading, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    assert await pasts.gather(ONE, second["id"], None) is past
    assert asked
    assert not any("body" in statement for statement in asked), "no item is read again"


async def test_a_chain_goes_on_without_being_read(platform: Platform, pasts: Pasts) -> None:
    first = await platform.call("createResponse", {"input": "One"})
    past = await pasts.gather(ONE, first["id"], None)
    second = await platform.call("createResponse", {"input": "Two", "previous_response_id": first["id"]})
    pasts.remember(ONE, second["id"], past.then((await fresh(platform, second["id"], None))[2:]), first["id"])
    assert said(await pasts.gather(ONE, second["id"], None)) == ["One", "Hello", "Two", "Hello"]
    assert said(await pasts.gather(ONE, first["id"], None)) == ["One", "Hello"], "a branch begins where it began"


async def test_no_chain_goes_on_from_what_was_deleted(platform: Platform) -> None:
    """Not from what was deleted here, nor by another process, nor from what another project has at hand."""
    for gone in range(2):
        first = await platform.call("createResponse", {"input": "One"})
        second = await platform.call("createResponse", {"input": "Two", "previous_response_id": first["id"]})
        third = await platform.call("createResponse", {"input": "Three", "previous_response_id": second["id"]})
        elsewhere = {"previous_response_id": third["id"], "input": "And?"}
        with pytest.raises(InvalidRequest, match="not found"):
            await platform.call("createResponse", elsewhere, project="proj_two")
        other = Platform(platform.database, ScriptedEngine())
        await other.call("deleteResponse", response_id=(first, third)[gone]["id"])
        await other.close()
        with pytest.raises(InvalidRequest, match="not found"):
            await platform.call("createResponse", elsewhere)


async def test_a_conversation_is_what_it_is_now(platform: Platform, pasts: Pasts) -> None:
    """Whatever came, went, and came in its place."""
    made = await platform.call("createConversation", {"items": [{"role": "user", "content": "One"}]})
    id = made["id"]

    async def agree() -> list[str]:
        past = await pasts.gather(ONE, None, id)
        assert past.stored == await fresh(platform, None, id)
        return said(past)

    assert await agree() == ["One"]
    assert await agree() == ["One"]
    await platform.call("createResponse", {"input": "Two", "conversation": id})
    assert await agree() == ["One", "Two", "Hello"]
    last = (await pasts.gather(ONE, None, id)).stored[-1]
    await platform.call("deleteConversationItem", conversation_id=id, item_id=last.id)
    added = {"items": [{"role": "user", "content": "Three"}]}
    await platform.call("createConversationItems", added, conversation_id=id)
    assert await agree() == ["One", "Two", "Three"], "in the place of what was deleted"
    first = (await pasts.gather(ONE, None, id)).stored[0]
    await platform.call("deleteConversationItem", conversation_id=id, item_id=first.id)
    await platform.call("createConversationItems", added, conversation_id=id)
    assert await agree() == ["Two", "Three", "Three"]
    await platform.call("deleteConversation", conversation_id=id)
    with pytest.raises(NotFound):
        await pasts.gather(ONE, None, id)


async def test_a_chain_out_of_a_conversation_follows_it(platform: Platform, pasts: Pasts) -> None:
    made = await platform.call("createConversation", {"items": [{"role": "user", "content": "One"}]})
    inside = await platform.call("createResponse", {"input": "Two", "conversation": made["id"]})
    assert said(await pasts.gather(ONE, inside["id"], None)) == ["One", "Two", "Hello"]
    first = (await pasts.gather(ONE, inside["id"], None)).stored[0]
    await platform.call("deleteConversationItem", conversation_id=made["id"], item_id=first.id)
    assert said(await pasts.gather(ONE, inside["id"], None)) == ["Two", "Hello"]


async def test_memory_is_bounded(platform: Platform) -> None:
    ids = [(await platform.call("createResponse", {"input": "x" * 1000}))["id"] for _ in range(4)]
    pasts = Pasts(platform.database, most=3, most_characters=3000)
    for id in ids:
        assert said(await pasts.gather(ONE, id, None)) == ["x" * 1000, "Hello"]
    assert 0 < pasts._characters <= 3000
    assert pasts._characters == sum(past.characters for past, _ in pasts._known.values())
    for id in ids:
        pasts.forget(ONE, id)
    assert pasts._characters == 0


def test_a_past_is_the_same_however_it_came_about() -> None:
    items = [
        StoredItem(f"msg_{n}", f'{{"type":"message","role":"user","id":"msg_{n}","content":"{n}"}}') for n in range(5)
    ]
    whole = Past(items)
    for read in (False, True):
        grown = NOTHING
        for item in items:
            grown = grown.then([item])
            if read:
                assert grown.items[-1].id == item.id  # type: ignore[union-attr]
                grown.reading()
        assert grown.stored == whole.stored
        assert grown.items == whole.items
        assert said(grown) == said(whole) == list("01234")
        assert grown.characters == whole.characters


def test_what_is_read_on_leaves_the_past_alone() -> None:
    call = '{"type":"function_call","id":"fc","call_id":"call_1","name":"f","arguments":"{}"}'
    output = '{"type":"function_call_output","id":"fco","call_id":"call_1","output":"x"}'
    past = Past([StoredItem("fc", call)])
    with pytest.raises(InvalidRequest, match="No tool output found"):
        past.reading().items()
    answered = past.then([StoredItem("fco", output)])
    assert len(answered.reading().items()) == 2
    with pytest.raises(InvalidRequest, match="No tool output found"):
        past.reading().items()
    with pytest.raises(InvalidRequest, match="No tool call found"):
        Past([StoredItem("fco", output)]).reading()
