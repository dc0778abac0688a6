"""What a request asks of its limits, before anybody has counted its tokens.

The published rule: "your rate limit is calculated as the maximum of ``max_tokens`` and the estimated number of tokens
based on the character count of your request" (rate-limits guide). How many characters make a token is published too,
as a rule of thumb: four in English text. When the call is settled, what was really used takes the estimate's place.
"""

from __future__ import annotations

import msgspec

from inhouse.limits.buckets import Amounts

CHARACTERS_PER_TOKEN = 4
IMAGE_TOKENS = {"low": 85, "high": 765}
"""Tokens of an image that is looked at roughly, and of a square of 1,024 pixels in detail (the vision guide)."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one request may use at most, as far as can be told at the door."""

    input_tokens: int
    """Estimated, see ``estimate``; also decides whether it counts as long context."""
    max_tokens: int | None = None
    """Of each answer, as the client limits it. None: the estimate of the input alone counts, as the rule says."""
    answers: int = 1
    images: int = 0
    """To be generated."""

    def amounts(self, max_output_tokens: int) -> Amounts:
        """What is taken on the way in. A client cannot be given more than the model writes, so no more counts."""
        wanted = min(self.max_tokens or 0, max_output_tokens) * self.answers
        return (1, max(1, self.input_tokens, wanted), self.images)


def estimate(characters: int, *, images_low: int = 0, images_high: int = 0) -> int:
    """Tokens of a prompt by its length. Uploaded and attached files count when they have been read.

    Args:
        characters: of all texts, tool definitions included, attached data left out.
        images_low, images_high: images that are looked at in low and in any other detail.
    """
    whole = -(-characters // CHARACTERS_PER_TOKEN)
    return whole + images_low * IMAGE_TOKENS["low"] + images_high * IMAGE_TOKENS["high"]
