"""The walk of a call: on the books before anything is given, settled exactly once, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.scripted import Say, ScriptedEngine
from tests.walking import CALLER, Walk, events, walking

from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed
from inhouse.generation.core import generate
from inhouse.generation.items import GenerationRequest, Message, Text
from inhouse.kit.errors import InvalidRequest, NotFound, RateLimited, ServerError
from inhouse.limits import Demand

HELLO = GenerationRequest(items=(Message("user", (Text("Hi"),)),))


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


def use(call: Call) -> None:
    call.usage.input_tokens, call.usage.cached_tokens, call.usage.output_tokens = 2000, 1024, 30


def metric(walk: Walk, line: str) -> float:
    """The value of a line of the exposition, 0 if it is not there."""
    for each in walk.platform.metrics.exposition().decode().splitlines():
        if each.startswith(line + " "):
            return float(each.rsplit(" ", 1)[1])
    return 0.0


@pytest.mark.parametrize("streams", [True, False])
async def test_a_success(walk: Walk, streams: bool) -> None:
    async with walk.call(tier="priority", request_id="req_1", streams=streams) as call:
        await call.answering()
        if streams:
            [row] = await walk.rows()
            assert (row.state, row.status, row.settled_at) == ("open", None, None)
        use(call)
        call.prefill_ms, call.decode_ms = 5.0, 7.0
        assert metric(walk, "inhouse_calls_open") == 1
    [row] = await walk.rows()
    facts = ("id", "operation", "model", "snapshot", "service_tier", "state", "status", "error_code")
    assert [getattr(row, name) for name in facts] == [
        "req_1",
        "createChatCompletion",
        "gpt-4.1",
        "gpt-4.1-2025-04-14",
        "priority",
        "settled",
        200,
        None,
    ]
    assert (row.organization_id, row.project_id, row.key_id) == ("org-one", "proj_one", "key_one")
    assert row.deployment == call.deployment.id
    assert (row.input_tokens, row.cached_input_tokens, row.output_tokens) == (2000, 1024, 30)
    assert row.cost_nanos == 976 * 3500 + 1024 * 875 + 30 * 14000
    assert (row.prefill_ms, row.decode_ms) == (5.0, 7.0)
    assert row.created_at <= row.settled_at
    assert row.first_token_ms >= 0
    labels = 'model="gpt-4.1-2025-04-14"'
    assert metric(walk, f'inhouse_calls_total{{{labels},operation="createChatCompletion",status="200"}}') == 1
    assert metric(walk, f'inhouse_tokens_total{{kind="input",{labels}}}') == 976
    assert metric(walk, f'inhouse_tokens_total{{kind="cached_input",{labels}}}') == 1024
    assert metric(walk, f'inhouse_tokens_total{{kind="output",{labels}}}') == 30
    assert metric(walk, f"inhouse_cost_nanodollars_total{{{labels}}}") == row.cost_nanos
    assert metric(walk, f"inhouse_first_token_seconds_count{{{labels}}}") == 1
    assert metric(walk, "inhouse_calls_open") == 0


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidRequest("no", code="bad"), 400, "bad"),
        (RateLimited("no"), 429, None),
        (RuntimeError("a defect"), 500, "server_error"),
        (asyncio.CancelledError(), 499, "client_disconnected"),
        (GeneratorExit(), 499, "client_disconnected"),
        (KeyboardInterrupt(), 500, "server_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
async def test_every_way_out_is_settled(walk: Walk, error: BaseException, status: int, code: str | None) -> None:
    call = walk.call()
    await call.__aenter__()
    use(call)
    await call.__aexit__(type(error), error, None)
    [row] = await walk.rows()
    assert (row.state, row.status, row.error_code, row.output_tokens) == ("settled", status, code, 30)
    assert row.first_token_ms is None, "nothing was given"


async def test_nothing_is_given_before_the_journal_has_the_call(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    walk.engine(ScriptedEngine([Say(["Hello"])]))
    journal = walk.platform.ledger._journal
    assert journal is not None
    async with walk.call() as call:
        assert sum(part.bytes for part in journal._parts) > 0
        stream = generate(call, HELLO)
        assert await anext(stream)
        assert await walk.rows(at_once=True) == []
        assert [row.state for row in await walk.rows()] == ["open"]
        await stream.aclose()


async def test_without_a_journal_nothing_is_given_before_the_row_is_durable(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk.platform.ledger._journal = None
    walk.engine(ScriptedEngine([Say(["Hello"])]))
    database = walk.platform.database
    write, go_on = database.write, asyncio.Event()

    async def slow(work: Any) -> Any:
        await go_on.wait()
        return await write(work)

    monkeypatch.setattr(database, "write", slow)
    async with walk.call() as call:
        stream = generate(call, HELLO)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        assert not first.done()
        assert await walk.rows(at_once=True) == []
        go_on.set()
        await first
        assert [row.state for row in await walk.rows()] == ["open"]
        await stream.aclose()


@pytest.mark.parametrize("streams", [True, False])
async def test_a_database_that_fails_refuses_the_call(
    walk: Walk, monkeypatch: pytest.MonkeyPatch, streams: bool
) -> None:
    walk.platform.ledger._journal = None
    engine = walk.engine(ScriptedEngine(lambda request: Say(["Hello"])))
    given: list[Any] = []

    async def full(work: Any) -> Any:
        raise OSError("the disk is full")

    async def serve() -> list[Any]:
        async with walk.call(streams=streams) as call:
            answer = []
            async for batch in generate(call, HELLO):
                answer += batch
                if streams:
                    given.extend(batch)
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(walk.platform.database, "write", full)
        with pytest.raises(OSError, match="full"):
            await serve()
    assert given == []
    assert engine.running == 0
    assert await serve(), "the next one is served"
    assert [row.status for row in await walk.rows()][-1] == 200
    assert metric(walk, "inhouse_calls_open") == 0


async def test_a_call_that_is_cancelled_twice_is_settled_once(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    walk.platform.ledger._journal = None
    database = walk.platform.database
    write, go_on = database.write, asyncio.Event()
    inside = asyncio.Event()

    async def slow(work: Any) -> Any:
        await go_on.wait()
        return await write(work)

    async def serve() -> None:
        async with walk.call() as call:
            await call.answering()
            use(call)
            monkeypatch.setattr(database, "write", slow)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await inside.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.state for row in await walk.rows(at_once=True)] == ["open"]
    go_on.set()
    await walk.platform.ledger.close()
    [row] = await walk.rows()
    assert (row.state, row.status, row.output_tokens) == ("settled", 499, 30)
    assert metric(walk, "inhouse_calls_open") == 0


async def test_a_call_that_is_cancelled_while_its_row_is_written(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    walk.platform.ledger._journal = None
    database = walk.platform.database
    write, go_on = database.write, asyncio.Event()

    async def slow(work: Any) -> Any:
        await go_on.wait()
        return await write(work)

    monkeypatch.setattr(database, "write", slow)

    async def serve() -> None:
        async with walk.call() as call:
            await call.answering()
            raise AssertionError("it is not on the books")

    task = asyncio.create_task(serve())
    while not walk.platform.ledger._open:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.01)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", 499)


async def test_a_stream_that_is_closed_or_forgotten_is_settled(walk: Walk) -> None:
    walk.engine(ScriptedEngine(lambda request: Say(["abc"], hangs=True)))

    async def face() -> AsyncIterator[Any]:
        async with walk.call() as call, aclosing(generate(call, HELLO)) as batches:
            async for batch in batches:
                yield batch

    stream = face()
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    assert [(row.state, row.status, row.output_tokens) for row in await walk.rows()] == [("settled", 499, 3)]
    stream = face()
    await anext(stream)
    del stream  # nobody closes it: the event loop does
    for _ in range(100):
        rows = await walk.rows()
        if [row.state for row in rows] == ["settled", "settled"]:
            break
        await asyncio.sleep(0.01)
    assert [(row.state, row.status) for row in rows] == [("settled", 499)] * 2


@pytest.mark.parametrize(
    ("model", "endpoint", "tier", "kind", "code"),
    [
        ("gpt-9", "chat_completions", None, NotFound, "model_not_found"),
        ("gpt-4o", "chat_completions", None, NotFound, "model_not_found"),
        ("gpt-4.1", "completions", None, NotFound, None),
        ("gpt-3.5-turbo-instruct", "chat_completions", None, NotFound, None),
        ("gpt-4.1", "chat_completions", "flex", InvalidRequest, None),
        ("gpt-3.5-turbo-instruct", "completions", "priority", InvalidRequest, None),
    ],
)
async def test_what_cannot_be_served_leaves_no_row(
    walk: Walk, model: str, endpoint: str, tier: str | None, kind: type[Exception], code: str | None
) -> None:
    with pytest.raises(kind) as refusal:
        walk.call(model, endpoint, tier=tier)
    assert getattr(refusal.value, "code", None) == code
    assert await walk.rows() == []


async def test_an_engine_that_cannot_be_had_is_told_and_booked(walk: Walk) -> None:
    def missing(deployment: Any) -> Any:
        raise EngineFailed("the weights are not here: run `inhouse models pull x`")

    walk.platform.engines.get = missing  # type: ignore[method-assign]
    with pytest.raises(ServerError) as told:
        async with walk.call() as call:
            await events(generate(call, HELLO))
    assert "inhouse models pull" not in told.value.message
    [row] = await walk.rows()
    assert (row.state, row.status) == ("settled", 500)


async def test_decoding_is_the_deployments(walk: Walk) -> None:
    assert walk.call().decoding == walk.call().deployment.decoding  # type: ignore[union-attr]
    await walk.upstream("http://127.0.0.1:9/v1")
    assert walk.call().decoding.temperature == 1.0


async def test_limits_are_asked_on_the_way_in_and_told_what_was_used(walk: Walk) -> None:
    headers: dict[str, str] = {}
    call = walk.platform.calls.open(
        CALLER,
        "createChatCompletion",
        "gpt-4.1",
        request_id="req_1",
        endpoint="chat_completions",
        demand=Demand(input_tokens=1000),
        respond=headers,
    )
    async with call:
        assert int(headers["x-ratelimit-remaining-tokens"]) == int(headers["x-ratelimit-limit-tokens"]) - 1000
        use(call)
    assert await walk.rows()
