"""What is wrong with a request as a whole: its body, its key, its path, its method."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai import APIStatusError, AuthenticationError

from .running import CHAT_PATH, FAST, Server, user

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
