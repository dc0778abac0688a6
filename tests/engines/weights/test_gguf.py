from __future__ import annotations

import random
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from inhouse.engines.weights import BadGGUF, inspect_gguf


def text(value: str, order: str = "<") -> bytes:
    raw = value.encode()
    return struct.pack(order + "Q", len(raw)) + raw


def pair(key: str, kind: int, value: bytes, order: str = "<") -> bytes:
    return text(key, order) + struct.pack(order + "I", kind) + value


def gguf(order: str = "<", version: int = 3) -> bytes:
    words = b"".join(text(word, order) for word in ("a", "b", "cc"))
    pairs = [
        pair("general.architecture", 8, text("qwen2", order), order),
        pair("general.name", 8, text("Tiny", order), order),
        pair("general.file_type", 4, struct.pack(order + "I", 15), order),
        pair("qwen2.context_length", 4, struct.pack(order + "I", 32768), order),
        pair("qwen2.block_count", 4, struct.pack(order + "I", 2), order),
        pair("some.float", 6, struct.pack(order + "f", 1.5), order),
        pair("some.flag", 7, b"\1", order),
        pair("some.sizes", 9, struct.pack(order + "IQ3Q", 10, 3, 1, 2, 3), order),
        pair("tokenizer.ggml.model", 8, text("gpt2", order), order),
        pair("tokenizer.ggml.pre", 8, text("qwen2", order), order),
        pair("tokenizer.ggml.tokens", 9, struct.pack(order + "IQ", 8, 3) + words, order),
        pair("tokenizer.chat_template", 8, text("{{ messages }}", order), order),
    ]
    tensors = [
        text("token_embd.weight", order) + struct.pack(order + "IQQIQ", 2, 4, 8, 0, 0),
        text("norm.weight", order) + struct.pack(order + "IQIQ", 1, 4, 0, 128),
    ]
    head = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(pairs))
    return head + b"".join(pairs) + b"".join(tensors)


WHOLE = gguf() + bytes(200)


@pytest.mark.parametrize(("order", "version"), [("<", 3), ("<", 2), (">", 3)])
def test_the_header_is_read(tmp_path: Path, order: str, version: int) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf(order, version) + bytes(200))
    info = inspect_gguf(path)
    assert (info.architecture, info.name, info.window, info.layers) == ("qwen2", "Tiny", 32768, 2)
    assert (info.quantization, info.tokenizer, info.vocabulary) == ("Q4_K_M", "gpt2/qwen2", 3)
    assert info.chat_template
    assert (info.parameters, info.tensors, info.version) == (36, 2, version)
    assert info.bytes == path.stat().st_size
    assert info.type == "model"


def test_every_cut_within_the_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    header = len(gguf())
    for length in range(header):
        path.write_bytes(WHOLE[:length])
        with pytest.raises(BadGGUF):
            inspect_gguf(path)


def test_damage_never_gives_anything_but_an_answer_or_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    chance = random.Random(7)
    for _ in range(2000):
        raw = bytearray(WHOLE)
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.choice([0, 1, 255, chance.randrange(256)])
        path.write_bytes(raw)
        with suppress(BadGGUF):
            inspect_gguf(path)


HUGE = struct.pack("<Q", 2**63)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GG",
        b"PK\3\4" + bytes(100),
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 4, 0, 0),
        b"GGUF" + struct.pack("<I", 3) + HUGE + bytes(8),
        b"GGUF" + struct.pack("<IQ", 3, 0) + HUGE,
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + HUGE,
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 8, HUGE),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 9, struct.pack("<I", 8) + HUGE),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 9, struct.pack("<IQ", 10, 16 << 20)),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 9, struct.pack("<IQ", 9, 1) * 1000),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("k", 99, bytes(8)),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(8),
    ],
)
def test_hostile_headers_are_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(raw)
    with pytest.raises(BadGGUF, match=r"m\.gguf"):
        inspect_gguf(path)


def test_a_file_whose_tensors_are_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    tensor = text("w") + struct.pack("<IQQIQ", 2, 4096, 4096, 0, 10_000_000)
    architecture = pair("general.architecture", 8, text("x"))
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + architecture + tensor + bytes(1000))
    with pytest.raises(BadGGUF, match="cut off"):
        inspect_gguf(path)


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadGGUF, match="No such file"):
        inspect_gguf(tmp_path / "none.gguf")
    with pytest.raises(BadGGUF, match="directory"):
        inspect_gguf(tmp_path)
