"""Random sentences of a grammar, one byte at a time: what a model without any sense would write under it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from llguidance import LLMatcher, LLTokenizer

BYTES = LLTokenizer("byte")
END = BYTES.eos_token


def _sentence(grammar: str, seed: int, limit: int = 2_000) -> str | None:
    """A sentence of ``grammar``; None if it did not end within ``limit`` bytes."""
    rng = random.Random(seed)
    matcher = LLMatcher(BYTES, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    out = bytearray()
    while len(out) < limit:
        allowed = [token for token, bias in enumerate(matcher.compute_logit_bias()) if bias]
        assert not matcher.is_error(), matcher.get_error()
        assert allowed, f"stuck after {out.decode()!r}"
        if END in allowed:
            if len(allowed) == 1 or rng.random() < 0.3:
                return out.decode()
            allowed.remove(END)
        closing = [token for token in allowed if token in b'"]}']
        readable = [token for token in allowed if 32 <= token < 127]
        if closing and rng.random() < min(0.9, 0.15 + len(out) / limit):
            token = rng.choice(closing)
        else:
            token = rng.choice(readable if readable and rng.random() < 0.9 else allowed)
        assert matcher.consume_token(token)
        out.append(token)
    return None


@pytest.fixture(scope="session")
def sentence() -> Callable[..., str | None]:
    return _sentence
