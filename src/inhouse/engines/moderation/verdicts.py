"""What judges say, before it is written for the wire."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from inhouse.engines.moderation.categories import CATEGORIES, FLAGGED_FROM, InputType


class Image(msgspec.Struct, frozen=True):
    """An image of the request: where it is, and where that was written."""

    url: str
    param: str


class Input(msgspec.Struct, frozen=True):
    """What is judged together: one text, or texts and images."""

    texts: tuple[str, ...]
    images: tuple[Image, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """The verdict on one input. A category that was not judged has the score 0 and no input types."""

    scores: dict[str, float]
    flags: dict[str, bool]
    applied: dict[str, list[InputType]]


def verdict(texts: list[dict[str, float]], images: list[dict[str, float]]) -> Verdict:
    """From scores of each text and image: the highest of each category counts."""
    scores = dict.fromkeys(CATEGORIES, 0.0)
    applied: dict[str, list[InputType]] = {name: [] for name in CATEGORIES}
    kinds: tuple[tuple[InputType, list[dict[str, float]]], ...] = (("text", texts), ("image", images))
    for kind, parts in kinds:
        for part in parts:
            for name, score in part.items():
                scores[name] = max(scores[name], score)
                if kind not in applied[name]:
                    applied[name].append(kind)
    return Verdict(scores, {name: score >= FLAGGED_FROM for name, score in scores.items()}, applied)


def combined(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict on several inputs: the highest score of each category counts. Of none, it is all zeros."""
    whole = verdict([], [])
    for each in verdicts:
        for name in CATEGORIES:
            whole.scores[name] = max(whole.scores[name], each.scores[name])
            whole.flags[name] |= each.flags[name]
            whole.applied[name] += [kind for kind in each.applied[name] if kind not in whole.applied[name]]
    return whole


class Judged(msgspec.Struct, frozen=True):
    """Verdicts on one side of a generation: on its input, or on each choice of its output."""

    model: str
    verdicts: list[Verdict]


class NotJudged(msgspec.Struct, frozen=True):
    """Why there is no verdict on a side."""

    code: str
    message: str


class Moderated(msgspec.Struct):
    """What moderation found of a generation so far."""

    input: Judged | NotJudged
    output: Judged | NotJudged
