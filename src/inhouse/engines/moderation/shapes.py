"""What the gateway and the moderation host say to each other."""

from __future__ import annotations

import msgspec


class Classify(msgspec.Struct):
    """Texts and images, each to be scored by itself."""

    texts: list[str]
    images: list[bytes] = []
    """Files: PNG, JPEG, WebP or GIF."""


class Classified(msgspec.Struct):
    """Scores by category, in the order of what was asked. An image has only those for which there is evidence."""

    texts: list[dict[str, float]]
    images: list[dict[str, float]]
    tokens: int
    """Of all texts, as the sentence model counts them."""
