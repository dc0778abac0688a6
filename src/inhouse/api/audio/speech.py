"""Speech: texts spoken, sent while they are."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing

from inhouse.api.audio import relay, usage, wire
from inhouse.api.operation import Request
from inhouse.calls import Call, Calls
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.protocol import Refused
from inhouse.engines.speech.shapes import UNSPEAKABLE, Heard, SpeakRequest
from inhouse.engines.speech.voices import OFFICIAL, voice_of
from inhouse.engines.upstream import Upstream
from inhouse.generation.errors import engine_errors
from inhouse.kit.errors import InvalidRequest
from inhouse.limits import Demand, estimate
from inhouse.metering.pricing import Bound

SLOWEST_CHARACTERS_A_SECOND = 2
"""Of speech at the lowest speed: what a text's audio can last at most is reckoned by."""


class SpeechService:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def _open(self, request: Request, body: wire.CreateSpeechRequest) -> Call:
        card, _ = self._calls.card_of(body.model, "speech_generation")
        seconds = len(body.input) / SLOWEST_CHARACTERS_A_SECOND
        price = card.prices.million_characters
        by_token = price is None
        return self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint="speech_generation",
            demand=Demand(input_tokens=_text_tokens(body)),
            respond=request.respond,
            most=Bound(
                input_tokens=_text_tokens(body) if by_token else 0,
                output_tokens=int(seconds * usage.SPOKEN_TOKENS_A_SECOND) if by_token else 0,
                fee_nanos=len(body.input) * int(price or 0) // 1_000_000,
            ),
        )

    async def speak(self, request: Request, body: wire.CreateSpeechRequest) -> AsyncGenerator[bytes, None]:
        """Bytes of the audio, from its first words on."""
        async with self._open(request, body) as call:
            _check(call, body)
            async with aclosing(self._pieces(call, body)) as pieces:
                async for piece in pieces:
                    yield piece

    async def stream(
        self, request: Request, body: wire.CreateSpeechRequest
    ) -> AsyncGenerator[list[wire.SpeechEvent], None]:
        """The same in events."""
        async with self._open(request, body) as call:
            _check(call, body)
            async with aclosing(self._pieces(call, body)) as pieces:
                async for piece in pieces:
                    yield [wire.SpeechDelta(audio=base64.b64encode(piece).decode())]
            used = call.usage
            told = wire.SpeechUsage(
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                total_tokens=used.input_tokens + used.output_tokens,
            )
            await call.answering()
            yield [wire.SpeechDone(usage=told)]

    async def _pieces(self, call: Call, body: wire.CreateSpeechRequest) -> AsyncGenerator[bytes, None]:
        characters, tokens = len(body.input), _text_tokens(body)
        with engine_errors(call.id):
            engine = call.host("speech")
            if isinstance(engine, Upstream):
                async with aclosing(relay.speech(engine, body)) as pieces:
                    async for piece in pieces:
                        usage.spoken(call, characters, tokens, relay.seconds_of(body, characters))
                        await call.answering()
                        yield piece
                return
            async with aclosing(_heard(call, engine, body)) as items:
                async for item in items:
                    usage.spoken(call, characters, tokens, item.seconds)
                    if item.audio:
                        await call.answering()
                        yield item.audio


async def _heard(call: Call, engine: HostedEngine, body: wire.CreateSpeechRequest) -> AsyncGenerator[Heard, None]:
    asked = SpeakRequest(
        text=body.input, voice=_voice(body), format=body.response_format or "mp3", speed=body.speed or 1.0
    )
    if voice_of(asked.voice) is None:
        raise _no_voice(asked.voice)
    try:
        async with aclosing(
            engine.stream("/speak", asked, Heard, tenant=call.project_id, priority=call.priority)
        ) as items:
            async for item in items:
                yield item
    except Refused as error:
        code = "invalid_value" if error.code == UNSPEAKABLE else error.code
        raise InvalidRequest(str(error), param=error.param or "input", code=code) from error


def _check(call: Call, body: wire.CreateSpeechRequest) -> None:
    allowed = call.card.values_of("stream_format")
    if body.stream_format is not None and allowed is not None and body.stream_format not in allowed:
        raise InvalidRequest(
            f"Unsupported value: 'stream_format' does not support '{body.stream_format}' with this model.",
            param="stream_format",
            code="unsupported_value",
        )


def _voice(body: wire.CreateSpeechRequest) -> str:
    return body.voice if isinstance(body.voice, str) else body.voice.id


def _no_voice(name: str) -> InvalidRequest:
    *others, last = [f"'{voice}'" for voice in OFFICIAL]
    return InvalidRequest(
        f"Invalid value: '{name[:100]}'. Supported values are: {', '.join(others)}, and {last}.",
        param="voice",
        code="invalid_value",
    )


def _text_tokens(body: wire.CreateSpeechRequest) -> int:
    """By the published rule of thumb: no tokenizer belongs to a voice."""
    return estimate(len(body.input) + len(body.instructions or ""))
