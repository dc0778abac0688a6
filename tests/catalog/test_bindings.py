from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert

from inhouse.catalog import Catalog, bindings
from inhouse.catalog.bindings import Bindings, default_bindings
from inhouse.catalog.cards import load_cards
from inhouse.engines.deployments import Embedded, Hosted, Remote
from inhouse.engines.protocol import DecodingDefaults
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.kit.errors import NotFound
from inhouse.storage.database import Database
from inhouse.storage.schema import bindings as table

Open = Callable[[str], Database]

SMALL = Embedded(weights="x", title="X", sha256="0" * 64, decoding=DecodingDefaults(temperature=0.3), window=99)
FAR = Remote(
    upstream=UpstreamSpec(targets=[Target("http://gpu:8000/v1", "m", "GPU_KEY"), Target("http://b/v1")]), window=7
)


async def bound(bindings: Bindings, model: str = "gpt-4.1") -> Any:
    binding = bindings.current(model)
    return None if binding is None else binding.deployment


async def test_what_the_package_binds(database: Database) -> None:
    current = Bindings(database)
    await current.refresh()
    for model, default in default_bindings().items():
        binding = current.current(model)
        assert binding == default
        match binding.deployment:
            case Embedded(sha256=sha256):
                pinned = [sha256]
            case Hosted(weights=weights):
                pinned = [each.sha256 for each in weights]
            case other:
                raise AssertionError(other)
        assert None not in pinned, "weights are pinned to their content"
        assert (binding.bound_at, binding.actor) == (None, "default")
    assert current.current("gpt-4o") is None
    assert load_cards().get("gpt-4.1") is not None
    assert set(default_bindings()) <= {card.id for card in load_cards()}


@pytest.mark.parametrize("deployment", [SMALL, FAR], ids=["embedded", "upstream"])
async def test_binding_is_remembered(
    database: Database, database_url: str, open_database: Open, deployment: Embedded | Remote
) -> None:
    here = Bindings(database)
    made = await here.bind("gpt-4.1", deployment, "ada")
    assert made == here.current("gpt-4.1")
    assert (made.deployment, made.actor) == (deployment, "ada")
    assert made.bound_at is not None
    assert made.bound_at.utcoffset() is not None
    later = Bindings(open_database(database_url))
    await later.refresh()
    assert later.current("gpt-4.1") == made
    assert made.deployment is not None
    assert (await bound(later)).id == made.deployment.id


async def test_unbinding_answers_404_and_binding_again_serves(database: Database) -> None:
    current = Bindings(database)
    catalog = Catalog(load_cards(), current)
    await current.bind("gpt-4.1", None, "ada")
    assert current.current("gpt-4.1") is None
    with pytest.raises(NotFound) as refusal:
        catalog.resolve("gpt-4.1", "chat_completions")
    assert refusal.value.code == "model_not_found"
    assert not any(found.card.id == "gpt-4.1" for found in catalog.deployed())
    await current.bind("gpt-4.1", SMALL, "ada")
    assert catalog.resolve("gpt-4.1-2025-04-14", "chat_completions").deployment == SMALL


async def test_history_keeps_all_with_the_default_last(database: Database) -> None:
    current = Bindings(database)
    for deployment, actor in ((SMALL, "ada"), (None, "bob"), (FAR, "cy")):
        await current.bind("gpt-4.1", deployment, actor)
    await current.bind("gpt-4o", SMALL, "ada")
    history = await current.history("gpt-4.1")
    assert [each.actor for each in history] == ["cy", "bob", "ada", "default"]
    assert [each.deployment for each in history[:3]] == [FAR, None, SMALL]
    moments = [each.bound_at for each in history[:3]]
    assert moments == sorted(moments, reverse=True)  # type: ignore[type-var]
    assert [each.actor for each in await current.history("gpt-4o")] == ["ada"]
    assert await current.history("o3-mini") == []


async def test_a_change_by_another_process_is_seen(
    database: Database, database_url: str, open_database: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = Bindings(database), Bindings(open_database(database_url))
    await here.refresh()
    before = await bound(here)
    await there.bind("gpt-4.1", SMALL, "ada")
    assert await bound(here) == before, "it was looked at just now"
    monkeypatch.setattr(bindings, "REFRESH_SECONDS", 0.0)
    for _ in range(500):
        await asyncio.sleep(0.01)
        if await bound(here) == SMALL:
            break
    assert await bound(here) == SMALL


async def test_one_refresh_at_a_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    current = Bindings(database)
    reads, go_on = 0, asyncio.Event()
    read = database.read

    async def counting(query: Any) -> Any:
        nonlocal reads
        reads += 1
        await go_on.wait()
        return await read(query)

    monkeypatch.setattr(database, "read", counting)
    for _ in range(10):
        current.current("gpt-4.1")
        await asyncio.sleep(0)
    assert reads == 1
    go_on.set()
    await asyncio.sleep(0.05)


async def test_a_slow_refresh_does_not_undo_a_newer_one(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    current = Bindings(database)
    await current.bind("gpt-4.1", SMALL, "ada")
    read, began, go_on = database.read, asyncio.Event(), asyncio.Event()
    fresh = Bindings(database)

    async def slow(query: Any) -> Any:
        rows = await read(query)
        began.set()
        await go_on.wait()
        return rows

    with monkeypatch.context() as slowly:
        slowly.setattr(database, "read", slow)
        early = asyncio.create_task(fresh.refresh())
        await began.wait()
    await fresh.bind("gpt-4.1", FAR, "bob")
    go_on.set()
    await early
    assert await bound(fresh) == FAR


async def test_a_database_that_fails_leaves_what_is_known(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    current = Bindings(database)
    await current.bind("gpt-4.1", SMALL, "ada")

    async def broken(query: Any) -> Any:
        raise OSError("gone")

    with monkeypatch.context() as failing:
        failing.setattr(bindings, "REFRESH_SECONDS", 0.0)
        failing.setattr(database, "read", broken)
        assert await bound(current) == SMALL
        await asyncio.sleep(0.05)
        assert await bound(current) == SMALL
    assert not [record for record in caplog.records if "never retrieved" in record.getMessage()]


async def test_many_bind_at_once_and_all_see_the_last(
    database: Database, database_url: str, open_database: Open
) -> None:
    everyone = [Bindings(database), *(Bindings(open_database(database_url)) for _ in range(3))]
    deployments = [Embedded(weights=f"w{number}", title="W") for number in range(20)]
    await asyncio.gather(
        *(everyone[number % 4].bind("gpt-4.1", deployment, "x") for number, deployment in enumerate(deployments))
    )
    [newest, *_] = await everyone[0].history("gpt-4.1")
    for each in everyone:
        await each.refresh()
        assert await bound(each) == newest.deployment
    assert len(await everyone[0].history("gpt-4.1")) == 21


async def test_a_row_of_a_newer_version_stops_the_start(database: Database) -> None:
    row = {"created_at": 1, "model": "gpt-4.1", "deployment": '{"type":"quantum"}', "actor": "future"}
    await database.write(lambda connection: connection.execute(insert(table), row) and None)
    with pytest.raises(ValueError, match="quantum"):
        await Bindings(database).refresh()
