"""The embedding host with its real weights: MiniLM on ONNX Runtime, and a GGUF file on llama.cpp."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from inhouse.engines.deployments import Hosted
from inhouse.engines.embedding.shapes import COUNT, EMBED, Counted, Input, Inputs, Vectors
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.pool import EnginePool
from inhouse.engines.protocol import EngineFailed, Refused
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.settings import Engines

MINILM = "all-minilm-l6-v2-int8"


@pytest.fixture(scope="module")
def _pulled() -> None:
    for name in (MINILM, "cl100k-base"):
        WeightsCache().pull(find_manifest(name))


@pytest.fixture
async def pool(_pulled: None, tmp_path: Path) -> AsyncIterator[EnginePool]:
    pool = EnginePool(WeightsCache(), Engines(), tmp_path)
    yield pool
    await pool.close()


@pytest.fixture
async def minilm(pool: EnginePool) -> HostedEngine:
    engine = pool.get(Hosted.of([find_manifest(MINILM)]))
    assert isinstance(engine, HostedEngine)
    return engine


async def embed(engine: HostedEngine, *given: Input) -> np.ndarray:
    answer = await engine.call(EMBED, Inputs(list(given)), Vectors)
    vectors = np.frombuffer(answer.data, "<f4").reshape(len(given), answer.width)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(given)), abs=1e-5)
    return vectors


async def test_vectors_mean_something(minilm: HostedEngine) -> None:
    vectors = await embed(
        minilm,
        "How do I change my password?",
        "Steps to reset your login credentials",
        "The best recipe for tomato soup",
        " ",
        "😀" * 20,
    )
    assert vectors.shape == (5, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


async def test_a_vector_depends_on_nothing_but_its_text(minilm: HostedEngine) -> None:
    texts = ["short", "a somewhat longer text than that", "long " * 300]
    together = await embed(minilm, *texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.array_equal((await embed(minilm, text))[0], vector)


async def test_tokens_of_the_contracts_vocabulary(minilm: HostedEngine) -> None:
    """Ids as tiktoken's cl100k_base gives them: clients send them instead of texts."""
    counted = await minilm.call(COUNT, Inputs(["hello world", "", "<|endoftext|>", [1, 2]]), Counted)
    assert counted.tokens == [2, 0, 7, 2]
    text, ids = await embed(minilm, "hello world", [15339, 1917])
    assert np.array_equal(text, ids)
    await embed(minilm, [100257], [240])  # a control token, and a part of a character


@pytest.mark.parametrize("wrong", [100256, 100277, 2**31 - 1])
async def test_ids_that_the_vocabulary_lacks(minilm: HostedEngine, wrong: int) -> None:
    with pytest.raises(Refused, match=f"Invalid token id: {wrong}"):
        await embed(minilm, "fine", [15339, wrong])


async def test_a_long_text_is_the_mean_of_its_pieces(minilm: HostedEngine) -> None:
    soup, court = "Simmer the tomatoes with basil and salt. ", "The court ruled on the appeal of the verdict. "
    both, only_soup, one = await embed(minilm, soup * 60 + court * 60, soup * 60, court)
    assert both @ one > only_soup @ one + 0.3, "the second half is not lost"


async def test_a_text_far_too_long_is_counted_and_can_be_left(minilm: HostedEngine) -> None:
    counted = await minilm.call(COUNT, Inputs(["a" * 1_100_000]), Counted)
    assert counted.tokens[0] > 100_000
    leaving = asyncio.create_task(minilm.call(COUNT, Inputs(["a" * 4_000_000]), Counted))
    await asyncio.sleep(0.2)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert (await minilm.call(COUNT, Inputs(["on"]), Counted)).tokens == [1]


async def test_a_gguf_file(pool: EnginePool, smollm2: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    file.symlink_to(smollm2.resolve())
    deployment = Hosted.of_path("embedding", str(file), "Small")
    assert deployment.runs_on == "llama.cpp"
    assert deployment.id.startswith("small@")
    pooled = Hosted(
        engine="embedding", weights=deployment.weights, title="x", options={"pooling": "mean", "window": 64}
    )
    engine = pool.get(pooled)
    assert isinstance(engine, HostedEngine)
    vectors = await embed(engine, "hello", "hello", "Good morning " * 80)
    assert vectors.shape == (3, 576)
    assert vectors[0] == pytest.approx(vectors[1], abs=1e-3)


async def test_an_option_that_no_encoder_has(pool: EnginePool) -> None:
    deployment = Hosted.of([find_manifest(MINILM)])
    engine = pool.get(Hosted(engine="embedding", weights=deployment.weights, title="x", options={"tone": "loud"}))
    assert isinstance(engine, HostedEngine)
    with pytest.raises(EngineFailed, match="tone"):
        await engine.start()


async def test_weights_that_are_not_here(tmp_path: Path) -> None:
    pool = EnginePool(WeightsCache(tmp_path), Engines(), tmp_path)
    deployment = Hosted.of([find_manifest(MINILM)])
    with pytest.raises(EngineFailed, match=f"run `inhouse models pull {MINILM}`"):
        pool.get(deployment)
    assert pool.describe(deployment).state == "failed"
    with pytest.raises(EngineFailed, match="it is not there"):
        pool.get(Hosted.of_path("embedding", "/nowhere/x.gguf", "x"))
    await pool.close()
