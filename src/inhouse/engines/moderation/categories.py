"""What moderation looks for, and in which kinds of input."""

from __future__ import annotations

from typing import Literal, get_args

InputType = Literal["text", "image"]

Category = Literal[
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
]
CATEGORIES: tuple[str, ...] = get_args(Category)
"""The thirteen categories of the contract."""

IMAGE_CATEGORIES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)
"""Those that the contract applies to images too; the others are of text alone."""

FLAGGED_FROM = 0.5
"""A category is flagged from this score on. Every score of the classifier is calibrated to it."""
