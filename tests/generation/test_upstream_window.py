"""The card's window where another server has a larger one, and what of a prompt a server with a smaller one gets.

The tokenizer of the server here counts a token for each character and ten around each message.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.upstreams import delta, whole
from tests.walking import Client, Walk, walking

from inhouse.engines.deployments import Remote, WindowStrategy
from inhouse.engines.upstream import Target, UpstreamSpec

WINDOW = 1_047_576
LINE = "The system keeps that value when a table opens the gate.\n"
AROUND = 10


class Server:
    """Speaks Chat Completions. ``counts``: whether it has vLLM's ``/tokenize``."""

    def __init__(self) -> None:
        self.url = ""
        self.counts = True
        self.reports = True
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        """Of counting."""

    @staticmethod
    def tokens(body: dict[str, Any]) -> int:
        said = sum(AROUND + len(each["content"] or "") for each in body["messages"])
        return said + len(json.dumps(body["tools"]) if body.get("tools") else "")

    async def tokenize(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if not self.counts or self.status != 200:
            return web.json_response({}, status=404 if not self.counts else self.status)
        if "messages" in body:
            return web.json_response({"count": self.tokens(body), "max_model_len": 1 << 23, "tokens": [1]})
        return web.json_response({"tokens": [1] * len(body["prompt"])})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.asked.append(body)
        usage = {"prompt_tokens": self.tokens(body), "completion_tokens": 1} if self.reports else None
        if not body.get("stream"):
            return web.json_response({**whole({"content": "Yes."}), "usage": usage})
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        for chunk in (delta(content="Yes."), delta(finish="stop", usage=usage)):
            await stream.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await stream.write(b"data: [DONE]\n\n")
        return stream

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "theirs", "object": "model"}]})


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/tokenize", server.tokenize)
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/v1/models", server.models)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        yield walk


async def bind(
    walk: Walk, server: Server, strategy: WindowStrategy = "native", window: int | None = None, **more: Any
) -> Client:
    spec = UpstreamSpec(targets=[Target(server.url, "theirs")], retries=0)
    remote = Remote(upstream=spec, window=window, window_strategy=strategy, **more)
    await walk.platform.catalog.bindings.bind("gpt-4.1", remote, "test")
    return await walk.client()


def text(tokens: int) -> str:
    size = tokens - AROUND
    return (LINE * (size // len(LINE) + 1))[:size]


def chat(content: str, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4.1", "messages": [{"role": "user", "content": content}], **more}


def message(tokens: str) -> str:
    return (
        f"This model's maximum context length is 1047576 tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )


async def test_the_cards_window_holds_where_the_servers_is_larger(walk: Walk, server: Server) -> None:
    client = await bind(walk, server)
    for stream in (False, True):
        told = await client.post("/v1/chat/completions", chat(text(WINDOW + 1), stream=stream))
        assert (told.status, told.json()["error"]) == (
            400,
            {
                "message": message(f"{WINDOW + 1}"),
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            },
        )
    told = await client.post("/v1/responses", {"model": "gpt-4.1", "input": text(WINDOW + 1)})
    assert (told.status, told.json()["error"]["param"]) == (400, "input")
    assert told.json()["error"]["message"] == message(f"{WINDOW + 1}")
    assert server.asked == []
    told = await client.post("/v1/chat/completions", chat(text(WINDOW - 1)))
    assert told.status == 200
    assert told.json()["usage"]["prompt_tokens"] == WINDOW - 1
    assert "x-inhouse-read" not in told.headers
    assert len(server.asked) == 1


async def test_so_it_does_in_a_run_and_in_a_batch(walk: Walk, server: Server) -> None:
    await bind(walk, server)
    key = await walk.platform.access.create_key("test")
    client = Client(walk.platform, {"authorization": f"Bearer {key.secret}", "openai-beta": "assistants=v2"})
    assistant = (await client.post("/v1/assistants", {"model": "gpt-4.1"})).json()["id"]
    thread = (await client.post("/v1/threads", {})).json()["id"]
    for _ in range(5):  # a message holds 256,000 characters
        await client.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": text(250_000)})
    truncation = {"type": "last_messages", "last_messages": 5}
    body = {"assistant_id": assistant, "truncation_strategy": truncation}
    run = (await client.post(f"/v1/threads/{thread}/runs", body)).json()
    async with asyncio.timeout(60):
        while run["status"] not in ("failed", "completed"):
            await asyncio.sleep(0.05)
            run = (await client.get(f"/v1/threads/{thread}/runs/{run['id']}")).json()
    assert (run["status"], run["last_error"]["message"]) == ("failed", message("1250000"))
    told = await walk.line_of_a_batch(chat(text(WINDOW + 1)))
    assert told["response"]["body"]["error"]["message"] == message(f"{WINDOW + 1}")
    assert server.asked == []


async def test_what_functions_take_is_told_apart(walk: Walk, server: Server) -> None:
    client = await bind(walk, server)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]
    told = await client.post("/v1/chat/completions", chat(text(WINDOW), tools=tools))
    assert told.status == 400
    assert f"({WINDOW} in the messages, " in told.json()["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_cannot_count_reports(walk: Walk, server: Server, stream: bool) -> None:
    """Nobody knows its tokens before, and an estimate is open: one token of an answer is asked for."""
    server.counts = False
    client = await bind(walk, server)
    long = "ä" * 2_000_000  # a token each here; by their bytes a million
    told = await client.post("/v1/chat/completions", chat(long, stream=stream))
    assert (told.status, told.json()["error"]["message"]) == (400, message("2000010"))
    (probe,) = server.asked
    assert (probe["max_tokens"], probe.get("stream")) == (1, None)
    (row,) = await walk.rows()
    assert (row.input_tokens, row.output_tokens) == (0, 0)


async def test_what_it_reports_with_the_answer_counts_too(walk: Walk, server: Server) -> None:
    server.counts = False
    client = await bind(walk, server)
    told = await client.post("/v1/chat/completions", chat(text(1_200_000)))  # an estimate of 300,000
    assert (told.status, told.json()["error"]["message"]) == (400, message("1200000"))
    (row,) = await walk.rows()
    assert (row.input_tokens, row.output_tokens) == (0, 0)


async def test_an_estimate_says_that_it_is_one(walk: Walk, server: Server) -> None:
    server.counts = server.reports = False
    client = await bind(walk, server)
    told = await client.post("/v1/chat/completions", chat("ä" * 4_000_000))
    assert (told.status, told.json()["error"]["message"]) == (400, message("about 2000000"))
    assert server.asked == []


async def test_a_server_that_fails_to_count_is_asked_all_the_same(walk: Walk, server: Server) -> None:
    server.status = 500
    client = await bind(walk, server)
    assert (await client.post("/v1/chat/completions", chat(text(1_040_000)))).status == 200


@pytest.mark.parametrize(("strategy", "face"), [("truncate", "chat"), ("native", "responses")])
async def test_the_oldest_items_are_dropped(walk: Walk, server: Server, strategy: WindowStrategy, face: str) -> None:
    client = await bind(walk, server, strategy, window=9_000)
    items = [{"role": "system", "content": "Be brief."}]
    items += [{"role": "user", "content": f"message {n} " + "x" * 500} for n in range(40)]
    if face == "chat":
        told = await client.post("/v1/chat/completions", {"model": "gpt-4.1", "messages": items})
    else:
        told = await client.post("/v1/responses", {"model": "gpt-4.1", "input": items, "truncation": "auto"})
    assert told.status == 200, told.text
    (sent,) = server.asked
    assert sent["messages"][0]["content"] == "Be brief."
    assert sent["messages"][-1]["content"].startswith("message 39 ")
    assert 5_000 < server.tokens(sent) <= 9_000 - 1_024
    usage = told.json()["usage"]
    assert usage["prompt_tokens" if face == "chat" else "input_tokens"] == server.tokens(sent)


async def test_what_is_read_is_counted_exactly(walk: Walk, server: Server) -> None:
    client = await bind(walk, server, "read", window=9_000)
    told = await client.post("/v1/chat/completions", chat(f"{text(150_000)}\n\nWho opens the gate?"))
    assert told.status == 200
    (sent,) = server.asked
    total = 150_000 + len("\n\nWho opens the gate?")
    assert told.headers["x-inhouse-read"] == f"{server.tokens(sent)}/{total}"
    assert told.json()["usage"]["prompt_tokens"] == total
    assert told.json()["usage"]["prompt_tokens_details"]["read_tokens"] == server.tokens(sent) <= 9_000 - 1_024


async def test_scripts_with_many_tokens_fit_a_server_that_cannot_count(walk: Walk, server: Server) -> None:
    server.counts = False
    client = await bind(walk, server, "read", window=16_000)
    document = "".join(f"第{n}号房间的钥匙在花园的石头下面，由园丁保管。" for n in range(8_000))
    told = await client.post("/v1/chat/completions", chat(f"{document}\n\n第777号房间的钥匙在哪里？"))
    assert told.status == 200
    (sent,) = server.asked
    assert "第777号房间" in sent["messages"][0]["content"]
    assert server.tokens(sent) < 16_000
