"""Headers, and HTTP as only strange clients speak it."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

import pytest
from openai import OpenAI

from .running import CHAT_PATH, FAST, PATIENCE_S, Server, user

ASKED: dict[str, Any] = {"model": FAST, "messages": user("Hi"), "max_completion_tokens": 2}


def answers(server: Server) -> list[Any]:
    """One of each kind of authenticated answer."""
    return [
        server.http("POST", CHAT_PATH, ASKED),
        server.http("POST", CHAT_PATH, {**ASKED, "stream": True}),
        server.http("POST", CHAT_PATH, {**ASKED, "temperature": 99}),
        server.http("POST", CHAT_PATH, {**ASKED, "model": "nope"}),
        server.http("POST", CHAT_PATH, b"{", {"content-type": "application/json"}),
        server.http("GET", "/v1/models"),
        server.http("GET", f"{CHAT_PATH}/chatcmpl-none"),
    ]


def test_the_headers_of_every_answer(server: Server) -> None:
    (organization, project) = server.rows("SELECT organization_id, id FROM projects ORDER BY created_at")[0]
    ids = set()
    for answer in answers(server):
        headers = answer.headers
        assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
        assert headers["openai-processing-ms"].isdigit()
        assert headers["openai-version"] == "2020-10-01"
        assert (headers["openai-organization"], headers["openai-project"]) == (organization, project)
        assert headers["content-type"].startswith(("application/json", "text/event-stream"))
        ids.add(headers["x-request-id"])
    assert len(ids) == 7


def test_without_a_key_only_the_request_id_is_told(server: Server) -> None:
    for answer in (
        server.http("GET", "/v1/models", headers={"authorization": None}),
        server.http("GET", "/v1/nope"),
        server.http("PUT", "/v1/models"),
    ):
        assert answer.headers["x-request-id"].startswith("req_")
        assert not {"openai-organization", "openai-project", "openai-version"} & set(answer.headers)


def test_the_sdk_finds_the_request_id(client: OpenAI, server: Server) -> None:
    raw = client.chat.completions.with_raw_response.create(**ASKED)
    completion = raw.parse()
    assert raw.headers["x-request-id"] == raw.request_id == completion._request_id
    assert server.call(str(raw.request_id))["model"] == FAST


def test_a_request_that_a_client_named(server: Server) -> None:
    """The client's own id is for the log; ours stays ours."""
    answer = server.http("GET", "/v1/models", headers={"x-client-request-id": "mine"})
    assert answer.headers["x-request-id"] != "mine"


def test_head_tells_the_length(server: Server) -> None:
    got, head = server.http("GET", "/v1/models"), server.http("HEAD", "/v1/models")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) == len(got.body)


def test_a_trailing_slash_is_no_other_path(server: Server) -> None:
    assert server.http("GET", "/v1/models/").body == server.http("GET", "/v1/models").body


def test_a_body_in_single_bytes(server: Server) -> None:
    body = json.dumps(ASKED).encode()
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\nconnection: close\r\n"
    head += "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    assert server.bytes(head.encode() + chunks + b"0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_requests_one_after_another_on_one_connection(server: Server) -> None:
    head = f"host: x\r\nauthorization: Bearer {server.key}\r\n"
    first = f"GET /v1/models/gpt-4.1 HTTP/1.1\r\n{head}\r\n"
    last = f"GET /v1/models/nope HTTP/1.1\r\n{head}connection: close\r\n\r\n"
    answer = server.bytes((first + last).encode())
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 404 " in answer


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\nhost: x\r\ncontent-length: 1e3\r\n\r\n{}",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nno header\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(server: Server, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))


def test_a_client_that_leaves_in_the_middle_of_its_body(server: Server) -> None:
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
            connection.sendall(f"{head}content-type: application/json\r\ncontent-length: 500\r\n\r\n{{".encode())
    assert server.http("GET", "/v1/models").status == 200


def test_too_large_a_body_is_refused_before_it_is_sent(server: Server) -> None:
    head = f"POST {CHAT_PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\nconnection: close\r\n"
    head += "content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    assert server.bytes(head.encode()).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("path", [CHAT_PATH, "/v1/nope"])
def test_a_websocket_where_there_is_none(server: Server, path: str) -> None:
    head = f"GET {path} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    head += "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 4")


def test_who_watches_over_it(server: Server) -> None:
    assert json.loads(server.http("GET", "/healthz", headers={"authorization": None}).body)["status"] == "ok"
    ready = json.loads(server.http("GET", "/readyz", headers={"authorization": None}).body)
    assert set(ready["checks"].values()) == {"ok"}
    metrics = server.http("GET", "/metrics", headers={"authorization": None}).body.decode()
    assert 'model="gpt-4.1-nano-2025-04-14"' in metrics


def test_the_document_of_the_api(server: Server) -> None:
    document = json.loads(server.http("GET", "/openapi.json", headers={"authorization": None}).body)
    assert document["openapi"].startswith("3.")
    assert {"/chat/completions", "/completions", "/models"} <= {path.removeprefix("/v1") for path in document["paths"]}
