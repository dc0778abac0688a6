"""What the gateway and the whisper host say to each other."""

from __future__ import annotations

from typing import Literal

import msgspec

UNKNOWN_FORMAT, UNDECODABLE, TOO_SHORT, TOO_LONG = "unknown_format", "undecodable", "too_short", "too_long"
"""Codes of refusals; the face words them as the contract does. Those of length carry the seconds as message."""


class VoiceActivity(msgspec.Struct, frozen=True):
    """How speech is told from silence, as the contract's ``server_vad`` names it."""

    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
    threshold: float = 0.5


class KnownSpeaker(msgspec.Struct, frozen=True):
    name: str
    audio: bytes
    """A file with 2 to 10 seconds of the voice."""


class TranscribeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a file, which is sent after it."""

    task: Literal["transcribe", "translate"] = "transcribe"
    language: str | None = None
    prompt: str | None = None
    temperature: float = 0.0
    words: bool = False
    logprobs: bool = False
    voice_activity: VoiceActivity | None = None
    """None: all of the audio is listened to."""
    diarize: bool = False
    known: list[KnownSpeaker] = []
    max_seconds: float | None = None


class Word(msgspec.Struct, array_like=True):
    word: str
    start: float
    end: float


class Token(msgspec.Struct, array_like=True):
    text: str
    bytes: list[int]
    logprob: float


class Begun(msgspec.Struct, tag="begun", kw_only=True):
    """The first item. ``prompt_tokens`` is what the prompt took."""

    language: str
    prompt_tokens: int


class Segment(msgspec.Struct, tag="segment", kw_only=True):
    """What was said in a few seconds. Times are seconds from the beginning of the file."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: list[Word] = []
    logprobs: list[Token] = []
    speaker: str | None = None


class Ended(msgspec.Struct, tag="ended", kw_only=True):
    """The last item."""

    seconds: float
    """Of the whole file."""


Item = Begun | Segment | Ended
