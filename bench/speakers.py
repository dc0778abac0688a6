"""How often the wrong speaker, or none, is told: the diarization error rate, as NIST defines it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

STEP_S = 0.01
COLLAR_S = 0.25
"""Around each border of a turn, which does not count, as is usual."""


class Turn(NamedTuple):
    """Who speaks, from one second to another."""

    speaker: str
    start: float
    end: float


def error_rate(said: Sequence[Turn], heard: Sequence[Turn]) -> float:
    """Missed speech, false alarms and confusion over all speech that counts, under the best match of names."""
    end = max(turn.end for turn in (*said, *heard))
    count = int(end / STEP_S) + 1
    truth, told = _along(said, count), _along(heard, count)
    borders = [border for turn in said for border in (turn.start, turn.end)]
    counts = [all(abs(at * STEP_S - border) > COLLAR_S for border in borders) for at in range(count)]
    pairs = Counter(pair for pair, kept in zip(zip(truth, told, strict=True), counts, strict=True) if kept)
    speech = sum(number for (one, _), number in pairs.items() if one is not None)
    speakers = sorted({turn.speaker for turn in said})
    names = sorted({turn.speaker for turn in heard})
    right = max(
        sum(pairs[one, other] for one, other in zip(speakers, match, strict=False))
        for match in permutations(_padded(names, len(speakers)))
    )
    wrong = sum(number for (one, other), number in pairs.items() if one is not None or other is not None) - right
    return wrong / speech


def _along(turns: Sequence[Turn], count: int) -> list[str | None]:
    along: list[str | None] = [None] * count
    for turn in turns:
        for at in range(int(turn.start / STEP_S), min(count, int(turn.end / STEP_S))):
            along[at] = turn.speaker
    return along


def _padded(names: list[str], size: int) -> list[str]:
    """With names of nobody, so that each speaker can be matched with one."""
    return names + [f"nobody {index}" for index in range(size - len(names))]
