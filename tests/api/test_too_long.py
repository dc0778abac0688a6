"""A token more than the card's window holds: every face refuses it with the same words. One less is answered.

The engine of these tests counts a token for each character.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.scripted import Say, ScriptedEngine
from tests.walking import Client, Walk, walking

from inhouse.engines.deployments import Embedded

WINDOW = 1_047_576
LINE = "The system keeps that value when a table opens the gate.\n"
AROUND = len("<|im_start|>user\n<|im_end|>\n<|im_start|>assistant\n") - len("<|im_start|>") * 2 - len("<|im_end|>") + 3


def text(tokens: int) -> str:
    """Of a message whose prompt has so many tokens."""
    size = tokens - AROUND
    return (LINE * (size // len(LINE) + 1))[:size]


class Counting(ScriptedEngine):
    config = SimpleNamespace(slots=4)

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return await super().tokenize(text, special=special) if special else list(map(ord, text))

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def too_long() -> str:
    return text(WINDOW + 1)


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        walk.engine(Counting(lambda asked: Say(["Yes."]), window=9_000))
        deployment = Embedded(weights="any.gguf", title="Any", window_strategy="read")
        await walk.platform.catalog.bindings.bind("gpt-4.1", deployment, "test")
        yield walk


def message(tokens: int) -> str:
    return (
        f"This model's maximum context length is 1047576 tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )


async def test_chat(walk: Walk, too_long: str) -> None:
    client = await walk.client()
    for stream in (False, True):
        body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": too_long}], "stream": stream}
        told = await client.post("/v1/chat/completions", body)
        assert told.status == 400
        assert told.json()["error"] == {
            "message": message(WINDOW + 1),
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": text(WINDOW - 1)}], "max_completion_tokens": 1}
    told = await client.post("/v1/chat/completions", body)
    assert told.status == 200
    assert told.json()["usage"]["prompt_tokens"] == WINDOW - 1


async def test_responses(walk: Walk, too_long: str) -> None:
    client = await walk.client()
    told = await client.post("/v1/responses", {"model": "gpt-4.1", "input": too_long})
    assert told.status == 400
    error = told.json()["error"]
    assert (error["code"], error["param"], error["message"]) == (
        "context_length_exceeded",
        "input",
        message(WINDOW + 1),
    )
    told = await client.post("/v1/responses", {"model": "gpt-4.1", "input": too_long, "background": True})
    failed = await until(client, f"/v1/responses/{told.json()['id']}", ("failed",))
    # The contract's codes of a failed response know none for this.
    assert failed["error"] == {"code": "invalid_prompt", "message": message(WINDOW + 1)}


async def test_assistants(walk: Walk) -> None:
    key = await walk.platform.access.create_key("test")
    client = Client(walk.platform, {"authorization": f"Bearer {key.secret}", "openai-beta": "assistants=v2"})
    assistant = (await client.post("/v1/assistants", {"model": "gpt-4.1"})).json()["id"]
    thread = (await client.post("/v1/threads", {})).json()["id"]
    part = text(250_000)
    for _ in range(5):  # a message holds 256,000 characters
        added = await client.post(f"/v1/threads/{thread}/messages", {"role": "user", "content": part})
        assert added.status == 200, added.text[:300]
    ends = {}
    for truncation in ({"type": "last_messages", "last_messages": 5}, {"type": "auto"}):
        body = {"assistant_id": assistant, "truncation_strategy": truncation}
        run = (await client.post(f"/v1/threads/{thread}/runs", body)).json()
        states = ("failed", "completed", "incomplete")
        ends[truncation["type"]] = await until(client, f"/v1/threads/{thread}/runs/{run['id']}", states)
    assert ends["last_messages"]["status"] == "failed"
    assert ends["last_messages"]["last_error"]["message"].startswith(
        "This model's maximum context length is 1047576 tokens."
    )
    # What the card's window holds is read, the rest is dropped.
    assert ends["auto"]["status"] == "completed"
    assert 900_000 < ends["auto"]["usage"]["prompt_tokens"] < WINDOW


async def test_batches(walk: Walk, too_long: str) -> None:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": too_long}]}
    error = (await walk.line_of_a_batch(body))["response"]["body"]["error"]
    assert (error["code"], error["message"]) == ("context_length_exceeded", message(WINDOW + 1))


async def test_what_functions_take_is_told_apart(walk: Walk, too_long: str) -> None:
    client = await walk.client()
    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
    tools = [{"type": "function", "function": function}]
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": too_long}], "tools": tools}
    told = await client.post("/v1/chat/completions", body)
    assert told.status == 400
    found = re.fullmatch(
        r"This model's maximum context length is 1047576 tokens\. However, your messages resulted in (\d+) tokens "
        r"\((\d+) in the messages, (\d+) in the functions\)\. Please reduce the length of the messages or functions\.",
        told.json()["error"]["message"],
    )
    assert found is not None, told.text
    total, messages, functions = map(int, found.groups())
    assert messages == WINDOW + 1
    assert total == messages + functions
    assert functions > len("look Looks.")
    # None that may not be called is told to the model, so it takes no tokens.
    told = await client.post("/v1/chat/completions", {**body, "tool_choice": "none"})
    assert f"{WINDOW + 1} tokens. Please" in told.json()["error"]["message"]


async def until(client: Client, path: str, states: tuple[str, ...]) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while (found := (await client.get(path)).json())["status"] not in states:
            await asyncio.sleep(0.05)
    return dict(found)
