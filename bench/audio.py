"""Audio: how fast it is heard and spoken, beside the libraries called directly in this process.

    python -m bench.audio [--seconds 20]

Needs the weights of `whisper-1` and `tts-1` in the cache. One server is started on a data folder of its own; every
figure is the best of a few runs, one after the other, since both sides want all cores.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from openai import OpenAI
from tests.official.running import Server

from inhouse.engines.machine import usable_cores
from inhouse.engines.speech.kokoro import Kokoro
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.settings import Settings

TEXT = (
    "Somebody walks along the river in the morning. The water is high after days of rain, and the boats lie still. "
    "A dog runs ahead, comes back, and runs ahead again. Nobody else is about. "
)
RUNS = 3


def best(work: Callable[[], Any], runs: int = RUNS) -> tuple[float, Any]:
    """Seconds of the fastest of a few runs, and the last one's result."""
    least, result = float("inf"), None
    for _ in range(runs):
        began = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - began)
    return least, result


def first_audio(client: OpenAI, text: str) -> float:
    began = time.perf_counter()
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="marin", input=text, response_format="pcm"
    ) as response:
        next(iter(response.iter_bytes(chunk_size=1)))
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="of speech to make and to hear, about")
    arguments = parser.parse_args()
    text = TEXT * max(1, round(arguments.seconds / 13))
    cache = WeightsCache(Settings().cache_dir.expanduser())
    kokoro = cache.folder(find_manifest("kokoro-82m-v1.0-int8"))
    whisper = cache.folder(find_manifest("whisper-base"))
    cores = usable_cores()

    model = Kokoro(lambda name: kokoro / name, cores)
    direct_speech, samples = best(lambda: np.concatenate(list(model.speak(text, "af_heart"))))
    spoken = samples.size / 24_000
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), engines__preload="whisper-1,tts-1", api_key=f"sk-proj-{secrets.token_hex(20)}")
        server.start()
        try:
            client = server.client(timeout=600)

            def speak() -> bytes:
                asked = client.audio.speech.create(model="tts-1", voice="marin", input=text, response_format="wav")
                return asked.content

            served_speech, wav = best(speak)
            first, _ = best(lambda: first_audio(client, text))

            def listen() -> str:
                return client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav)).text

            served_hearing, heard = best(listen)
        finally:
            server.stop()
    recognizer = WhisperModel(str(whisper), compute_type="int8", cpu_threads=cores, local_files_only=True)
    direct_hearing, _ = best(lambda: list(recognizer.transcribe(BytesIO(wav))[0]))

    print(f"{cores} cores, {spoken:.1f} s of speech, {len(heard.split())} words\n")
    print("| what | called directly | through the server | more |")
    print("|---|---|---|---|")
    for name, direct, served in (
        ("speech", direct_speech, served_speech),
        ("transcription", direct_hearing, served_hearing),
    ):
        print(
            f"| {name}, real-time factor | {direct / spoken:.3f} | {served / spoken:.3f} | {served / direct - 1:+.1%} |"
        )
    print(f"| speech, seconds to the first audio | - | {first:.2f} | - |")


if __name__ == "__main__":
    main()
