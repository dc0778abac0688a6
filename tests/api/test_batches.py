"""Batches through the official SDK: every way one can end, on both databases, before an upstream of our own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from aiohttp import web
from openai import AsyncOpenAI, BadRequestError, NotFoundError, PermissionDeniedError, RateLimitError
from openai.types import Batch
from sqlalchemy import func, select, update
from tests.walking import Walk, walking

from inhouse.access import store as access
from inhouse.api.batches import checking, pace, validating, working
from inhouse.api.batches.steps import REQUESTS, job_id
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.limits import batch_queue
from inhouse.storage.schema import batch_results, calls, enqueued_batches, jobs, webhook_deliveries
from inhouse.tools.file_search import storage_fees

ENDED = ("completed", "failed", "expired", "cancelled")
CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}


class Upstream:
    """Answers chats with what they said, and does as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.answered = 0
        self.gate: asyncio.Event | None = None
        """All but the first request wait for it."""
        self.capacity: int | None = None
        """More requests at once are answered 429."""
        self.faults: dict[str, list[int]] = {}
        """Statuses to answer with first, by text."""

    async def serve(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.path.endswith("/embeddings"):
            data = [{"index": 0, "embedding": [0.5] * 1536, "object": "embedding"}]
            return web.json_response({"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}})
        if request.path.endswith("/moderations"):
            verdict = {"flagged": True, "categories": {"harassment": True}, "category_scores": {"harassment": 0.9}}
            return web.json_response({"id": "modr-1", "model": "x", "results": [verdict]})
        text = body["messages"][-1]["content"] if "messages" in body else "".join(body["prompt"])
        self.asked.append(text)
        if self.capacity is not None and self.at_once >= self.capacity:
            return web.json_response({"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0"})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None and len(self.asked) > 1:
                await self.gate.wait()
            await asyncio.sleep(0)
            if self.faults.get(text):
                return web.json_response({"error": {"message": "no"}}, status=self.faults[text].pop(0))
            message = {"role": "assistant", "content": f"said {text}"}
            self.answered += 1
            choice = {"index": 0, "message": message, "text": f"said {text}", "finish_reason": "stop"}
            return web.json_response({"choices": [choice], "usage": USAGE})
        finally:
            self.at_once -= 1


@asynccontextmanager
async def serving() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_post("/{path:.*}", upstream.serve)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serving() as upstream:
        yield upstream


@pytest.fixture
async def walk(tmp_path: Path, database_url: str, upstream: Upstream) -> AsyncIterator[Walk]:
    async with walking(tmp_path, database__url=database_url) as walk:
        for model in (
            "gpt-4.1",
            "gpt-4.1-mini",
            "gpt-3.5-turbo-instruct",
            "text-embedding-3-small",
            "omni-moderation-latest",
        ):
            await walk.upstream(upstream.url, model)
        yield walk


def sdk(walk: Walk, key: str) -> AsyncOpenAI:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=walk.platform))
    return AsyncOpenAI(api_key=key, base_url="http://test/v1", http_client=http, max_retries=0)


@pytest.fixture
async def client(walk: Walk) -> AsyncOpenAI:
    return sdk(walk, (await walk.platform.access.create_key("test")).secret)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited for elsewhere is not waited for here."""
    monkeypatch.setattr(working, "RETRY_DELAYS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(working, "WRITE_S", 0.02)
    monkeypatch.setattr(pace, "FIRST_PAUSE_S", 0.01)


def chat(custom_id: str, text: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": text or custom_id}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


async def create(client: AsyncOpenAI, lines: Any, endpoint: Any = CHAT, **more: Any) -> Batch:
    data = lines if isinstance(lines, bytes) else b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = await client.files.create(file=("in.jsonl", data), purpose="batch")
    return await client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h", **more)


async def until(client: AsyncOpenAI, id: str, wanted: Callable[[Batch], bool]) -> Batch:
    async with asyncio.timeout(120):
        while True:
            batch = await client.batches.retrieve(id)
            if wanted(batch):
                return batch
            await asyncio.sleep(0.02)


async def ended(client: AsyncOpenAI, id: str) -> Batch:
    return await until(client, id, lambda batch: batch.status in ENDED)


async def output(client: AsyncOpenAI, file_id: str | None) -> list[Any]:
    if file_id is None:
        return []
    return [json.loads(line) for line in (await client.files.content(file_id)).text.splitlines()]


async def count(walk: Walk, query: Any) -> int:
    return int(await walk.platform.database.read(lambda connection: connection.execute(query).scalar_one()))


async def nothing_is_left(walk: Walk) -> None:
    """The queue's account, the results and the jobs of ended batches."""
    async with asyncio.timeout(120):
        left = [select(func.count()).select_from(table) for table in (enqueued_batches, batch_results)]
        for each in (*left, select(func.count()).select_from(jobs).where(jobs.c.kind != storage_fees.KIND)):
            while await count(walk, each):
                await asyncio.sleep(0.02)


async def expire(walk: Walk, batch_id: str) -> None:
    """Let its window be over, and wait until that was noticed."""
    job = jobs.c.id == job_id(batch_id, "expire")
    await walk.platform.database.write(lambda connection: connection.execute(update(jobs).where(job).values(due_at=0)))
    walk.platform.jobs.wake()
    async with asyncio.timeout(120):
        while await count(walk, select(func.count()).select_from(jobs).where(job)):
            await asyncio.sleep(0.02)


def part_of(text: str) -> int:
    """In which part the request with a text is, of a file of ``first``, ``c0``, ``c1``, …"""
    return 0 if text == "first" else (int(text[1:]) + 1) // checking.CHUNK_REQUESTS


async def open_parts(walk: Walk, batch_id: str) -> set[int]:
    query = select(jobs.c.id).where(jobs.c.kind == REQUESTS, jobs.c.id.startswith(batch_id))
    ids = await walk.platform.database.read(lambda connection: connection.execute(query).scalars().all())
    return {int(id.partition(":")[2]) for id in ids}


async def test_answers(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.faults = {"wrong": [400], "shaky": [500, 429, 503]}
    lines = [chat(f"c{number}") for number in range(250)] + [chat("wrong"), chat("shaky"), chat("bad", n=0)]
    made = await create(
        client, lines, metadata={"a": "b"}, output_expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert (made.status, made.object, made.completion_window) == ("validating", "batch", "24h")
    assert made.expires_at == made.created_at + 86_400
    batch = await ended(client, made.id)
    assert batch == Batch.model_validate(batch.model_dump(), strict=True)
    assert batch.status == "completed", batch.errors
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 253, "completed": 251, "failed": 2}
    assert (batch.model, batch.metadata) == ("gpt-4.1", {"a": "b"})
    assert batch.in_progress_at
    assert batch.finalizing_at
    assert batch.completed_at
    assert not batch.cancelled_at
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (2510, 753, 3263)
    told = await output(client, batch.output_file_id)
    assert [line["custom_id"] for line in told] == [*(f"c{number}" for number in range(250)), "shaky"]
    assert all(line["response"]["status_code"] == 200 and line["error"] is None for line in told)
    first = told[0]
    assert first["id"].startswith("batch_req_")
    assert first["response"]["body"]["choices"][0]["message"]["content"] == "said c0"
    failed = await output(client, batch.error_file_id)
    assert [(line["custom_id"], line["response"]["status_code"]) for line in failed] == [("wrong", 400), ("bad", 400)]
    assert failed[1]["response"]["body"]["error"]["param"] == "n"
    file = await client.files.retrieve(batch.output_file_id or "")
    assert (file.purpose, file.expires_at) == ("batch_output", file.created_at + 3600)
    rows = await walk.rows()
    ids = {line["response"]["request_id"] for line in [*told, failed[0]]}
    assert {row.id for row in rows} == ids
    assert len(rows) == 252
    assert {row.state for row in rows} == {"settled"}
    assert sum(row.cost_nanos for row in rows) == 2510 * 1000 + 753 * 4000
    assert all(row.batch for row in rows)
    await nothing_is_left(walk)


@pytest.mark.parametrize(
    ("endpoint", "body", "wanted"),
    [
        ("/v1/responses", {"model": "gpt-4.1", "input": "hello"}, "said hello"),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hello"}, '"embedding":'),
        ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "hello"}, "said hello"),
        ("/v1/moderations", {"model": "omni-moderation-latest", "input": "hello"}, '"flagged":true'),
        ("/v1/moderations", {"input": "hello"}, '"flagged":true'),
    ],
)
async def test_endpoints(client: AsyncOpenAI, endpoint: str, body: Any, wanted: str) -> None:
    made = await create(client, [{"custom_id": "x", "method": "POST", "url": endpoint, "body": body}], endpoint)
    batch = await ended(client, made.id)
    errors = await output(client, batch.error_file_id)
    assert errors == []
    assert wanted in json.dumps(
        (await output(client, batch.output_file_id))[0]["response"]["body"], separators=(",", ":")
    )


def broken(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**chat("b"), **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (b"", [("empty_file", None, None)]),
        (b"\n \n", [("empty_file", None, None)]),
        (
            b"\xff\xfe\n{]\n[1]\n",
            [("invalid_json_line", 1, None), ("invalid_json_line", 2, None), ("invalid_type", 3, None)],
        ),
        ([chat("a"), chat("b"), chat("a")], [("duplicate_custom_id", 3, "custom_id")]),
        ([chat("a"), broken(method="GET")], [("invalid_method", 2, "method")]),
        ([chat("a"), broken(url="/v1/embeddings")], [("url_mismatch", 2, "url")]),
        ([chat("a"), chat("b", model="gpt-4.1-mini")], [("model_mismatch", 2, "body.model")]),
        ([chat("a", stream=True)], [("unsupported_parameter", 1, "body.stream")]),
        (
            [broken(custom_id=None), broken(body=None)],
            [("missing_required_parameter", 1, "custom_id"), ("missing_required_parameter", 2, "body")],
        ),
        ([broken(body=[]), broken(custom_id=1)], [("invalid_type", 1, "body"), ("invalid_type", 2, "custom_id")]),
        ([broken(body={"messages": []})], [("missing_required_parameter", 1, "body.model")]),
        ([chat("a", model="nope")], [("model_not_found", None, "body.model")]),
        ([chat(str(number)) for number in range(50_001)], [("too_many_tasks", None, None)]),
        (
            [broken(method="GET", custom_id=str(n)) for n in range(200)],
            [("invalid_method", n + 1, "method") for n in range(100)],
        ),
        ([chat("a", "word " * 100_000)], [("token_limit_exceeded", None, None)]),
    ],
    ids=lambda value: value[0][0] if isinstance(value, list) and isinstance(value[0], tuple) else "",
)
async def test_validation(walk: Walk, client: AsyncOpenAI, lines: Any, wanted: list[Any]) -> None:
    key = (await walk.platform.access.create_key("x")).key
    await walk.platform.limits.accounts.pin(key.organization_id, "tier_1")
    made = await create(client, lines)
    batch = await ended(client, made.id)
    assert batch.status == "failed"
    assert batch.failed_at
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [(error.code, error.line, error.param) for error in batch.errors.data] == wanted
    assert all(error.message for error in batch.errors.data)
    await nothing_is_left(walk)


async def test_what_cannot_be_created(walk: Walk, client: AsyncOpenAI) -> None:
    file = await client.files.create(file=("in.txt", b"x"), purpose="user_data")
    with pytest.raises(BadRequestError, match="Invalid file purpose"):
        await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    with pytest.raises(BadRequestError, match="No such File object"):
        await client.batches.create(input_file_id="file-none", endpoint=CHAT, completion_window="24h")
    with pytest.raises(BadRequestError, match="not supported here"):
        await client.batches.create(input_file_id=file.id, endpoint="/v1/videos", completion_window="24h")
    with pytest.raises(BadRequestError):
        await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="1h")  # type: ignore[arg-type]
    key = await walk.platform.access.create_key("less", permission="restricted", scopes=("api.batches.write",))
    with pytest.raises(PermissionDeniedError, match=r"model\.request"):
        await sdk(walk, key.secret).batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")


async def test_others_see_nothing(walk: Walk, client: AsyncOpenAI) -> None:
    made = [await create(client, [chat("x")]) for _ in range(3)]
    for each in made:
        await ended(client, each.id)

    def another(connection: Any) -> str:
        default = access.project(connection, None)
        assert default is not None
        return access.insert_project(connection, default.organization_id, "Theirs").id

    project_id = await walk.platform.database.write(another)
    stranger = sdk(walk, (await walk.platform.access.create_key("theirs", project_id=project_id)).secret)
    id = made[0].id
    for ask in (stranger.batches.retrieve, stranger.batches.cancel):
        with pytest.raises(NotFoundError, match="No batch found"):
            await ask(id)
    with pytest.raises(NotFoundError):
        await stranger.batches.list(after=id)
    with pytest.raises(BadRequestError):
        await stranger.batches.create(input_file_id=made[0].input_file_id, endpoint=CHAT, completion_window="24h")
    assert (await stranger.batches.list()).data == []
    assert [batch.id async for batch in client.batches.list(limit=1)] == [batch.id for batch in reversed(made)]
    with pytest.raises(BadRequestError, match="Cannot cancel a batch with status 'completed'"):
        await client.batches.cancel(id)


async def test_cancelling_keeps_what_is_done(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.gate = asyncio.Event()
    made = await create(client, [chat("first"), *(chat(f"c{number}") for number in range(1500))])
    await until(client, made.id, lambda batch: batch.request_counts is not None and batch.request_counts.completed == 1)
    cancelling = await client.batches.cancel(made.id)
    assert (cancelling.status, cancelling.cancelling_at is not None) == ("cancelling", True)
    assert (await client.batches.cancel(made.id)).status == "cancelling"
    upstream.gate.set()
    batch = await ended(client, made.id)
    asked = len(upstream.asked)
    assert asked <= pace.FIRST + 2, "requests were begun that nobody wanted any more"
    assert (batch.status, batch.cancelled_at is not None, batch.error_file_id) == ("cancelled", True, None)
    told = await output(client, batch.output_file_id)
    assert len(told) == asked
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (1501, asked)
    assert len(await walk.rows()) == asked
    await nothing_is_left(walk)


async def test_expiry(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.gate = asyncio.Event()
    made = await create(client, [chat("first"), *(chat(f"c{number}") for number in range(500))])
    await until(client, made.id, lambda batch: batch.request_counts is not None and batch.request_counts.completed == 1)
    await expire(walk, made.id)
    async with asyncio.timeout(120):  # what nobody has begun ends; which requests come first is a matter of luck
        while await open_parts(walk, made.id) != {part_of(text) for text in upstream.asked[1:]}:
            await asyncio.sleep(0.02)
    upstream.gate.set()
    batch = await ended(client, made.id)
    assert (batch.status, batch.expired_at is not None) == ("expired", True)
    told, failed = await output(client, batch.output_file_id), await output(client, batch.error_file_id)
    assert len(told) == len(upstream.asked)
    assert {line["custom_id"] for line in [*told, *failed]} == {"first", *(f"c{number}" for number in range(500))}
    assert len(told) + len(failed) == 501
    assert failed[-1]["response"] is None
    assert failed[-1]["error"] == {
        "code": "batch_expired",
        "message": "This request could not be executed before the completion window expired.",
    }
    assert batch.request_counts is not None
    assert batch.request_counts.failed == len(failed)
    await nothing_is_left(walk)


async def test_cancelling_while_the_file_is_checked(
    walk: Walk, client: AsyncOpenAI, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked, whether the check is going on or nobody has begun it."""
    begun, let_go = threading.Event(), threading.Event()
    check = validating.check

    def slow(*arguments: Any) -> Any:
        begun.set()
        let_go.wait(20)
        return check(*arguments)

    monkeypatch.setattr(validating, "check", slow)
    made = await create(client, [chat("c0"), chat("c1")])
    await asyncio.to_thread(begun.wait, 20)
    assert (await client.batches.cancel(made.id)).status == "cancelling"
    let_go.set()
    batch = await ended(client, made.id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("cancelled", None, None)
    assert batch.in_progress_at is None
    await walk.platform.jobs.stop()
    made = await create(client, [chat("c0")])
    assert (await client.batches.cancel(made.id)).status == "cancelling"
    await walk.platform.jobs.start()
    assert (await ended(client, made.id)).status == "cancelled"
    assert upstream.asked == []
    await nothing_is_left(walk)


async def test_several_upstreams_of_different_strength(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    """All of them work on one batch; one that is full does not slow the others down."""
    async with serving() as weak:
        upstream.capacity, weak.capacity = 4, 1
        targets = [Target(url=upstream.url), Target(url=weak.url)]
        await walk.platform.catalog.bindings.bind("gpt-4.1", Remote(upstream=UpstreamSpec(targets=targets)), "test")
        batch = await ended(client, (await create(client, [chat(f"c{number}") for number in range(80)])).id)
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": 80, "completed": 80, "failed": 0}
        told = await output(client, batch.output_file_id)
        assert [line["custom_id"] for line in told] == [f"c{number}" for number in range(80)]
        assert upstream.answered
        assert weak.answered
        assert upstream.answered + weak.answered == 80
        assert (upstream.most_at_once, weak.most_at_once) <= (4, 1)


async def test_an_upstream_that_is_full(client: AsyncOpenAI, upstream: Upstream) -> None:
    """It is asked for more until it refuses, and every request is answered in the end."""
    upstream.capacity = 3
    batch = await ended(client, (await create(client, [chat(f"c{number}") for number in range(60)])).id)
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 60, "completed": 60, "failed": 0}
    assert len(upstream.asked) > 60


async def test_a_process_that_stops(
    tmp_path: Path, database_url: str, walk: Walk, client: AsyncOpenAI, upstream: Upstream
) -> None:
    """What it was doing is done by the next, and billed once."""
    upstream.gate = asyncio.Event()
    made = await create(client, [chat("first"), *(chat(f"c{number}") for number in range(199))])
    await until(client, made.id, lambda batch: batch.request_counts is not None and batch.request_counts.completed == 1)
    await walk.platform.jobs.stop()
    upstream.gate.set()
    async with walking(tmp_path / "another", database__url=database_url, limits__tier="off") as other:
        other.platform.files.blobs = walk.platform.files.blobs
        batch = await ended(client, made.id)
    told = await output(client, batch.output_file_id)
    assert [line["custom_id"] for line in told] == ["first", *(f"c{number}" for number in range(199))]
    query = select(func.count()).select_from(calls).where(calls.c.state == "settled", calls.c.cost_nanos > 0)
    assert await count(walk, query) == 200


async def test_two_processes_share_a_batch(tmp_path: Path, postgres_url: str, upstream: Upstream) -> None:
    async with (
        walking(tmp_path / "one", database__url=postgres_url, limits__tier="off") as one,
        walking(tmp_path / "two", database__url=postgres_url, limits__tier="off") as two,
    ):
        two.platform.files.blobs = one.platform.files.blobs
        await one.upstream(upstream.url)
        await two.platform.catalog.bindings.refresh()
        owners: set[str] = set()
        for each in (one, two):
            work = each.platform.jobs._handlers["batches.requests"][0]

            async def noted(job: Any, work: Any = work, owner: str = each.platform.jobs.owner) -> None:
                owners.add(owner)
                await work(job)

            give_up = each.platform.jobs._handlers["batches.requests"][1]
            each.platform.jobs._handlers["batches.requests"] = (noted, give_up)
        upstream.gate = asyncio.Event()
        client = sdk(one, (await one.platform.access.create_key("test")).secret)
        made = await create(client, [chat(f"c{number}") for number in range(2000)])
        await until(client, made.id, lambda batch: batch.status == "in_progress")
        async with asyncio.timeout(120):
            while len(owners) < 2:
                await asyncio.sleep(0.05)
        upstream.gate.set()
        batch = await ended(client, made.id)
        told = await output(client, batch.output_file_id)
        assert [line["custom_id"] for line in told] == [f"c{number}" for number in range(2000)]
        assert len(await one.rows()) == 2000


async def test_an_input_file_that_goes(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    upstream.gate = asyncio.Event()
    made = await create(client, [chat("first"), *(chat(f"c{number}") for number in range(1200))])
    await until(client, made.id, lambda batch: batch.request_counts is not None and batch.request_counts.completed == 1)
    await client.files.delete(made.input_file_id)
    upstream.gate.set()
    batch = await ended(client, made.id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    assert [error.code for error in batch.errors.data] == ["input_file_not_found"]
    assert len(await output(client, batch.output_file_id)) >= 1
    await nothing_is_left(walk)


async def test_budget(walk: Walk, client: AsyncOpenAI) -> None:
    """Reserved line by line; nothing stays reserved."""
    project = (await walk.platform.access.create_key("x")).key
    await walk.platform.budgets.set_limit(project.organization_id, project.project_id, 10**12)
    batch = await ended(client, (await create(client, [chat(f"c{number}") for number in range(30)])).id)
    assert batch.request_counts is not None
    assert batch.request_counts.completed == 30
    rows = await walk.rows()
    assert sum(row.cost_nanos for row in rows) == 30 * (10 * 1000 + 3 * 4000)
    assert {row.state for row in rows} == {"settled"}


async def test_too_many_in_an_hour(walk: Walk, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that cannot be created do not count."""
    monkeypatch.setattr(batch_queue, "BATCHES_AN_HOUR", 2)
    key = (await walk.platform.access.create_key("x")).key
    made = [await create(client, [chat("x")]) for _ in range(2)]
    with pytest.raises(RateLimitError) as refused:
        await create(client, [chat("x")])
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.type == "requests"
    assert (
        f"Rate limit reached for batches in organization {key.organization_id} on batches per hour: Limit 2, "
        "Used 2, Requested 1. Please try again in 30m"
        in refused.value.message
        or "Please try again in 29m" in refused.value.message
    )
    assert 1700 < int(refused.value.response.headers["retry-after"]) <= 1800
    for each in made:
        await ended(client, each.id)
    with pytest.raises(BadRequestError):
        await client.batches.create(input_file_id="file-none", endpoint=CHAT, completion_window="24h")


async def test_webhooks(walk: Walk, client: AsyncOpenAI, upstream: Upstream) -> None:
    key = (await walk.platform.access.create_key("x")).key
    assert key.project_id is not None
    await walk.platform.webhooks.create(
        key.organization_id,
        key.project_id,
        name="x",
        url="http://127.0.0.1:9/",
        event_types=["batch.completed", "batch.failed", "batch.cancelled", "batch.expired"],
        operators=True,
    )
    made = [await create(client, [chat("x")]), await create(client, b"")]
    for each in made:
        await ended(client, each.id)
    upstream.gate = asyncio.Event()
    made += [await create(client, [chat(f"c{number}") for number in range(2)]) for _ in range(2)]
    for each in made[2:]:
        await until(client, each.id, lambda batch: batch.status == "in_progress")
    await client.batches.cancel(made[2].id)
    await expire(walk, made[3].id)
    upstream.gate.set()
    for each in made[2:]:
        await ended(client, each.id)
    query = select(webhook_deliveries.c.event_type, webhook_deliveries.c.body)
    told = await walk.platform.database.read(lambda connection: connection.execute(query).all())
    assert sorted((row.event_type, json.loads(row.body)["data"]["id"]) for row in told) == sorted(
        zip(
            ("batch.completed", "batch.failed", "batch.cancelled", "batch.expired"),
            (each.id for each in made),
            strict=True,
        )
    )
