"""Kokoro-82M (hexgrad, Apache-2.0) through ONNX Runtime: phonemes and a voice in, 24 kHz speech out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from inhouse.engines.audio.formats import RATE
from inhouse.engines.speech.phonemes import Lexicons
from inhouse.engines.speech.spelling import Speller
from inhouse.engines.speech.utterances import utterances
from inhouse.engines.speech.voices import KOKORO, Accent, accent_of

SLOWEST, FASTEST = 0.5, 2.0
"""Speeds that the model speaks well at; beyond them its speech is stretched, see ``stretching``."""
STYLE = 256

_IDS = dict(
    zip(
        ";:,.!?—…\"()“” ̃AIOQSTWYᵊabcdefhijklmnopqrstuvwxyzɑɐɒæɔðʤəɚɛɜɡɪŋɹɾθʃʧʊʌʒʔˈˌːᵻ",
        (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25, 31, 33, 35, 36, 39, 41, 42, 43, 44, 45, 46, 47,
         48, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 76, 81, 82,
         83, 85, 86, 87, 92, 102, 112, 123, 125, 119, 131, 133, 135, 138, 147, 148, 156, 157, 158, 177),
        strict=True,
    )
)  # fmt: skip
"""The model's ids of what English is written in; facts of its published configuration."""

_QUIET = 0.01
_LEAD = RATE // 50

Samples = NDArray[np.float32]


class Kokoro:
    """The loaded model. ``speak`` may run in several threads.

    Args:
        file: where each file of the manifest is, by its name.
        threads: of the processor.

    Raises:
        Exception: of ONNX Runtime or NumPy, for files that are not what they should be.
    """

    def __init__(self, file: Callable[[str], Path], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # A thread that waits for its next piece of work must not take a core from the gateway.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._model: Any = onnxruntime.InferenceSession(
            str(file("kokoro-v1.0.int8.onnx")), options, providers=["CPUExecutionProvider"]
        )
        self._styles = {
            voice: np.fromfile(file(f"voices/{voice}.bin"), np.float32).reshape(-1, 1, STYLE) for voice in KOKORO
        }
        self._file = file
        self._speller = Speller(file("spelling.npz"))
        self._lexicons: dict[Accent, Lexicons] = {"us": self._load("us")}

    def speak(self, text: str, voice: str, speed: float = 1.0) -> Iterator[Samples]:
        """Speech of ``text``, portion by portion.

        Args:
            voice: one of ``KOKORO``.
            speed: from ``SLOWEST`` to ``FASTEST``.

        Raises:
            Unspeakable: before anything was said.
        """
        for phonemes, pause in utterances(text, self._lexicon(accent_of(voice)).phonemes):
            ids = [_IDS[each] for each in phonemes if each in _IDS]
            if ids:
                yield self.utter(ids, voice, speed, pause=pause / speed)

    def utter(self, ids: list[int], voice: str, speed: float, *, pause: float) -> Samples:
        """One run of the model, over at most ``MAX_PHONEMES`` ids, with ``pause`` seconds of silence after it."""
        styles = self._styles[voice]
        samples: Samples = self._model.run(
            None,
            {
                "tokens": np.array([[0, *ids, 0]], np.int64),
                "style": styles[min(len(ids), len(styles)) - 1],
                "speed": np.array([speed], np.float32),
            },
        )[0].reshape(-1)
        loud = np.flatnonzero(np.abs(samples) > _QUIET)
        if loud.size:
            samples = samples[max(0, loud[0] - _LEAD) : loud[-1] + _LEAD]
        return np.concatenate([samples, np.zeros(int(pause * RATE), np.float32)])

    def _lexicon(self, accent: Accent) -> Lexicons:
        found = self._lexicons.get(accent)
        if found is None:
            found = self._lexicons[accent] = self._load(accent)
        return found

    def _load(self, accent: Accent) -> Lexicons:
        return Lexicons(
            accent, self._file(f"lexicons/{accent}_gold.json"), self._file(f"lexicons/{accent}_silver.json"),
            self._speller,
        )  # fmt: skip
