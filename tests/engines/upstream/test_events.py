from __future__ import annotations

import json
import random

import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import events
from inhouse.engines.upstream.events import EventSplitter, error_status

STREAM = (
    b": welcome\n\n"
    b'data: {"id":"1","text":"gr\xc3\xbc\xc3\x9f dich \\n\\n"}\n\n'
    b": keep-alive\n\n\n"
    b'event: delta\nid: 7\ndata:{"id":"2"}\n\n'
    b'data: {"id":"3",\ndata: "more":true}\n\n'
    b"retry: 100\n\n"
    b'data: {"id":"4","error":null}\n\n'
    b'data: {"error":null,"id":"5"}\n\n'
    b"data: [DONE]\n\n"
    b'data: {"id":"late"}\n\n'
)
PAYLOADS = [
    b'{"id":"1","text":"gr\xc3\xbc\xc3\x9f dich \\n\\n"}',
    b'{"id":"2"}',
    b'{"id":"3",\n"more":true}',
    b'{"id":"4","error":null}',
    b'{"error":null,"id":"5"}',
]


def split(pieces: list[bytes]) -> tuple[list[bytes], EventSplitter]:
    splitter = EventSplitter()
    payloads: list[bytes] = []
    for piece in pieces:
        if splitter.done:
            break
        payloads += splitter.feed(piece)
    return payloads, splitter


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_any_cut_gives_the_same_payloads(line_end: bytes) -> None:
    stream = STREAM.replace(b"\n", line_end)
    for cut in range(len(stream) + 1):
        payloads, splitter = split([stream[:cut], stream[cut:]])
        assert payloads == PAYLOADS, cut
        assert splitter.done
        assert splitter.error is None
    dice = random.Random(7)
    for _ in range(300):
        cuts = sorted(dice.choices(range(len(stream) + 1), k=dice.randint(2, 40)))
        pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert split(pieces)[0] == PAYLOADS, cuts
    assert split([stream[place : place + 1] for place in range(len(stream))])[0] == PAYLOADS


def test_mixed_line_ends() -> None:
    payloads, _ = split([b"data: a\r\n\n", b"data: b\n\r\n", b"data: c\r\rdata: d\n\n"])
    assert payloads == [b"a", b"b", b"c", b"d"]


def test_an_event_comes_out_with_its_last_byte() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b'data: {"id":1}\n') == []
    assert splitter.feed(b"\n") == [b'{"id":1}']


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "out of memory", "code": 503}}',
        b'data:  {"object":"error","message":"out of memory","code":503}',
        b'error: {"message": "out of memory", "code": 503}',
    ],
)
def test_an_error_ends_the_stream(event: bytes) -> None:
    payloads, splitter = split([b'data: {"id":1}\n\n' + event + b'\n\ndata: {"id":2}\n\n'])
    assert payloads == [b'{"id":1}']
    assert splitter.done
    assert splitter.error is not None
    assert b"out of memory" in splitter.error
    assert error_status(splitter.error) == 503


def test_text_about_errors_is_no_error() -> None:
    payload = json.dumps({"t": '"error"', "choices": []}).encode()
    assert split([b"data: " + payload + b"\n\n"])[0] == [payload]


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        (b'{"error":{"code":"rate_limit"}}', 500),
        (b'{"error":"text"}', 500),
        (b'{"error":{"code":200}}', 500),
        (b'{"error":{"code":429}}', 429),
        (b"not json", 500),
    ],
)
def test_status_of_an_error(payload: bytes, status: int) -> None:
    assert error_status(payload) == status


def test_an_endless_event_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_EVENT_BYTES", 1000)
    with pytest.raises(EngineFailed, match="more than 1000 bytes"):
        split([b"data: " + b"x" * 100] * 20)
