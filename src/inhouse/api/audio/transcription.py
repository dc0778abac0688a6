"""Transcription and translation: what is said, in every format of the contract."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import UNSET

from inhouse.api.audio import hearing, relay, subtitles, usage, wire
from inhouse.api.audio.languages import name_of
from inhouse.api.forms import UploadedFile
from inhouse.api.operation import Download, Request
from inhouse.calls import Call, Calls
from inhouse.engines.transcription.shapes import Begun, Ended, Item, Segment, TranscribeRequest
from inhouse.engines.upstream import Upstream
from inhouse.generation.errors import engine_errors
from inhouse.kit.ids import new_id
from inhouse.limits import Demand, estimate
from inhouse.metering.pricing import Bound

TEXT = "text/plain; charset=utf-8"
FIRST_CONTROL_TOKEN = 50257
"""Of Whisper's multilingual vocabulary: ids from here on are times and commands, no text."""
Whole = wire.Transcription | wire.TranscriptionVerbose | wire.TranscriptionDiarized | wire.Translation | Download

_ITEM: Any = Item


class TranscriptionService:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def _open(
        self, request: Request, body: wire.CreateTranscriptionRequest | wire.CreateTranslationRequest, *, streams: bool
    ) -> Call:
        endpoint = "translation" if isinstance(body, wire.CreateTranslationRequest) else "transcription"
        card, snapshot = self._calls.card_of(body.model, endpoint)
        fee = usage.most_heard(card, snapshot, body.file.size, hearing.longest(card))
        return self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint=endpoint,
            # The audio itself counts when it has been heard.
            demand=Demand(input_tokens=estimate(len(body.prompt or ""))),
            respond=request.respond,
            streams=streams,
            most=Bound(input_tokens=len(body.prompt or ""), fee_nanos=fee),
        )

    def streams(self, body: wire.CreateTranscriptionRequest) -> bool:
        """Whether the answer is a stream: models that cannot stream answer at once, as the contract says."""
        return bool(body.stream) and self._calls.card_of(body.model, "transcription")[0].features.streaming

    async def transcribe(self, request: Request, body: wire.CreateTranscriptionRequest) -> Whole:
        async with self._open(request, body, streams=False) as call:
            hearing.check(call.card, body)
            asked = _asked(call, body)
            with engine_errors(call.id):
                engine = call.host("whisper")
                if isinstance(engine, Upstream):
                    relayed: Whole = await relay.transcribe(call, engine, body)
                    return relayed
            said = await self._hear(call, body.file, asked, unchunked=_unchunked(call, body))
            return _whole(call, body, said)

    async def translate(self, request: Request, body: wire.CreateTranslationRequest) -> Whole:
        async with self._open(request, body, streams=False) as call:
            hearing.check_format(call.card, body.response_format)
            asked = TranscribeRequest(
                task="translate",
                prompt=body.prompt,
                temperature=body.temperature or 0.0,
                max_seconds=hearing.longest(call.card),
            )
            with engine_errors(call.id):
                engine = call.host("whisper")
                if isinstance(engine, Upstream):
                    relayed: Whole = await relay.translate(call, engine, body)
                    return relayed
            said = await self._hear(call, body.file, asked)
            if body.response_format in (None, "json"):
                return wire.Translation(text=said.text)
            if body.response_format == "verbose_json":
                return said.verbose("translate")
            return _text(said, body.response_format)

    async def stream(
        self, request: Request, body: wire.CreateTranscriptionRequest
    ) -> AsyncGenerator[list[wire.TranscriptionEvent], None]:
        async with self._open(request, body, streams=True) as call:
            hearing.check(call.card, body)
            asked = _asked(call, body)
            with engine_errors(call.id):
                engine = call.host("whisper")
                if isinstance(engine, Upstream):
                    async with aclosing(relay.stream(call, engine, body)) as batches:
                        async for batch in batches:
                            await call.answering()
                            yield batch
                    return
            said = Said(call, logprobs=asked.logprobs)
            async with aclosing(_items(call, body.file, asked, unchunked=_unchunked(call, body))) as items:
                async for item in items:
                    said.add(item)
                    if isinstance(item, Segment):
                        await call.answering()
                        yield said.events(item)
            await call.answering()
            yield [said.done()]

    async def _hear(self, call: Call, file: UploadedFile, asked: TranscribeRequest, *, unchunked: bool = False) -> Said:
        said = Said(call, logprobs=asked.logprobs)
        async with aclosing(_items(call, file, asked, unchunked=unchunked)) as items:
            async for item in items:
                said.add(item)
        return said


class Said:
    """What was said so far."""

    def __init__(self, call: Call, *, logprobs: bool) -> None:
        self._call = call
        self._logprobs = logprobs
        self._ids: list[str] = []
        self._tokens = 0
        self.segments: list[Segment] = []
        self.language = "en"
        self.seconds = 0.0
        self.prompt_tokens = 0

    def add(self, item: Item) -> None:
        match item:
            case Begun():
                self.language, self.prompt_tokens = item.language, item.prompt_tokens
            case Segment():
                self.segments.append(item)
                self._ids.append(new_id("seg_"))
                self._tokens += sum(token < FIRST_CONTROL_TOKEN for token in item.tokens)
                self.seconds = max(self.seconds, item.end)
            case Ended():
                self.seconds = item.seconds
        usage.heard(self._call, self.seconds, self.prompt_tokens, self._tokens)

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    def events(self, segment: Segment) -> list[wire.TranscriptionEvent]:
        """What a stream tells of the segment that was added last."""
        delta = segment.text if len(self.segments) > 1 else segment.text.lstrip()
        id = self._ids[-1]
        diarized = segment.speaker is not None
        event = wire.TextDelta(
            delta=delta,
            logprobs=_logprobs(segment) if self._logprobs else UNSET,
            segment_id=id if diarized else UNSET,
        )
        return [event, self._turn(len(self.segments) - 1)] if diarized else [event]

    def done(self) -> wire.TextDone:
        return wire.TextDone(
            text=self.text,
            logprobs=self.all_logprobs if self._logprobs else UNSET,
            usage=usage.tokens_told(self._call.usage, self.prompt_tokens),
        )

    @property
    def all_logprobs(self) -> list[wire.Logprob]:
        return [each for segment in self.segments for each in _logprobs(segment)]

    def turns(self) -> list[wire.DiarizedSegment]:
        return [self._turn(index) for index in range(len(self.segments))]

    def _turn(self, index: int) -> wire.DiarizedSegment:
        segment = self.segments[index]
        return wire.DiarizedSegment(
            id=self._ids[index],
            start=segment.start,
            end=segment.end,
            text=segment.text,
            speaker=segment.speaker or "A",
        )

    def verbose(self, task: str, granularities: tuple[str, ...] = ("segment",)) -> wire.TranscriptionVerbose:
        segments = [
            wire.Segment(
                id=segment.id,
                seek=segment.seek,
                start=segment.start,
                end=segment.end,
                text=segment.text,
                tokens=segment.tokens,
                temperature=segment.temperature,
                avg_logprob=segment.avg_logprob,
                compression_ratio=segment.compression_ratio,
                no_speech_prob=segment.no_speech_prob,
            )
            for segment in self.segments
        ]
        words = [
            wire.Word(word=word.word.strip(), start=word.start, end=word.end)
            for segment in self.segments
            for word in segment.words
        ]
        return wire.TranscriptionVerbose(
            task="translate" if task == "translate" else "transcribe",
            language=name_of(self.language),
            duration=round(self.seconds, 3),
            text=self.text,
            words=words if "word" in granularities else UNSET,
            segments=segments if "segment" in granularities else UNSET,
            usage=wire.UsageDuration(seconds=self._call.usage.units) if task != "translate" else UNSET,
        )


async def _items(
    call: Call, file: UploadedFile, asked: TranscribeRequest, *, unchunked: bool
) -> AsyncGenerator[Item, None]:
    with engine_errors(call.id), hearing.refusals(call.card, unchunked=unchunked):
        engine = call.host("whisper")
        assert not isinstance(engine, Upstream)
        stream: AsyncGenerator[Item, None] = engine.stream(
            "/transcribe",
            asked,
            _ITEM,
            upload=file.pieces(),
            tenant=call.project_id,
            priority=call.priority,
        )
        async with aclosing(stream) as items:
            async for item in items:
                yield item


def _asked(call: Call, body: wire.CreateTranscriptionRequest) -> TranscribeRequest:
    most = hearing.UNCHUNKED_SECONDS if _unchunked(call, body) else hearing.longest(call.card)
    return TranscribeRequest(
        language=hearing.language_of(body),
        prompt=hearing.prompt_of(body),
        temperature=body.temperature or 0.0,
        words="word" in (body.timestamp_granularities or ()),
        logprobs=bool(body.include),
        voice_activity=hearing.voice_activity(body.chunking_strategy),
        diarize=hearing.diarizes(call.card),
        known=hearing.known_speakers(body),
        max_seconds=most,
    )


def _unchunked(call: Call, body: wire.CreateTranscriptionRequest) -> bool:
    return hearing.diarizes(call.card) and body.chunking_strategy is None


def _whole(call: Call, body: wire.CreateTranscriptionRequest, said: Said) -> Whole:
    match body.response_format:
        case None | "json":
            return wire.Transcription(
                text=said.text,
                logprobs=_whole_logprobs(said) if body.include else UNSET,
                usage=usage.told(call, said.prompt_tokens),
            )
        case "verbose_json":
            return said.verbose("transcribe", tuple(body.timestamp_granularities or ("segment",)))
        case "diarized_json":
            return wire.TranscriptionDiarized(
                duration=round(said.seconds, 3),
                text=said.text,
                segments=said.turns(),
                usage=usage.told(call, said.prompt_tokens),
            )
    return _text(said, body.response_format)


def _whole_logprobs(said: Said) -> list[wire.WholeLogprob]:
    return [
        wire.WholeLogprob(token=each.token, logprob=each.logprob, bytes=[*each.bytes]) for each in said.all_logprobs
    ]


def _text(said: Said, form: str | None) -> Download:
    match form:
        case "srt":
            text = subtitles.srt(said.segments)
        case "vtt":
            text = subtitles.vtt(said.segments)
        case _:
            text = said.text + "\n"
    return Download(text.encode(), TEXT)


def _logprobs(segment: Segment) -> list[wire.Logprob]:
    return [wire.Logprob(token=each.text, logprob=each.logprob, bytes=each.bytes) for each in segment.logprobs]
