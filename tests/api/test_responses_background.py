"""Background responses: polled, streamed, cancelled, killed, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection

from inhouse.api.responses import store
from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.jobs import queue
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database
from scripted import Make, Platform, check_order, events, platforms

LIVE = ("queued", "in_progress")


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    async with platforms(database) as make:
        yield make


async def submit(platform: Platform, **body: Any) -> str:
    response = await platform.call("createResponse", {"input": "Hi", "background": True, **body})
    assert (response["status"], response["background"]) == ("queued", True)
    return str(response["id"])


async def status_of(platform: Platform, response_id: str) -> str:
    return str((await platform.call("getResponse", response_id=response_id))["status"])


async def ended(platform: Platform, response_id: str) -> dict[str, Any]:
    async with asyncio.timeout(120):
        while True:
            response: dict[str, Any] = await platform.call("getResponse", response_id=response_id)
            if response["status"] not in LIVE:
                return response
            await asyncio.sleep(0.02)


async def told(platform: Platform, response_id: str, query: str = "") -> list[dict[str, Any]]:
    async with asyncio.timeout(120):
        found: list[dict[str, Any]] = await platform.call(
            "getResponse", response_id=response_id, query=f"stream=true{query}"
        )
        return found


async def under_way(platform: Platform, response_id: str) -> None:
    """Until the first text is stored."""
    async with asyncio.timeout(120):
        while await status_of(platform, response_id) != "in_progress":
            await asyncio.sleep(0.02)


async def test_it_is_made_and_can_be_polled(make: Make) -> None:
    platform = make(["Hel", "lo"])
    response_id = await submit(platform, metadata={"a": "b"})
    assert await status_of(platform, response_id) == "queued"
    await platform.runner.start()
    response = await ended(platform, response_id)
    assert (response["status"], response["output"][0]["content"][0]["text"]) == ("completed", "Hello")
    assert response["usage"]["output_tokens"] == 2
    assert response["metadata"] == {"a": "b"}
    assert await platform.settled() == [("settled", 200)]
    listed = await platform.call("listInputItems", response_id=response_id)
    assert listed["data"][0]["content"][0]["text"] == "Hi"


async def test_its_stream_can_be_read_from_any_event_on(make: Make) -> None:
    platform = make(["Hel", "lo"])
    await platform.runner.start()
    first = await platform.call("createResponse", {"input": "Hi", "background": True, "stream": True})
    check_order(first)
    assert [event["type"] for event in first[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    response_id = first[0]["response"]["id"]
    plain = [{k: v for k, v in event.items() if k != "obfuscation"} for event in first]
    assert await told(platform, response_id, "&include_obfuscation=false") == plain
    assert await told(platform, response_id, "&include_obfuscation=false&starting_after=4") == plain[5:]
    assert await told(platform, response_id, "&starting_after=1000") == []


async def test_it_goes_on_when_the_client_leaves_and_another_process_can_follow(make: Make) -> None:
    platform, other = make(["One", " two", " three"]), make(["never"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    stream = await platform.stream({"input": "Hi", "background": True})
    seen = []
    reading = events(stream)
    async for event in reading:
        seen.append(event)
        if event["type"] == "response.output_text.delta":
            break
    await reading.aclose()
    response_id = seen[0]["response"]["id"]

    following = asyncio.create_task(told(other, response_id, f"&starting_after={seen[-1]['sequence_number']}"))
    await asyncio.sleep(0.1)
    platform.engine.gate.set()
    rest = await following
    check_order(seen + rest)
    assert rest[-1]["response"]["output"][0]["content"][0]["text"] == "One two three"
    assert other.engine.prompts == []


@pytest.mark.parametrize("from_another", [False, True])
async def test_it_can_be_cancelled(make: Make, from_another: bool) -> None:
    platform = make(["One", " two"])
    asked = make(["never"]) if from_another else platform
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    response_id = await submit(platform)
    await under_way(platform, response_id)
    cancelled = await asked.call("cancelResponse", response_id=response_id)
    assert cancelled["status"] == "cancelled"
    assert cancelled["output"][0]["status"] == "incomplete"
    assert platform.engine.open == 0
    stream = await told(asked, response_id)
    check_order(stream)
    assert (stream[-1]["type"], stream[-1]["response"]["status"]) == ("response.incomplete", "cancelled")
    assert await asked.call("cancelResponse", response_id=response_id) == cancelled
    assert [state for state, _ in await platform.settled()] == ["settled"]


async def test_one_that_waits_can_be_cancelled(make: Make) -> None:
    platform = make(["One"])
    response_id = await submit(platform)
    cancelling = asyncio.create_task(platform.call("cancelResponse", response_id=response_id))
    await asyncio.sleep(0.05)
    await platform.runner.start()
    assert (await cancelling)["status"] == "cancelled"
    assert platform.engine.prompts == []
    check_order(await told(platform, response_id))


async def test_one_that_has_ended_or_is_not_in_the_background_cannot(make: Make) -> None:
    platform = make(["One"])
    await platform.runner.start()
    response_id = await submit(platform)
    completed = await ended(platform, response_id)
    assert await platform.call("cancelResponse", response_id=response_id) == completed
    plain = await platform.call("createResponse", {"input": "Hi"})
    with pytest.raises(InvalidRequest):
        await platform.call("cancelResponse", response_id=plain["id"])
    with pytest.raises(InvalidRequest):
        await platform.call("getResponse", response_id=plain["id"], query="stream=true")


async def test_a_stopped_process_leaves_it_to_the_next(make: Make) -> None:
    platform = make(["One", " two"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    response_id = await submit(platform)
    await under_way(platform, response_id)
    await platform.runner.stop()
    assert platform.engine.open == 0
    assert await status_of(platform, response_id) == "in_progress"

    following = make(["Anew"])
    await following.runner.start()
    response = await ended(following, response_id)
    assert (response["status"], response["output"][0]["content"][0]["text"]) == ("completed", "Anew")
    stream = await told(following, response_id)
    check_order(stream)
    assert [event["type"] for event in stream].count("response.in_progress") == 2
    broken = next(event for event in stream if event["type"] == "response.output_item.done")
    assert (broken["item"]["status"], broken["item"]["content"][0]["text"]) == ("incomplete", "One")


async def test_what_a_killed_process_held_is_taken_up_when_its_lease_runs_out(make: Make, database: Database) -> None:
    """A dead process neither renews nor releases: another one waits for the lease, then makes it anew."""
    platform = make(["Anew"])
    response_id = await submit(platform)
    lease = partial(queue.claim, owner="dead", kinds=["response"], count=1, lease_us=600_000)
    assert [job.id for job in await database.write(lease)] == [response_id]
    platform.runner._loop = asyncio.create_task(platform.runner._run())  # without what SQLite frees at a start
    response = await ended(platform, response_id)
    assert response["status"] == "completed"


async def test_who_lost_its_lease_tells_nothing_more(
    make: Make, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stood still wakes up beside the one that took its work over."""
    monkeypatch.setattr("inhouse.api.responses.background.PIECE_S", 0)
    platform, other = make(["One", " two"]), make(["Anew"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    response_id = await submit(platform)
    await under_way(platform, response_id)
    assert platform.runner._loop is not None
    platform.runner._loop.cancel()  # nothing is renewed

    def take(connection: Connection) -> None:
        queue.release_all(connection)
        assert queue.claim(connection, "other", ["response"], 1, 60_000_000)

    await database.write(take)
    platform.engine.gate.set()
    async with asyncio.timeout(120):
        while platform.engine.open:
            await asyncio.sleep(0.02)
    await platform.runner.stop()
    pieces = await database.read(lambda connection: store.events_after(connection, response_id, -1))
    assert " two" not in "".join(pieces)
    await database.write(queue.release_all)
    await other.runner.start()
    response = await ended(other, response_id)
    assert (response["status"], response["output"][0]["content"][0]["text"]) == ("completed", "Anew")
    check_order(await told(other, response_id))


async def test_one_that_always_kills_its_process_is_given_up(make: Make, database: Database) -> None:
    platform = make(["never"])
    response_id = await submit(platform)
    for _ in range(3):
        await database.write(partial(queue.claim, owner="dead", kinds=["response"], count=1, lease_us=-1))
    await platform.runner.start()
    response = await ended(platform, response_id)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    assert platform.engine.prompts == []
    check_order(await told(platform, response_id))


async def test_an_engine_that_fails(make: Make) -> None:
    platform = make(["One", EngineFailed("died")])
    await platform.runner.start()
    response_id = await submit(platform)
    response = await ended(platform, response_id)
    assert (response["status"], response["error"]["code"]) == ("failed", "server_error")
    check_order(await told(platform, response_id))


async def test_a_busy_engine_is_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhouse.api.responses.background.BUSY_DELAYS_S", (0.01, 0.01))
    platform = make([EngineBusy("full")], [EngineBusy("full")], ["Hello"])
    await platform.runner.start()
    response = await ended(platform, await submit(platform))
    assert response["status"] == "completed"
    assert [status for _, status in await platform.settled()] == [503, 503, 200]


async def test_it_can_be_deleted_while_it_is_made(make: Make) -> None:
    platform = make(["One", " two"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    response_id = await submit(platform)
    await under_way(platform, response_id)
    await platform.call("deleteResponse", response_id=response_id)
    async with asyncio.timeout(120):
        while platform.engine.open:
            await asyncio.sleep(0.02)
    with pytest.raises(NotFound):
        await platform.call("getResponse", response_id=response_id)


async def test_it_joins_its_conversation(make: Make) -> None:
    platform = make(["Hello"])
    await platform.runner.start()
    conversation = (await platform.call("createConversation", {}))["id"]
    await ended(platform, await submit(platform, conversation=conversation))
    listed = await platform.call("listConversationItems", conversation_id=conversation, query="order=asc")
    assert [item["role"] for item in listed["data"]] == ["user", "assistant"]


async def test_what_is_refused_is_refused_at_once(make: Make) -> None:
    platform = make(["Hello"])
    with pytest.raises(InvalidRequest):
        await platform.call("createResponse", {"input": "Hi", "background": True, "tools": [{"type": "computer"}]})
