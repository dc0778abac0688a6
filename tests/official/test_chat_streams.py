"""Chat Completions as a stream of chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from pydantic import BaseModel

from .running import CHAT, CHAT_PATH, COUNTING, FAST, Server, user


class Person(BaseModel):
    name: str
    age: int


def events(body: bytes) -> Iterator[str]:
    """Data of the server-sent events as they stand on the wire."""
    blocks = body.decode().split("\n\n")
    assert blocks.pop() == ""
    for block in blocks:
        assert block.startswith("data: ")
        assert "\n" not in block
        yield block.removeprefix("data: ")


def test_the_order_of_the_chunks(client: OpenAI) -> None:
    whole = client.chat.completions.create(**COUNTING)
    chunks = list(client.chat.completions.create(**COUNTING, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk.id, chunk.created, chunk.model, chunk.system_fingerprint) for chunk in chunks}) == 1
    assert {chunk.service_tier for chunk in chunks} == {"default"}
    choices = [chunk.choices[0] for chunk in chunks]
    assert choices[0].delta.role == "assistant"
    assert choices[0].delta.content == ""
    assert all(choice.delta.role is None for choice in choices[1:])
    assert choices[-1].finish_reason == "length"
    assert choices[-1].delta.model_dump(exclude_unset=True) == {}
    assert all(choice.finish_reason is None for choice in choices[:-1])
    assert "".join(choice.delta.content or "" for choice in choices) == whole.choices[0].message.content
    assert len(choices) > 4
    assert all(chunk.usage is None for chunk in chunks)


def test_on_the_wire(server: Server) -> None:
    answer = server.http("POST", CHAT_PATH, {**COUNTING, "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *data, last = events(answer.body)
    assert last == "[DONE]"
    chunks = [json.loads(each) for each in data]
    assert all("usage" not in chunk for chunk in chunks)
    assert all(isinstance(chunk["obfuscation"], str) for chunk in chunks)
    assert chunks[0]["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ]


def test_usage_comes_last_and_is_null_before(server: Server) -> None:
    body = {**COUNTING, "stream": True, "stream_options": {"include_usage": True}}
    answer = server.http("POST", CHAT_PATH, body)
    *data, _ = events(answer.body)
    *chunks, last = [json.loads(each) for each in data]
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    whole = server.http("POST", CHAT_PATH, COUNTING)
    assert last["usage"] == json.loads(whole.body)["usage"]
    row = server.settled(answer.headers["x-request-id"])
    assert (row["state"], row["status"], row["output_tokens"]) == ("settled", 200, last["usage"]["completion_tokens"])


def test_obfuscation_can_be_switched_off(server: Server) -> None:
    body = {**COUNTING, "stream": True, "stream_options": {"include_obfuscation": False}}
    *data, _ = events(server.http("POST", CHAT_PATH, body).body)
    assert not any("obfuscation" in json.loads(each) for each in data)


def test_obfuscation_hides_the_lengths_of_tokens(server: Server) -> None:
    body = {**COUNTING, "stream": True}
    *data, _ = events(server.http("POST", CHAT_PATH, body).body)
    chunks = [json.loads(each) for each in data]
    texts = [(chunk["choices"][0]["delta"].get("content") or "", chunk["obfuscation"]) for chunk in chunks]
    assert len({len(text) for text, _ in texts}) > 2
    assert len({(len(text) + len(padding)) % 16 for text, padding in texts}) == 1


def test_several_choices_are_told_apart(client: OpenAI) -> None:
    texts = {0: "", 1: "", 2: ""}
    ended = set()
    stream = client.chat.completions.create(
        model=FAST,
        messages=user("Say something random."),
        max_completion_tokens=6,
        temperature=1.2,
        seed=4,
        n=3,
        stream=True,
    )
    roles = set()
    for chunk in stream:
        (choice,) = chunk.choices
        assert choice.index not in ended
        if choice.delta.role:
            assert choice.index not in roles
            roles.add(choice.index)
        assert choice.index in roles
        texts[choice.index] += choice.delta.content or ""
        if choice.finish_reason:
            ended.add(choice.index)
    assert ended == {0, 1, 2}
    assert all(texts.values())
    assert len(set(texts.values())) > 1


def test_logprobs_come_with_their_text(client: OpenAI) -> None:
    told = ""
    for chunk in client.chat.completions.create(**COUNTING, stream=True, logprobs=True, top_logprobs=1):
        choice = chunk.choices[0]
        if choice.delta.content:
            assert choice.logprobs is not None
            assert "".join(entry.token for entry in choice.logprobs.content or []) == choice.delta.content
            told += choice.delta.content
    assert told


def test_a_stop_sequence_never_shows_its_beginning(client: OpenAI) -> None:
    whole = client.chat.completions.create(**COUNTING)
    text = whole.choices[0].message.content or ""
    words = text.split(" ")
    stop = " ".join(words[2:5])
    stream = client.chat.completions.create(**COUNTING, stop=[stop], stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text[: text.index(stop)]
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_helper_of_the_sdk(client: OpenAI) -> None:
    asked: dict[str, Any] = {**COUNTING, "max_completion_tokens": 60}
    with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
        seen = [event.type for event in stream]
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= set(seen)
    whole = client.chat.completions.create(**asked)
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.usage is not None
    assert final.usage.completion_tokens == whole.usage.completion_tokens  # type: ignore[union-attr]


async def test_the_async_helper_parses(aclient: AsyncOpenAI) -> None:
    async with aclient.chat.completions.stream(
        model=CHAT,
        messages=user("Make up a person."),
        response_format=Person,
        max_completion_tokens=40,
        temperature=0,
    ) as stream:
        async for event in stream:
            if event.type == "content.done":
                assert isinstance(event.parsed, Person)
        final = await stream.get_final_completion()
    assert isinstance(final.choices[0].message.parsed, Person)


def test_what_is_wrong_before_the_first_chunk_is_an_http_error(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        client.chat.completions.create(**{**COUNTING, "model": "nope"}, stream=True)
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(model=FAST, messages=user("word " * 1_100_000), stream=True)
    assert refused.value.code == "context_length_exceeded"


def test_characters_of_several_tokens_stay_whole(client: OpenAI) -> None:
    """Each chunk is text of its own, although an emoji takes several tokens."""
    stream = client.chat.completions.create(
        model=CHAT,
        messages=user("Repeat exactly: 🦜🦜🦜"),
        max_completion_tokens=16,
        temperature=0,
        stream=True,
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert any(ord(character) > 0xFFFF for character in text)
    assert "\N{REPLACEMENT CHARACTER}" not in text
