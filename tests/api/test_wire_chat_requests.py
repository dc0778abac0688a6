from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion as SDKChatCompletion
from openai.types.chat import completion_create_params as sdk

from inhouse.api.chat import wire

DECODER = msgspec.json.Decoder(wire.CreateChatCompletionRequest)
USER = {"role": "user", "content": "hi"}


def decode(**body: Any) -> wire.CreateChatCompletionRequest:
    return DECODER.decode(json.dumps({"model": "gpt-4.1", "messages": [USER]} | body).encode())


def test_every_parameter_of_the_sdk_is_a_field() -> None:
    ours = {field.encode_name for field in msgspec.structs.fields(wire.CreateChatCompletionRequest)}
    assert ours == set(sdk.CompletionCreateParamsBase.__annotations__) | {"stream"}


def test_a_request_that_uses_everything() -> None:
    body: sdk.CompletionCreateParamsNonStreaming = {
        "model": "gpt-4.1",
        "messages": [
            {"role": "developer", "content": "d", "name": "boss"},
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                ],
                "name": "ann",
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "call_2", "type": "custom", "custom": {"name": "c", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "2"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "audio": {"id": "audio_1"}},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": None},
        ],
        "audio": {"voice": {"id": "voice_1"}, "format": "mp3"},
        "frequency_penalty": -2,
        "function_call": {"name": "f"},
        "functions": [{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}],
        "logit_bias": {"1": -100, "2": 100},
        "logprobs": True,
        "max_completion_tokens": 5,
        "max_tokens": 5,
        "metadata": {"k": "v"},
        "modalities": ["text", "audio"],
        "moderation": {"model": "omni", "policy": {"input": {"mode": "block"}, "output": None}},
        "n": 2,
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": [{"type": "text", "text": "p"}]},
        "presence_penalty": 2,
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "prompt_cache_retention": "24h",
        "reasoning_effort": "xhigh",
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "n",
                "description": "d",
                "strict": True,
                "schema": {"anything": [1, {"at": "all"}]},
            },
        },
        "safety_identifier": "u",
        "seed": -(2**63),
        "service_tier": "flex",
        "stop": ["a", "b", "c", "d"],
        "store": True,
        "stream": False,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
        "temperature": 0.5,
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "f", "description": "repeated"}}],
            },
        },
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"x": 1}, "strict": True}},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
            {
                "type": "custom",
                "custom": {
                    "name": "g",
                    "format": {"type": "grammar", "grammar": {"definition": "start: /a/", "syntax": "lark"}},
                },
            },
        ],
        "top_logprobs": 20,
        "top_p": 1,
        "user": "u",
        "verbosity": "high",
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"country": "DE", "city": "Bonn"}},
        },
    }
    request = decode(**body)

    assert set(body) == {field.encode_name for field in msgspec.structs.fields(type(request))}
    assert [type(message).__name__ for message in request.messages] == [
        "DeveloperMessage",
        "SystemMessage",
        "UserMessage",
        "AssistantMessage",
        "ToolMessage",
        "ToolMessage",
        "AssistantMessage",
        "AssistantMessage",
        "FunctionMessage",
    ]
    user = request.messages[2]
    assert isinstance(user, wire.UserMessage)
    assert [type(part) for part in user.content] == [
        wire.TextPart,
        wire.ImagePart,
        wire.AudioPart,
        wire.FilePart,
        wire.FilePart,
    ]
    assert isinstance(request.tool_choice, wire.AllowedToolsChoice)
    assert request.tool_choice.allowed_tools.tools[0] == wire.AllowedFunction(function=wire.AllowedName(name="f"))
    # What goes out again is what came in, so a stored request loses nothing.
    again = msgspec.json.decode(msgspec.json.encode(request), type=wire.CreateChatCompletionRequest)
    assert again == request


def test_null_reads_as_absent() -> None:
    optional = [f.encode_name for f in msgspec.structs.fields(wire.CreateChatCompletionRequest) if not f.required]
    assert decode(**dict.fromkeys(optional)) == decode()


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_tool_choice_modes(choice: str) -> None:
    assert decode(tool_choice=choice).tool_choice == choice


@pytest.mark.parametrize("kind", ["function", "custom"])
def test_tool_choice_by_name(kind: str) -> None:
    choice = decode(tool_choice={"type": kind, kind: {"name": "f"}}).tool_choice
    assert getattr(choice, kind).name == "f"


def test_an_answer_can_be_sent_back_as_it_came() -> None:
    answer = SDKChatCompletion.model_validate(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-4.1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "logprobs": None,
                    "message": {
                        "role": "assistant",
                        "content": "see",
                        "refusal": None,
                        "annotations": [
                            {
                                "type": "url_citation",
                                "url_citation": {"start_index": 0, "end_index": 3, "url": "https://a.b", "title": "a"},
                            }
                        ],
                        "audio": {"id": "audio_1", "expires_at": 2, "data": "AA", "transcript": "see"},
                        "tool_calls": [
                            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                        ],
                    },
                }
            ],
        }
    )
    message = answer.choices[0].message
    for dumped in (message.model_dump(), message.model_dump(exclude_unset=True)):
        [again] = decode(messages=[dumped]).messages
        assert isinstance(again, wire.AssistantMessage)
        assert again.content == "see"
        assert again.tool_calls == [
            wire.FunctionToolCall(id="call_1", function=wire.FunctionCall(name="f", arguments="{}"))
        ]
    empty = message.model_copy(update={"tool_calls": None, "audio": None, "annotations": None, "function_call": None})
    assert decode(messages=[empty.model_dump()]).messages[0].content == "see"


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"temperature": 2.1}, "$.temperature"),
        ({"temperature": -0.1}, "$.temperature"),
        ({"temperature": "1"}, "$.temperature"),
        ({"temperature": True}, "$.temperature"),
        ({"top_p": 1.1}, "$.top_p"),
        ({"frequency_penalty": -2.1}, "$.frequency_penalty"),
        ({"presence_penalty": 2.1}, "$.presence_penalty"),
        ({"top_logprobs": 21}, "$.top_logprobs"),
        ({"top_logprobs": 1.5}, "$.top_logprobs"),
        ({"n": 0}, "$.n"),
        ({"n": 129}, "$.n"),
        ({"max_tokens": 0}, "$.max_tokens"),
        ({"max_completion_tokens": 0}, "$.max_completion_tokens"),
        ({"seed": 2**63}, "$.seed"),
        ({"stop": ["a"] * 5}, "$.stop"),
        ({"stop": [1]}, "$.stop[0]"),
        ({"logit_bias": {"1": 101}}, "$.logit_bias[...]"),
        ({"metadata": {str(i): "v" for i in range(17)}}, "$.metadata"),
        ({"metadata": {"k" * 65: "v"}}, "$.metadata"),
        ({"metadata": {"k": "v" * 513}}, "$.metadata[...]"),
        ({"metadata": {"k": 1}}, "$.metadata[...]"),
        ({"prompt_cache_key": "k" * 65}, "$.prompt_cache_key"),
        ({"safety_identifier": "k" * 65}, "$.safety_identifier"),
        ({"user": "k" * 65}, "$.user"),
        ({"service_tier": "gold"}, "$.service_tier"),
        ({"reasoning_effort": "huge"}, "$.reasoning_effort"),
        ({"modalities": ["smell"]}, "$.modalities[0]"),
        ({"messages": []}, "$.messages"),
        ({"messages": [{"content": "hi"}]}, "$.messages[0]"),
        ({"messages": [USER, {"role": "bot", "content": "hi"}]}, "$.messages[1].role"),
        ({"messages": [{"role": "user"}]}, "$.messages[0]"),
        ({"messages": [{"role": "user", "content": None}]}, "$.messages[0].content"),
        ({"messages": [{"role": "user", "content": []}]}, "$.messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "$.messages[0].content[0].type"),
        (
            {"messages": [{"role": "system", "content": [{"type": "file", "file": {}}]}]},
            "$.messages[0].content[0].type",
        ),
        ({"messages": [USER | {"name": "a b"}]}, "$.messages[0].name"),
        ({"messages": [USER | {"mood": "fine"}]}, "$.messages[0]"),
        ({"messages": [{"role": "assistant", "tool_calls": []}]}, "$.messages[0].tool_calls"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "$.messages[0]"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c" * 41}]}, "$.messages[0].tool_call_id"),
        ({"tools": []}, "$.tools"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}] * 129}, "$.tools"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "$.tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f" * 65}}]}, "$.tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "$.tools[0]"),
        ({"tools": [{"type": "mcp"}]}, "$.tools[0].type"),
        ({"tool_choice": "always"}, "$.tool_choice"),
        ({"functions": []}, "$.functions"),
        ({"response_format": {"type": "xml"}}, "$.response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "$.response_format"),
        ({"prediction": {"content": "x"}}, "$.prediction"),
        ({"stream_options": {"include_everything": True}}, "$.stream_options"),
    ],
)
def test_what_breaks_the_contract_is_refused_where_it_stands(body: dict[str, Any], where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        decode(**body)
    assert str(refused.value).endswith(f"`{where}`")


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `temprature`"):
        decode(temprature=1)


def test_bounds_are_inclusive() -> None:
    request = decode(
        temperature=2, top_p=0, n=128, top_logprobs=0, seed=2**63 - 1, prompt_cache_key="k" * 64, stop=["a"] * 4
    )
    assert request.temperature == 2.0


def test_the_query_of_a_list_reads_text() -> None:
    query = msgspec.convert(
        {"limit": "5", "order": "desc", "after": "chatcmpl-1", "metadata": {"k": "v"}},
        wire.ListChatCompletionsQuery,
        strict=False,
    )
    assert query == wire.ListChatCompletionsQuery(limit=5, order="desc", after="chatcmpl-1", metadata={"k": "v"})
    assert wire.ListChatCompletionsQuery().order == wire.ListChatMessagesQuery().order == "asc"


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"order": "up"}, {"page": "1"}])
def test_a_bad_query_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(query, wire.ListChatMessagesQuery, strict=False)


def test_an_update_needs_metadata() -> None:
    assert msgspec.json.decode(b'{"metadata":null}', type=wire.UpdateChatCompletionRequest).metadata is None
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b"{}", type=wire.UpdateChatCompletionRequest)
