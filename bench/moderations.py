"""Texts and images a second through the moderation classifier, in one process: what the host does, without HTTP.

python -m bench.moderations [--seconds 5] [--threads 2] [--write]
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

from PIL import Image

from bench.report import table, write_section
from inhouse.engines.moderation.classifier import TextClassifier
from inhouse.engines.moderation.images import ImageClassifier
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.settings import load

SHORT = "The meeting is moved to Thursday at three, please tell the others."
LONG = SHORT * 15


def rate(work: Callable[[], int], seconds: float) -> float:
    """Things done a second; ``work`` tells how many each time. The first time is not counted."""
    work()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        done += work()
    return done / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    asked = parser.parse_args()
    folder = WeightsCache(load({}).cache_dir).folder(find_manifest("moderation-english"))
    started = time.perf_counter()
    texts = TextClassifier(folder, asked.threads)
    images = ImageClassifier(folder / "open-nsfw.onnx", asked.threads)
    loaded = time.perf_counter() - started
    file = io.BytesIO()
    Image.effect_noise((1024, 1024), 64).convert("RGB").save(file, format="JPEG")
    cases: list[tuple[str, Callable[[], int]]] = [
        ("one text of 66 characters", lambda: len(texts.classify([SHORT]))),
        ("16 texts of 66 characters", lambda: len(texts.classify([SHORT] * 16))),
        ("one text of 990 characters", lambda: len(texts.classify([LONG]))),
        ("one JPEG of 1024 x 1024 pixels", lambda: len(images.classify(file.getvalue()))),
    ]
    rows = [[name, f"{rate(work, asked.seconds):.1f}"] for name, work in cases]
    told = f"{asked.threads} threads; loaded in {loaded:.1f} s.\n\n{table(['what', 'a second'], rows)}"
    print(told)
    if asked.write:
        write_section("moderations", told)


if __name__ == "__main__":
    main()
