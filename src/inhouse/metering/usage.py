"""What a call used, in the classes that are priced."""

from __future__ import annotations

from typing import Literal

import msgspec

Family = Literal[
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
]
"""What usage is reported under, as the official usage operations divide it."""

BESIDE_REQUESTS: tuple[Family, ...] = (
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
)
"""Families whose rows in the ledger are no requests of a model: what tools and storage are charged."""

_FAMILIES: dict[str, Family] = {
    "embeddings": "embeddings",
    "moderation": "moderations",
    "image_generation": "images",
    "image_edit": "images",
    "speech_generation": "audio_speeches",
    "transcription": "audio_transcriptions",
    "translation": "audio_transcriptions",
}


def family_of(endpoint: str) -> Family:
    """The family of a card's endpoint; whatever writes text is ``completions``."""
    return _FAMILIES.get(endpoint, "completions")


class Usage(msgspec.Struct, tag="usage"):
    """Tokens of one call. As an event of a generation it comes once, last.

    ``cached_tokens`` is a part of ``input_tokens``: what the engine really reused, told as the contract tells it
    (see ``reported_cache``). ``units`` is what the family counts beside tokens: images, characters, seconds.
    ``fee_nanos`` is what is not priced by token: images, tool calls; nano-dollars.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    units: int = 0
    fee_nanos: int = 0
    unread_tokens: int = 0
    """Of the input, where the model read only passages of it; see ``generation.window``."""


CACHE_MINIMUM = 1024
CACHE_STEP = 128


def reported_cache(input_tokens: int, reused: int) -> int:
    """Cached tokens as the contract reports them: none under 1,024, then multiples of 128.

    Source: the vendor's prompt-caching guide for the minimum; its published examples (1,920 of 2,006, 11,904 of
    12,033) for the step.
    """
    whole = min(reused, input_tokens) // CACHE_STEP * CACHE_STEP
    return whole if whole >= CACHE_MINIMUM else 0
