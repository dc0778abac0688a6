"""Audio on an upstream that speaks the contract itself: passed on, and its answers passed back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from inhouse.api.audio import usage, wire
from inhouse.api.audio.hearing import by_time
from inhouse.api.operation import Download
from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream, UpstreamError
from inhouse.generation.remote import client_error

Asked = wire.CreateTranscriptionRequest | wire.CreateTranslationRequest
_SPOKEN_CHARACTERS_A_SECOND = 15
"""Of ordinary speech: what the length of speech is reckoned by where an upstream does not tell it."""
_BYTES_A_SECOND = 4_000
"""Of ordinary recordings (32 kbit/s), where an upstream does not tell how long one is."""
_JSON = {"json": wire.Transcription, "verbose_json": wire.TranscriptionVerbose}


async def transcribe(call: Call, upstream: Upstream, body: wire.CreateTranscriptionRequest) -> Any:
    """The upstream's answer to a transcription."""
    shapes: dict[str, Any] = {**_JSON, "diarized_json": wire.TranscriptionDiarized}
    return await _whole(call, upstream, "/audio/transcriptions", body, shapes)


async def translate(call: Call, upstream: Upstream, body: wire.CreateTranslationRequest) -> Any:
    """The upstream's answer to a translation."""
    return await _whole(call, upstream, "/audio/translations", body, {**_JSON, "json": wire.Translation})


async def stream(
    call: Call, upstream: Upstream, body: wire.CreateTranscriptionRequest
) -> AsyncGenerator[list[wire.TranscriptionEvent], None]:
    """The upstream's events."""
    make, headers = await _form(body)
    try:
        async with aclosing(upstream.stream("/audio/transcriptions", make, headers)) as batches:
            async for batch in batches:
                events: list[wire.TranscriptionEvent] = [_decode(payload, wire.TranscriptionEvent) for payload in batch]
                for event in events:
                    if isinstance(event, wire.TextDone):
                        _account(call, event.usage, body)
                yield events
    except UpstreamError as error:
        raise client_error(error) from error


async def speech(upstream: Upstream, body: wire.CreateSpeechRequest) -> AsyncGenerator[bytes, None]:
    """The upstream's audio."""
    asked = msgspec.to_builtins(body)
    asked.pop("stream_format", None)  # events are made here, from its bytes
    try:
        async with aclosing(upstream.stream_bytes("/audio/speech", asked)) as pieces:
            async for piece in pieces:
                yield piece
    except UpstreamError as error:
        raise client_error(error) from error


def seconds_of(body: wire.CreateSpeechRequest, characters: int) -> float:
    return characters / _SPOKEN_CHARACTERS_A_SECOND / (body.speed or 1.0)


async def _whole(call: Call, upstream: Upstream, path: str, body: Asked, shapes: dict[str, Any]) -> Any:
    make, headers = await _form(body)
    try:
        answer = await upstream.post(path, make, headers)
    except UpstreamError as error:
        raise client_error(error) from error
    shape = shapes.get(body.response_format or "json")
    if shape is None:
        _account(call, msgspec.UNSET, body)
        return Download(answer.body, "text/plain; charset=utf-8")
    told = _decode(answer.body, shape)
    _account(call, getattr(told, "usage", msgspec.UNSET), body, getattr(told, "duration", None))
    return told


def _account(call: Call, told: Any, body: Asked, duration: float | None = None) -> None:
    """Book what the upstream says it used; by the file's size where it says nothing."""
    if isinstance(told, wire.UsageTokens) and not by_time(call.card):
        text = told.input_token_details.text_tokens if told.input_token_details else 0
        seconds = (told.input_tokens - text) / usage.HEARD_TOKENS_A_SECOND
        usage.heard(call, max(0.0, seconds), text, max(0, told.output_tokens))
        return
    known = told.seconds if isinstance(told, wire.UsageDuration) else duration
    usage.heard(call, body.file.size / _BYTES_A_SECOND if known is None else max(0.0, known), 0, 0)


async def _form(body: Asked) -> tuple[Any, dict[str, str]]:
    """A function that makes the form for a model's name, and its headers."""
    audio = await body.file.read()
    boundary = secrets.token_hex(16)
    fields: list[tuple[str, str]] = []
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if name not in ("file", "model") and value is not None:
            fields += _pairs(name, msgspec.to_builtins(value))

    def make(model: str | None) -> bytes:
        parts = [
            _part(boundary, f'name="{name}"', value.encode())
            for name, value in [("model", model or body.model), *fields]
        ]
        filename = "".join(each for each in body.file.filename if each.isprintable() and each not in '"\\') or "audio"
        parts.append(_part(boundary, f'name="file"; filename="{filename}"', audio))
        return b"".join(parts) + f"--{boundary}--\r\n".encode()

    return make, {"content-type": f"multipart/form-data; boundary={boundary}"}


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() if each is not None for pair in _pairs(f"{name}[{key}]", each)]
    if isinstance(value, list):
        return [(f"{name}[]", str(each)) for each in value]
    return [(name, str(value).lower() if isinstance(value, bool) else str(value))]


def _part(boundary: str, disposition: str, data: bytes) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + data + b"\r\n"


def _decode(data: bytes, shape: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.MsgspecError as error:
        raise EngineFailed(f"the upstream sent what is not the contract: {error}") from error
