"""Tokens of long texts, in pieces that neither stall the event loop nor hold the engine."""

from __future__ import annotations

import asyncio

from inhouse.engines.protocol import TextEngine
from inhouse.generation.reading.segments import segments

AT_ONCE = 2
"""Pieces that the engine tokenizes at the same time."""


async def tokenize(engine: TextEngine, text: str, *, special: bool = False) -> list[int]:
    """Token ids of a text of any length. See ``segments`` for where it is cut."""
    pieces = segments(text)
    tokens: list[int] = []
    for at in range(0, len(pieces), AT_ONCE):
        for found in await asyncio.gather(
            *(engine.tokenize(piece, special=special) for piece in pieces[at : at + AT_ONCE])
        ):
            tokens += found
    return tokens
