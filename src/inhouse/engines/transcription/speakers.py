"""Who speaks when: windows of speech as vectors of the voice, and the vectors as speakers.

The encoder is Resemblyzer's (Corentin Jemine, Apache-2.0), the network of "Generalized End-to-End Loss for Speaker
Verification" (Wan et al., 2018): three LSTM layers of 256 units over 40 mel bands of 1.6 s, here in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor
from numpy.typing import NDArray

from inhouse.engines.audio.decoding import RATE, Samples

Vectors = NDArray[np.float32]
FRAME = RATE // 100
FFT = RATE * 25 // 1000
MELS, HIDDEN = 40, 256
WINDOW, STEP = 160, 60
"""Frames (10 ms) that one vector is made of, and from one to the next."""
LOUDNESS_DBFS = -30.0
SAME_SPEAKER = 0.72
"""Mean cosine from which two groups of windows are one speaker. Chosen on speech of the voices that Kokoro has: windows
of one voice are mostly above 0.8, those of two mostly below 0.65."""
KNOWN_SPEAKER = 0.70
_BATCH = 64

_TENSORS: dict[str, tuple[int, tuple[int, ...]]] = {
    "weight_ih_l0": (269883, (1024, 40)),
    "weight_hh_l0": (433723, (1024, 256)),
    "bias_ih_l0": (5676603, (1024,)),
    "bias_hh_l0": (5680699, (1024,)),
    "weight_ih_l1": (1482299, (1024, 256)),
    "weight_hh_l1": (2530875, (1024, 256)),
    "bias_ih_l1": (5684795, (1024,)),
    "bias_hh_l1": (5688891, (1024,)),
    "weight_ih_l2": (3579451, (1024, 256)),
    "weight_hh_l2": (4628027, (1024, 256)),
    "bias_ih_l2": (5692987, (1024,)),
    "bias_hh_l2": (5697083, (1024,)),
    "linear.weight": (7731, (256, 256)),
    "linear.bias": (6699, (256,)),
}
"""Where each tensor begins in the pinned file, bytes, and its shape. The file is a pickle; nothing of it is ever
unpickled, only these float32 runs are read."""


class VoiceEncoder:
    """Voices as unit vectors of 256 numbers.

    Args:
        path: the checkpoint that the manifest names, and no other.
    """

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self._w = {
            name: np.frombuffer(data, "<f4", int(np.prod(shape)), offset).reshape(shape).copy()
            for name, (offset, shape) in _TENSORS.items()
        }
        self._mels = FeatureExtractor.get_mel_filters(RATE, FFT, MELS).astype(np.float32)
        self._hann = np.hanning(FFT + 1)[:-1].astype(np.float32)

    def windows(self, samples: Samples) -> tuple[list[float], Vectors]:
        """Vectors of the windows of ``samples``, and the second that is the middle of each."""
        mel = self._spectrogram(_louder(samples))
        if len(mel) < WINDOW:
            mel = np.pad(mel, ((0, WINDOW - len(mel)), (0, 0)))
        starts = list(range(0, len(mel) - WINDOW + 1, STEP))
        vectors = [
            self._embed(np.stack([mel[start : start + WINDOW] for start in starts[at : at + _BATCH]]))
            for at in range(0, len(starts), _BATCH)
        ]
        return [(start + WINDOW / 2) / 100 for start in starts], np.concatenate(vectors)

    def voice(self, samples: Samples) -> Vectors:
        """One vector for all of ``samples``."""
        return _unit(self.windows(samples)[1].mean(axis=0))

    def _spectrogram(self, samples: Samples) -> NDArray[np.float32]:
        padded = np.pad(samples, FFT // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::FRAME]
        power = np.square(np.abs(np.fft.rfft(frames * self._hann, axis=1))).astype(np.float32)
        mel: NDArray[np.float32] = power @ self._mels.T
        return mel

    def _embed(self, x: NDArray[np.float32]) -> Vectors:
        for layer in range(3):
            w_ih, w_hh = self._w[f"weight_ih_l{layer}"], self._w[f"weight_hh_l{layer}"]
            fixed = x @ w_ih.T + (self._w[f"bias_ih_l{layer}"] + self._w[f"bias_hh_l{layer}"])
            hidden = cell = np.zeros((len(x), HIDDEN), np.float32)
            out = np.empty((len(x), x.shape[1], HIDDEN), np.float32)
            for at in range(x.shape[1]):
                gates = fixed[:, at] + hidden @ w_hh.T
                enter, forget, new, leave = np.split(gates, 4, axis=1)
                cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(new)
                hidden = out[:, at] = _sigmoid(leave) * np.tanh(cell)
            x = out
        raw = np.maximum(x[:, -1] @ self._w["linear.weight"].T + self._w["linear.bias"], 0)
        return _unit(raw)


class Diarization:
    """Speakers along a recording.

    Args:
        samples: all of it.
        speech: where somebody speaks, in samples.
        known: names with a vector of each voice.
    """

    def __init__(
        self,
        encoder: VoiceEncoder,
        samples: Samples,
        speech: Sequence[tuple[int, int]],
        known: Sequence[tuple[str, Vectors]] = (),
    ) -> None:
        moments: list[float] = []
        vectors: list[Vectors] = []
        for start, end in speech:
            middles, found = encoder.windows(samples[start:end])
            moments += [start / RATE + middle for middle in middles]
            vectors.append(found)
        self._moments = np.array(moments)
        self._names: list[str] = []
        if vectors:
            stacked = np.concatenate(vectors)
            groups = cluster(stacked)
            self._names = _named(stacked, groups, known)

    def speaker(self, start: float, end: float) -> str:
        """Who speaks between two seconds: "A", "B", ... in the order of their first words, or a known name."""
        if not self._names:
            return "A"
        return self._names[int(np.abs(self._moments - (start + end) / 2).argmin())]


def cluster(vectors: Vectors) -> list[int]:
    """Groups of unit vectors by average linkage: the two most alike are joined until none are alike enough."""
    count = len(vectors)
    sums, sizes = vectors.astype(np.float64), np.ones(count)
    likeness = sums @ sums.T
    np.fill_diagonal(likeness, -np.inf)
    group = list(range(count))
    best = likeness.argmax(axis=1)
    alive = np.ones(count, bool)
    for _ in range(count - 1):
        values = np.where(alive, likeness[np.arange(count), best], -np.inf)
        one = int(values.argmax())
        other = int(best[one])
        if values[one] < SAME_SPEAKER:
            break
        sums[one] += sums[other]
        sizes[one] += sizes[other]
        alive[other] = False
        group = [one if each == other else each for each in group]
        row = np.where(alive, (sums @ sums[one]) / (sizes * sizes[one]), -np.inf)
        row[one] = -np.inf
        likeness[one], likeness[:, one] = row, row
        likeness[other], likeness[:, other] = -np.inf, -np.inf
        stale = alive & ((best == one) | (best == other))
        stale[one] = True
        best[stale] = likeness[stale].argmax(axis=1)
        better = alive & (row > likeness[np.arange(count), best])
        best[better] = one
    return group


def _named(vectors: Vectors, groups: list[int], known: Sequence[tuple[str, Vectors]]) -> list[str]:
    """A name for each window: that of the known voice it is most like, else letters in order."""
    names: dict[int, str] = {}
    letters = 0
    small = _small(groups)
    centres = {group: _unit(vectors[np.array(groups) == group].mean(axis=0)) for group in dict.fromkeys(groups)}
    large = {group: centre for group, centre in centres.items() if group not in small} or centres
    for group, centre in large.items():
        likeness = [float(centre @ voice) for _, voice in known]
        if likeness and max(likeness) >= KNOWN_SPEAKER:
            names[group] = known[int(np.argmax(likeness))][0]
    out = []
    for index, group in enumerate(groups):
        if group not in large:  # One odd window, where two voices meet: it goes to whom it is most like.
            group = max(large, key=lambda each: float(large[each] @ vectors[index]))
        if group not in names:
            names[group] = _letter(letters)
            letters += 1
        out.append(names[group])
    return out


def _small(groups: list[int]) -> set[int]:
    """Groups of a single window, unless nearly all are that small."""
    counts = {group: groups.count(group) for group in set(groups)}
    return {group for group, count in counts.items() if count < 2}


def _letter(index: int) -> str:
    """A to Z, then AA, AB, ..."""
    return (_letter(index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def _louder(samples: Samples) -> Samples:
    """Raised to the loudness that the encoder was trained at; loud audio is left as it is."""
    power = float(np.mean(np.square(samples))) if samples.size else 0.0
    if power <= 0.0:
        return samples
    change = LOUDNESS_DBFS - 10 * np.log10(power)
    return samples if change <= 0 else (samples * 10 ** (change / 20)).astype(np.float32)


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    out: NDArray[np.float32] = 0.5 + 0.5 * np.tanh(x * 0.5)  # the same, and no overflow
    return out


def _unit(x: Vectors) -> Vectors:
    out: Vectors = x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9)
    return out
