from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.walking import Walk, walking

from inhouse.generation.items import FunctionTool, GenerationRequest, Sampling
from inhouse.generation.window import Fitted, completion_budget
from inhouse.kit.errors import InvalidRequest

CARD, MOST = 1_047_576, 32_768


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


@pytest.mark.parametrize(
    ("asked", "tokens", "window", "budget"),
    [
        (None, 10, 2 * CARD, MOST),
        (None, CARD - 1, 2 * CARD, 1),
        (None, 10, 100, 90),
        (90, 10, 100, 90),
        (91, 10, 100, 90),
        (1, 99, 100, 1),
        (MOST, 10, CARD, MOST),
    ],
)
async def test_the_budget(walk: Walk, asked: int | None, tokens: int, window: int, budget: int) -> None:
    request = GenerationRequest(items=(), sampling=Sampling(max_tokens=asked))
    assert completion_budget(walk.call(), Fitted(request, [0] * tokens, tokens), window) == budget


@pytest.mark.parametrize(("tokens", "window", "limit"), [(100, 100, 100), (2 * CARD, 3 * CARD, CARD)])
async def test_no_room(walk: Walk, tokens: int, window: int, limit: int) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        completion_budget(walk.call(), Fitted(GenerationRequest(items=()), [0] * tokens, tokens), window)
    assert refusal.value.code == "context_length_exceeded"
    assert refusal.value.param == "messages"
    assert refusal.value.message == (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    request = GenerationRequest(items=(), tools=(FunctionTool("f"),), items_param="input")
    with pytest.raises(InvalidRequest, match=r"Please reduce the length of the messages or functions\.") as refusal:
        completion_budget(walk.call(), Fitted(request, [0] * tokens, tokens), window)
    assert refusal.value.param == "input"
