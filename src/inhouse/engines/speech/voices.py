"""Which of Kokoro's voices answers to each name of the contract.

The contract says nothing of what its voices sound like but the names and what people hear; the mapping goes by pitch
and manner, and is documented in ``docs/audio.md``. Kokoro's own English voices can be named, too.
"""

from __future__ import annotations

from typing import Literal

Accent = Literal["us", "gb"]

OFFICIAL = {
    "alloy": "af_alloy",
    "ash": "am_michael",
    "ballad": "bm_george",
    "cedar": "am_fenrir",
    "coral": "af_bella",
    "echo": "am_echo",
    "fable": "bm_fable",
    "marin": "af_heart",
    "nova": "af_nova",
    "onyx": "am_onyx",
    "sage": "af_kore",
    "shimmer": "af_sarah",
    "verse": "am_puck",
}
"""Names of the contract, in alphabetical order, and the voices that speak for them."""

KOKORO = (
    "af_alloy",
    "af_aoede",
    "af_bella",
    "af_heart",
    "af_jessica",
    "af_kore",
    "af_nicole",
    "af_nova",
    "af_river",
    "af_sarah",
    "af_sky",
    "am_adam",
    "am_echo",
    "am_eric",
    "am_fenrir",
    "am_liam",
    "am_michael",
    "am_onyx",
    "am_puck",
    "am_santa",
    "bf_alice",
    "bf_emma",
    "bf_isabella",
    "bf_lily",
    "bm_daniel",
    "bm_fable",
    "bm_george",
    "bm_lewis",
)


def voice_of(name: str) -> str | None:
    """Kokoro's voice of that name, or for it; None if there is none."""
    return OFFICIAL.get(name) or (name if name in KOKORO else None)


def accent_of(voice: str) -> Accent:
    """The accent that a voice was trained in; the first letter of its name tells."""
    return "gb" if voice.startswith("b") else "us"
