"""Answers are exactly what the SDK declares: no field that is required is missing, none has another type.

The SDK reads answers leniently unless it is told otherwise, and applications then meet a None where a value was
promised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import NotFoundError, OpenAI
from openai.types.chat import ChatCompletionToolUnionParam
from openai.types.responses import FunctionToolParam

from .running import CHAT, FAST, Server

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CHAT_TOOL: ChatCompletionToolUnionParam = {"type": "function", "function": {"name": "weather", "parameters": CITY}}
TOOL: FunctionToolParam = {"type": "function", "name": "weather", "parameters": dict(CITY), "strict": False}
ASKED: Any = [{"role": "user", "content": "How is the weather in Paris?"}]


@pytest.fixture(scope="module")
def strict(server: Server) -> Iterator[OpenAI]:
    with server.client(_strict_response_validation=True) as client:
        yield client


def test_what_is_not_here(strict: OpenAI, server: Server) -> None:
    """The official error says what to do, also where the base URL leads to the pages."""
    with server.client(_strict_response_validation=True, base_url=server.base_url.removesuffix("/v1")) as astray:
        with pytest.raises(NotFoundError, match=f"the base URL of a client is {server.base_url}$"):
            astray.models.list()
        with pytest.raises(NotFoundError, match=r"^Error code: 404 - Invalid URL \(POST /chat/completions\)\. "):
            astray.chat.completions.create(model=FAST, messages=ASKED)
    with pytest.raises(NotFoundError, match="The official API has this operation, but it is not served here"):
        strict.images.generate(prompt="A cat")


@pytest.mark.parametrize("tools", [[], [CHAT_TOOL]])
def test_chat(strict: OpenAI, tools: list[ChatCompletionToolUnionParam]) -> None:
    asked: Any = {"model": FAST, "messages": ASKED, "max_completion_tokens": 24}
    if tools:
        asked |= {"tools": tools, "tool_choice": "required"}
    else:
        asked |= {"n": 2, "logprobs": True, "top_logprobs": 2}
    made = strict.chat.completions.create(**asked)
    assert made.usage is not None
    assert bool(made.choices[0].message.tool_calls) is bool(tools)
    told = list(strict.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert told[-1].usage is not None


@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_responses(strict: OpenAI, tools: list[FunctionToolParam]) -> None:
    asked: Any = {"model": FAST, "input": ASKED, "max_output_tokens": 24}
    if tools:
        asked |= {"tools": tools, "tool_choice": "required"}
    else:
        asked |= {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    made = strict.responses.create(**asked)
    assert made.output[0].type == ("function_call" if tools else "message")
    assert strict.responses.retrieve(made.id).id == made.id
    assert [item.type for item in strict.responses.input_items.list(made.id)] == ["message"]
    told = [event.type for event in strict.responses.create(**asked, stream=True)]
    assert told[0] == "response.created"
    assert told[-1] in ("response.completed", "response.incomplete")


def test_conversations(strict: OpenAI) -> None:
    held = strict.conversations.create(items=ASKED, metadata={"of": "a test"})
    answer = strict.responses.create(model=FAST, conversation=held.id, input="And in Rome?", max_output_tokens=16)
    assert answer.conversation is not None
    items = list(strict.conversations.items.list(held.id, order="asc", limit=2))
    assert [item.type for item in items] == ["message"] * 3
    assert items[0].id is not None
    assert strict.conversations.items.retrieve(items[0].id, conversation_id=held.id).id == items[0].id
    assert strict.conversations.delete(held.id).deleted


def test_files_and_stores(strict: OpenAI) -> None:
    given = ("leave.txt", b"There are 27 days of leave.")
    expiry: Any = {"anchor": "created_at", "seconds": 3600}
    file = strict.files.create(file=given, purpose="assistants", expires_after=expiry)
    assert strict.files.retrieve(file.id).status == "processed"
    store = strict.vector_stores.create(name="Leave")
    taken = strict.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, attributes={"year": 2024})
    assert (taken.status, taken.last_error) == ("completed", None)
    assert [each.id for each in strict.vector_stores.files.list(store.id)] == [file.id]
    assert strict.vector_stores.search(store.id, query="How much leave?").data[0].file_id == file.id
    assert strict.vector_stores.delete(store.id).deleted
    upload = strict.uploads.create(bytes=4, filename="a.txt", mime_type="text/plain", purpose="assistants")
    part = strict.uploads.parts.create(upload.id, data=b"data")
    done = strict.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file is not None
    assert strict.files.delete(done.file.id).deleted
    assert strict.files.delete(file.id).deleted


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_assistants(strict: OpenAI) -> None:
    assistant = strict.beta.assistants.create(model=CHAT, instructions="Answer with one word.")
    thread = strict.beta.threads.create(messages=[{"role": "user", "content": "Say hi."}])
    run = strict.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=256
    )
    assert run.usage is not None
    assert len(list(strict.beta.threads.runs.steps.list(run.id, thread_id=thread.id))) == 1
    assert [message.role for message in strict.beta.threads.messages.list(thread.id)] == ["assistant", "user"]
    assert strict.beta.threads.delete(thread.id).deleted
    assert strict.beta.assistants.delete(assistant.id).deleted


def test_embeddings_and_models(strict: OpenAI) -> None:
    made = strict.embeddings.create(model="text-embedding-3-small", input=["a", "b"], encoding_format="float")
    assert [len(each.embedding) for each in made.data] == [1536, 1536]
    listed = strict.models.list().data
    assert strict.models.retrieve(listed[0].id) == listed[0]
