"""What the gateway and the speech host say to each other."""

from __future__ import annotations

import msgspec

from inhouse.engines.audio.formats import Format

UNSPEAKABLE = "unspeakable"
"""Code of a refusal: nothing in the text can be said."""


class SpeakRequest(msgspec.Struct, frozen=True):
    """A text to speak. ``voice`` is a name of the contract, or one of the model's own."""

    text: str
    voice: str
    format: Format = "mp3"
    speed: float = 1.0


class Heard(msgspec.Struct):
    """Bytes in the format asked for, as soon as they are there."""

    audio: bytes
    seconds: float
    """Of speech so far."""
