"""Runs in the child: ``python -m inhouse.engines.speech.host`` speaks with Kokoro, or a voice made for Piper."""

from __future__ import annotations

from collections.abc import Iterator

from inhouse.engines.audio.encoding import Encoder
from inhouse.engines.audio.formats import RATE
from inhouse.engines.hosting import HostServer, Stop
from inhouse.engines.protocol import Refused
from inhouse.engines.speech.kokoro import FASTEST, SLOWEST, Kokoro
from inhouse.engines.speech.piper import VOICE, Piper
from inhouse.engines.speech.shapes import UNSPEAKABLE, Heard, SpeakRequest
from inhouse.engines.speech.stretching import Stretcher
from inhouse.engines.speech.utterances import Unspeakable
from inhouse.engines.speech.voices import voice_of


def speak(model: Kokoro | Piper, request: SpeakRequest, stop: Stop) -> Iterator[Heard]:
    """The speech of one request, in the format it asks for.

    Raises:
        Refused: no such voice, or nothing to say.
    """
    voice = voice_of(request.voice)
    if voice is None:
        raise Refused(f"No voice is called '{request.voice}'.", param="voice")
    spoken = min(max(request.speed, SLOWEST), FASTEST)
    stretcher = Stretcher(request.speed / spoken)
    encoder = Encoder(request.format)
    count = 0
    try:
        for samples in model.speak(request.text, voice, spoken):
            stop.check()
            stretched = stretcher.add(samples)
            count += stretched.size
            yield Heard(encoder.add(stretched), count / RATE)
        rest = stretcher.end()
        count += rest.size
        last = encoder.add(rest) if rest.size else b""
        yield Heard(last + encoder.end(), count / RATE)
    except Unspeakable as error:
        raise Refused("The text holds nothing that can be spoken in English.", code=UNSPEAKABLE) from error
    finally:
        encoder.close()


def main() -> None:
    server = HostServer()
    weights = server.config.weights[0]
    made = Piper if weights.file(VOICE).exists() else Kokoro
    model = made(weights.file, server.config.threads)

    @server.stream("/speak")
    def serve(request: SpeakRequest, stop: Stop) -> Iterator[Heard]:
        yield from speak(model, request, stop)

    server.run()


if __name__ == "__main__":
    main()
