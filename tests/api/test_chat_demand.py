from __future__ import annotations

from typing import Any

import msgspec
import pytest

from inhouse.api.chat import wire
from inhouse.api.chat.demand import demand
from inhouse.api.completions import wire as completions_wire
from inhouse.api.completions.service import demand as completions_demand
from inhouse.limits import Demand

TEXT = "x" * 400  # 100 tokens


def chat(**given: Any) -> Demand:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": TEXT}], **given}
    return demand(msgspec.convert(body, wire.CreateChatCompletionRequest))


@pytest.mark.parametrize(
    ("messages", "tokens"),
    [
        ([{"role": "user", "content": TEXT}], 100),
        ([{"role": "system", "content": TEXT}, {"role": "user", "content": [{"type": "text", "text": TEXT}]}], 200),
        ([{"role": "user", "content": "ä" * 400}], 100),
        (
            [
                {"role": "user", "content": TEXT},
                {"role": "assistant", "refusal": TEXT},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": TEXT}]},
            ],
            300,
        ),
    ],
)
def test_texts_count_by_their_characters(messages: list[Any], tokens: int) -> None:
    assert chat(messages=messages).input_tokens == tokens


def test_an_image_counts_by_its_detail_and_not_by_its_bytes() -> None:
    def image(detail: str) -> dict[str, Any]:
        url = "data:image/png;base64," + "A" * 1_000_000
        return {"type": "image_url", "image_url": {"url": url, "detail": detail}}

    assert chat(messages=[{"role": "user", "content": [image("low"), image("high")]}]).input_tokens == 85 + 765


def test_attached_files_and_recordings_count_when_they_are_read() -> None:
    data = "A" * 1_000_000
    content = [
        {"type": "text", "text": TEXT},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": data}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
    ]
    assert chat(messages=[{"role": "user", "content": content}]).input_tokens == 100


def test_tools_schemas_and_earlier_calls_are_text() -> None:
    function = {"name": "f", "description": "y" * 400, "parameters": {"type": "object", "properties": {}}}
    assert 200 < chat(tools=[{"type": "function", "function": function}]).input_tokens < 250
    assert 200 < chat(functions=[function]).input_tokens < 250
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"title": "z" * 400}}}
    assert 200 < chat(response_format=schema).input_tokens < 250
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "a" * 400}}
    messages = [{"role": "user", "content": TEXT}, {"role": "assistant", "tool_calls": [call]}]
    assert 200 < chat(messages=messages).input_tokens < 250


def test_what_may_be_written() -> None:
    assert (chat().max_tokens, chat().answers) == (None, 1)
    assert chat(max_tokens=5).max_tokens == 5
    assert chat(max_tokens=5, max_completion_tokens=7, n=3).amounts(32_768) == (1, 100, 0)
    assert chat(max_completion_tokens=70, n=3).amounts(32_768) == (1, 210, 0)


def completions(**given: Any) -> Demand:
    body = {"model": "gpt-3.5-turbo-instruct", "prompt": TEXT, **given}
    return completions_demand(msgspec.convert(body, completions_wire.CreateCompletionRequest))


@pytest.mark.parametrize(
    ("given", "tokens"),
    [
        ({}, 100),
        ({"suffix": TEXT}, 200),
        ({"prompt": [TEXT, TEXT]}, 200),
        ({"prompt": [1, 2, 3], "max_tokens": 1}, 3),
        ({"prompt": [[1, 2], [3]], "max_tokens": 1}, 3),
        ({"prompt": "x"}, 16),  # what it writes unless told otherwise
        ({"max_tokens": 70, "n": 2, "best_of": 3}, 210),
        ({"prompt": ["a", "b"], "max_tokens": 70, "n": 2}, 280),
    ],
)
def test_legacy_completions(given: dict[str, Any], tokens: int) -> None:
    assert completions(**given).amounts(4096) == (1, tokens, 0)
