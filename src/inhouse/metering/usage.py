"""What a call used, in the classes that are priced."""

from __future__ import annotations

import msgspec


class Usage(msgspec.Struct, tag="usage"):
    """Tokens of one call. As an event of a generation it comes once, last.

    ``cached_tokens`` is a part of ``input_tokens``: what the engine really reused, told as the contract tells it
    (see ``reported_cache``).
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


CACHE_MINIMUM = 1024
CACHE_STEP = 128


def reported_cache(input_tokens: int, reused: int) -> int:
    """Cached tokens as the contract reports them: none under 1,024, then multiples of 128.

    Source: the vendor's prompt-caching guide for the minimum; its published examples (1,920 of 2,006, 11,904 of
    12,033) for the step.
    """
    whole = min(reused, input_tokens) // CACHE_STEP * CACHE_STEP
    return whole if whole >= CACHE_MINIMUM else 0
