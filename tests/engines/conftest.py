"""Models for the tests of engines."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct as GGUF: a file named by INHOUSE_TEST_SMOLLM2, or pulled into the cache of weights."""
    if path := os.environ.get("INHOUSE_TEST_SMOLLM2"):
        return Path(path)
    weights = importlib.import_module("inhouse.engines.weights")
    return Path(weights.WeightsCache().pull(weights.manifest("smollm2-135m-instruct")))
