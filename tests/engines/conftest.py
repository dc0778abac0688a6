"""Models for the tests of engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from inhouse.engines.weights import WeightsCache, find_manifest


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct as GGUF, pulled into the user's cache of weights if it is not there."""
    (path,) = WeightsCache().pull(find_manifest("smollm2-135m-instruct"))
    return path
