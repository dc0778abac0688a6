"""Input files of batches: how large they may be, and how they are divided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inhouse.api.batches import checking
from inhouse.api.batches.checking import CHUNK_BYTES, CHUNK_REQUESTS, MOST_BYTES, check

CHAT = "/v1/chat/completions"


def line(number: int, text: str = "x") -> bytes:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": text}]}
    return json.dumps({"custom_id": str(number), "method": "POST", "url": CHAT, "body": body}).encode() + b"\n"


def test_more_than_200_mb(tmp_path: Path) -> None:
    """Refused by its size alone: a file that has nothing in it but holes is not read."""
    path = tmp_path / "in.jsonl"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024 + 1)
    checked = check(path, CHAT)
    assert [(error.code, error.line) for error in checked.errors] == [("file_too_large", None)]
    assert checked.errors[0].message == "The input file is too large: 209,715,201 bytes, at most 209,715,200 are."


def test_the_largest_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BYTES == 200 * 1024 * 1024
    data = line(1)
    monkeypatch.setattr(checking, "MOST_BYTES", len(data))
    (path := tmp_path / "in.jsonl").write_bytes(data)
    assert check(path, CHAT).total == 1
    path.write_bytes(data + b"\n")
    assert check(path, CHAT).errors[0].code == "file_too_large"


def test_parts_hold_every_request_once(tmp_path: Path) -> None:
    """A hundred requests, or a megabyte; one that is larger is a part of its own."""
    sizes = [1] * 250 + [CHUNK_BYTES // 3] * 7 + [2 * CHUNK_BYTES, 1, 2 * CHUNK_BYTES] + [1] * 3
    data = b"".join(line(number, "x" * size) for number, size in enumerate(sizes))
    (path := tmp_path / "in.jsonl").write_bytes(data.rstrip(b"\n"))
    checked = check(path, CHAT)
    assert (checked.errors, checked.total) == ([], len(sizes))
    found = []
    for chunk in checked.chunks:
        part = [line.custom_id for line in checking.lines(data[chunk.start : chunk.end])]
        assert len(part) == chunk.count <= CHUNK_REQUESTS
        assert chunk.first == len(found)
        assert chunk.count == 1 or chunk.end - chunk.start <= CHUNK_BYTES
        found += part
    assert found == [str(number) for number in range(len(sizes))]
