"""The SDK's own types, in pydantic's strict mode, must take what we encode."""

from __future__ import annotations

from typing import Any

import msgspec
from openai import types as sdk
from openai.types import chat as sdk_chat
from pydantic import BaseModel

from inhouse.api.chat import wire
from inhouse.api.wire import CompletionTokensDetails, CompletionUsage, PromptTokensDetails

USAGE = CompletionUsage(
    prompt_tokens=1,
    completion_tokens=2,
    total_tokens=3,
    prompt_tokens_details=PromptTokensDetails(cached_tokens=1),
    completion_tokens_details=CompletionTokensDetails(),
)
TOOL_CALLS: list[wire.ToolCall] = [
    wire.FunctionToolCall(id="call_1", function=wire.FunctionCall(name="f", arguments="{}")),
    wire.CustomToolCall(id="call_2", custom=wire.CustomCall(name="c", input="x")),
]
MODERATION = wire.Moderation(
    input=wire.ModerationResults(
        model="omni",
        results=[
            wire.ModerationVerdict(
                model="omni",
                flagged=True,
                categories={"violence": True},
                category_scores={"violence": 0.9},
                category_applied_input_types={"violence": ["text"]},
            )
        ],
    ),
    output=wire.ModerationFailure(code="overloaded", message="later"),
)


def accept(value: msgspec.Struct, model: type[BaseModel]) -> dict[str, Any]:
    """What goes over the wire, once the SDK's type took it with nothing left over."""
    encoded = msgspec.json.encode(value)
    parsed = model.model_validate_json(encoded, strict=True)
    assert leftovers(parsed) == set()
    decoded: dict[str, Any] = msgspec.json.decode(encoded)
    return decoded


def leftovers(parsed: object) -> set[str]:
    """Fields that the SDK's type does not know, at any depth."""
    if isinstance(parsed, BaseModel):
        names = set(parsed.model_extra or ())
        return names.union(*(leftovers(getattr(parsed, name)) for name in type(parsed).model_fields))
    if isinstance(parsed, list):
        return set().union(*map(leftovers, parsed))
    return set()


def completion(message: wire.AnswerMessage, **fields: Any) -> wire.ChatCompletion:
    return wire.ChatCompletion(
        id="chatcmpl-1",
        created=1,
        model="gpt-4.1-2025-04-14",
        choices=[wire.Choice(index=0, message=message, finish_reason="stop")],
        usage=USAGE,
        service_tier="default",
        system_fingerprint="fp_1",
        **fields,
    )


def test_a_plain_answer_has_the_nulls_that_clients_see() -> None:
    sent = accept(completion(wire.AnswerMessage(content="hi", annotations=[])), sdk_chat.ChatCompletion)
    assert list(sent) == [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
    ]
    assert sent["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert sent["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_an_answer_with_everything() -> None:
    token = wire.TokenLogprob(
        token="h",
        logprob=-0.5,
        bytes=[104],
        top_logprobs=[wire.TopLogprob(token="<|end|>", logprob=-9.0, bytes=None)],
    )
    answer = completion(
        wire.AnswerMessage(
            content=None,
            tool_calls=TOOL_CALLS,
            function_call=wire.FunctionCall(name="f", arguments="{}"),
            refusal="no",
            annotations=[
                wire.URLCitation(
                    url_citation=wire.URLSpan(start_index=0, end_index=1, url="https://example.com", title="t")
                )
            ],
            audio=wire.AnswerAudio(id="audio_1", expires_at=1, data="AA", transcript="t"),
        ),
        metadata={"k": "v"},
        moderation=MODERATION,
    )
    answer.choices[0].logprobs = wire.ChoiceLogprobs(content=[token], refusal=[token])
    sent = accept(answer, sdk_chat.ChatCompletion)
    assert sent["choices"][0]["message"]["tool_calls"][1] == {
        "type": "custom",
        "id": "call_2",
        "custom": {"name": "c", "input": "x"},
    }


def chunk(delta: wire.Delta, **fields: Any) -> wire.ChatCompletionChunk:
    choices = [wire.ChunkChoice(index=0, delta=delta, finish_reason=fields.pop("finish_reason", None))]
    return wire.ChatCompletionChunk(
        **{
            "id": "chatcmpl-1",
            "created": 1,
            "model": "gpt-4.1-2025-04-14",
            "service_tier": "default",
            "system_fingerprint": "fp_1",
            "choices": choices,
            **fields,
        }
    )


def test_chunks_are_those_that_clients_see() -> None:
    encode = msgspec.json.encode
    head = (
        b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4.1-2025-04-14",'
        b'"service_tier":"default","system_fingerprint":"fp_1","choices":['
    )
    first = chunk(wire.Delta(role="assistant", content="", refusal=None), usage=None, obfuscation="x")
    assert encode(first) == head + (
        b'{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],'
        b'"usage":null,"obfuscation":"x"}'
    )
    assert encode(chunk(wire.Delta(content="hi"))) == head + (
        b'{"index":0,"delta":{"content":"hi"},"logprobs":null,"finish_reason":null}]}'
    )
    assert encode(chunk(wire.Delta(), finish_reason="stop")) == head + (
        b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}'
    )
    call = wire.ToolCallDelta(
        index=0, id="call_1", type="function", function=wire.FunctionCallDelta(name="f", arguments="")
    )
    more = wire.ToolCallDelta(index=0, function=wire.FunctionCallDelta(arguments="{"))
    for delta in (
        wire.Delta(role="assistant", content=None, tool_calls=[call], refusal=None),
        wire.Delta(tool_calls=[more]),
        wire.Delta(function_call=wire.FunctionCallDelta(name="f", arguments="")),
    ):
        accept(chunk(delta), sdk_chat.ChatCompletionChunk)
    assert encode(more) == b'{"index":0,"function":{"arguments":"{"}}'
    last = accept(chunk(wire.Delta(), choices=[], usage=USAGE, moderation=MODERATION), sdk_chat.ChatCompletionChunk)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3


def test_stored_completions_and_their_messages() -> None:
    stored = wire.StoredChatCompletion(
        id="chatcmpl-1",
        created=1,
        model="gpt-4.1-2025-04-14",
        choices=[wire.Choice(index=0, message=wire.AnswerMessage(content="hi"), finish_reason="stop")],
        usage=USAGE,
        metadata={},
        request_id="req_1",
    )
    page = wire.ChatCompletionList(data=[stored], first_id="chatcmpl-1", last_id="chatcmpl-1", has_more=False)
    sent: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(page))
    assert {k: v for k, v in sent.items() if k != "data"} == {
        "object": "list",
        "first_id": "chatcmpl-1",
        "last_id": "chatcmpl-1",
        "has_more": False,
    }
    sdk_chat.ChatCompletion.model_validate(sent["data"][0], strict=True)

    messages = wire.ChatCompletionMessageList(
        data=[
            wire.StoredMessage(
                id="chatcmpl-1-0",
                role="assistant",
                content=None,
                content_parts=[
                    wire.TextPart(text="t"),
                    wire.ImagePart(image_url=wire.ImageURL(url="https://example.com/a.png", detail="low")),
                ],
                tool_calls=TOOL_CALLS,
            )
        ],
        first_id=None,
        last_id=None,
        has_more=True,
    )
    encoded = msgspec.json.decode(msgspec.json.encode(messages))
    message = sdk_chat.ChatCompletionStoreMessage.model_validate(encoded["data"][0])
    assert message.content_parts is not None
    assert len(message.content_parts) == 2

    deleted = accept(wire.ChatCompletionDeleted(id="chatcmpl-1"), sdk_chat.ChatCompletionDeleted)
    assert deleted == {"id": "chatcmpl-1", "deleted": True, "object": "chat.completion.deleted"}


def test_usage_leaves_out_what_was_not_counted() -> None:
    assert accept(CompletionUsage(prompt_tokens=1, completion_tokens=0, total_tokens=1), sdk.CompletionUsage) == {
        "prompt_tokens": 1,
        "completion_tokens": 0,
        "total_tokens": 1,
    }
