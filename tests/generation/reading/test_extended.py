"""A model that is run beyond the window it was trained on reads everything itself. Long prompts: ``bench.window``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from bench.haystack import haystack, hide
from tests.walking import Walk, walking

from inhouse.engines.deployments import Embedded
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.llama.spec import LlamaSpec
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.generation.core import generate
from inhouse.generation.events import TextDelta
from inhouse.generation.items import GenerationRequest, Message, Sampling, Text

NEEDLE = "The access code for the archive of Ulm is 5512377."
TEXT = hide(haystack(2_500), {NEEDLE: 0.5})


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        yield walk


async def test_yarn_to_131072_tokens(walk: Walk) -> None:
    """The positions are scaled sixteenfold, as for the whole window; of its cache there is only what the test needs."""
    (path,) = WeightsCache().pull(find_manifest("smollm2-135m-instruct"))
    engine = LlamaEngine(LlamaSpec(path=str(path), window=131_072, kv_tokens=2_048, slots=1, prompt_cache_mib=0))
    walk.engine(engine)
    deployment = Embedded(weights=str(path), title="SmolLM2", window=131_072, window_strategy="native")
    await walk.platform.catalog.bindings.bind("gpt-4.1", deployment, "test")
    question = f"{TEXT}\n\nQuestion: What is the access code for the archive of Ulm? Answer in one sentence."
    request = GenerationRequest(
        items=(Message("user", (Text(question),)),), sampling=Sampling(max_tokens=24, temperature=0.0)
    )
    said = ""
    call = walk.call()
    try:
        async with call, aclosing(generate(call, request)) as batches:
            async for batch in batches:
                said += "".join(event.text for event in batch if isinstance(event, TextDelta))
        whole = await engine.tokenize(question)
    finally:
        await engine.close()
    assert "5512377" in said
    assert len(whole) <= call.usage.input_tokens < len(whole) + 60
    assert call.usage.unread_tokens == 0
    assert "x-inhouse-read" not in call._respond
