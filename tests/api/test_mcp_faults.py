"""Whatever breaks, at whatever stage of a response that calls an MCP server: nothing stays open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.between import Between, between
from tests.mcp_servers import MCPServer, serve_streamable

from inhouse.api.responses.hosting import HostedTools
from inhouse.api.responses.mcp import mcp_maker
from inhouse.engines.protocol import EngineFailed
from inhouse.kit.addresses import LOOPBACK, Reach
from inhouse.storage.database import Database
from inhouse.tools.mcp import Bounds
from scripted import Platform, ScriptedEngine, check_order, events

__all__ = ["serve_streamable"]

Make = Callable[..., Platform]
ADD = '<tool_call>\n{"name": "numbers__add", "arguments": {"a": 20, "b": 22}}\n</tool_call>'
SCRIPT = (["Let me see. ", ADD], ["It is ", "42."])


def body(url: str, **fields: Any) -> dict[str, Any]:
    server = {"type": "mcp", "server_label": "numbers", "server_url": url, "require_approval": "never"}
    return {"input": "Hi", "tools": [{**server, "allowed_tools": ["add"]}], **fields}


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    database.migrate()
    made: list[Platform] = []

    def make(*script: Sequence[str | Exception]) -> Platform:
        hosts = HostedTools({"mcp": mcp_maker(Reach(LOOPBACK), Bounds(list_s=10, call_s=10))})
        made.append(Platform(database, ScriptedEngine(*script), hosts))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()


async def check_nothing_is_open(platform: Platform) -> None:
    assert platform.engine.open == 0
    assert not [task for task in asyncio.all_tasks() if "Connection" in repr(task.get_coro())]
    assert [state for state, _ in await platform.settled() if state == "open"] == []
    found = await platform.database.read(
        lambda c: c.execute(text("SELECT id FROM responses WHERE status IN ('queued', 'in_progress')")).all()
    )
    assert found == []


def check_items(response: dict[str, Any]) -> None:
    for item in response["output"]:
        assert item.get("status", "completed") in ("completed", "incomplete", "failed"), item


async def test_a_client_that_leaves_after_each_event(make: Make, streamable: MCPServer) -> None:
    whole: list[dict[str, Any]] = await make(*SCRIPT).call("createResponse", {**body(streamable.url), "stream": True})
    check_order(whole)
    stages = [each["type"] for each in whole]
    for stage in range(1, len(stages) + 1):
        platform = make(*SCRIPT)
        stream = await platform.stream(body(streamable.url))
        seen: list[dict[str, Any]] = []
        async for event in events(stream):
            seen.append(event)
            if len(seen) == stage:
                break
        await stream.batches.aclose()
        kept = await platform.call("getResponse", response_id=seen[0]["response"]["id"])
        # What was told in one piece with the last event was complete when the client left.
        assert kept["status"] in ("cancelled", "completed"), stages[stage - 1]
        check_items(kept)
        await check_nothing_is_open(platform)


STAGES = {
    "connecting": b"server/discover",
    "listing": b'"tools/list"',
    "calling": b'"tools/call"',
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("stage", [*STAGES, "writing"])
async def test_a_client_that_leaves_while_it_waits(make: Make, streamable: MCPServer, stage: str, stream: bool) -> None:
    platform = make(*SCRIPT)
    with between(streamable.url, STAGES.get(stage, b"")) as proxy:
        if stage == "writing":
            platform.engine.gate = asyncio.Event()
        asking = asyncio.create_task(platform.call("createResponse", body(proxy.url, stream=stream)))
        await reached(proxy, platform, stage)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert asking.cancelled()
        await check_nothing_is_open(platform)
        assert [status for _, status in await platform.settled()] == [499]


async def reached(proxy: Between, platform: Platform, stage: str) -> None:
    async with asyncio.timeout(120):
        while not (platform.engine.prompts if stage == "writing" else proxy.reached.is_set()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("stage", "status", "last"),
    [("connecting", "failed", "mcp_list_tools"), ("listing", "failed", "mcp_list_tools"), ("calling", "completed", "")],
)
async def test_a_server_that_goes_away(make: Make, streamable: MCPServer, stage: str, status: str, last: str) -> None:
    platform = make(*SCRIPT)
    with between(streamable.url, STAGES[stage], "cut") as proxy:
        told: list[dict[str, Any]] = await platform.call("createResponse", body(proxy.url, stream=True))
    check_order(told)
    response = told[-1]["response"]
    assert response["status"] == status, json.dumps(response)
    if last:
        assert [item["type"] for item in response["output"]] == [last]
        assert response["output"][0]["error"]
    else:
        _, _, called, said = response["output"]
        assert (called["type"], called["status"], called["output"]) == ("mcp_call", "failed", None)
        assert called["error"]["message"]
        assert said["content"][0]["text"] == "It is 42."
    kept = await platform.call("getResponse", response_id=response["id"])
    assert (kept["status"], kept["output"]) == (status, response["output"])
    await check_nothing_is_open(platform)


async def test_a_server_that_goes_away_between_turns(make: Make, streamable: MCPServer) -> None:
    platform = make(*SCRIPT)
    with between(streamable.url) as proxy:
        told: list[dict[str, Any]] = []
        async for event in events(await platform.stream(body(proxy.url))):
            told.append(event)
            if event["type"] == "response.mcp_call.completed":
                proxy.cut()
    check_order(told)
    assert told[-1]["response"]["status"] == "completed"
    assert told[-1]["response"]["output"][2]["output"] == "42"
    await check_nothing_is_open(platform)


@pytest.mark.parametrize("place", range(4))
async def test_an_engine_that_fails_at_each_piece(make: Make, streamable: MCPServer, place: int) -> None:
    pieces: list[list[str | Exception]] = [[*turn] for turn in SCRIPT]
    pieces[place // 2][place % 2] = EngineFailed("out of memory")
    platform = make(*pieces)
    told: list[dict[str, Any]] = await platform.call("createResponse", body(streamable.url, stream=True))
    check_order(told)
    assert told[-1]["response"]["status"] == "failed"
    check_items(told[-1]["response"])
    await check_nothing_is_open(platform)
