from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from tests.walking import Walk, walking

from inhouse.catalog.served import ServedBy
from inhouse.engines.deployments import Embedded
from inhouse.engines.weights import find_manifest
from inhouse.metering.speeds import Speed


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


async def served(walk: Walk, model: str = "gpt-4.1-nano") -> ServedBy:
    found = await walk.platform.serving.served_by(model)
    assert found is not None
    return found


async def test_embedded_weights(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = find_manifest("smollm2-135m-instruct")
    before = datetime.now(UTC)
    told = await served(walk)
    assert (told.weights, told.engine, told.where) == (manifest.title, "llama.cpp", "this machine")
    assert (told.sha256, told.license, told.state) == (manifest.files[0].sha256, manifest.license, "stopped")
    assert told.window > 0
    assert told.bound_since <= before, "the shipped binding holds since the start"
    assert (told.prefill_tokens_per_second, told.decode_tokens_per_second) == (None, None)
    assert await served(walk, "gpt-4.1-nano-2025-04-14") == told

    async def measured(deployment: str) -> Speed:
        return Speed(prefill=900.5, decode=30.25)

    monkeypatch.setattr(walk.platform.serving._speeds, "of", measured)
    told = await served(walk)
    assert (told.prefill_tokens_per_second, told.decode_tokens_per_second) == (900.5, 30.25)


async def test_an_upstream(walk: Walk) -> None:
    before = datetime.now(UTC)
    await walk.upstream("https://gpu.example:8443/v1", "gpt-4.1-nano")
    told = await served(walk)
    assert (told.weights, told.engine, told.where) == ("theirs", "OpenAI-compatible server", "gpu.example:8443")
    assert told.bound_since >= before.replace(microsecond=0)
    assert told.window == 1_047_576, "the card's, as long as the server's is not known"
    assert (told.sha256, told.license) == (None, None)


async def test_weights_that_are_not_here(walk: Walk) -> None:
    missing = Embedded(weights="/nowhere/x.gguf", title="Gone")
    await walk.platform.catalog.bindings.bind("gpt-4.1-nano", missing, "test")
    told = await served(walk)
    assert (told.weights, told.state) == ("Gone", "failed")


async def test_nothing(walk: Walk) -> None:
    await walk.platform.catalog.bindings.bind("gpt-4.1-nano", None, "test")
    for model in ("gpt-4.1-nano", "gpt-4o", "gpt-9"):
        assert await walk.platform.serving.served_by(model) is None


async def test_the_models_endpoint_and_the_page_tell_the_same(walk: Walk) -> None:
    await walk.upstream("https://gpu.example:8443/v1", "gpt-4.1-nano")
    client = await walk.client()
    told = (await client.get("/v1/models/gpt-4.1-nano")).json()
    assert "theirs" in msgspec.json.encode(told).decode()
    page = (await client.get("/models/gpt-4.1-nano")).text
    assert "theirs" in page
    assert "gpu.example:8443" in page
