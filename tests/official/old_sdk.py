"""What applications do with the SDK's older major version. A script of its own: one process has but one version.

OPENAI_BASE_URL=… OPENAI_API_KEY=… python old_sdk.py
"""

from __future__ import annotations

import json
import sys
from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel

CHAT, FAST, INSTRUCT = "gpt-4.1", "gpt-4.1-nano", "gpt-3.5-turbo-instruct"
PARIS: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]


class GetWeather(BaseModel):
    """Current weather of a city."""

    city: str


class Person(BaseModel):
    name: str
    age: int


def chat(client: OpenAI) -> None:
    asked: Any = {"model": FAST, "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 4}
    completion = client.chat.completions.create(**asked, logprobs=True, seed=1)
    assert completion.choices[0].message.content
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 4
    assert len(completion.choices[0].logprobs.content) == 4
    assert completion._request_id.startswith("req_")


def streams(client: OpenAI) -> None:
    asked: Any = {"model": FAST, "messages": [{"role": "user", "content": "Hi"}], "max_completion_tokens": 4}
    *chunks, last = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    assert chunks[0].choices[0].delta.role == "assistant"
    assert any(chunk.choices[0].delta.content for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "length"
    assert last.usage.completion_tokens == 4


def tools(client: OpenAI) -> None:
    tool = openai.pydantic_function_tool(GetWeather)
    asked: Any = {"model": CHAT, "messages": PARIS, "tools": [tool], "max_completion_tokens": 60, "temperature": 0}
    message = client.chat.completions.create(**asked).choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    deltas = [chunk.choices[0].delta for chunk in client.chat.completions.create(**asked, stream=True)]
    assert not any(delta.content for delta in deltas)
    pieces = [piece.function.arguments for delta in deltas for piece in delta.tool_calls or []]
    assert json.loads("".join(pieces)) == {"city": "Paris"}
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and sunny"}
    answer = client.chat.completions.create(**{**asked, "messages": [*PARIS, message, result]})
    assert "18" in answer.choices[0].message.content


def parse(client: OpenAI) -> None:
    asked: Any = {"model": CHAT, "messages": [{"role": "user", "content": "Make up a person."}]}
    limits: Any = {"max_completion_tokens": 60, "temperature": 0}
    completion = client.chat.completions.parse(**asked, **limits, response_format=Person)
    assert isinstance(completion.choices[0].message.parsed, Person)
    with client.chat.completions.stream(**asked, **limits, response_format=Person) as stream:
        assert "content.delta" in [event.type for event in stream]
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)


def stored(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model=FAST,
        messages=[{"role": "user", "content": "Hi"}],
        max_completion_tokens=1,
        store=True,
        metadata={"sdk": openai.__version__},
    )
    assert [each.id for each in client.chat.completions.list(metadata={"sdk": openai.__version__})] == [completion.id]
    assert client.chat.completions.retrieve(completion.id).metadata == {"sdk": openai.__version__}
    assert client.chat.completions.update(completion.id, metadata={"a": "b"}).metadata == {"a": "b"}
    assert client.chat.completions.messages.list(completion.id).data[0].content == "Hi"
    assert client.chat.completions.delete(completion.id).deleted


def completions(client: OpenAI) -> None:
    asked: Any = {"model": INSTRUCT, "prompt": "One, two, three,", "max_tokens": 4, "temperature": 0}
    completion = client.completions.create(**asked, logprobs=1)
    assert completion.choices[0].text == " four, five,"
    assert len(completion.choices[0].logprobs.tokens) == 4
    chunks = client.completions.create(**asked, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == " four, five,"


def models(client: OpenAI) -> None:
    assert {CHAT, FAST, INSTRUCT} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(CHAT).object == "model"


def embeddings(client: OpenAI) -> None:
    answer = client.embeddings.create(model="text-embedding-3-small", input=["hello world", "hello"])
    assert [len(each.embedding) for each in answer.data] == [1536, 1536]
    assert answer.usage.prompt_tokens == 3
    floats = client.embeddings.create(model="text-embedding-3-small", input="hello", encoding_format="float")
    assert abs(floats.data[0].embedding[0] - answer.data[1].embedding[0]) < 1e-6


def errors(client: OpenAI) -> None:
    asked: Any = {"model": FAST, "messages": [{"role": "user", "content": "Hi"}]}
    cases: list[tuple[type[openai.APIStatusError], OpenAI, Any, str | None, str | None]] = [
        (openai.BadRequestError, client, {"temperature": 99}, "decimal_above_max_value", "temperature"),
        (openai.BadRequestError, client, {"messages": []}, "empty_array", "messages"),
        (openai.NotFoundError, client, {"model": "nope"}, "model_not_found", "model"),
        (openai.AuthenticationError, client.with_options(api_key="sk-wrong-1234567"), {}, "invalid_api_key", None),
    ]
    for kind, asking, options, code, param in cases:
        for stream in (False, True):
            error = refusal(asking, {**asked, **options, "stream": stream})
            assert type(error) is kind
            assert (error.code, error.param, error.type) == (code, param, "invalid_request_error")
            assert error.request_id


def refusal(client: OpenAI, asked: Any) -> openai.APIStatusError:
    try:
        client.chat.completions.create(**asked)
    except openai.APIStatusError as error:
        return error
    raise AssertionError(f"{asked} was not refused")


def main() -> None:
    with OpenAI(max_retries=0) as client:
        for part in (models, chat, streams, tools, parse, stored, completions, embeddings, errors):
            part(client)
            print(part.__name__)
    print(openai.__version__)


if __name__ == "__main__":
    sys.exit(main())
