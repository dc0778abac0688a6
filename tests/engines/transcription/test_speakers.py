"""Grouping of voices, on vectors made here: the encoder itself is tested with real voices in tests/official."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inhouse.engines.audio.decoding import RATE
from inhouse.engines.transcription.recognizer import _turns
from inhouse.engines.transcription.shapes import Segment, Word
from inhouse.engines.transcription.speakers import Diarization, cluster


def voices(count: int, windows: int, noise: float = 0.02) -> Any:
    rng = np.random.default_rng(1)
    centres = np.abs(rng.normal(size=(count, 256)))
    centres *= rng.random(size=(count, 256)) < 0.1
    made = np.repeat(centres, windows, axis=0) + rng.normal(scale=noise, size=(count * windows, 256))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_as_many_groups_as_voices(count: int) -> None:
    groups = cluster(voices(count, 8))
    assert len(set(groups)) == count
    assert all(len(set(groups[start : start + 8])) == 1 for start in range(0, count * 8, 8))


def test_one_window_and_many() -> None:
    assert cluster(voices(1, 1)) == [0]
    assert len(set(cluster(voices(3, 200)))) == 3


class Scripted:
    """An encoder that hears the voice that the samples' level names."""

    def __init__(self) -> None:
        self.vectors = voices(4, 1, noise=0.0)

    def windows(self, samples: Any) -> tuple[list[float], Any]:
        middles = [second + 0.5 for second in range(len(samples) // RATE)]
        return middles, np.stack([self.vectors[round(float(samples[int(at * RATE)]))] for at in middles])


def diarization(levels: list[int], known: list[tuple[str, int]] | None = None) -> Diarization:
    encoder = Scripted()
    samples = np.repeat(np.array(levels, np.float32), RATE)
    named = [(name, encoder.vectors[voice]) for name, voice in known or []]
    return Diarization(encoder, samples, [(0, samples.size)], named)  # type: ignore[arg-type]


def test_speakers_have_letters_in_the_order_of_their_first_words() -> None:
    who = diarization([2, 2, 0, 0, 2, 1, 1])
    assert [who.speaker(second, second + 1) for second in range(7)] == list("AABBACC")


def test_a_known_voice_has_its_name() -> None:
    who = diarization([2, 2, 0, 0, 2, 1, 1], [("Ada", 0), ("nobody", 3)])
    assert [who.speaker(second, second + 1) for second in range(7)] == ["A", "A", "Ada", "Ada", "A", "B", "B"]


def test_one_odd_window_goes_to_whom_it_is_most_like() -> None:
    who = diarization([0, 0, 0, 3, 0, 0])
    assert {who.speaker(second, second + 1) for second in range(6)} == {"A"}


def test_silence_has_one_speaker() -> None:
    assert Diarization(Scripted(), np.zeros(RATE, np.float32), []).speaker(0, 1) == "A"  # type: ignore[arg-type]


def test_a_segment_becomes_the_turns_in_it_and_its_tokens_count_once() -> None:
    words = [Word(f" w{second}", second, second + 1) for second in range(4)]
    segment = Segment(
        id=0, seek=0, start=0, end=4, text=" w0 w1 w2 w3", tokens=[1, 2, 3, 4], temperature=0, avg_logprob=0,
        compression_ratio=1, no_speech_prob=0, words=words,
    )  # fmt: skip
    turns = list(_turns(segment, diarization([0, 0, 1, 1])))
    assert [(turn.speaker, turn.text, turn.start, turn.end) for turn in turns] == [
        ("A", " w0 w1", 0, 2),
        ("B", " w2 w3", 2, 4),
    ]
    assert [token for turn in turns for token in turn.tokens] == [1, 2, 3, 4]
    assert [turn.text for turn in _turns(segment, diarization([0, 0, 0, 0]))] == [segment.text]
