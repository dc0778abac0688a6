"""What a transcription asks for, checked against what its model takes, and what a host's refusals mean to a client."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager

from inhouse.api.audio import wire
from inhouse.api.audio.languages import code_of
from inhouse.catalog.cards import Card
from inhouse.engines.protocol import Refused
from inhouse.engines.transcription.shapes import (
    TOO_LONG,
    TOO_SHORT,
    UNDECODABLE,
    UNKNOWN_FORMAT,
    KnownSpeaker,
    VoiceActivity,
)
from inhouse.kit.errors import InvalidRequest

FORMATS = "['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']"
DIARIZED = "diarized_json"
MAX_SECONDS = 14_400
"""Of a file for models that are billed by time: four hours. The vendor names no limit."""
MAX_TOKEN_SECONDS = 1_400
"""Of a file for models that are billed by token, as the vendor's error says."""
UNCHUNKED_SECONDS = 30
"""Of a file that is diarized without a chunking strategy."""
_OPTIONAL = (
    "language",
    "languages",
    "keywords",
    "prompt",
    "include",
    "timestamp_granularities",
    "known_speaker_names",
    "known_speaker_references",
)


def by_time(card: Card) -> bool:
    """Whether the model is billed by the time it hears, and not by token."""
    return card.prices.audio_minute is not None


def diarizes(card: Card) -> bool:
    return DIARIZED in (card.values_of("response_format") or ())


def check(card: Card, body: wire.CreateTranscriptionRequest) -> None:
    """Refuse what the model does not take.

    Raises:
        InvalidRequest
    """
    for name in _OPTIONAL:
        if getattr(body, name) and card.refusal(name) is not None:
            raise InvalidRequest(
                f"Unsupported parameter: '{name}' is not supported with this model.",
                param=name,
                code="unsupported_parameter",
            )
    check_format(card, body.response_format)
    form = body.response_format or "json"
    if body.include and form != "json":
        raise InvalidRequest(
            "'include' with 'logprobs' is only supported with response_format 'json'.",
            param="include",
            code="unsupported_value",
        )
    if body.timestamp_granularities and form != "verbose_json":
        raise InvalidRequest(
            "'timestamp_granularities' is only supported with response_format 'verbose_json'.",
            param="timestamp_granularities",
            code="unsupported_value",
        )
    if body.stream and card.features.streaming and form not in ("json", "text", DIARIZED):
        raise InvalidRequest(
            f"response_format '{form}' cannot be streamed.", param="response_format", code="unsupported_value"
        )


def check_format(card: Card, form: str | None) -> None:
    """Raises InvalidRequest, in the vendor's words, for a format that the model does not give."""
    allowed = card.values_of("response_format")
    if form is not None and allowed is not None and form not in allowed:
        *others, last = [f"'{each}'" for each in allowed]
        choice = f"{', '.join(others)} or {last}" if others else last
        raise InvalidRequest(
            f"response_format '{form}' is not compatible with model '{card.id}'. Use {choice} instead.",
            param="response_format",
            code="unsupported_value",
        )


def language_of(body: wire.CreateTranscriptionRequest) -> str | None:
    """The code of the language that is spoken, if that is said.

    Raises:
        InvalidRequest: no language is called so.
    """
    given, param = body.language, "language"
    if given is None and body.languages and len(body.languages) == 1:
        given, param = body.languages[0], "languages"
    if not given:
        return None
    code = code_of(given)
    if code is None:
        raise InvalidRequest(
            f"Invalid language '{given[:50]}'. Language parameter must be specified in ISO-639-1 format.",
            param=param,
            code="invalid_language_format",
        )
    return code


def prompt_of(body: wire.CreateTranscriptionRequest) -> str | None:
    """The prompt, with the keywords as something that was said before."""
    words = ", ".join(body.keywords or ())
    return " ".join(part for part in (words, body.prompt) if part) or None


def voice_activity(strategy: object) -> VoiceActivity | None:
    if strategy is None:
        return None
    if not isinstance(strategy, wire.VadConfig):
        return VoiceActivity()
    given = {
        name: value
        for name in ("prefix_padding_ms", "silence_duration_ms", "threshold")
        if (value := getattr(strategy, name)) is not None
    }
    return VoiceActivity(**given)


def known_speakers(body: wire.CreateTranscriptionRequest) -> list[KnownSpeaker]:
    """The speakers that the request knows.

    Raises:
        InvalidRequest: not one reference for each name, or not data URLs.
    """
    names, references = body.known_speaker_names or [], body.known_speaker_references or []
    if len(names) != len(references):
        raise InvalidRequest(
            "'known_speaker_names' and 'known_speaker_references' must have the same length.",
            param="known_speaker_references",
            code="invalid_value",
        )
    known = []
    for index, (name, reference) in enumerate(zip(names, references, strict=True)):
        head, comma, data = reference.partition(",")
        try:
            if not (head.startswith("data:") and head.endswith(";base64") and comma):
                raise ValueError
            known.append(KnownSpeaker(name, base64.b64decode(data, validate=True)))
        except (ValueError, binascii.Error):
            raise InvalidRequest(
                f"Invalid 'known_speaker_references[{index}]'. Expected a base64-encoded data URL with an audio MIME "
                "type (e.g. 'data:audio/wav;base64,UklGRg...').",
                param=f"known_speaker_references[{index}]",
                code="invalid_value",
            ) from None
    return known


@contextmanager
def refusals(card: Card, *, unchunked: bool = False) -> Iterator[None]:
    """A host's refusals in the contract's words.

    Args:
        unchunked: the length is limited because the request names no chunking strategy.
    """
    try:
        yield
    except Refused as error:
        raise _told(error, card, unchunked) from error


def _told(error: Refused, card: Card, unchunked: bool) -> InvalidRequest:
    minutes = by_time(card)
    match error.code:
        case code if code == UNKNOWN_FORMAT and minutes:
            return InvalidRequest(f"Invalid file format. Supported formats: {FORMATS}")
        case code if code == UNDECODABLE and minutes:
            return InvalidRequest("The audio file could not be decoded or its format is not supported.")
        case code if code in (UNKNOWN_FORMAT, UNDECODABLE):
            return InvalidRequest("Audio file might be corrupted or unsupported", param="file", code="invalid_value")
        case code if code == TOO_SHORT and minutes:
            return InvalidRequest(
                "Audio file is too short. Minimum audio length is 0.1 seconds.", param="file", code="audio_too_short"
            )
        case code if code == TOO_SHORT:
            return InvalidRequest(
                f"audio duration {error} seconds is shorter than 0.1 seconds which is the minimum for this model",
                code="invalid_value",
            )
        case code if code == TOO_LONG and unchunked:
            return InvalidRequest(
                "chunking_strategy is required for diarization models", param="chunking_strategy", code="invalid_value"
            )
        case code if code == TOO_LONG:
            return InvalidRequest(
                f"audio duration {error} seconds is longer than {longest(card)} seconds which is the maximum for this "
                "model",
                code="invalid_value",
            )
    return InvalidRequest(str(error), param=error.param, code=error.code)


def longest(card: Card) -> int:
    """Seconds of a file that the model takes."""
    return MAX_SECONDS if by_time(card) else MAX_TOKEN_SECONDS
