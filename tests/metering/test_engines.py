"""What engines count themselves against what was billed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.walking import Client, Walk, walking

from inhouse.engines.deployments import Embedded
from inhouse.engines.llama.engine import UNSEEN, LlamaEngine
from inhouse.engines.protocol import Completion, Piece
from inhouse.engines.weights import find_manifest
from inhouse.kit.ids import request_id
from inhouse.metering.engines import UNTOLD, compare
from inhouse.metering.verify import Verdict, verify
from inhouse.storage.bulk import insert_rows
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, engine_counts

CHAT = "/v1/chat/completions"
WRONG = "engines whose own counts are not what the calls come to"
SECOND = 1_000_000


def asking(words: str, tokens: int = 12, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": words}]
    return {"model": "gpt-4.1", "messages": messages, "max_completion_tokens": tokens, **more}


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    """A platform whose gpt-4.1 is a real, small model."""
    async with walking(tmp_path, **{"engines.slots": 2, "engines.kv_tokens": 4096}) as walk:
        small = Embedded.of(find_manifest("smollm2-135m-instruct-q4_1"))
        await walk.platform.catalog.bindings.bind("gpt-4.1", small, "test")
        yield walk


def engine_of(walk: Walk) -> LlamaEngine:
    engine = walk.platform.calls.engine_of("gpt-4.1", "chat_completions")
    assert isinstance(engine, LlamaEngine)
    return engine


async def checked(walk: Walk) -> Verdict:
    await walk.platform.engine_counts.look()
    return await verify(walk.platform.database)


async def test_a_real_engine(walk: Walk) -> None:
    client = await walk.client()
    for body in (
        asking("Count."),
        asking("Count.", n=2),
        asking("Name a colour as JSON.", response_format={"type": "json_object"}),
    ):
        assert (await client.post(CHAT, body)).status == 200
    answers = await asyncio.gather(*(client.post(CHAT, asking(f"Say {n}.", stream=True)) for n in range(6)))
    assert all(answer.status == 200 and answer.whole for answer in answers)
    verdict = await checked(walk)
    assert verdict.clean, verdict
    [row] = await walk.platform.database.read(lambda c: c.execute(engine_counts.select()).all())
    assert (verdict.engines.processes, verdict.engines.tokens) == (1, row.output_tokens)
    billed = sum(each.output_tokens for each in await walk.rows())
    assert row.output_tokens == billed + row.own_tokens, "not a token of either side is missing on the other"
    assert billed == verdict.engines.billed > 50
    assert row.own_tokens > 0, "the grammar was tried"

    # Work that is on no books, and a bill for work that was not done.
    engine = engine_of(walk)
    async for _ in engine.complete(Completion(prompt=await engine.tokenize("Once upon a time"), max_tokens=20)):
        pass
    verdict = await checked(walk)
    assert [finding.what for finding in verdict.findings] == [WRONG]
    assert "for calls on the books" in verdict.findings[0].examples[0]
    more = "UPDATE calls SET output_tokens = output_tokens + 90 WHERE id = (SELECT min(id) FROM calls)"
    await walk.platform.database.write(lambda c: c.execute(text(more)).rowcount)
    verdict = await checked(walk)
    [finding] = [finding for finding in verdict.findings if finding.what == WRONG]
    assert "tokens billed of calls that have ended" in finding.examples[0]


async def test_clients_that_leave_and_engines_that_die(walk: Walk) -> None:
    client = await walk.client()
    engine = engine_of(walk)
    long = asking("Tell me a story of a king.", 400, stream=True)
    with pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(leave(client, long), 60)
    while not (verdict := await checked(walk)).engines.tokens:  # counted once the engine has noticed
        assert verdict.clean, verdict
        await asyncio.sleep(0.05)
    assert verdict.clean, verdict

    dying = asyncio.create_task(client.post(CHAT, long))
    while not engine.status.running:
        await asyncio.sleep(0.01)
    pid = engine.status.child.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await dying
    assert (await client.post(CHAT, asking("Again."))).status == 200  # of a second process
    await engine.stop()
    assert (await client.post(CHAT, asking("And again."))).status == 200  # of a third
    verdict = await checked(walk)
    assert verdict.clean, verdict
    rows = await walk.platform.database.read(lambda c: c.execute(engine_counts.select()).all())
    assert sorted(row.ended for row in rows) == [False, False, True]
    assert all(row.output_tokens for row in rows)


async def test_turns_that_we_break_off(walk: Walk) -> None:
    """The engine writes on for a moment when all that is wanted of a turn is there."""
    engine = engine_of(walk)
    client = await walk.client()
    await client.post(CHAT, asking("Count."))
    [before] = [await checked(walk)]
    assert before.clean, before
    prompt = await engine.tokenize("Once upon a time there was a king who")
    async for batch in engine.complete(Completion(prompt=prompt, max_tokens=300)):
        taken = sum(event.count for event in batch if isinstance(event, Piece))
        break
    # What was read of it is on the books here.
    add = f"UPDATE calls SET output_tokens = output_tokens + {taken}"
    await walk.platform.database.write(lambda c: c.execute(text(add)).rowcount)
    while engine.status.running:
        await asyncio.sleep(0.01)
    found = await walk.platform.database.read(compare)
    while found.tokens == before.engines.tokens:  # counted once the engine has noticed
        await asyncio.sleep(0.05)
        await walk.platform.engine_counts.look()
        found = await walk.platform.database.read(compare)
    assert not found.disagreements
    assert found.tokens > before.engines.tokens + taken, "it wrote on, and nobody was billed for that"
    missing = f"UPDATE calls SET output_tokens = output_tokens - {UNSEEN + taken}"
    await walk.platform.database.write(lambda c: c.execute(text(missing)).rowcount)
    found = await walk.platform.database.read(compare)
    assert "for calls on the books" in found.disagreements[0], "a real loss is still seen"


async def leave(client: Client, body: Any) -> None:
    await client.request("POST", CHAT, body, leave_after=6)
    raise OSError("gone")


def counted(process: str, started: int, at: int, output: int, *, ended: bool = False, own: int = 0) -> dict[str, Any]:
    return {
        "process": process,
        "engine": "e",
        "server": "inst_1",
        "instances": '["inst_1","inst_2"]',
        "deployments": '["small@1","small@2"]',
        "started_at": started * SECOND,
        "counted_at": at * SECOND,
        "ended": ended,
        "input_tokens": 0,
        "output_tokens": output,
        "own_tokens": own,
    }


def call(begun: int, ended: int | None, output: int, **more: Any) -> dict[str, Any]:
    return {
        "id": request_id(),
        "created_at": begun * SECOND,
        "settled_at": None if ended is None else ended * SECOND,
        "state": "open" if ended is None else "settled",
        "organization_id": "org-1",
        "project_id": "proj_1",
        "key_id": "key_1",
        "operation": "createChatCompletion",
        "model": "gpt-4.1",
        "snapshot": "gpt-4.1-2025-04-14",
        "deployment": "small@1",
        "service_tier": "default",
        "status": 200,
        "batch": False,
        "output_tokens": output,
        "instance": "inst_1",
        **more,
    }


ONE = [counted("a", 100, 200, 50)]
DIED = [counted("a", 100, 200, 50), counted("b", 220, 300, 30)]
TOLD = [counted("a", 100, 200, 50, ended=True), counted("b", 220, 300, 30)]


@pytest.mark.parametrize(
    ("processes", "served", "wrong"),
    [
        (ONE, [call(110, 190, 50)], ""),
        (ONE, [call(110, 190, 51)], "billed"),
        (ONE, [call(110, 190, 49)], "generated"),
        (ONE, [], "generated"),
        (ONE, [call(110, 190, 49), call(300, 301, 1)], "generated"),  # too late to be what was counted
        (ONE, [call(110, 190, 50), call(195, 205, 99)], ""),  # ended after the reading
        (ONE, [call(110, 190, 20), call(110, 190, 30, deployment="small@2", instance="inst_2")], ""),
        (ONE, [call(110, 190, 20), call(110, 190, 30, deployment="other@1")], "generated"),
        (ONE, [call(110, 190, 20), call(110, 190, 30, instance="inst_9")], "generated"),
        (ONE, [call(110, None, 0)], ""),  # under way
        (ONE, [call(110, 120, 0, status=499)], ""),  # billed for what was sent
        (ONE, [call(110, 195, 60, status=499)], ""),  # the engine may write on for a moment
        (ONE, [call(110, 150, 60, status=499)], "billed"),
        ([counted("a", 100, 200, UNTOLD + 51)], [call(110, 190, 50), call(110, 120, 0, status=499)], "generated"),
        ([counted("a", 100, 200, 50, own=20)], [call(110, 190, 30)], ""),
        ([counted("a", 100, 200, 50, own=50)], [call(110, 190, 50, batch=True)], ""),
        ([counted("a", 100, 200, 50)], [call(110, 190, 50, batch=True)], "generated"),
        (DIED, [call(110, 190, 50), call(205, 208, 70), call(230, 290, 30)], ""),  # what died was not counted
        (DIED, [call(110, 190, 50), call(230, 290, 31)], "billed"),
        (TOLD, [call(110, 190, 50), call(205, 230, 31)], "billed"),  # it waited for the second process
    ],
)
async def test_the_rules(
    database: Database, processes: list[dict[str, Any]], served: list[dict[str, Any]], wrong: str
) -> None:
    await database.write(lambda c: insert_rows(c, engine_counts, processes))
    for row in served:
        await database.write(lambda c, row=row: insert_rows(c, calls, [row]))
    found = await database.read(compare)
    assert len(found.disagreements) == bool(wrong), found
    assert all(wrong in each for each in found.disagreements)
    assert found.tokens == sum(row["output_tokens"] for row in processes)
