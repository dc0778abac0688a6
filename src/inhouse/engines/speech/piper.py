"""A voice that was made for Piper (VITS) through ONNX Runtime, without any part of Piper or eSpeak, which are under the
GPL: the model is given the phonemes of ``phonemes``, written as eSpeak would write them. Small, and fast."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
from av import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from inhouse.engines.audio.formats import RATE
from inhouse.engines.speech.phonemes import Lexicons
from inhouse.engines.speech.spelling import Speller
from inhouse.engines.speech.utterances import utterances

VOICE = "en_US-joe-medium.onnx"

_SAME = str.maketrans(
    {
        "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "ʤ": "dʒ", "ʧ": "tʃ", "ᵊ": "ə", "T": "ɾ",
        "—": ",", "…": ".", "“": '"', "”": '"',
    }
)  # fmt: skip
"""Sounds that the lexicons write with one letter, in the International Phonetic Alphabet."""
_LONG = (
    (re.compile("ɜɹ"), "ɜː"),
    (re.compile("əɹ"), "ɚ"),
    (re.compile(r"i(?=\w)"), "iː"),
    (re.compile("u"), "uː"),
    (re.compile("ɑ"), "ɑː"),
    (re.compile("ɔ(?!ɪ)"), "ɔː"),
)
"""American vowels that eSpeak writes as long."""

Samples = NDArray[np.float32]


class _Audio(msgspec.Struct):
    sample_rate: int


class _Inference(msgspec.Struct):
    noise_scale: float
    length_scale: float
    noise_w: float


class _Settings(msgspec.Struct):
    """The voice's own settings, as far as they are read."""

    audio: _Audio
    inference: _Inference
    phoneme_id_map: dict[str, list[int]]


class Piper:
    """The loaded voice. ``speak`` may run in several threads.

    Args:
        file: where each file of the manifest is, by its name.
        threads: of the processor.

    Raises:
        Exception: of ONNX Runtime, NumPy or msgspec, for files that are not what they should be.
    """

    def __init__(self, file: Callable[[str], Path], threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._model: Any = onnxruntime.InferenceSession(str(file(VOICE)), options, providers=["CPUExecutionProvider"])
        self._settings = msgspec.json.decode(file(f"{VOICE}.json").read_bytes(), type=_Settings)
        self._lexicons = Lexicons(
            "us", file("lexicons/us_gold.json"), file("lexicons/us_silver.json"), Speller(file("spelling.npz"))
        )

    def speak(self, text: str, voice: str, speed: float = 1.0) -> Iterator[Samples]:
        """Speech of ``text`` at 24 kHz, portion by portion.

        Args:
            voice: whose it would be; there is only one.
            speed: from 0.5 to 2.

        Raises:
            Unspeakable: before anything was said.
        """
        for phonemes, pause in utterances(text, self._lexicons.phonemes):
            silence = np.zeros(int(pause / speed * RATE), np.float32)
            yield np.concatenate([self._utter(phonetic(phonemes), speed), silence])

    def _utter(self, phonemes: str, speed: float) -> Samples:
        ids = self._settings.phoneme_id_map
        pad = ids["_"]
        sequence = [*ids["^"], *pad]
        for each in phonemes:
            if each in ids:
                sequence += [*ids[each], *pad]
        sequence += ids["$"]
        inference = self._settings.inference
        samples: Samples = self._model.run(
            None,
            {
                "input": np.array([sequence], np.int64),
                "input_lengths": np.array([len(sequence)], np.int64),
                "scales": np.array(
                    [inference.noise_scale, inference.length_scale / speed, inference.noise_w], np.float32
                ),
            },
        )[0].reshape(-1)
        return _resampled(samples, self._settings.audio.sample_rate)


def phonetic(phonemes: str) -> str:
    """Phonemes of the lexicons as eSpeak writes American English."""
    written = phonemes.translate(_SAME)
    for pattern, long in _LONG:
        written = pattern.sub(long, written)
    return written


def _resampled(samples: Samples, rate: int) -> Samples:
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = rate
    resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
    out = [each.to_ndarray().reshape(-1) for given in (frame, None) for each in resampler.resample(given)]
    return np.concatenate(out).astype(np.float32, copy=False)
