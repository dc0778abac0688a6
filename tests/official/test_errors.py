"""What is wrong with a request, in the official words: status, class of the SDK, type, code, param, message."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, OpenAI

from .running import CHAT_PATH, FAST, Server, user

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
    ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter", "Missing required parameter: 'messages[0].role'."),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter", "Missing required parameter: 'messages[0].content'."),
    ({"messages": asked({"type": "text"})}, "messages[0].content[1].text", "missing_required_parameter", "Missing required parameter: 'messages[0].content[1].text'."),
    ({"messages": asked({"type": "file"})}, "messages[0].content[1].file", "missing_required_parameter", "Missing required parameter: 'messages[0].content[1].file'."),
    # Unknown
    ({"extra_body": {"frobnicate": 1}}, None, None, "Unrecognized request argument supplied: frobnicate"),
    ({"extra_body": {"foo": 1, "bar": 2}}, None, None, "Unrecognized request arguments supplied: bar, foo"),
    ({"stream": True, "extra_body": {"stream_options": {"speed": 1}}}, "stream_options.speed", "unknown_parameter", "Unknown parameter: 'stream_options.speed'."),
    ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "messages[0].mood", "unknown_parameter", "Unknown parameter: 'messages[0].mood'."),
    # Wrong types
    ({"messages": "x"}, "messages", "invalid_type", "Invalid type for 'messages': expected an array of objects, but got a string instead."),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type", "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer instead."),
    ({"temperature": "hot"}, "temperature", "invalid_type", "Invalid type for 'temperature': expected a decimal, but got a string instead."),
    ({"n": 1.5}, "n", "invalid_type", "Invalid type for 'n': expected an integer, but got a decimal number instead."),
    ({"extra_body": {"stream": "yes"}}, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean, but got a string instead."),
    ({"stop": 5}, "stop", "invalid_type", "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead."),
    # Wrong values
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role", "invalid_value", "Invalid value: 'wizard'. Supported values are: 'developer', 'system', 'user', 'assistant', 'tool', and 'function'."),
    ({"messages": asked({"type": "blob"})}, "messages[0].content[1].type", "invalid_value", "Invalid value: 'blob'. Supported values are: 'text', 'image_url', 'input_audio', and 'file'."),
    ({"service_tier": "gold"}, "service_tier", "invalid_value", "Invalid value: 'gold'. Supported values are: 'auto', 'default', 'flex', 'scale', 'priority', and 'fast'."),
    # Out of range
    ({"temperature": 99}, "temperature", "decimal_above_max_value", "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 99.0 instead."),
    ({"temperature": -1}, "temperature", "decimal_below_min_value", "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1.0 instead."),
    ({"top_p": 1.1}, "top_p", "decimal_above_max_value", "Invalid 'top_p': decimal above maximum value. Expected a value <= 1, but got 1.1 instead."),
    ({"presence_penalty": 3}, "presence_penalty", "decimal_above_max_value", "Expected a value <= 2, but got 3.0 instead."),
    ({"frequency_penalty": -3}, "frequency_penalty", "decimal_below_min_value", "Expected a value >= -2, but got -3.0 instead."),
    ({"n": 0}, "n", "integer_below_min_value", "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."),
    ({"n": 129}, "n", "integer_above_max_value", "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead."),
    ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "integer_above_max_value", "Expected a value <= 20, but got 21 instead."),
    ({"logit_bias": {"1": 101}}, "logit_bias.1", "integer_above_max_value", "Expected a value <= 100, but got 101 instead."),
    ({"logit_bias": {"word": 1}}, "logit_bias", None, "Invalid key in 'logit_bias': word. You should only be submitting non-negative integers."),
    ({"logit_bias": {"49152": 1}}, "logit_bias", None, "Invalid key in 'logit_bias': 49152. Maximum value is 49151."),
    ({"seed": 2**70}, "seed", "integer_above_max_value", "Invalid 'seed': integer above maximum value."),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "integer_below_min_value", "Expected a value >= 1, but got 0 instead."),
    ({"max_completion_tokens": 32769}, "max_completion_tokens", "invalid_value", "max_completion_tokens is too large: 32769. This model supports at most 32768 completion tokens, whereas you provided 32769."),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "array_above_max_length", "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead."),
    ({"messages": []}, "messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."),
    ({"prompt_cache_key": "k" * 65}, "prompt_cache_key", "string_above_max_length", "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got a string with length 65 instead."),
    ({"user": "u" * 65}, "user", "string_above_max_length", "Expected a string with maximum length 64"),
    ({"messages": [{"role": "user", "content": "x" * 10_485_761}]}, "messages[0].content", "string_above_max_length", "Invalid 'messages[0].content': string too long. Expected a string with maximum length 10485760, but got a string with length 10485761 instead."),
    ({"messages": [{"role": "user", "content": "nul \0"}]}, "messages[0].content", None, "Invalid 'messages[0].content': string contains U+0000, which is not allowed."),
    # What does not go together
    ({"top_logprobs": 1}, "top_logprobs", None, "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."),
    ({"stream_options": {"include_usage": True}}, "stream_options", None, "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
    ({"max_tokens": 1}, "max_tokens", "invalid_parameter_combination", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."),
    ({"function_call": "auto"}, "function_call", None, "'function_call' is only allowed when 'functions' are specified."),
    # What this model does not take
    ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter", "Unsupported parameter: 'reasoning_effort' is not supported with this model."),
    ({"web_search_options": {}}, "web_search_options", "unsupported_parameter", "Unsupported parameter: 'web_search_options' is not supported with this model."),
    ({"verbosity": "low"}, "verbosity", "unsupported_value", "Unsupported value: 'verbosity' does not support 'low' with this model. Supported values are: 'medium'."),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_value", "Unsupported value: 'modalities' does not support 'audio' with this model. Supported values are: 'text'."),
    ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "audio", "unsupported_parameter", "Unsupported parameter: 'audio' is not supported with this model."),
    ({"messages": asked(IMAGE)}, "messages[0].content[1].type", None, "Invalid content type. image_url is only supported by certain models."),
    ({"messages": asked({"type": "file", "file": {"file_id": "file-abc"}})}, "messages[0].content[1].type", None, "Invalid content type. file is only supported by certain models."),
    ({"messages": asked(AUDIO)}, "messages[0].content[1].type", None, "Invalid content type. input_audio is only supported by certain models."),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content", None, "Invalid value for 'content': expected a string, got null."),
]  # fmt: skip


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
            model=FAST, messages=user("Hi"), extra_body={"moderation": {"model": "omni-moderation-latest"}}
        )
    assert (caught.value.code, caught.value.param) == ("model_not_found", "moderation.model")


# Bodies that no SDK sends

JSON: dict[str, str | None] = {"content-type": "application/json"}
HINT = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON."
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'model': 1}",
        b'{"model": "gpt-4.1"} and more',
        b'{"model": "gpt-4.1", "messages": "\xff"}',
        '\ufeff{"model": "gpt-4.1"}'.encode(),
        '{"model": "gpt-4.1"}'.encode("utf-16"),
        b'{"model": "gpt-4.1", "temperature": NaN}',
        b'{"model": "gpt-4.1", "messages": ' + b"[" * 100_000,
        b'{"model": "gpt-4.1-nano", "messages": [{"role": "user", "content": "\\ud800"}]}',
    ],
)
def test_bodies_that_are_not_json(server: Server, body: bytes) -> None:
    answer = server.http("POST", CHAT_PATH, body, JSON)
    assert answer.status == 400
    assert answer.error["message"].startswith(HINT)
    assert {**answer.error, "message": ""} == {
        "message": "",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize("body", [b"[]", b"null", b"5", b'"text"'])
def test_json_that_is_no_object(server: Server, body: bytes) -> None:
    answer = server.http("POST", CHAT_PATH, body, JSON)
    assert (answer.status, answer.error["code"]) == (400, "invalid_type")
    assert answer.error["message"].startswith("Invalid type: expected an object")


@pytest.mark.parametrize("path", [CHAT_PATH, "/v1/completions"])
def test_without_a_model(server: Server, path: str) -> None:
    for body in ({}, {"messages": user("Hi"), "prompt": "Hi"} if path == CHAT_PATH else {"prompt": "Hi"}):
        body.pop("prompt", None) if path == CHAT_PATH else None
        answer = server.http("POST", path, body)
        assert answer.status == 400
        assert answer.error["message"] == "you must provide a model parameter"


def test_without_messages(server: Server) -> None:
    answer = server.http("POST", CHAT_PATH, {"model": FAST})
    assert answer.error == {
        "message": "Missing required parameter: 'messages'.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "missing_required_parameter",
    }


def test_a_number_beyond_all_bounds(server: Server) -> None:
    body = b'{"model": "gpt-4.1-nano", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}'
    assert server.http("POST", CHAT_PATH, body, JSON).error["code"] == "decimal_above_max_value"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_another_content_type(server: Server, kind: str) -> None:
    answer = server.http("POST", CHAT_PATH, b"{}", {"content-type": kind})
    assert (answer.status, answer.error["code"]) == (400, "unsupported_content_type")
    assert f"but you specified the header 'Content-Type: {kind}'" in answer.error["message"]


def test_a_compressed_body(server: Server) -> None:
    answer = server.http("POST", CHAT_PATH, b"\x1f\x8b", {**JSON, "content-encoding": "gzip"})
    assert (answer.status, answer.error["code"]) == (415, "unsupported_content_encoding")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit(start_server: Any, chunked: bool) -> None:
    server = _small(start_server)
    body = b'{"model": "' + b"x" * 2048 + b'"}'
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\nconnection: close\r\n"
    head += "content-type: application/json\r\n"
    if chunked:
        sent = f"{head}transfer-encoding: chunked\r\n\r\n{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    else:
        sent = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    answer = server.bytes(sent)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert f"Maximum content size limit (1024) exceeded ({len(body)} bytes read)".encode() in answer
    with server.client() as client, pytest.raises(APIStatusError) as caught:
        client.chat.completions.create(model=FAST, messages=user("x" * 2048))
    assert caught.value.status_code == 413
    assert caught.value.type == "invalid_request_error"


_made: list[Server] = []


def _small(start_server: Any) -> Server:
    if not _made:
        _made.append(start_server(engines__preload="", server__max_body_bytes="1024"))
    return _made[0]


# Keys


def test_a_wrong_key(server: Server) -> None:
    with server.client("sk-wrong-1234567890") as client, pytest.raises(AuthenticationError) as caught:
        client.models.list()
    assert caught.value.status_code == 401
    assert caught.value.body == {
        "message": "Incorrect API key provided: sk-wrong*******7890. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    assert caught.value.request_id


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("POST", CHAT_PATH, "You didn't provide an API key."),
        ("POST", "/v1/completions", "You didn't provide an API key."),
        ("GET", "/v1/models", "Missing bearer authentication in header"),
        ("GET", "/v1/models/gpt-4.1", "Missing bearer or basic authentication in header"),
        ("DELETE", "/v1/models/gpt-4.1", "Missing bearer or basic authentication in header"),
        ("GET", CHAT_PATH, "Missing bearer or basic authentication in header"),
    ],
)
@pytest.mark.parametrize("given", [None, "Bearer", "Basic abc", "Token x"])
def test_no_key(server: Server, method: str, path: str, message: str, given: str | None) -> None:
    answer = server.http(method, path, headers={"authorization": given})
    assert answer.status == 401
    assert answer.error["message"].startswith(message)
    assert (answer.error["type"], answer.error["param"], answer.error["code"]) == ("invalid_request_error", None, None)
    assert "openai-organization" not in answer.headers


def test_another_organizations_or_projects_name(server: Server) -> None:
    for options, code in (
        ({"organization": "org-another"}, "mismatched_organization"),
        ({"project": "proj_another"}, "mismatched_project"),
    ):
        with server.client(**options) as client, pytest.raises(AuthenticationError) as caught:
            client.models.list()
        assert caught.value.code == code


def test_the_key_as_a_password(server: Server) -> None:
    given = base64.b64encode(f":{server.key}".encode()).decode()
    assert server.http("GET", "/v1/models", headers={"authorization": f"Basic {given}"}).status == 200


# Paths and methods


@pytest.mark.parametrize("path", ["/v1/nope", "/v1", "/v1/", "/v1//models", "/v1/models/a/b", "/v1/models/%00"])
def test_unknown_paths(server: Server, path: str) -> None:
    answer = server.http("GET", path)
    assert (answer.status, answer.error["type"]) == (404, "invalid_request_error")
    assert answer.error["message"] == f"Invalid URL (GET {path})"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", CHAT_PATH, "GET, POST"), ("POST", "/v1/models", "GET"), ("GET", "/v1/completions", "POST")],
)
def test_wrong_methods(server: Server, method: str, path: str, allowed: str) -> None:
    answer = server.http(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert answer.error["message"] == (
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP method?)"
    )
