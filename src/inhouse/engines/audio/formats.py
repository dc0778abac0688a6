"""The formats that speech is encoded to."""

from __future__ import annotations

from typing import Literal, get_args

Format = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
FORMATS: tuple[Format, ...] = get_args(Format)
RATE = 24_000
"""Samples a second, as Kokoro speaks and as the contract says of ``pcm``."""

MEDIA_TYPES: dict[Format, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
