"""Vectors at the length that the contract promises, and on the wire.

A deployment's vectors have length 1 and a width of their own. A narrower one is filled with zeros, which keeps every
cosine and every distance as it was. A wider one is cut and brought back to length 1, which is what the contract's own
models do for ``dimensions``.
"""

from __future__ import annotations

import math
import sys
from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import TypeAlias

Vector: TypeAlias = "array[float]"
"""32-bit floats."""


def rows(data: bytes, width: int) -> Iterator[Vector]:
    """The rows of little-endian 32-bit floats."""
    for start in range(0, len(data), 4 * width):
        vector = array("f", data[start : start + 4 * width])
        if sys.byteorder == "big":
            vector.byteswap()
        yield vector


def unpacked(text: str) -> Vector:
    """A vector from base64. Raises ValueError when it is none."""
    data = b64decode(text, validate=True)
    return next(rows(data, len(data) // 4)) if data else array("f")


def fitted(vector: Vector, dimensions: int) -> Vector:
    """The vector with exactly ``dimensions`` components; see the module."""
    if len(vector) < dimensions:
        return vector + array("f", bytes(4 * (dimensions - len(vector))))
    if len(vector) == dimensions:
        return vector
    cut = vector[:dimensions]
    norm = math.hypot(*cut)
    return array("f", [value / norm for value in cut]) if norm else cut


def packed(vector: Vector) -> str:
    """Base64 of little-endian 32-bit floats."""
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return b64encode(vector.tobytes()).decode("ascii")
