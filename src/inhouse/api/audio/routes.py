"""Audio over HTTP."""

from __future__ import annotations

from inhouse.api.audio import wire
from inhouse.api.audio.speech import SpeechService
from inhouse.api.audio.transcription import TranscriptionService
from inhouse.api.operation import Download, Request, operation
from inhouse.engines.audio.formats import MEDIA_TYPES
from inhouse.kit.errors import NotFound, Overloaded, PayloadTooLarge
from inhouse.kit.sse import EventStream

MOST_BYTES = 25 * 1024 * 1024
ERRORS = (NotFound, Overloaded, PayloadTooLarge)


class Audio:
    def __init__(self, transcription: TranscriptionService, speech: SpeechService) -> None:
        self._transcription = transcription
        self._speech = speech

    @operation(
        "POST", "/audio/transcriptions", id="createTranscription", tag="Audio", errors=ERRORS, max_bytes=MOST_BYTES
    )
    async def transcribe(
        self, request: Request, body: wire.CreateTranscriptionRequest
    ) -> (
        wire.Transcription
        | wire.TranscriptionVerbose
        | wire.TranscriptionDiarized
        | Download
        | EventStream[wire.TranscriptionEvent]
    ):
        """Write down what is said in an audio file.

        Formats, streaming and speakers depend on the model, see its card.
        """
        if self._transcription.streams(body):
            return EventStream(self._transcription.stream(request, body))
        return await self._transcription.transcribe(request, body)  # type: ignore[return-value]

    @operation("POST", "/audio/translations", id="createTranslation", tag="Audio", errors=ERRORS, max_bytes=MOST_BYTES)
    async def translate(
        self, request: Request, body: wire.CreateTranslationRequest
    ) -> wire.Translation | wire.TranscriptionVerbose | Download:
        """Write down in English what is said in an audio file."""
        return await self._transcription.translate(request, body)  # type: ignore[return-value]

    @operation("POST", "/audio/speech", id="createSpeech", tag="Audio", errors=(NotFound, Overloaded))
    async def speak(self, request: Request, body: wire.CreateSpeechRequest) -> Download | EventStream[wire.SpeechEvent]:
        """Speak a text.

        The audio is sent while it is spoken: the first bytes leave after the first few words.
        """
        if body.stream_format == "sse":
            return EventStream(self._speech.stream(request, body), done=False)
        return Download(self._speech.speak(request, body), MEDIA_TYPES[body.response_format or "mp3"])
