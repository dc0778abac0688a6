from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from inhouse.engines.deployments import Embedded, Remote
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.pool import EnginePool
from inhouse.engines.protocol import DecodingDefaults, EngineFailed
from inhouse.engines.upstream import Target, Upstream, UpstreamSpec
from inhouse.engines.weights import WeightsCache, find_manifest, gguf
from inhouse.settings import Engines

SMALL = Embedded.of(find_manifest("smollm2-135m-instruct"))
REMOTE = Remote(upstream=UpstreamSpec(targets=[Target("http://127.0.0.1:9/v1", "m")]), window=77)


@pytest.fixture
async def pool(smollm2: Path, tmp_path: Path) -> AsyncIterator[EnginePool]:
    pool = EnginePool(WeightsCache(), Engines(kv_tokens=1024, slots=1), tmp_path / "logs")
    yield pool
    await pool.close()


async def test_models_on_the_same_weights_share_an_engine(pool: EnginePool) -> None:
    engine = pool.get(SMALL)
    assert pool.get(SMALL) is engine
    assert pool.get(msgspec.structs.replace(SMALL, decoding=DecodingDefaults(temperature=0.1), title="X")) is engine
    assert pool.get(msgspec.structs.replace(SMALL, window=512)) is not engine
    assert pool.get(msgspec.structs.replace(SMALL, template="x")) is not engine


async def test_what_is_not_said_is_the_settings(pool: EnginePool) -> None:
    engine = pool.get(SMALL)
    assert isinstance(engine, LlamaEngine)
    assert (engine.spec.slots, engine.spec.kv_tokens) == (1, 1024)
    engine = pool.get(msgspec.structs.replace(SMALL, slots=3, kv_tokens=2048, window=600, threads=1))
    assert isinstance(engine, LlamaEngine)
    assert (engine.spec.slots, engine.spec.kv_tokens, engine.window, engine.spec.threads) == (3, 2048, 600, 1)


async def test_an_upstream(pool: EnginePool) -> None:
    engine = pool.get(REMOTE)
    assert isinstance(engine, Upstream)
    assert pool.get(msgspec.json.decode(msgspec.json.encode(REMOTE), type=Remote)) is engine
    assert pool.describe(REMOTE).window == 77
    assert pool.describe(REMOTE).state == "ready"


async def test_describing_starts_nothing(pool: EnginePool) -> None:
    told = pool.describe(SMALL)
    assert told.state == "stopped"
    assert told.window is not None
    engine = pool.get(SMALL)
    assert isinstance(engine, LlamaEngine)
    await engine.start()
    assert pool.describe(SMALL).state == "ready"
    await engine.stop()
    assert pool.describe(SMALL).state == "stopped"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weights": "/nowhere/x.gguf", "sha256": None}, "/nowhere/x.gguf cannot be run"),
        ({"sha256": "1" * 64}, "pinned to other content than its manifest names"),
        ({"weights": "of-another-version"}, "'of-another-version' names no weights"),
    ],
)
async def test_what_cannot_be_run(pool: EnginePool, change: dict[str, object], reason: str) -> None:
    deployment = msgspec.structs.replace(SMALL, **change)
    for _ in range(2):
        with pytest.raises(EngineFailed, match=reason):
            pool.get(deployment)
    assert pool.describe(deployment).state == "failed"


async def test_a_file_that_is_no_model(pool: EnginePool, tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"junk")
    deployment = Embedded(weights=str(path), title="Junk")
    with pytest.raises(EngineFailed, match="cannot be run"):
        pool.get(deployment)
    await pool.preload(deployment)
    assert pool.readiness() == {deployment.id: "failed"}


async def test_weights_that_are_missing_and_then_pulled(tmp_path: Path, smollm2: Path) -> None:
    cache = WeightsCache(tmp_path / "cache")
    pool = EnginePool(cache, Engines(kv_tokens=1024, slots=1), tmp_path / "logs")
    with pytest.raises(EngineFailed, match=f"run `inhouse models pull {SMALL.weights}`"):
        pool.get(SMALL)
    await pool.preload(SMALL)
    assert pool.readiness() == {SMALL.id: "failed"}
    os.makedirs(cache.root / "weights" / "blobs", exist_ok=True)
    assert SMALL.sha256 is not None
    os.link(smollm2.resolve(), cache.root / "weights" / "blobs" / SMALL.sha256)
    assert isinstance(pool.get(SMALL), LlamaEngine)
    assert pool.readiness() == {SMALL.id: "ok"}, "it would answer now"
    await pool.close()


async def test_inspecting_reads_headers_elsewhere_and_tells_nothing(pool: EnginePool) -> None:
    def reads() -> int:
        return gguf._inspect.cache_info().misses

    gguf._inspect.cache_clear()
    await pool.inspect(SMALL)
    assert reads() == 1
    pool.describe(SMALL)
    assert reads() == 1, "nobody waits for it a second time"
    for deployment in (REMOTE, Embedded(weights="gone", title="x"), Embedded(weights="/nowhere/x.gguf", title="x")):
        await pool.inspect(deployment)


async def test_preloading_makes_ready(pool: EnginePool) -> None:
    assert pool.readiness() == {}
    pool.expect(SMALL)
    assert pool.readiness() == {SMALL.id: "loading"}, "nothing may call a server ready before its loading began"
    await pool.preload(SMALL)
    await pool.preload(REMOTE)
    assert pool.readiness() == {SMALL.id: "ok", REMOTE.id: "ok"}
    assert pool.describe(SMALL).state == "ready"


async def test_an_engine_that_cannot_start_is_not_ready(pool: EnginePool) -> None:
    broken = msgspec.structs.replace(SMALL, template="{% for %}")
    await pool.preload(broken)
    assert pool.readiness() == {broken.id: "failed"}
