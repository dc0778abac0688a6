"""Segments as subtitles: SubRip (``srt``) and WebVTT (``vtt``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Timed(Protocol):
    start: float
    end: float
    text: str


def srt(segments: Iterable[Timed]) -> str:
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{_line(segment.text)}\n\n"
        for number, segment in enumerate(segments, 1)
    )


def vtt(segments: Iterable[Timed]) -> str:
    return "WEBVTT\n\n" + "".join(
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{_line(segment.text)}\n\n"
        for segment in segments
    )


def _line(text: str) -> str:
    """No text may look like the line of times or end its cue."""
    return " ".join(text.split()).replace("-->", "->")


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(max(0.0, seconds) * 1000)
    rest, milliseconds = divmod(milliseconds, 1000)
    minutes, whole = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}{mark}{milliseconds:03}"
