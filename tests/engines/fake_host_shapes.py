"""The shapes of ``fake_host``, which is a program and cannot be imported."""

from __future__ import annotations

import msgspec


class Ask(msgspec.Struct):
    say: str = ""
    do: str = ""
    count: int = 0
    seconds: float = 0.0
    mark: str = ""


class Answer(msgspec.Struct):
    text: str
    data: bytes = b""
