"""Clients whose base URL is wrong are told the right one, and browsers still get their pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.walking import Walk, walking

SDK = {"accept": "application/json"}
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,application/json;q=0.8,*/*;q=0.7"}
CURL = {"accept": "*/*"}


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/chat/completions", SDK),
        ("POST", "/chat/completions", CURL),
        ("POST", "/responses", CURL),
        ("GET", "/models", SDK),
        ("GET", "/models/", SDK),
        ("GET", "/models/gpt-4.1", SDK),
        ("GET", "/files/file-1/content", CURL),
        ("GET", "/api/v1/models", SDK),
        ("POST", "/openai/deployments/gpt-4.1/chat/completions", SDK),
    ],
)
async def test_the_way_is_told(walk: Walk, method: str, path: str, headers: dict[str, str]) -> None:
    client = await walk.client(**headers)
    answer = await client.request(method, path)
    assert answer.status == 404
    assert answer.json()["error"] == {
        "message": f"Invalid URL ({method} {path}). The API is below /v1: the base URL of a client is http://test/v1",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("path", "headers", "kind"),
    [
        ("/models", BROWSER, "text/html; charset=utf-8"),
        ("/models", CURL, "text/html; charset=utf-8"),
        ("/models/gpt-4.1", BROWSER, "text/html; charset=utf-8"),
        ("/healthz", SDK, "application/json"),
        ("/openapi.json", SDK, "application/json"),
    ],
)
async def test_who_is_not_astray(walk: Walk, path: str, headers: dict[str, str], kind: str) -> None:
    client = await walk.client(**headers)
    answer = await client.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, kind)


async def test_a_page_that_is_not_there(walk: Walk) -> None:
    client = await walk.client(**BROWSER)
    for path in ("/nonsense", "/chat/completions"):
        answer = await client.get(path)
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    client = await walk.client(**CURL)
    answer = await client.get("/nonsense")
    assert (answer.status, answer.text) == (404, "Not Found")


async def test_what_only_the_official_api_has(walk: Walk) -> None:
    client = await walk.client(**SDK)
    told = "The official API has this operation, but it is not served here."
    answer = await client.post("/v1/images/generations", {})
    assert answer.status == 404
    assert answer.json()["error"]["message"] == f"Invalid URL (POST /v1/images/generations). {told}"
    answer = await client.get("/v1/videos/video_1/content")
    assert answer.json()["error"]["message"] == f"Invalid URL (GET /v1/videos/video_1/content). {told}"
    answer = await client.get("/v1/nothing")
    assert answer.json()["error"]["message"] == "Invalid URL (GET /v1/nothing)"
    answer = await client.get("/v1/models/%00")
    assert answer.json()["error"]["message"] == "Invalid URL (GET /v1/models/%00)"
