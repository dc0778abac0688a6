"""Audio on an upstream: the form it is sent, and what is made of its answers."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from inhouse.api.audio import hearing, relay, subtitles, usage, wire
from inhouse.api.audio.languages import code_of, name_of
from inhouse.api.forms import read_form
from inhouse.api.operation import Download
from inhouse.catalog.cards import load_cards
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import UpstreamError
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage
from inhouse.storage.blobs import Spool

CARDS = load_cards()


class Far:
    """An upstream that answers what a test says, and remembers the forms it got."""

    def __init__(self, *answers: bytes, status: int = 200) -> None:
        self.answers = list(answers)
        self.status = status
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    async def post(self, path: str, body: Any, headers: dict[str, str]) -> Any:
        self.sent.append((path, body("their-model"), headers))
        if self.status != 200:
            raise UpstreamError("http://far", self.status, self.answers[0])
        return SimpleNamespace(body=self.answers[0])

    async def stream(self, path: str, body: Any, headers: dict[str, str]) -> AsyncGenerator[list[bytes], None]:
        self.sent.append((path, body(None), headers))
        for answer in self.answers:
            yield [answer]


def call(model: str) -> Any:
    found = CARDS.resolve(model)
    assert found is not None
    return SimpleNamespace(card=found[0], snapshot=found[1], usage=Usage())


def file(data: bytes = b"RIFFsound") -> Any:
    async def read() -> bytes:
        return data

    return SimpleNamespace(filename='my "song".mp3', size=len(data), read=read)


def body(model: str = "whisper-1", **more: Any) -> wire.CreateTranscriptionRequest:
    return wire.CreateTranscriptionRequest(file=file(), model=model, **more)


async def test_the_form_says_what_the_client_said(tmp_path: Any) -> None:
    far = Far(json.dumps({"text": "hi", "usage": {"type": "duration", "seconds": 3}}).encode())
    asked = body(
        language="en",
        temperature=0.5,
        timestamp_granularities=["word", "segment"],
        chunking_strategy=wire.VadConfig(type="server_vad", threshold=0.25),
    )
    call_ = call("whisper-1")
    told = await relay.transcribe(call_, far, asked)  # type: ignore[arg-type]
    assert told.text == "hi"
    assert (call_.usage.units, call_.usage.fee_nanos) == (3, 300_000)
    path, form, headers = far.sent[0]
    assert path == "/audio/transcriptions"

    async def chunks() -> AsyncGenerator[bytes, None]:
        yield form

    opened: list[Spool] = []
    again = await read_form(
        chunks(), headers["content-type"], wire.CreateTranscriptionRequest, lambda: Spool(tmp_path), opened, 1 << 20
    )
    assert await again.file.read() == b"RIFFsound"
    assert again.file.filename == "my song.mp3"
    for spool in opened:
        spool.close()
    assert msgspec.structs.replace(again, file=None) == msgspec.structs.replace(asked, file=None, model="their-model")


async def test_text_comes_back_as_it_is() -> None:
    call_ = call("whisper-1")
    told = await relay.transcribe(call_, Far(b"WEBVTT\n\n"), body(response_format="vtt"))  # type: ignore[arg-type]
    assert isinstance(told, Download)
    assert told.content == b"WEBVTT\n\n"
    assert call_.usage.fee_nanos > 0


async def test_events_come_back_and_their_usage_is_booked() -> None:
    done = {
        "type": "transcript.text.done",
        "text": "a b",
        "usage": {
            "type": "tokens",
            "input_tokens": 104,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 100},
            "output_tokens": 2,
            "total_tokens": 106,
        },
    }
    far = Far(b'{"type":"transcript.text.delta","delta":"a b","theirs":1}', json.dumps(done).encode())
    call_ = call("gpt-4o-transcribe")
    events = [event async for batch in relay.stream(call_, far, body("gpt-4o-transcribe")) for event in batch]  # type: ignore[arg-type]
    assert [type(event) for event in events] == [wire.TextDelta, wire.TextDone]
    assert (call_.usage.input_tokens, call_.usage.output_tokens, call_.usage.units) == (104, 2, 10)
    # 104 tokens of text and audio at $2.50, 2 written at $10.00 a million: sound costs what text does.
    assert call_.usage.fee_nanos == 0


async def test_a_refusal_is_the_clients_and_nonsense_is_ours() -> None:
    refused = json.dumps({"error": {"message": "no", "param": "file", "code": "bad", "type": "x"}}).encode()
    with pytest.raises(InvalidRequest, match="no"):
        await relay.transcribe(call("whisper-1"), Far(refused, status=400), body())  # type: ignore[arg-type]
    with pytest.raises(EngineFailed):
        await relay.transcribe(call("whisper-1"), Far(b"<html>"), body())  # type: ignore[arg-type]


def test_subtitles() -> None:
    first = SimpleNamespace(start=0.0, end=1.5, text=" Hi --> there\n\nyou ")
    lines = [first, SimpleNamespace(start=3661.0456, end=3662, text="x")]
    assert subtitles.srt(lines) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHi -> there you\n\n2\n01:01:01,046 --> 01:01:02,000\nx\n\n"
    )
    assert subtitles.vtt(lines[:1]) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHi -> there you\n\n"


def test_languages() -> None:
    assert (code_of("EN"), code_of("english"), code_of("klingon"), name_of("de")) == ("en", "en", None, "german")


@pytest.mark.parametrize(
    ("model", "more", "param"),
    [
        ("whisper-1", {"keywords": ["a"]}, "keywords"),
        ("gpt-4o-transcribe-diarize", {"prompt": "a"}, "prompt"),
        ("gpt-4o-transcribe", {"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ("gpt-4o-transcribe", {"include": ["logprobs"], "response_format": "text"}, "include"),
        ("whisper-1", {"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ("gpt-4o-mini-transcribe", {"response_format": "srt"}, "response_format"),
        ("whisper-1", {"response_format": "diarized_json"}, "response_format"),
    ],
)
def test_what_a_model_does_not_take(model: str, more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        hearing.check(call(model).card, body(model, **more))
    assert told.value.param == param


@pytest.mark.parametrize("reference", ["", "http://127.0.0.1/x.wav", "data:audio/wav;base64,§", "data:audio/wav,abc"])
def test_references_are_data_urls_and_nothing_is_fetched(reference: str) -> None:
    with pytest.raises(InvalidRequest, match="data URL"):
        hearing.known_speakers(body(known_speaker_names=["a"], known_speaker_references=[reference]))


def test_speech_is_billed_by_character_or_by_token() -> None:
    old, new = call("tts-1"), call("gpt-4o-mini-tts")
    usage.spoken(old, 1000, 250, 60.0)
    usage.spoken(new, 1000, 250, 60.0)
    assert (old.usage.fee_nanos, old.usage.input_tokens, old.usage.units) == (15_000_000, 0, 1000)
    assert (new.usage.fee_nanos, new.usage.input_tokens, new.usage.output_tokens) == (0, 250, 1200)
