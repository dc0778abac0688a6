"""Runs in the child: ``python -m inhouse.engines.transcription.host`` listens with one Whisper model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from inhouse.engines.audio.decoding import Undecodable, UnknownFormat, WrongLength
from inhouse.engines.hosting import HostServer, Stop, Upload
from inhouse.engines.protocol import Refused
from inhouse.engines.transcription.recognizer import Recognizer
from inhouse.engines.transcription.shapes import (
    TOO_LONG,
    TOO_SHORT,
    UNDECODABLE,
    UNKNOWN_FORMAT,
    Item,
    TranscribeRequest,
)
from inhouse.engines.transcription.speakers import VoiceEncoder

ENCODER = "voice-encoder.pt"


def main() -> None:
    server = HostServer()
    config = server.config
    model, *others = config.weights
    encoders = [weights.file(ENCODER) for weights in others if weights.file(ENCODER).exists()]
    recognizer = Recognizer(
        Path(model.path),
        VoiceEncoder(encoders[0]) if encoders else None,
        threads=config.threads,
        compute_type=str(config.options.get("compute_type", "int8")),
        beam=int(config.options.get("beam", 5)),
    )

    @server.stream("/transcribe")
    def transcribe(request: TranscribeRequest, stop: Stop, upload: Upload) -> Iterator[Item]:
        try:
            yield from recognizer.transcribe(request, upload, stop.check)
        except Undecodable as error:
            code = UNKNOWN_FORMAT if isinstance(error, UnknownFormat) else UNDECODABLE
            raise Refused(str(error), code=code) from error
        except WrongLength as error:
            code = TOO_LONG if error.seconds > error.limit else TOO_SHORT
            raise Refused(f"{error.seconds:.6f}".rstrip("0").rstrip("."), code=code) from error

    server.run()


if __name__ == "__main__":
    main()
