"""Long prompts over HTTP: every face tells how much was read. Upstreams are read for, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench.haystack import haystack, hide
from tests.scripted import Say, ScriptedEngine
from tests.upstreams import Scripted, scripted_upstream, whole
from tests.walking import Client, Walk, walking

from inhouse.engines.deployments import Remote, WindowStrategy
from inhouse.engines.upstream import Target, UpstreamSpec

NEEDLE = "The access code for the archive of Ulm is 5512377."
TEXT = f"{hide(haystack(150_000), {NEEDLE: 0.4})}\n\nWhat is the access code for the archive of Ulm?"


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        yield walk


@pytest.fixture
async def upstream() -> AsyncIterator[Scripted]:
    async with scripted_upstream() as upstream:
        usage = {"prompt_tokens": 5_000, "completion_tokens": 3, "total_tokens": 5_003}
        upstream.answer = whole({"content": "5512377"}, usage=usage)
        yield upstream


def checked(read: str, used: dict[str, Any], prompt: str, details: str) -> None:
    read_tokens, total = map(int, read.split("/"))
    assert used[prompt] == total > 150_000
    assert used[details]["read_tokens"] == read_tokens < 9_000


async def test_chat_and_responses(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine(lambda asked: Say(["5512377"]), window=9_000))
    client = await walk.client()
    chat = {"model": "gpt-4.1", "messages": [{"role": "user", "content": TEXT}], "max_completion_tokens": 9}
    told = await client.post("/v1/chat/completions", chat)
    assert told.status == 200
    checked(told.headers["x-inhouse-read"], told.json()["usage"], "prompt_tokens", "prompt_tokens_details")
    told = await client.post(
        "/v1/chat/completions", {**chat, "stream": True, "stream_options": {"include_usage": True}}
    )
    checked(told.headers["x-inhouse-read"], told.events[-2]["usage"], "prompt_tokens", "prompt_tokens_details")
    respond = {"model": "gpt-4.1", "input": TEXT, "max_output_tokens": 16}
    told = await client.post("/v1/responses", respond)
    assert told.status == 200
    checked(told.headers["x-inhouse-read"], told.json()["usage"], "input_tokens", "input_tokens_details")
    kept = await client.get(f"/v1/responses/{told.json()['id']}")
    checked(told.headers["x-inhouse-read"], kept.json()["usage"], "input_tokens", "input_tokens_details")
    told = await client.post("/v1/responses", {**respond, "stream": True})
    checked(
        told.headers["x-inhouse-read"], told.events[-1]["response"]["usage"], "input_tokens", "input_tokens_details"
    )
    assert all(NEEDLE in "".join(map(chr, (t for t in each.prompt if t < 0x110000))) for each in engine.asked)


async def test_what_fits_is_told_as_ever(walk: Walk) -> None:
    walk.engine(ScriptedEngine(lambda asked: Say(["Hi"]), window=9_000))
    client = await walk.client()
    told = await client.post(
        "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}]}
    )
    assert "x-inhouse-read" not in told.headers
    assert "read_tokens" not in told.json()["usage"]["prompt_tokens_details"]


async def test_a_model_says_how_it_reads(walk: Walk) -> None:
    client = await walk.client()
    told = (await client.get("/v1/models/gpt-4.1")).json()
    assert (told["context_window"], told["window_strategy"]) == (1_047_576, "read")
    assert told["window_reads"].startswith("up to 1,500 tokens of passages; for questions about the whole, notes on")
    page = await client.get("/models/gpt-4.1")
    assert page.status == 200
    assert told["window_reads"] in page.text


@pytest.mark.parametrize(
    ("strategy", "window"), [("read", 8_000), ("read", 1_047_576), ("read", None), ("native", 8_000)]
)
async def test_upstreams(walk: Walk, upstream: Scripted, strategy: WindowStrategy, window: int | None) -> None:
    spec = UpstreamSpec(targets=[Target(upstream.url, "theirs")], retries=0)
    remote = Remote(upstream=spec, window=window, window_strategy=strategy)
    await walk.platform.catalog.bindings.bind("gpt-4.1", remote, "test")
    client = await walk.client()
    told = await client.post(
        "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": TEXT}]}
    )
    assert told.status == 200
    sent = upstream.bodies[-1]["messages"][-1]["content"]
    assert NEEDLE in sent
    if strategy == "read" and window == 8_000:
        assert len(sent) < 8_000 * 4
        read, total = map(int, told.headers["x-inhouse-read"].split("/"))
        used = told.json()["usage"]
        assert read < 8_000 < total
        assert used["prompt_tokens"] == 5_000 + total - read
        assert used["prompt_tokens_details"]["read_tokens"] == 5_000
    else:
        assert sent == TEXT
        assert "x-inhouse-read" not in told.headers


@pytest.mark.parametrize(("told", "untouched"), [(1_048_576, True), (8_000, False)])
async def test_the_window_that_an_upstream_tells_is_taken(
    walk: Walk, upstream: Scripted, told: int, untouched: bool
) -> None:
    """Nobody has said how large it is; a server with the card's window gets everything as it was sent."""
    upstream.models = [{"id": "theirs", "object": "model", "max_model_len": told}]
    spec = UpstreamSpec(targets=[Target(upstream.url, "theirs")], retries=0)
    await walk.platform.catalog.bindings.bind("gpt-4.1", Remote(upstream=spec, window_strategy="read"), "test")
    client = await walk.client()
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
    body = {"model": "gpt-4.1", "messages": messages, "tools": tools}
    answer = await client.post("/v1/chat/completions", body)
    assert answer.status == 200
    sent = upstream.bodies[-1]
    if untouched:
        assert (sent["messages"], sent["tools"]) == (messages, tools)
    else:
        assert len(sent["messages"][-1]["content"]) < 8_000 * 4
    assert ("x-inhouse-read" in answer.headers) != untouched


async def test_assistants_tell_it_of_a_run_and_its_step(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine(lambda asked: Say(["5512377"]), window=9_000))
    key = await walk.platform.access.create_key("test")
    client = Client(walk.platform, {"authorization": f"Bearer {key.secret}", "openai-beta": "assistants=v2"})
    assistant = (await client.post("/v1/assistants", {"model": "gpt-4.1"})).json()["id"]
    thread = (await client.post("/v1/threads", {})).json()["id"]
    await client.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": TEXT})
    run = (await client.post(f"/v1/threads/{thread}/runs", {"assistant_id": assistant})).json()
    async with asyncio.timeout(60):
        while (run := (await client.get(f"/v1/threads/{thread}/runs/{run['id']}")).json())["status"] != "completed":
            await asyncio.sleep(0.05)
    assert run["usage"]["prompt_tokens"] > 150_000
    assert run["usage"]["read_tokens"] == len(engine.asked[-1].prompt) < 9_000
    (step,) = (await client.get(f"/v1/threads/{thread}/runs/{run['id']}/steps")).json()["data"]
    assert step["usage"] == run["usage"]


async def test_lines_of_batches_tell_it(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine(lambda asked: Say(["5512377"]), window=9_000))
    engine.config = SimpleNamespace(slots=4)  # type: ignore[attr-defined]
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": TEXT}], "max_completion_tokens": 9}
    told = await walk.line_of_a_batch(body)
    used = told["response"]["body"]["usage"]
    assert used["prompt_tokens"] > 150_000
    assert used["prompt_tokens_details"]["read_tokens"] == len(engine.asked[-1].prompt) < 9_000
