"""What the gateway asks of an embedding host, and what it answers."""

from __future__ import annotations

import msgspec

KIND = "embedding"
COUNT = "/count"
EMBED = "/embed"

Input = str | list[int]
"""A text, or its tokens in the contract's vocabulary (``vocabulary.py``)."""


class Inputs(msgspec.Struct):
    inputs: list[Input]


class Counted(msgspec.Struct):
    """Tokens of each input, in the contract's vocabulary."""

    tokens: list[int]


class Vectors(msgspec.Struct):
    """One vector an input, each of length 1."""

    width: int
    """Components of a vector."""
    data: bytes
    """Row after row, 32-bit floats, little-endian."""
    tokens: list[int]
    """Of each input, as ``Counted``."""
