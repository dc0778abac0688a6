"""The header of a GGUF file: what a model is, without loading it.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
"""

from __future__ import annotations

import functools
import mmap
import os
import struct
from pathlib import Path
from typing import Any

import msgspec

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
CONTROL_TOKEN = 3
LONGEST_KEPT_ARRAY = 1024


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What of the header the engine needs."""

    architecture: str
    name: str
    trained_window: int
    layers: int
    embedding: int
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    file_bytes: int
    template: str | None
    control_tokens: tuple[int, ...]
    """Ids of control tokens in vocabulary order, such as begin- and end-of-sequence; at most 64."""
    vocabulary: int
    """How many tokens there are; 0 if the header does not tell."""

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> int:
        """Bytes of KV cache that one token takes: keys and values of every layer."""
        return int(self.layers * self.kv_heads * (self.key_length + self.value_length) * bytes_per_value)


def read_header(path: str | Path) -> Header:
    """Read the header of ``path``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no GGUF file, or a damaged one.
    """
    stat = os.stat(path)
    return _read_header(str(path), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=64)
def _read_header(path: str, _mtime: int, size: int) -> Header:
    with open(path, "rb") as file:
        if file.read(4) != MAGIC:
            raise ValueError(f"{path} is not a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                fields = _Reader(data).fields()
            except (struct.error, UnicodeDecodeError, KeyError) as error:
                raise ValueError(f"{path} has a damaged GGUF header: {error}") from error
    try:
        return _header(fields, size)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a language model: its header lacks {error}") from error


def _header(fields: dict[str, Any], size: int) -> Header:
    architecture = fields["general.architecture"]

    def of(key: str, default: Any = None) -> Any:
        value = fields.get(f"{architecture}.{key}", default)
        return max(value) if isinstance(value, list) else value

    heads, embedding = int(of("attention.head_count", 0)), int(of("embedding_length", 0))
    head = embedding // heads if heads else 0
    if not of("context_length"):
        raise KeyError(f"{architecture}.context_length")
    return Header(
        architecture=architecture,
        name=fields.get("general.name", ""),
        trained_window=int(of("context_length")),
        layers=int(of("block_count", 0)),
        embedding=embedding,
        heads=heads,
        kv_heads=int(of("attention.head_count_kv", heads)),
        key_length=int(of("attention.key_length", head)),
        value_length=int(of("attention.value_length", head)),
        file_bytes=size,
        template=fields.get("tokenizer.chat_template"),
        control_tokens=tuple(fields.get("control_tokens", ())),
        vocabulary=fields.get("vocabulary", 0),
    )


class _Reader:
    """Walks the header; keeps scalars, strings and short arrays, and steps over vocabularies."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(MAGIC)

    def fields(self) -> dict[str, Any]:
        version = self._scalar("I")
        if version not in (2, 3):
            raise KeyError(f"unknown version {version}")
        self._scalar("Q")
        found: dict[str, Any] = {}
        for _ in range(self._scalar("Q")):
            key = self._string()
            kind = self._scalar("I")
            if key == "tokenizer.ggml.token_type" and kind == ARRAY:
                found["control_tokens"], found["vocabulary"] = self._control_tokens()
            else:
                found[key] = self._value(kind)
        return found

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            return self._array()
        return self._scalar(SCALARS[kind])

    def _array(self) -> list[Any] | None:
        kind, count = self._scalar("I"), self._scalar("Q")
        if count <= LONGEST_KEPT_ARRAY:
            return [self._value(kind) for _ in range(count)]
        if kind in SCALARS:
            self._at += count * struct.calcsize("<" + SCALARS[kind])
        elif kind == STRING:
            unpack, data, at = struct.Struct("<Q").unpack_from, self._data, self._at
            for _ in range(count):
                at += 8 + unpack(data, at)[0]
            self._at = at
        else:
            raise KeyError(f"array of arrays of {count}")
        return None

    def _control_tokens(self) -> tuple[list[int], int]:
        kind, count = self._scalar("I"), self._scalar("Q")
        types = struct.unpack_from(f"<{count}{SCALARS[kind]}", self._data, self._at)
        self._at += count * struct.calcsize("<" + SCALARS[kind])
        return [token for token, kind in enumerate(types) if kind == CONTROL_TOKEN][:64], count

    def _string(self) -> str:
        length = self._scalar("Q")
        if self._at + length > len(self._data):
            raise KeyError("a string longer than the file")
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8")

    def _scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self._data, self._at)
        self._at += struct.calcsize("<" + code)
        return value
