"""One turn at a time on a conversation, on both databases and across processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from inhouse.kit.errors import APIError, InvalidRequest, NotFound
from inhouse.metering import instances
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine, events

Make = Callable[..., Any]


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    made: list[Platform] = []

    async def make(*script: Any) -> Platform:
        platform = Platform(database, ScriptedEngine(*script))
        await platform.ledger.start()
        made.append(platform)
        return platform

    yield make
    for platform in made:
        if platform.engine.gate is not None:
            platform.engine.gate.set()
        await platform.close()


async def conversation(platform: Platform) -> str:
    return str((await platform.call("createConversation", {}))["id"])


async def texts(platform: Platform, id: str) -> list[str]:
    listed = await platform.call("listConversationItems", conversation_id=id, query="order=asc")
    return [part["text"] for item in listed["data"] for part in item["content"]]


async def refused(work: Any) -> None:
    with pytest.raises(InvalidRequest, match="Another process is currently operating on this conversation") as told:
        await work
    assert (told.value.code, told.value.param) == ("conversation_locked", "conversation")


async def test_a_second_turn_is_refused_until_the_first_has_ended(make: Make) -> None:
    one, two = await make(["One", " and", " all"]), await make(["Two"])
    one.engine.gate = asyncio.Event()
    id = await conversation(one)
    stream = await one.stream({"input": "First", "conversation": id})
    async with aclosing(events(stream)) as told:
        await anext(told)
        for platform in (one, two):
            await refused(platform.call("createResponse", {"input": "Second", "conversation": id}))
            await refused(platform.call("createResponse", {"input": "Second", "conversation": id, "stream": True}))
            await refused(platform.call("createResponse", {"input": "Second", "conversation": id, "background": True}))
        items = {"items": [{"role": "user", "content": "Between"}]}
        await refused(two.call("createConversationItems", items, conversation_id=id))
        await two.call("createResponse", {"input": "Elsewhere", "conversation": await conversation(two)})
        one.engine.gate.set()
        async for _ in told:
            pass
    await two.call("createResponse", {"input": "Second", "conversation": id})
    assert await texts(one, id) == ["First", "One and all", "Second", "Two"]


async def test_of_many_at_once_one_goes_and_the_others_are_refused(make: Make) -> None:
    platforms = [await make(["One", "!"]), await make(["Two", "!"])]
    id = await conversation(platforms[0])
    for platform in platforms:
        platform.engine.gate = asyncio.Event()
    turns = [
        asyncio.create_task(platforms[number % 2].call("createResponse", {"input": str(number), "conversation": id}))
        for number in range(6)
    ]
    async with asyncio.timeout(120):
        while sum(turn.done() for turn in turns) < 5:
            await asyncio.sleep(0.01)
    for platform in platforms:
        platform.engine.gate.set()
    results = await asyncio.gather(*turns, return_exceptions=True)
    assert sorted(isinstance(result, dict) for result in results) == [False] * 5 + [True]
    assert {result.code for result in results if isinstance(result, APIError)} == {"conversation_locked"}
    assert len(await texts(platforms[0], id)) == 2


async def test_whichever_way_a_turn_ends_it_lets_go(make: Make) -> None:
    platform = await make(["Half", RuntimeError("broken")], ["Half", " more"], ["Whole"])
    id = await conversation(platform)
    with pytest.raises(RuntimeError):
        await platform.call("createResponse", {"input": "Fails", "conversation": id})
    platform.engine.gate = asyncio.Event()
    stream = await platform.stream({"input": "Left", "conversation": id})
    told = events(stream)
    await anext(told)
    await told.aclose()
    platform.engine.gate.set()
    output = {"type": "function_call_output", "call_id": "x", "output": ""}
    with pytest.raises(InvalidRequest):
        await platform.call("createResponse", {"input": [output], "conversation": id})
    await platform.call("createResponse", {"input": "Works", "conversation": id})
    assert await texts(platform, id) == ["Works", "Whole"]


async def test_a_dead_process_holds_nothing(make: Make) -> None:
    dead, alive = await make(["One", " more"]), await make(["Two"])
    dead.engine.gate = asyncio.Event()
    id = await conversation(dead)
    stream = await dead.stream({"input": "First", "conversation": id})
    told = events(stream)
    await anext(told)
    await refused(alive.call("createResponse", {"input": "Second", "conversation": id}))
    await alive.database.write(partial(instances.remove, ids=[dead.ledger.instance]))
    await alive.call("createResponse", {"input": "Second", "conversation": id})
    assert await texts(alive, id) == ["Second", "Two"]
    dead.engine.gate.set()
    await told.aclose()


async def test_a_background_turn_holds_it_until_it_has_ended(make: Make) -> None:
    platform = await make(["Made"])
    id = await conversation(platform)
    queued = await platform.call("createResponse", {"input": "First", "conversation": id, "background": True})
    await refused(platform.call("createResponse", {"input": "Second", "conversation": id}))
    await platform.runner.start()
    async with asyncio.timeout(120):
        while (await platform.call("getResponse", response_id=queued["id"]))["status"] != "completed":
            await asyncio.sleep(0.02)
    await platform.call("createResponse", {"input": "Second", "conversation": id})
    assert await texts(platform, id) == ["First", "Made", "Second", "Made"]
    deleted = await platform.call("createResponse", {"input": "Third", "conversation": id, "background": True})
    await platform.call("deleteResponse", response_id=deleted["id"])
    await platform.call("createResponse", {"input": "Fourth", "conversation": id})


async def test_nobody_holds_another_projects_conversation(make: Make) -> None:
    platform = await make(["Hello"])
    id = await conversation(platform)
    for background in (False, True):
        with pytest.raises(NotFound):
            await platform.call(
                "createResponse", {"input": "Hi", "conversation": id, "background": background}, project="proj_two"
            )
    await platform.call("createResponse", {"input": "Hi", "conversation": id})
