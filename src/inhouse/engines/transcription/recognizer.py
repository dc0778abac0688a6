"""Whisper over a file of any length: pieces of a few minutes, one after the other, as what was said in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import VadOptions, get_speech_timestamps

from inhouse.engines.audio.decoding import RATE, Samples, decode, pieces
from inhouse.engines.protocol import Refused
from inhouse.engines.transcription.shapes import (
    Begun,
    Ended,
    Item,
    Segment,
    Token,
    TranscribeRequest,
    VoiceActivity,
    Word,
)
from inhouse.engines.transcription.speakers import Diarization, VoiceEncoder

FALLBACK = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Temperatures to go on with where a decoding looks wrong; what the contract promises for a temperature of 0."""
PROMPT_TOKENS = 223
"""Of the prompt's end, which is what Whisper looks at."""
CARRIED_CHARACTERS = 200
"""Of what was said at the end of one piece, as the next one's prompt."""
KNOWN_SECONDS = (1.2, 10.0)


class Recognizer:
    """A loaded Whisper model.

    Args:
        folder: with the model's files as CTranslate2 writes them.
        encoder: for diarization; None if its weights are not deployed.
        beam: alternatives followed while decoding.

    Raises:
        Exception: of CTranslate2, for files that are not what they should be.
    """

    def __init__(
        self, folder: Path, encoder: VoiceEncoder | None, *, threads: int, compute_type: str = "int8", beam: int = 5
    ) -> None:
        self._model = WhisperModel(
            str(folder), device="auto", compute_type=compute_type, cpu_threads=threads, local_files_only=True
        )
        self._encoder = encoder
        self._beam = beam
        self._aligned = _Aligned(self._model.model)
        self._model.model = self._aligned
        self._tokens = Tokenizer(self._model.hf_tokenizer, self._model.model.is_multilingual, "transcribe", "en")

    def transcribe(self, request: TranscribeRequest, audio: IO[bytes], check: Callable[[], None]) -> Iterator[Item]:
        """What is said in a file, as it is understood.

        Args:
            audio: the file, at its beginning.
            check: called between pieces of work; raises if nobody waits any more.

        Raises:
            Undecodable, WrongLength: of ``audio.decoding``.
            Refused: diarization that is not deployed, or a reference that holds no voice.
        """
        if request.language is not None and request.language not in self._model.supported_languages:
            raise Refused(f"Language '{request.language}' is not supported.", param="language", code="unsupported")
        blocks = decode(audio, max_seconds=request.max_seconds)
        parts: Iterator[Samples] = pieces(blocks)
        diarization = None
        if request.diarize:
            held = list(parts)
            diarization = self._diarize(np.concatenate(held), request, check)
            parts = iter(held)
        count, offset, carried, language = 0, 0, request.prompt, request.language
        told = False
        for samples in parts:
            check()
            segments, info = self._listen(samples, request, language, carried)
            if not told:
                language, told = info.language, True
                yield Begun(language=info.language, prompt_tokens=self._prompt_tokens(request.prompt))
            said = ""
            for found in segments:
                check()
                segment = self._segment(found, request, offset / RATE)
                said += segment.text
                for part in _turns(segment, diarization):
                    yield _numbered(part, count)
                    count += 1
            offset += samples.size
            carried = f"{request.prompt or ''} {said[-CARRIED_CHARACTERS:]}".strip() or None
        yield Ended(seconds=offset / RATE)

    def _listen(
        self, samples: Samples, request: TranscribeRequest, language: str | None, prompt: str | None
    ) -> tuple[Any, Any]:
        activity = request.voice_activity
        heard: tuple[Any, Any] = self._model.transcribe(
            samples,
            task=request.task,
            language=language,
            initial_prompt=prompt,
            beam_size=self._beam,
            temperature=FALLBACK if request.temperature == 0 else request.temperature,
            word_timestamps=request.words or request.logprobs or request.diarize,
            vad_filter=activity is not None,
            vad_parameters=_options(activity) if activity is not None else None,
        )
        return heard

    def _segment(self, found: Any, request: TranscribeRequest, offset: float) -> Segment:
        words = [
            Word(word.word, round(float(word.start) + offset, 3), round(float(word.end) + offset, 3))
            for word in found.words or []
        ]
        return Segment(
            id=0,
            seek=int(found.seek + offset * 100),
            start=round(float(found.start) + offset, 3),
            end=round(float(found.end) + offset, 3),
            text=found.text,
            tokens=[int(token) for token in found.tokens],
            temperature=float(found.temperature or 0.0),
            avg_logprob=float(found.avg_logprob),
            compression_ratio=float(found.compression_ratio),
            no_speech_prob=float(found.no_speech_prob),
            words=words if request.words or request.diarize else [],
            logprobs=self._logprobs(found) if request.logprobs else [],
        )

    def _logprobs(self, found: Any) -> list[Token]:
        """Each text token with how likely the model holds it, given the audio and what stands before it."""
        tokens = [int(token) for token in found.tokens if token < self._tokens.eot]
        probabilities = self._aligned.take(len(tokens))
        out: list[Token] = []
        before = b""
        for at, (_, probability) in enumerate(zip(tokens, probabilities, strict=False)):
            # Decoded as a whole up to here: a character may be spread over several tokens.
            whole = self._tokens.decode(tokens[: at + 1]).encode("utf-8", "replace")
            raw = whole[len(before) :] if whole.startswith(before) else b""
            if raw.endswith("�".encode()):
                raw = b""
            else:
                before = whole
            out.append(Token(raw.decode("utf-8", "replace"), list(raw), float(np.log(max(probability, 1e-10)))))
        return out

    def _prompt_tokens(self, prompt: str | None) -> int:
        return min(len(self._tokens.encode(" " + prompt.strip())), PROMPT_TOKENS) if prompt else 0

    def _diarize(self, samples: Samples, request: TranscribeRequest, check: Callable[[], None]) -> Diarization:
        if self._encoder is None:
            raise Refused("The model that is deployed here does not tell speakers apart.", code="unsupported_value")
        known = []
        for speaker in request.known:
            check()
            voice = np.concatenate(list(pieces(decode(BytesIO(speaker.audio), max_seconds=KNOWN_SECONDS[1] + 1))))
            if voice.size < KNOWN_SECONDS[0] * RATE:
                raise Refused(f"The reference of '{speaker.name}' is too short.", param="known_speaker_references")
            known.append((speaker.name, self._encoder.voice(voice)))
        activity = request.voice_activity or VoiceActivity()
        speech = [(span["start"], span["end"]) for span in get_speech_timestamps(samples, _options(activity))]
        check()
        return Diarization(self._encoder, samples, speech, known)


def _options(activity: VoiceActivity) -> VadOptions:
    return VadOptions(
        threshold=activity.threshold,
        min_silence_duration_ms=activity.silence_duration_ms,
        speech_pad_ms=activity.prefix_padding_ms,
    )


def _numbered(segment: Segment, id: int) -> Segment:
    segment.id = id
    return segment


def _turns(segment: Segment, diarization: Diarization | None) -> Iterator[Segment]:
    """A segment as the turns of those who speak in it."""
    if diarization is None:
        yield segment
        return
    if not segment.words:
        segment.speaker = diarization.speaker(segment.start, segment.end)
        yield segment
        return
    turn: list[Word] = []
    speaker = ""
    for word in segment.words:
        speaks = diarization.speaker(word.start, word.end)
        if turn and speaks != speaker:
            yield _turn(segment, turn, speaker)
            turn = []
        speaker = speaks
        turn.append(word)
    yield _turn(segment, turn, speaker)


def _turn(segment: Segment, words: list[Word], speaker: str) -> Segment:
    whole = len(words) == len(segment.words)
    return Segment(
        id=0,
        seek=segment.seek,
        start=words[0].start,
        end=words[-1].end,
        text=segment.text if whole else "".join(word.word for word in words),
        # Tokens are counted once, with the turn that begins the segment.
        tokens=segment.tokens if words[0] is segment.words[0] else [],
        temperature=segment.temperature,
        avg_logprob=segment.avg_logprob,
        compression_ratio=segment.compression_ratio,
        no_speech_prob=segment.no_speech_prob,
        words=words,
        speaker=speaker,
    )


class _Aligned:
    """CTranslate2's model that remembers the probability of each token of the last window it aligned.

    faster-whisper aligns a window's tokens with its audio to time the words, and keeps only the mean for each word.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._kept = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def align(self, *args: Any, **kwargs: Any) -> Any:
        results = self._model.align(*args, **kwargs)
        self._kept.probabilities = [p for result in results for p in result.text_token_probs]
        return results

    def take(self, count: int) -> list[float]:
        """The next ``count`` tokens' probabilities."""
        kept: list[float] = getattr(self._kept, "probabilities", [])
        self._kept.probabilities = kept[count:]
        return kept[:count]
