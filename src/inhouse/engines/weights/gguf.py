"""What the header of a GGUF file says, read without loading it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Every count and length in a header is a
stranger's claim, so each is held against a bound and against the size of the file before anything is read or kept.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, Literal, cast

import msgspec

from inhouse.engines.weights.errors import BadGGUF

MAX_PAIRS = 65_536
MAX_TENSORS = 65_536
MAX_KEY_BYTES = 65_535  # the format's own bound
MAX_STRING_BYTES = 16 << 20
MAX_ARRAY = 16 << 20
MAX_HEADER_BYTES = 512 << 20
MAX_DIMENSIONS = 8
MAX_DEPTH = 3

_SCALARS: dict[int, tuple[str, int]] = {
    0: ("B", 1),
    1: ("b", 1),
    2: ("H", 2),
    3: ("h", 2),
    4: ("I", 4),
    5: ("i", 4),
    6: ("f", 4),
    7: ("?", 1),
    10: ("Q", 8),
    11: ("q", 8),
    12: ("d", 8),
}
_STRING, _ARRAY = 8, 9

# general.file_type, the enum llama_ftype of llama.cpp.
_QUANTIZATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip

Value = int | float | bool | str | None
"""Arrays are walked over, not kept: only their length is."""


class GGUFInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a GGUF file. None where the file does not say."""

    path: str
    bytes: int
    version: int
    type: str
    """``model``, ``adapter``, ``mmproj``, …"""
    name: str | None
    architecture: str
    license: str | None
    window: int | None
    """Tokens of context it was trained with."""
    parameters: int
    quantization: str | None
    tokenizer: str | None
    """Model and pre-tokenizer, e.g. ``gpt2/qwen2``."""
    vocabulary: int | None
    chat_template: bool
    layers: int | None
    tensors: int


def inspect_gguf(path: Path) -> GGUFInfo:
    """Reads the header of the GGUF file at ``path``.

    Raises:
        BadGGUF: it cannot be opened, is no GGUF, or its header is broken, truncated or beyond all reason.
    """
    try:
        with path.open("rb") as stream:
            return _inspect(path, stream)
    except OSError as error:
        raise BadGGUF(f"{path}: {error.strerror or error}") from error


def _inspect(path: Path, stream: BinaryIO) -> GGUFInfo:
    header = _Header(path, stream)
    if header.take(4) != b"GGUF":
        raise BadGGUF(f"{path} is not a GGUF file")
    version_bytes = header.take(4)
    order: Literal["<", ">"] = "<" if version_bytes[:2] != b"\0\0" else ">"
    header.order = order
    (version,) = struct.unpack(order + "I", version_bytes)
    if version not in (2, 3):
        raise BadGGUF(f"{path} is GGUF version {version}; versions 2 and 3 can be read")
    tensors = header.count(MAX_TENSORS, "tensors")
    pairs: dict[str, Value] = {}
    lengths: dict[str, int] = {}
    for _ in range(header.count(MAX_PAIRS, "metadata entries")):
        key = header.string(MAX_KEY_BYTES)
        kind = header.number("I", 4)
        if kind == _ARRAY:
            lengths[key] = header.array(0)
        else:
            pairs[key] = header.value(kind)
    parameters = sum(header.tensor() for _ in range(tensors))
    return _describe(path, header.file_bytes, version, pairs, lengths, parameters, tensors)


def _describe(
    path: Path,
    size: int,
    version: int,
    pairs: dict[str, Value],
    lengths: dict[str, int],
    parameters: int,
    tensors: int,
) -> GGUFInfo:
    def text(key: str) -> str | None:
        value = pairs.get(key)
        return value if isinstance(value, str) else None

    def whole(key: str) -> int | None:
        value = pairs.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    architecture = text("general.architecture")
    if architecture is None:
        raise BadGGUF(f"{path} does not name its architecture")
    file_type = whole("general.file_type")
    tokenizer = [part for part in (text("tokenizer.ggml.model"), text("tokenizer.ggml.pre")) if part]
    return GGUFInfo(
        path=str(path),
        bytes=size,
        version=version,
        type=text("general.type") or "model",
        name=text("general.name"),
        architecture=architecture,
        license=text("general.license"),
        window=whole(f"{architecture}.context_length"),
        parameters=parameters,
        quantization=None if file_type is None else _QUANTIZATIONS.get(file_type, f"type {file_type}"),
        tokenizer="/".join(tokenizer) or None,
        vocabulary=lengths.get("tokenizer.ggml.tokens"),
        chat_template=bool(text("tokenizer.chat_template")),
        layers=whole(f"{architecture}.block_count"),
        tensors=tensors,
    )


class _Header:
    """A reader that knows how much is left and how much it may read."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path = path
        self.file_bytes = stream.seek(0, 2)
        stream.seek(0)
        self.order: Literal["<", ">"] = "<"
        self._stream = stream
        self._position = 0
        self._end = min(self.file_bytes, MAX_HEADER_BYTES)

    def take(self, count: int) -> bytes:
        self._claim(count)
        data = self._stream.read(count)
        if len(data) != count:
            raise BadGGUF(f"{self.path} ends within its header")
        return data

    def skip(self, count: int) -> None:
        self._claim(count)
        self._stream.seek(self._position)

    def _claim(self, count: int) -> None:
        if count > self._end - self._position:
            raise BadGGUF(f"{self.path} ends within its header, or the header is beyond all reason")
        self._position += count

    def number(self, code: str, size: int) -> int:
        return cast("int", struct.unpack(self.order + code, self.take(size))[0])

    def count(self, limit: int, what: str) -> int:
        found = self.number("Q", 8)
        if found > limit:
            raise BadGGUF(f"{self.path} claims {found} {what}; {limit} is the most that is read")
        return found

    def string(self, limit: int = MAX_STRING_BYTES) -> str:
        return self.take(self.count(limit, "bytes of text")).decode("utf-8", "replace")

    def value(self, kind: int) -> Value:
        if kind == _STRING:
            return self.string()
        if kind not in _SCALARS:
            raise BadGGUF(f"{self.path} has a value of the unknown type {kind}")
        code, size = _SCALARS[kind]
        return cast("Value", struct.unpack(self.order + code, self.take(size))[0])

    def array(self, depth: int) -> int:
        """Walks over an array; returns its length."""
        if depth >= MAX_DEPTH:
            raise BadGGUF(f"{self.path} nests arrays deeper than {MAX_DEPTH}")
        kind = self.number("I", 4)
        length = self.count(MAX_ARRAY, "elements of an array")
        if kind in _SCALARS:
            self.skip(length * _SCALARS[kind][1])
        elif kind == _STRING:
            for _ in range(length):
                self.skip(self.count(MAX_STRING_BYTES, "bytes of text"))
        elif kind == _ARRAY:
            for _ in range(length):
                self.array(depth + 1)
        else:
            raise BadGGUF(f"{self.path} has an array of the unknown type {kind}")
        return length

    def tensor(self) -> int:
        """Walks over the description of one tensor; returns how many numbers it holds."""
        self.string(MAX_KEY_BYTES)
        dimensions = self.number("I", 4)
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise BadGGUF(f"{self.path} has a tensor of {dimensions} dimensions")
        size = 1
        for _ in range(dimensions):
            size *= self.number("Q", 8)
        self.number("I", 4)
        offset = self.number("Q", 8)
        # A tensor holds at least a bit a number, so this also catches a file that was cut off.
        if offset >= self.file_bytes or size > 16 * self.file_bytes:
            raise BadGGUF(f"{self.path} is cut off: a tensor lies beyond its end")
        return size
