"""Limits as clients meet them: the official SDK against the server, with a scripted upstream as its model."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import uvicorn
from sqlalchemy import func, insert, select

from inhouse.access import Access, Bootstrapped, Caller
from inhouse.app import Platform
from inhouse.catalog.cards import load_cards
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.kit.money import NANO
from inhouse.limits.memory import InMemory
from inhouse.settings import Engines, LimitSettings, Secret, Settings
from inhouse.storage.schema import calls

MESSAGES: Any = [{"role": "user", "content": "Say a word." * 40}]  # 440 characters: 110 tokens
USAGE = {"prompt_tokens": 300, "completion_tokens": 200, "total_tokens": 500}


class Model:
    """Answers every chat completion with one word, or with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                request = json.loads(await reader.readexactly(length))
                self.requests += 1
                writer.write(self._answer(request))
                await writer.drain()

    def _answer(self, request: dict[str, Any]) -> bytes:
        if self.status != 200:
            return _http(self.status, b'{"error": {"message": "no", "type": "server_error"}}')
        common = {"id": "chatcmpl-1", "created": 1, "model": "m"}
        if not request.get("stream"):
            message = {"role": "assistant", "content": "word"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return _http(
                200,
                json.dumps({**common, "object": "chat.completion", "choices": [choice], "usage": USAGE}).encode(),
            )
        chunk = {**common, "object": "chat.completion.chunk"}
        chunks: list[dict[str, Any]] = [
            {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "word"}}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**chunk, "choices": [], "usage": USAGE},
        ]
        body = b"".join(b"data: %b\n\n" % json.dumps(each).encode() for each in chunks) + b"data: [DONE]\n\n"
        return _http(200, body, b"text/event-stream")


def _http(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body)


class Running:
    """A server and how to call it."""

    def __init__(self, platform: Platform, made: Bootstrapped, model: Model, url: str, key: str) -> None:
        self.platform = platform
        self.made = made
        self.model = model
        self.sent: list[httpx2.Request] = []

        async def note(request: httpx2.Request) -> None:
            self.sent.append(request)

        self.client = openai.AsyncOpenAI(
            base_url=url, api_key=key, max_retries=2, http_client=httpx2.AsyncClient(event_hooks={"request": [note]})
        )

    async def ask(self, **given: Any) -> tuple[Any, httpx2.Headers]:
        raw = await self.client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=MESSAGES, **given)
        return raw.parse(), raw.headers

    async def use_up(self, requests: int, tokens: int = 0, *, long: bool = False) -> None:
        """As if the organization had just sent that much; each request over 500 adds 120 ms until the next passes."""
        limits = self.platform.limits
        card = self.platform.catalog.cards.get("gpt-4.1")
        assert card is not None
        plan = await limits._plan(Caller(self.made.organization_id, self.made.project_id, "key_1"), card, long)
        store = limits._store
        assert isinstance(store, InMemory)
        store.settle(plan.buckets, (requests, tokens, 0))


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with contextlib.AsyncExitStack() as stack:

        async def run(limits: LimitSettings | None = None) -> Running:
            model = Model()
            upstream = await asyncio.start_server(model.serve, "127.0.0.1", 0)
            stack.callback(upstream.close)
            key = f"sk-proj-{secrets.token_hex(24)}"
            settings = Settings(
                data_dir=tmp_path,
                cache_dir=tmp_path / "cache",
                api_key=Secret(key),
                engines=Engines(preload=[]),
                limits=limits or LimitSettings(tier="tier_1"),
            )
            platform = Platform(settings)
            platform.database.migrate()
            made = await Access(platform.database).bootstrap(key)
            port = upstream.sockets[0].getsockname()[1]
            spec = UpstreamSpec(targets=[Target(f"http://127.0.0.1:{port}/v1", "m")], retries=0)
            await platform.catalog.bindings.bind("gpt-4.1", Remote(upstream=spec, window=1 << 20), "test")
            listening = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(platform, log_level="warning", lifespan="on"))
            serving = asyncio.create_task(server.serve([listening]))
            while not server.started:
                assert not serving.done()
                await asyncio.sleep(0.01)

            async def stop() -> None:
                server.should_exit = True
                await serving

            stack.push_async_callback(stop)
            running = Running(platform, made, model, f"http://127.0.0.1:{listening.getsockname()[1]}/v1", key)
            stack.push_async_callback(running.client.close)
            return running

        yield run


async def test_every_answer_tells_the_limits(start: Start) -> None:
    running = await start()
    _, headers = await running.ask(max_tokens=1000)
    assert headers["x-ratelimit-limit-requests"] == "500"
    assert headers["x-ratelimit-remaining-requests"] == "499"
    assert headers["x-ratelimit-reset-requests"] == "120ms"
    assert headers["x-ratelimit-limit-tokens"] == "30000"
    assert headers["x-ratelimit-remaining-tokens"] == "29000"
    assert headers["x-ratelimit-reset-tokens"] == "2s"
    assert "x-ratelimit-limit-project-tokens" not in headers


async def test_a_stream_tells_the_limits_and_settles_what_it_used(start: Start) -> None:
    running = await start()
    stream, headers = await running.ask(stream=True, max_tokens=20_000)
    assert headers["x-ratelimit-remaining-tokens"] == "10000"
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]) == "word"
    _, headers = await running.ask()
    # 500 of the stream, 110 of this one; what refilled meanwhile is on top.
    assert 30_000 - 610 <= int(headers["x-ratelimit-remaining-tokens"]) <= 30_000 - 110


async def test_long_prompts_have_limits_of_their_own(start: Start) -> None:
    """Of tier 1: 100 requests and 200,000 tokens a minute above 128,000 tokens of input, 500 and 30,000 below."""
    running = await start()
    client = running.client.with_options(max_retries=0)

    async def ask(tokens: int) -> httpx2.Headers:
        messages: Any = [{"role": "user", "content": "word" * tokens}]
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=messages, max_tokens=1)
        return raw.headers

    headers = await ask(128_001)
    assert headers["x-ratelimit-limit-requests"] == "100"
    assert headers["x-ratelimit-remaining-requests"] == "99"
    assert headers["x-ratelimit-reset-requests"] == "600ms"
    assert headers["x-ratelimit-limit-tokens"] == "200000"
    taken = 200_000 - int(headers["x-ratelimit-remaining-tokens"])
    assert 128_001 <= taken < 128_100
    reset = headers["x-ratelimit-reset-tokens"]
    assert reset.startswith("38.4"), reset  # 200,000 a minute fill up again at 3,333 a second
    headers = await ask(10)
    assert headers["x-ratelimit-limit-requests"] == "500"
    assert headers["x-ratelimit-remaining-requests"] == "499", "the long one is not counted here"

    with pytest.raises(openai.RateLimitError) as refused:
        await ask(127_000)
    assert "Request too large for gpt-4.1 in organization" in refused.value.message
    with pytest.raises(openai.RateLimitError) as refused:
        await ask(201_000)
    assert "Request too large for gpt-4.1 (for limit gpt-4.1-long-context) in organization" in refused.value.message
    assert "(TPM): Limit 200000, Requested 2010" in refused.value.message
    assert refused.value.response.headers["x-should-retry"] == "false"

    await running.use_up(0, 150_000, long=True)
    with pytest.raises(openai.RateLimitError) as refused:
        await ask(128_001)
    assert (refused.value.type, refused.value.code) == ("tokens", "rate_limit_exceeded")
    assert "Rate limit reached for gpt-4.1 (for limit gpt-4.1-long-context) in organization" in refused.value.message
    assert refused.value.response.headers["x-ratelimit-limit-tokens"] == "200000"
    assert 0 < float(refused.value.response.headers["retry-after"]) <= 60
    assert (await ask(10))["x-ratelimit-limit-tokens"] == "30000", "short prompts go on"


async def test_an_error_tells_the_limits_and_counts_as_a_request(start: Start) -> None:
    running = await start()
    running.model.status = 500
    with pytest.raises(openai.InternalServerError) as failure:
        await running.client.with_options(max_retries=0).chat.completions.create(
            model="gpt-4.1", messages=MESSAGES, max_tokens=30_000
        )
    assert failure.value.response.headers["x-ratelimit-remaining-requests"] == "499"
    running.model.status = 200
    await running.ask(max_tokens=30_000)  # all tokens are there again


async def test_a_limit_that_is_reached_is_an_official_error(start: Start) -> None:
    running = await start()
    await running.use_up(1000)
    with pytest.raises(openai.RateLimitError) as refusal:
        await running.client.with_options(max_retries=0).chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    error = refusal.value
    organization = running.made.organization_id
    assert isinstance(error.body, dict)
    assert error.body["message"].startswith(
        f"Rate limit reached for gpt-4.1 in organization {organization} on requests per min (RPM): Limit 500, Used "
    )
    assert (error.type, error.code, error.param) == ("requests", "rate_limit_exceeded", None)
    milliseconds = int(error.response.headers["retry-after-ms"])
    assert 0 < milliseconds <= 60_120
    assert int(error.response.headers["retry-after"]) == -(-milliseconds // 1000)
    assert error.response.headers["x-ratelimit-limit-requests"] == "500"
    assert error.response.headers["x-request-id"].startswith("req_")
    assert running.model.requests == 0


async def test_a_stream_that_is_refused_is_an_error_before_it_begins(start: Start) -> None:
    running = await start()
    await running.use_up(0, 30_000)
    with pytest.raises(openai.RateLimitError, match=r"tokens per min \(TPM\)"):
        await running.client.with_options(max_retries=0).chat.completions.create(
            model="gpt-4.1", messages=MESSAGES, stream=True, max_tokens=5000
        )


async def test_the_sdk_waits_as_long_as_it_is_told_and_passes(start: Start) -> None:
    running = await start()
    await running.use_up(520)
    answer, _ = await running.ask()
    assert answer.choices[0].message.content == "word"
    assert running.sent[-1].headers["x-stainless-retry-count"] == "1"
    assert running.model.requests == 1


async def test_a_request_that_can_never_pass_is_not_retried(start: Start) -> None:
    running = await start()
    with pytest.raises(openai.RateLimitError) as refusal:
        await running.ask(max_tokens=30_001)
    assert refusal.value.type == "tokens"
    assert "Request too large for gpt-4.1" in str(refusal.value)
    assert len(running.sent) == 1


async def test_a_project_limit_is_told(start: Start) -> None:
    running = await start()
    limits, made = running.platform.limits, running.made
    group = (await limits.groups(made.organization_id, made.project_id, load_cards()))[0]
    await limits.lower(group, made.project_id, {"tpm": 6000})
    _, headers = await running.ask(max_tokens=3000)
    assert headers["x-ratelimit-limit-project-tokens"] == "6000"
    assert headers["x-ratelimit-remaining-project-tokens"] == "3000"
    assert headers["x-ratelimit-reset-project-tokens"] == "30s"
    with pytest.raises(openai.RateLimitError, match=f"in project {made.project_id} organization"):
        await running.ask(max_tokens=6001)


async def test_nothing_is_told_where_nothing_is_limited(start: Start) -> None:
    running = await start(LimitSettings(tier="off"))
    _, headers = await running.ask(max_tokens=32_000)
    assert not [name for name in headers if name.startswith("x-ratelimit")]


async def test_a_store_that_is_down_is_an_official_error(start: Start, tmp_path: Path) -> None:
    running = await start(LimitSettings(tier="tier_1", store_url=Secret(f"unix://{tmp_path}/none.sock")))
    with pytest.raises(openai.InternalServerError) as failure:
        await running.client.with_options(max_retries=0).chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    assert failure.value.status_code == 503
    assert failure.value.code == "server_is_overloaded"
    assert failure.value.response.headers["retry-after"] == "1"
    assert running.model.requests == 0


async def test_a_refused_request_leaves_no_row_in_the_ledger(start: Start) -> None:
    running = await start()
    await running.ask()
    await running.use_up(1000)
    with pytest.raises(openai.RateLimitError):
        await running.client.with_options(max_retries=0).chat.completions.create(model="gpt-4.1", messages=MESSAGES)
    await running.platform.ledger.written()
    count = await running.platform.database.read(lambda c: c.execute(select(func.count()).select_from(calls)).scalar())
    assert count == 1


async def test_what_the_tier_allows_in_a_month_ends_like_a_quota(start: Start) -> None:
    running = await start(LimitSettings(tier="auto"))
    now = time.time_ns() // 1000
    row = {
        **dict.fromkeys(("key_id", "operation", "model", "snapshot", "deployment", "service_tier"), "x"),
        "id": "req_spent",
        "created_at": now,
        "settled_at": now,
        "state": "settled",
        "cost_nanos": 200_000 * NANO,
        "organization_id": running.made.organization_id,
        "project_id": running.made.project_id,
    }
    await running.platform.database.write(lambda c: c.execute(insert(calls), row) and None)
    for given in ({}, {"stream": True}):
        with pytest.raises(openai.RateLimitError) as refused:
            await running.ask(**given)
        assert (refused.value.type, refused.value.code) == ("insufficient_quota", "insufficient_quota")
        assert refused.value.response.headers["x-should-retry"] == "false"
    assert running.model.requests == 0
    await running.platform.limits.accounts.pin(running.made.organization_id, "tier_5")
    await running.ask()
    assert running.model.requests == 1
