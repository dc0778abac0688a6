from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.scripted import Say, ScriptedEngine
from tests.walking import Walk, walking

from inhouse import health
from inhouse.engines.deployments import Embedded


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


async def test_alive_and_ready(walk: Walk) -> None:
    client = await walk.client(x="no key is asked for")
    answer = await client.get("/healthz")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})
    answer = await client.get("/readyz")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "checks": {"database": "ok"}})


async def test_not_ready_without_the_database(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(query: Any) -> Any:
        raise OSError("/secret/path is gone")

    monkeypatch.setattr(walk.platform.database, "read", broken)
    client = await walk.client(x="x")
    answer = await client.get("/readyz")
    assert (answer.status, answer.json()["checks"]) == (503, {"database": "OSError"})
    assert "secret" not in answer.text
    assert (await client.get("/healthz")).status == 200, "a restart would not help"


async def test_a_database_that_hangs_is_not_ready(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(query: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(walk.platform.database, "read", hangs)
    monkeypatch.setattr(health, "DATABASE_SECONDS", 0.01)
    client = await walk.client(x="x")
    assert (await client.get("/readyz")).json() == {
        "status": "unavailable",
        "checks": {"database": "TimeoutError"},
    }


async def test_not_ready_until_what_is_preloaded_would_answer(walk: Walk) -> None:
    pool = walk.platform.engines
    deployment = Embedded(weights="/nowhere/x.gguf", title="x")
    await pool.preload(deployment)
    client = await walk.client(x="x")
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert answer.json()["checks"] == {"database": "ok", deployment.id: "failed"}


async def test_metrics(walk: Walk) -> None:
    walk.engine(ScriptedEngine([Say(["Hello"])]))
    client = await walk.client()
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}]}
    assert (await client.post("/v1/chat/completions", body)).status == 200
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    line = 'inhouse_calls_total{model="gpt-4.1-2025-04-14",operation="createChatCompletion",status="200"} 1.0'
    assert line in answer.text.splitlines()


async def test_metrics_can_ask_for_a_token(tmp_path: Path) -> None:
    async with walking(tmp_path, server__metrics_token="right") as walk:
        for header, status in (
            ("Bearer right", 200),
            ("right", 200),
            ("Bearer wrong", 401),
            ("Bearer ", 401),
            ("Bearer rïght", 401),
        ):
            client = await walk.client(authorization=header)
            answer = await client.get("/metrics")
            assert answer.status == status, header
        client = await walk.client(x="x")
        answer = await client.get("/metrics")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert (await client.get("/healthz")).status == 200
