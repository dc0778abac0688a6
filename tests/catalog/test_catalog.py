from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.walking import walking

from inhouse.catalog import Catalog
from inhouse.kit.errors import NotFound


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    async with walking(tmp_path) as walk:
        yield walk.platform.catalog


@pytest.mark.parametrize(
    ("model", "card", "snapshot"),
    [
        ("gpt-4.1", "gpt-4.1", "gpt-4.1-2025-04-14"),
        ("gpt-4.1-2025-04-14", "gpt-4.1", "gpt-4.1-2025-04-14"),
        ("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct"),
        ("gpt-3.5-turbo-instruct-0914", "gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct-0914"),
    ],
)
async def test_names(catalog: Catalog, model: str, card: str, snapshot: str) -> None:
    found = catalog.find(model)
    assert found is not None
    assert (found.card.id, found.snapshot.id) == (card, snapshot)
    assert found.deployment is found.binding.deployment


@pytest.mark.parametrize("model", ["", "gpt-4.1 ", "GPT-4.1", "gpt-4.1-2024-01-01", "gpt-4o", "x" * 10_000, "\x00"])
async def test_names_of_nothing_here(catalog: Catalog, model: str) -> None:
    with pytest.raises(NotFound) as refusal:
        catalog.resolve(model, "chat_completions")
    assert refusal.value.message == f"The model `{model}` does not exist or you do not have access to it."
    assert (refusal.value.param, refusal.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize(
    ("model", "endpoint", "words"),
    [
        (
            "gpt-4.1",
            "completions",
            "This is a chat model and not supported in the v1/completions endpoint. "
            "Did you mean to use v1/chat/completions?",
        ),
        (
            "gpt-3.5-turbo-instruct",
            "chat_completions",
            "This is not a chat model and thus not supported in the v1/chat/completions endpoint. "
            "Did you mean to use v1/completions?",
        ),
        ("gpt-3.5-turbo-instruct", "responses", "The model `gpt-3.5-turbo-instruct` does not support this endpoint."),
    ],
)
async def test_another_models_endpoint(catalog: Catalog, model: str, endpoint: str, words: str) -> None:
    with pytest.raises(NotFound) as refusal:
        catalog.resolve(model, endpoint)
    assert refusal.value.message == words
    assert refusal.value.param == "model"


async def test_deployed_models_in_the_cards_order(catalog: Catalog) -> None:
    ids = [found.snapshot.id for found in catalog.deployed()]
    everything = [snapshot.id for card in catalog.cards for snapshot in card.snapshots]
    assert ids == [id for id in everything if id in ids]
    assert {"gpt-4.1-2025-04-14", "gpt-3.5-turbo-instruct-0914"} <= set(ids)
    assert not any(id.startswith("gpt-4o-2024") for id in ids)
