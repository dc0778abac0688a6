"""Audio: how fast and how well it is heard and spoken, beside the models driven directly in this process.

    python -m bench.audio [--seconds 20] [--runs 3] [--write]

Needs the weights of `whisper-1`, `tts-1` and the fast voice `piper-joe-medium` in the cache. One server is started on a
data folder of its own. Speeds are the best of a few runs, both sides in turn, since both want all cores. Words are
counted as wrong by the Levenshtein distance of what the server says and reads back; speakers by the diarization error
rate of conversations made of several voices.
"""

from __future__ import annotations

import argparse
import io
import re
import secrets
import tempfile
import time
import wave
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from openai import OpenAI
from tests.official.running import Server

from bench.report import table, write_section
from bench.speakers import Turn, error_rate
from inhouse.engines.machine import usable_cores
from inhouse.engines.speech.kokoro import Kokoro
from inhouse.engines.speech.piper import Piper
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.settings import Settings

TEXT = (
    "Somebody walks along the river in the morning. The water is high after days of rain, and the boats lie still. "
    "A dog runs ahead, comes back, and runs ahead again. Nobody else is about. "
)
SENTENCES = (
    "Good evening! The quick brown fox jumps over the lazy dog, and then everybody goes home for dinner.",
    "I would like to order a large pizza with mushrooms and extra cheese.",
    "The train to the coast leaves from the second platform, a little later than usual.",
    "Her grandmother kept bees behind the old school and sold the honey at the market.",
    "Please write down your name and address, and somebody will call you back tomorrow morning.",
    "When the storm was over, the children collected branches and built a house of them.",
    "A good map shows you where you are, and also what you will not find there.",
    "He repaired the radio with a piece of wire, and it played until the battery was empty.",
)
VOICES = ("marin", "onyx", "coral", "ash")
"""They say the sentences in turn."""
CONVERSATIONS = (("marin", "onyx"), ("coral", "ash"), ("marin", "onyx", "coral"))
PAUSE_S = 0.4
RATE = 24_000


def best(runs: int, *works: Callable[[], Any]) -> list[tuple[float, Any]]:
    """Of each, seconds of its fastest run and its last result. They take turns, so that noise falls on all alike."""
    found: list[tuple[float, Any]] = [(float("inf"), None) for _ in works]
    for _ in range(runs):
        for index, work in enumerate(works):
            began = time.perf_counter()
            result = work()
            found[index] = (min(found[index][0], time.perf_counter() - began), result)
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def distance(said: list[str], heard: list[str]) -> int:
    """Words to change, add or take away."""
    row = list(range(len(heard) + 1))
    for i, one in enumerate(said, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (one != other)))
    return row[-1]


def error_of_words(recordings: Sequence[bytes], hear: Callable[[bytes], str]) -> float:
    """The word error rate of recordings of the sentences."""
    pairs = [(words(said), words(hear(spoken))) for said, spoken in zip(SENTENCES, recordings, strict=True)]
    return sum(distance(*pair) for pair in pairs) / sum(len(said) for said, _ in pairs)


def wav(samples: np.ndarray[Any, Any]) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return out.getvalue()


def conversation(recordings: Sequence[bytes], voices: tuple[str, ...]) -> tuple[bytes, list[Turn]]:
    """A recording in which voices take turns with the sentences they said, and who speaks when."""
    said: list[Turn] = []
    parts: list[np.ndarray[Any, Any]] = []
    at = 0.0
    for index, recording in enumerate(recordings):
        voice = VOICES[index % len(VOICES)]
        if voice not in voices:
            continue
        samples = np.frombuffer(recording[44:], "<i2")
        loud = np.flatnonzero(np.abs(samples) > 300)
        samples = samples[loud[0] : loud[-1]]
        said.append(Turn(voice, at, at + samples.size / RATE))
        parts += [samples, np.zeros(int(PAUSE_S * RATE), "<i2")]
        at += samples.size / RATE + PAUSE_S
    return wav(np.concatenate(parts)), said


def diarized(client: OpenAI, recording: bytes) -> list[Turn]:
    told: Any = client.audio.transcriptions.create(
        model="gpt-4o-transcribe-diarize",
        file=("talk.wav", recording),
        response_format="diarized_json",
        chunking_strategy="auto",
    )
    return [Turn(each.speaker, each.start, each.end) for each in told.segments]


def first_audio(client: OpenAI, text: str) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="marin", input=text, response_format="pcm"
    ) as response:
        next(iter(response.iter_bytes(chunk_size=1)))


def measured(client: OpenAI, cache: WeightsCache, text: str, runs: int) -> str:
    """The section of docs/performance.md."""
    cores = usable_cores()
    kokoro = cache.folder(find_manifest("kokoro-82m-v1.0-int8"))
    piper = cache.folder(find_manifest("piper-joe-medium"))
    model = Kokoro(lambda name: kokoro / name, cores)
    fast = Piper(lambda name: piper / name, cores)
    recognizer = WhisperModel(
        str(cache.folder(find_manifest("whisper-base"))), compute_type="int8", cpu_threads=cores, local_files_only=True
    )

    def speak(said: str, voice: str = "marin") -> bytes:
        return client.audio.speech.create(model="tts-1", voice=voice, input=said, response_format="wav").content

    def speak_fast(said: str) -> bytes:
        return wav(np.concatenate(list(fast.speak(said, ""))) * 32767)

    def hear(recording: bytes) -> str:
        return client.audio.transcriptions.create(model="whisper-1", file=("a.wav", recording), language="en").text

    (spoken_s, samples), (served_s, recording), (fast_s, fast_wav) = best(
        runs, lambda: np.concatenate(list(model.speak(text, "af_heart"))), lambda: speak(text), lambda: speak_fast(text)
    )
    (heard_s, _), (served_heard_s, _) = best(
        runs, lambda: list(recognizer.transcribe(BytesIO(recording), language="en")[0]), lambda: hear(recording)
    )
    [(first_s, _)] = best(runs, lambda: first_audio(client, text))
    seconds, fast_seconds = samples.size / RATE, (len(fast_wav) - 44) / 2 / RATE
    rows = [
        ["speech, Kokoro", *_factors(spoken_s, served_s, seconds)],
        ["speech, fast voice", f"{fast_s / fast_seconds:.2f}", "-", "-"],
        ["transcription, Whisper base", *_factors(heard_s, served_heard_s, seconds)],
    ]
    recordings = [speak(sentence, VOICES[index % len(VOICES)]) for index, sentence in enumerate(SENTENCES)]
    fast_recordings = [speak_fast(sentence) for sentence in SENTENCES]
    talks = [conversation(recordings, voices) for voices in CONVERSATIONS]
    rates = [error_rate(said, diarized(client, talk)) for talk, said in talks]
    quality = [
        ["seconds to the first audio", f"{first_s:.2f}"],
        ["word error rate, Kokoro read back by Whisper base", f"{error_of_words(recordings, hear):.1%}"],
        [
            "word error rate, fast voice read back by Whisper base",
            f"{error_of_words(fast_recordings, hear):.1%}",
        ],
        *(
            [f"diarization error rate, {len(voices)} voices ({', '.join(voices)})", f"{rate:.1%}"]
            for voices, rate in zip(CONVERSATIONS, rates, strict=True)
        ),
    ]
    head = f"{cores} cores, {seconds:.0f} s of speech; real-time factor: seconds of work for a second of sound.\n\n"
    return (
        head
        + table(["real-time factor", "driven directly", "through the server", "more"], rows)
        + "\n\n"
        + table(["what", "measured"], quality)
    )


def _factors(direct: float, served: float, seconds: float) -> list[str]:
    return [f"{direct / seconds:.2f}", f"{served / seconds:.2f}", f"{served / direct - 1:+.1%}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech to make and to hear, about")
    parser.add_argument("--runs", type=int, default=3, help="of each, of which the fastest counts")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    arguments = parser.parse_args()
    text = TEXT * max(1, round(arguments.seconds / 13))
    cache = WeightsCache(Settings().cache_dir.expanduser())
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), engines__preload="whisper-1,tts-1", api_key=f"sk-proj-{secrets.token_hex(20)}")
        server.start()
        try:
            told = measured(server.client(timeout=600), cache, text, arguments.runs)
        finally:
            server.stop()
    print(told)
    if arguments.write:
        write_section("audio", told)


if __name__ == "__main__":
    main()
