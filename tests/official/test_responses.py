"""The official SDK against the running server: Responses and Conversations on the embedded models."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall, ResponseOutputMessage
from pydantic import BaseModel

from .responses_server import Server, running, serving  # noqa: F401 - a fixture

MODEL = "gpt-4.1"
WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
    "strict": True,
}


class Person(BaseModel):
    name: str
    age: int
    kind: Literal["adult", "child"]


@pytest.fixture
def client(responses_server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=responses_server.base_url, api_key=responses_server.api_key, timeout=120, max_retries=0
    ) as client:
        yield client


@pytest.fixture
async def aclient(responses_server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=responses_server.base_url, api_key=responses_server.api_key, timeout=120, max_retries=0
    ) as client:
        yield client


def test_create_and_retrieve(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Say hello.", max_output_tokens=32, metadata={"a": "b"})
    assert response.output_text
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    again = client.responses.retrieve(response.id)
    assert again.output == response.output
    assert again.metadata == {"a": "b"}
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


async def test_create_asynchronously(aclient: openai.AsyncOpenAI) -> None:
    response = await aclient.responses.create(model=MODEL, input="Say hello.", max_output_tokens=32)
    assert response.output_text
    text = ""
    async for event in await aclient.responses.create(
        model=MODEL, input="Say hello.", temperature=0, max_output_tokens=200, stream=True
    ):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.completed":
            assert event.response.output_text == text
            break
    else:
        pytest.fail("the stream had no end")
    assert text


def test_the_streaming_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Count to five.", temperature=0, max_output_tokens=200) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert final.output_text == "".join(e.delta for e in events if e.type == "response.output_text.delta")


async def test_the_streaming_helper_asynchronously(aclient: openai.AsyncOpenAI) -> None:
    async with aclient.responses.stream(
        model=MODEL, input="Anna is 30 years old.", text_format=Person, temperature=0, max_output_tokens=200
    ) as stream:
        final = await stream.get_final_response()
    assert isinstance(final.output_parsed, Person)


def test_parse(client: openai.OpenAI) -> None:
    response = client.responses.parse(
        model=MODEL, input="Anna is 30 years old.", text_format=Person, temperature=0, max_output_tokens=200
    )
    assert isinstance(response.output_parsed, Person)


def test_parse_asks_for_a_tool(client: openai.OpenAI) -> None:
    tool = openai.pydantic_function_tool(Person, name="save")["function"]
    response = client.responses.parse(
        model=MODEL,
        input="Anna is 30 years old.",
        tools=[{"type": "function", **tool}],  # type: ignore[list-item]
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        max_output_tokens=200,
    )
    (call,) = response.output
    assert call.type == "function_call"
    assert json.loads(call.arguments).keys() == {"name", "age", "kind"}


def test_a_tool_loop_that_chains(client: openai.OpenAI) -> None:
    first = client.responses.create(
        model=MODEL,
        input="What is the weather in Paris?",
        tools=[WEATHER],
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0,
        max_output_tokens=200,
    )
    (call,) = first.output
    assert isinstance(call, ResponseFunctionToolCall)
    assert json.loads(call.arguments)["unit"] in ("celsius", "fahrenheit")
    second = client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees and sunny"}],
        temperature=0,
        max_output_tokens=200,
    )
    assert second.output_text
    assert [item.type for item in client.responses.input_items.list(second.id, order="asc", limit=1)] == [
        "message",
        "function_call",
        "function_call_output",
    ]


def test_a_tool_loop_that_sends_everything_again(client: openai.OpenAI) -> None:
    """As agents do that keep the conversation themselves: output items go back as they came."""
    items: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.responses.create(
        model=MODEL,
        input=items,
        tools=[WEATHER],
        tool_choice={"type": "function", "name": "get_weather"},
        store=False,
        temperature=0,
        max_output_tokens=200,
    )
    items += first.output
    items += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = client.responses.create(model=MODEL, input=items, store=False, temperature=0, max_output_tokens=200)
    assert isinstance(second.output[0], ResponseOutputMessage)


def test_a_custom_tool(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model=MODEL,
        input="Run a command that lists files.",
        tools=[
            {
                "type": "custom",
                "name": "shell",
                "format": {"type": "grammar", "syntax": "regex", "definition": "ls( -[al])?"},
            }
        ],
        tool_choice="required",
        temperature=0,
        max_output_tokens=200,
    )
    (call,) = response.output
    assert call.type == "custom_tool_call"
    assert call.input in ("ls", "ls -a", "ls -l")


def test_logprobs(client: openai.OpenAI) -> None:
    response = client.responses.create(
        model=MODEL,
        input="Say hello.",
        max_output_tokens=16,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    part = response.output[0].content[0]  # type: ignore[union-attr]
    assert part.type == "output_text"
    assert part.logprobs
    assert all(len(entry.top_logprobs) == 2 for entry in part.logprobs)


def test_count_tokens(client: openai.OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="Say hello.", max_output_tokens=16)
    counted = client.responses.input_tokens.count(model=MODEL, input="Say hello.")
    assert response.usage is not None
    assert counted.input_tokens == response.usage.input_tokens


def test_conversations(client: openai.OpenAI) -> None:
    conversation = client.conversations.create(
        items=[{"role": "user", "content": "My name is Bob."}], metadata={"topic": "names"}
    )
    response = client.responses.create(
        model=MODEL, conversation=conversation.id, input="What is my name?", max_output_tokens=32
    )
    assert response.conversation is not None
    assert response.conversation.id == conversation.id
    items = list(client.conversations.items.list(conversation.id, order="asc", limit=2))
    assert [item.type for item in items] == ["message"] * 3
    added = client.conversations.items.create(conversation.id, items=[{"role": "user", "content": "More"}])
    item = client.conversations.items.retrieve(added.data[0].id or "", conversation_id=conversation.id)
    assert item.type == "message"
    client.conversations.items.delete(added.data[0].id or "", conversation_id=conversation.id)
    assert client.conversations.update(conversation.id, metadata={"topic": "none"}).metadata == {"topic": "none"}
    assert client.conversations.retrieve(conversation.id).metadata == {"topic": "none"}
    assert client.conversations.delete(conversation.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


def test_errors_are_those_of_the_contract(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=MODEL, input="x", previous_response_id="resp_none")
    assert refused.value.code == "previous_response_not_found"
    with pytest.raises(openai.BadRequestError, match="is not supported"):
        client.responses.create(model=MODEL, input="x", tools=[{"type": "computer"}])
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="gpt-0", input="x")
    assert unknown.value.code == "model_not_found"


def wait(client: openai.OpenAI, response_id: str, *, seconds: float = 120) -> Response:
    deadline = time.monotonic() + seconds
    while (response := client.responses.retrieve(response_id)).status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return response


def test_background(client: openai.OpenAI) -> None:
    queued = client.responses.create(model=MODEL, input="Say hello.", background=True, max_output_tokens=32)
    assert queued.status == "queued"
    response = wait(client, queued.id)
    assert response.status == "completed"
    assert response.output_text


def test_background_stream_that_is_resumed(client: openai.OpenAI) -> None:
    stream = client.responses.create(
        model=MODEL, input="Count to thirty.", background=True, stream=True, max_output_tokens=100
    )
    first = []
    for event in stream:
        first.append(event)
        if len(first) == 8:
            break
    stream.close()
    created = first[0]
    assert created.type == "response.created"
    rest = list(client.responses.retrieve(created.response.id, stream=True, starting_after=first[-1].sequence_number))
    numbers = [event.sequence_number for event in [*first, *rest]]
    assert numbers == list(range(len(numbers)))
    assert rest[-1].type in ("response.completed", "response.incomplete")


def test_background_cancel(client: openai.OpenAI) -> None:
    queued = client.responses.create(model=MODEL, input="Count to a thousand.", background=True, max_output_tokens=4000)
    while client.responses.retrieve(queued.id).status == "queued":
        time.sleep(0.05)
    assert client.responses.cancel(queued.id).status == "cancelled"
    assert client.responses.retrieve(queued.id).status == "cancelled"


def test_background_survives_a_killed_server(tmp_path: Path) -> None:
    with running(tmp_path) as server, openai.OpenAI(base_url=server.base_url, api_key=server.api_key) as client:
        queued = client.responses.create(
            model=MODEL, input="Count to a hundred.", background=True, max_output_tokens=120
        )
        while client.responses.retrieve(queued.id).status == "queued":
            time.sleep(0.05)
        server.kill()
        server.start()
        response = wait(client, queued.id)
        assert response.status in ("completed", "incomplete")
        assert response.output_text
        events = list(client.responses.retrieve(queued.id, stream=True))
        assert [event.sequence_number for event in events] == list(range(len(events)))


def test_a_connection_that_is_cut_leaves_nothing_in_progress(responses_server: Server, client: openai.OpenAI) -> None:
    # An answer that cannot end by itself before the cut is noticed.
    numbers = {"type": "array", "items": {"type": "integer"}, "minItems": 400, "maxItems": 400}
    schema = {"type": "object", "properties": {"n": numbers}, "required": ["n"], "additionalProperties": False}
    text = {"format": {"type": "json_schema", "name": "counted", "schema": schema, "strict": True}}
    request = {"model": MODEL, "input": "Count.", "stream": True, "max_output_tokens": 4000, "text": text}
    body = json.dumps(request)
    with socket.create_connection(("127.0.0.1", responses_server.port)) as connection:
        connection.sendall(
            f"POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {responses_server.api_key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        received = b""
        while b"response.output_text.delta" not in received:
            received += connection.recv(65536)
    created = next(line for line in received.decode().splitlines() if line.startswith("data: "))
    response_id = json.loads(created.removeprefix("data: "))["response"]["id"]
    deadline = time.monotonic() + 30
    while True:
        try:
            assert client.responses.retrieve(response_id).status == "cancelled"
            break
        except openai.NotFoundError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
