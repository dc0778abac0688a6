"""What limits and policies do to requests on their whole walk, and what keeps limits from being multiplied."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from tests.api.scripted import ScriptedEngine
from tests.walking import CALLER, Walk, walking

from inhouse.kit.errors import RateLimited
from inhouse.metering import instances
from inhouse.settings import SettingsError
from inhouse.storage.schema import policies

MESSAGES = [{"role": "user", "content": "hello"}]


async def put(walk: Walk, **values: Any) -> Any:
    """A client whose project has this policy."""
    client = await walk.client()
    [project] = {key.project_id for key in await walk.platform.access.list_keys()}
    await walk.platform.database.write(lambda c: c.execute(insert(policies).values(scope=project, **values)) and None)
    walk.platform.access.forget()
    return client


async def test_refusals_are_in_the_metrics(tmp_path: Path) -> None:
    async with walking(tmp_path, limits__tier="tier_1") as walk:
        card = walk.platform.catalog.cards.resolve("gpt-4.1")[0]  # type: ignore[index]
        accounts = walk.platform.limits.accounts
        accounts._lowered[(CALLER.project_id, card.family)] = {"rpm": 1}
        async with walk.call():
            pass
        for _ in range(2):
            with pytest.raises(RateLimited):
                async with walk.call():
                    pass
        told = walk.platform.metrics.exposition().decode()
        assert (
            'inhouse_calls_refused_total{model="gpt-4.1-2025-04-14",operation="createChatCompletion",'
            'reason="requests"} 2.0' in told
        )
        assert "inhouse_calls_open 0.0" in told
        assert len(await walk.rows()) == 1


async def test_a_model_that_the_project_may_not_use(tmp_path: Path) -> None:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(["hi"]))
        client = await put(walk, model_mode="deny_list", models='["gpt-4.1"]')
        for model in ("gpt-4.1", "gpt-4.1-2025-04-14"):
            answer = await client.post("/v1/chat/completions", {"model": model, "messages": MESSAGES})
            assert answer.status == 403
            assert f"does not have access to model `{model}`" in answer.text
            assert (await client.get(f"/v1/models/{model}")).status == 404
        assert '"gpt-4.1"' not in (await client.get("/v1/models")).text
        assert await walk.rows() == []


async def test_hosted_tools_that_the_project_may_not_use(tmp_path: Path) -> None:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(["hi"]))
        client = await put(walk, tools_off='["web_search"]')
        body = {"model": "gpt-4.1", "input": "hello", "tools": [{"type": "web_search_preview"}]}
        answer = await client.post("/v1/responses", body)
        assert answer.status == 403
        assert "does not have access to tool `web_search`" in answer.text


async def test_zero_retention_stores_nothing(tmp_path: Path) -> None:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(["hi"]))
        client = await put(walk, retention="zero_data_retention")
        body = {"model": "gpt-4.1", "messages": MESSAGES, "store": True, "metadata": {"a": "b"}}
        completion = await client.post("/v1/chat/completions", body)
        assert completion.status == 200
        assert (await client.get(f"/v1/chat/completions/{completion.json()['id']}")).status == 404
        response = await client.post("/v1/responses", {"model": "gpt-4.1", "input": "hello", "store": True})
        assert (response.status, response.json()["store"]) == (200, False)
        assert (await client.get(f"/v1/responses/{response.json()['id']}")).status == 404
        background = await client.post("/v1/responses", {"model": "gpt-4.1", "input": "hello", "background": True})
        assert background.status == 400


async def test_a_second_server_of_one_database_does_not_start(tmp_path: Path, monkeypatch: Any) -> None:
    async with walking(tmp_path, limits__tier="off") as first:
        ledger = first.platform.ledger
        ledger._beat_s = 0.2

        async def beat() -> None:
            while True:
                await ledger.beat()
                await asyncio.sleep(0.2)

        beating = asyncio.create_task(beat())
        with pytest.raises(SettingsError, match=r"limits\.store_url"):
            async with walking(tmp_path, limits__tier="tier_1"):
                pass
        # What it registered is gone.
        assert await first.platform.database.read(lambda c: instances.beats(c, ledger.instance)) == {}
        async with walking(tmp_path, limits__tier="off"):
            pass
        beating.cancel()
