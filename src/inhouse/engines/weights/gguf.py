"""What the header of a GGUF file says, read without loading it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Every count and length in a header is a
stranger's claim, so each is held against a bound and against the size of the file before anything is read or kept.
"""

from __future__ import annotations

import functools
import mmap
import struct
from pathlib import Path
from typing import Literal, cast

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
MAX_KEPT = 1024
"""Numbers of an array that are kept; longer ones are only walked over."""
CONTROL_TOKEN = 3
"""The type of tokens such as begin- and end-of-sequence, in ``tokenizer.ggml.token_type``."""
MAX_CONTROL_TOKENS = 64

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
"""Arrays are walked over; of short ones of whole numbers the largest is kept."""


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
    kv_heads: int | None
    key_length: int | None
    """Numbers that one head keeps of one token as its key; ``value_length`` likewise."""
    value_length: int | None
    template: str | None
    control_tokens: tuple[int, ...]
    """Ids of control tokens in vocabulary order; at most 64."""

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> int:
        """Bytes of KV cache that one token takes: keys and values of every layer. 0 where the file does not say."""
        values = (self.layers or 0) * (self.kv_heads or 0) * ((self.key_length or 0) + (self.value_length or 0))
        return int(values * bytes_per_value)


def inspect_gguf(path: Path) -> GGUFInfo:
    """Reads the header of the GGUF file at ``path``.

    Raises:
        BadGGUF: it cannot be opened, is no GGUF, or its header is broken, truncated or beyond all reason.
    """
    try:
        stat = path.stat()
        return _inspect(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise BadGGUF(f"{path}: {error.strerror or error}") from error


@functools.lru_cache(maxsize=64)
def _inspect(path: Path, _mtime: int, size: int) -> GGUFInfo:
    if not size:
        raise BadGGUF(f"{path} is not a GGUF file")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _read(path, data)


def _read(path: Path, data: mmap.mmap) -> GGUFInfo:
    header = _Header(path, data)
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
    control_tokens: tuple[int, ...] = ()
    for _ in range(header.count(MAX_PAIRS, "metadata entries")):
        key = header.string(MAX_KEY_BYTES)
        kind = header.number("I", 4)
        if kind == _ARRAY and key == "tokenizer.ggml.token_type":
            control_tokens = header.control_tokens()
        elif kind == _ARRAY:
            lengths[key], numbers = header.array(0)
            if numbers:
                pairs[key] = max(numbers)  # of numbers told layer by layer, the largest decides
        else:
            pairs[key] = header.value(kind)
    parameters = sum(header.tensor() for _ in range(tensors))
    return _describe(path, header.file_bytes, version, pairs, lengths, control_tokens, parameters, tensors)


def _describe(
    path: Path,
    size: int,
    version: int,
    pairs: dict[str, Value],
    lengths: dict[str, int],
    control_tokens: tuple[int, ...],
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
    heads, embedding = whole(f"{architecture}.attention.head_count"), whole(f"{architecture}.embedding_length")
    head = embedding // heads if heads and embedding else None
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
        kv_heads=whole(f"{architecture}.attention.head_count_kv") or heads,
        key_length=whole(f"{architecture}.attention.key_length") or head,
        value_length=whole(f"{architecture}.attention.value_length") or head,
        template=text("tokenizer.chat_template"),
        control_tokens=control_tokens,
    )


class _Header:
    """A reader that knows how much is left and how much it may read."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.file_bytes = len(data)
        self.order: Literal["<", ">"] = "<"
        self._data = data
        self._position = 0
        self._end = min(self.file_bytes, MAX_HEADER_BYTES)

    def take(self, count: int) -> bytes:
        start = self._position
        self.skip(count)
        return self._data[start : start + count]

    def skip(self, count: int) -> None:
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

    def array(self, depth: int) -> tuple[int, tuple[int, ...]]:
        """Walks over an array; returns its length, and its numbers if they are whole and few."""
        if depth >= MAX_DEPTH:
            raise BadGGUF(f"{self.path} nests arrays deeper than {MAX_DEPTH}")
        kind, length = self._array_head()
        if kind in _SCALARS:
            code, size = _SCALARS[kind]
            if length <= MAX_KEPT and code in "BbHhIiQq":
                return length, struct.unpack(f"{self.order}{length}{code}", self.take(length * size))
            self.skip(length * size)
        elif kind == _STRING:
            self._skip_strings(length)
        elif kind == _ARRAY:
            for _ in range(length):
                self.array(depth + 1)
        else:
            raise BadGGUF(f"{self.path} has an array of the unknown type {kind}")
        return length, ()

    def control_tokens(self) -> tuple[int, ...]:
        """Walks over the types of all tokens; returns the ids of the first control tokens."""
        kind, length = self._array_head()
        if kind not in _SCALARS:
            raise BadGGUF(f"{self.path} gives its tokens the unknown type {kind}")
        code, size = _SCALARS[kind]
        types = struct.unpack(f"{self.order}{length}{code}", self.take(length * size))
        return tuple(token for token, kind in enumerate(types) if kind == CONTROL_TOKEN)[:MAX_CONTROL_TOKENS]

    def _array_head(self) -> tuple[int, int]:
        return self.number("I", 4), self.count(MAX_ARRAY, "elements of an array")

    def _skip_strings(self, length: int) -> None:
        """Vocabularies have hundreds of thousands of strings, so this loop is kept tight."""
        unpack, data, at, end = struct.Struct(self.order + "Q").unpack_from, self._data, self._position, self._end
        for _ in range(length):
            if at + 8 > end:
                break
            size = unpack(data, at)[0]
            if size > MAX_STRING_BYTES:
                raise BadGGUF(f"{self.path} claims {size} bytes of text; {MAX_STRING_BYTES} is the most that is read")
            at += 8 + size
        else:
            self.skip(at - self._position)
            return
        raise BadGGUF(f"{self.path} ends within its header, or the header is beyond all reason")

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
