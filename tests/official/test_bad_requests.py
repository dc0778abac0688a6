"""What is wrong with the parameters of a request, in the official words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from .running import FAST, user

KEYS = {"message", "type", "param", "code"}


def refused(client: OpenAI, **options: Any) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(**{"model": FAST, "messages": user("Hi"), "max_completion_tokens": 1, **options})
    error = caught.value
    assert error.status_code == 400
    assert set(error.body) == KEYS  # type: ignore[call-overload]
    assert error.type == "invalid_request_error"
    assert error.request_id
    assert re.fullmatch(r"req_[0-9a-f]{32}", error.request_id)
    return error


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}


def asked(part: Any) -> Any:
    return [{"role": "user", "content": [{"type": "text", "text": "Well?"}, part]}]


CASES: list[Any] = [
    # Missing
    (
        {"messages": [{"content": "x"}]},
        "messages[0].role",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].role'.",
    ),
    (
        {"messages": [{"role": "user"}]},
        "messages[0].content",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].content'.",
    ),
    (
        {"messages": asked({"type": "text"})},
        "messages[0].content[1].text",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].content[1].text'.",
    ),
    (
        {"messages": asked({"type": "file"})},
        "messages[0].content[1].file",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].content[1].file'.",
    ),
    # Unknown
    ({"extra_body": {"frobnicate": 1}}, None, None, "Unrecognized request argument supplied: frobnicate"),
    ({"extra_body": {"foo": 1, "bar": 2}}, None, None, "Unrecognized request arguments supplied: bar, foo"),
    (
        {"stream": True, "extra_body": {"stream_options": {"speed": 1}}},
        "stream_options.speed",
        "unknown_parameter",
        "Unknown parameter: 'stream_options.speed'.",
    ),
    (
        {"messages": [{"role": "user", "content": "x", "mood": "good"}]},
        "messages[0].mood",
        "unknown_parameter",
        "Unknown parameter: 'messages[0].mood'.",
    ),
    # Wrong types
    (
        {"messages": "x"},
        "messages",
        "invalid_type",
        "Invalid type for 'messages': expected an array of objects, but got a string instead.",
    ),
    (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content",
        "invalid_type",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got "
        "an integer instead.",
    ),
    (
        {"temperature": "hot"},
        "temperature",
        "invalid_type",
        "Invalid type for 'temperature': expected a decimal, but got a string instead.",
    ),
    ({"n": 1.5}, "n", "invalid_type", "Invalid type for 'n': expected an integer, but got a decimal number instead."),
    (
        {"extra_body": {"stream": "yes"}},
        "stream",
        "invalid_type",
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
    ),
    (
        {"stop": 5},
        "stop",
        "invalid_type",
        "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead.",
    ),
    # Wrong values
    (
        {"messages": [{"role": "wizard", "content": "x"}]},
        "messages[0].role",
        "invalid_value",
        "Invalid value: 'wizard'. Supported values are: 'developer', 'system', 'user', 'assistant', "
        "'tool', and 'function'.",
    ),
    (
        {"messages": asked({"type": "blob"})},
        "messages[0].content[1].type",
        "invalid_value",
        "Invalid value: 'blob'. Supported values are: 'text', 'image_url', 'input_audio', and 'file'.",
    ),
    (
        {"service_tier": "gold"},
        "service_tier",
        "invalid_value",
        "Invalid value: 'gold'. Supported values are: 'auto', 'default', 'flex', 'scale', 'priority', and 'fast'.",
    ),
    # Out of range
    (
        {"temperature": 99},
        "temperature",
        "decimal_above_max_value",
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead.",
    ),
    (
        {"temperature": -1},
        "temperature",
        "decimal_below_min_value",
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1.0 instead.",
    ),
    (
        {"top_p": 1.1},
        "top_p",
        "decimal_above_max_value",
        "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 1.1 instead.",
    ),
    (
        {"presence_penalty": 3},
        "presence_penalty",
        "decimal_above_max_value",
        "Expected a value <= 2, but got 3.0 instead.",
    ),
    (
        {"frequency_penalty": -3},
        "frequency_penalty",
        "decimal_below_min_value",
        "Expected a value >= -2, but got -3.0 instead.",
    ),
    (
        {"n": 0},
        "n",
        "integer_below_min_value",
        "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
    ),
    (
        {"n": 129},
        "n",
        "integer_above_max_value",
        "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
    ),
    (
        {"top_logprobs": 21, "logprobs": True},
        "top_logprobs",
        "integer_above_max_value",
        "Expected a value <= 20, but got 21 instead.",
    ),
    (
        {"logit_bias": {"1": 101}},
        "logit_bias.1",
        "integer_above_max_value",
        "Expected a value <= 100, but got 101 instead.",
    ),
    (
        {"logit_bias": {"word": 1}},
        "logit_bias",
        None,
        "Invalid key in 'logit_bias': word. You should only be submitting non-negative integers.",
    ),
    ({"logit_bias": {"49152": 1}}, "logit_bias", None, "Invalid key in 'logit_bias': 49152. Maximum value is 49151."),
    ({"seed": 2**70}, "seed", "integer_above_max_value", "Invalid 'seed': integer above maximum value."),
    (
        {"max_completion_tokens": 0},
        "max_completion_tokens",
        "integer_below_min_value",
        "Expected a value >= 1, but got 0 instead.",
    ),
    (
        {"max_completion_tokens": 32769},
        "max_completion_tokens",
        "invalid_value",
        "max_completion_tokens is too large: 32769. This model supports at most 32768 completion "
        "tokens, whereas you provided 32769.",
    ),
    (
        {"stop": ["a", "b", "c", "d", "e"]},
        "stop",
        "array_above_max_length",
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with "
        "length 5 instead.",
    ),
    (
        {"messages": []},
        "messages",
        "empty_array",
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    ),
    (
        {"prompt_cache_key": "k" * 65},
        "prompt_cache_key",
        "string_above_max_length",
        "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got "
        "a string with length 65 instead.",
    ),
    ({"user": "u" * 65}, "user", "string_above_max_length", "Expected a string with maximum length 64"),
    (
        {"messages": [{"role": "user", "content": "x" * 10_485_761}]},
        "messages[0].content",
        "string_above_max_length",
        "Invalid 'messages[0].content': string too long. Expected a string with maximum length "
        "10485760, but got a string with length 10485761 instead.",
    ),
    (
        {"messages": [{"role": "user", "content": "nul \0"}]},
        "messages[0].content",
        None,
        "Invalid 'messages[0].content': string contains U+0000, which is not allowed.",
    ),
    # What does not go together
    (
        {"top_logprobs": 1},
        "top_logprobs",
        None,
        "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
    ),
    (
        {"stream_options": {"include_usage": True}},
        "stream_options",
        None,
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
    ),
    (
        {"max_tokens": 1},
        "max_tokens",
        "invalid_parameter_combination",
        "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
    ),
    (
        {"function_call": "auto"},
        "function_call",
        None,
        "'function_call' is only allowed when 'functions' are specified.",
    ),
    # What this model does not take
    (
        {"reasoning_effort": "low"},
        None,
        None,
        "Unrecognized request argument supplied: reasoning_effort",
    ),
    (
        {"web_search_options": {}},
        None,
        None,
        "Web search options not supported with this model.",
    ),
    (
        {"verbosity": "low"},
        "verbosity",
        "unsupported_value",
        "Unsupported value: 'verbosity' does not support 'low' with this model. Supported values are: 'medium'.",
    ),
    (
        {"modalities": ["text", "audio"]},
        "modalities",
        "unsupported_value",
        "Unsupported value: 'modalities' does not support 'audio' with this model. Supported values are: 'text'.",
    ),
    (
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        "audio",
        "unsupported_parameter",
        "Unsupported parameter: 'audio' is not supported with this model.",
    ),
    (
        {"messages": asked(IMAGE)},
        "messages[0].content[1].type",
        None,
        "Invalid content type. image_url is only supported by certain models.",
    ),
    (
        {"messages": asked({"type": "file", "file": {}})},
        "messages[0].content[1].file",
        "missing_required_parameter",
        "Missing required parameter: 'messages[0].content[1].file'.",
    ),
    (
        {"messages": asked(AUDIO)},
        "messages[0].content[1].type",
        None,
        "Invalid content type. input_audio is only supported by certain models.",
    ),
    (
        {"messages": [{"role": "assistant", "content": None}]},
        "messages.[0].content",
        None,
        "Invalid value for 'content': expected a string, got null.",
    ),
]


@pytest.mark.parametrize(("options", "param", "code", "message"), CASES)
def test_bad_requests(client: OpenAI, options: Any, param: str | None, code: str | None, message: str) -> None:
    error = refused(client, **options)
    assert (error.param, error.code) == (param, code)
    assert message in error.body["message"]  # type: ignore[index]


def test_a_refused_request_streams_nothing(client: OpenAI) -> None:
    assert refused(client, stream=True, temperature=99).code == "decimal_above_max_value"


async def test_the_async_client_raises_the_same(aclient: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        await aclient.chat.completions.create(model=FAST, messages=user("Hi"), temperature=99)
    assert caught.value.param == "temperature"


def test_moderation_by_a_model_that_is_not_here(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.chat.completions.create(
            model=FAST, messages=user("Hi"), extra_body={"moderation": {"model": "omni-moderation-unheard-of"}}
        )
    assert (caught.value.code, caught.value.param) == ("model_not_found", "moderation.model")
