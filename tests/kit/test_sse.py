from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from inhouse.kit.errors import InvalidRequest
from inhouse.kit.sse import EventStream


class Tagged(msgspec.Struct, tag_field="type", tag="response.created"):
    text: str


class Typed(msgspec.Struct):
    type: str
    text: str


async def nothing() -> AsyncGenerator[list[Any], None]:
    for each in ():
        yield each


def test_data_frames() -> None:
    stream: EventStream[Any] = EventStream(nothing())
    assert stream.frame([{"a": "x\ny"}]) == b'data: {"a":"x\\ny"}\n\n'
    assert stream.frame([{"a": 1}, {"a": 2}]) == b'data: {"a":1}\n\ndata: {"a":2}\n\n'
    assert stream.frame([]) == b""
    assert stream.frame([msgspec.Raw(b'{"a":1}')]) == b'data: {"a":1}\n\n'
    assert stream.end == b"data: [DONE]\n\n"
    assert EventStream(nothing(), done=False).end == b""


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Tagged("x"), b"response.created"),
        (Typed("response.done", "x"), b"response.done"),
        (Typed("response.failed", "x"), b"response.failed"),
        ({"type": "error", "text": "x"}, b"error"),
    ],
)
def test_typed_frames(event: Any, name: bytes) -> None:
    stream: EventStream[Any] = EventStream(nothing(), style="typed")
    frame = stream.frame([event])
    assert frame == b'event: %b\ndata: {"type":"%b","text":"x"}\n\n' % (name, name)
    assert stream.frame([event, event]) == frame * 2
    assert stream.end == b""


def test_error_frames() -> None:
    error = InvalidRequest("No.", param="a", code="b")
    body = b'data: {"error":{"message":"No.","type":"invalid_request_error","param":"a","code":"b"}}\n\n'
    assert EventStream(nothing()).error(error) == body
    assert EventStream(nothing(), style="typed").error(error) == b"event: error\n" + body
