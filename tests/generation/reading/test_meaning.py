"""Sentences found by what they mean. The vectors here are made by hand: words of one topic lie in one direction."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from bench.haystack import haystack, hide

from inhouse.generation.reading import meaning
from inhouse.generation.reading.meaning import VECTORS_FILE, VOCABULARY_FILE, WordVectors
from inhouse.generation.reading.search import Job, search
from inhouse.generation.reading.segments import segments

TOPICS = (("doctor", "physician", "head", "chief"), ("clinic", "hospital", "ward"), ("car", "automobile", "garage"))
NEEDLE = "The clinic's head doctor is Ines Valdera."
QUESTION = "Who is the chief physician of the hospital?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in the format of the real ones."""
    folder = tmp_path_factory.mktemp("vectors")
    rng = np.random.default_rng(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = {"\u2581": 0} | {letter: at + 1 for at, letter in enumerate(letters)}
    rows = [rng.normal(size=256) * 0.01 for _ in vocabulary]
    for topic in TOPICS:
        direction = rng.normal(size=256)
        for word in topic:
            vocabulary["\u2581" + word] = len(rows)
            rows.append(direction + rng.normal(size=256) * 0.2)
    table = np.array(rows, "<f2")
    (folder / VOCABULARY_FILE).write_text(json.dumps({"version": "1.0", "model": {"type": "BPE", "vocab": vocabulary}}))
    header = json.dumps(
        {"embedding.weight": {"dtype": "F16", "shape": list(table.shape), "data_offsets": [0, table.nbytes]}}
    ).encode()
    (folder / VECTORS_FILE).write_bytes(struct.pack("<Q", len(header)) + header + table.tobytes())
    return folder


def read(job: Job) -> str:
    return "\n".join(job.texts[text][first:last] for text, first, last in search(job).passages)


def test_other_words_of_the_same_meaning_are_found(folder: Path) -> None:
    texts = segments(hide(haystack(300_000), {NEEDLE: 0.7}))
    unread: list[None] = [None] * len(texts)
    assert NEEDLE not in read(Job(texts, [*unread], QUESTION, 3_000))
    assert NEEDLE in read(Job(texts, [*unread], QUESTION, 3_000, str(folder)))


def test_an_index_without_meaning_gets_it(folder: Path) -> None:
    texts = segments(hide(haystack(150_000), {NEEDLE: 0.2}))
    words_only = search(Job(texts, [None] * len(texts), QUESTION, 3_000)).indexes
    found = search(Job(texts, words_only, QUESTION, 3_000, str(folder)))
    assert all(new is not None and new.meaning is not None for new in found.indexes)
    assert NEEDLE in "\n".join(texts[text][first:last] for text, first, last in found.passages)
    again = search(Job(texts, found.indexes, QUESTION, 3_000, str(folder)))
    assert again.indexes == [None] * len(texts)
    assert again.passages == found.passages


def test_the_words_of_the_question_come_first(folder: Path) -> None:
    exact = "The chief physician of the hospital is Otto Brandt."
    texts = segments(hide(haystack(150_000), {NEEDLE: 0.2, exact: 0.8}))
    text, first, last = search(Job(texts, [None] * len(texts), QUESTION, 3_000, str(folder))).passages[0]
    assert exact in texts[text][first:last]


@pytest.mark.parametrize("text", ["", "\n\n\n", "123 456", "?" * 5_000, "x" * 70_000, "你好。" * 500, "a\ud800b"])
def test_any_text_has_a_meaning(folder: Path, text: str) -> None:
    vectors = WordVectors(folder)
    made = vectors.meaning(text)
    assert len(made.begins) == len(made.at) == len(made.ends) == len(made.norms)
    close = vectors.closest(QUESTION, [made, vectors.meaning(NEEDLE)], 5)
    assert (close[0].segment, close[0].last - close[0].first > 30) == (1, True)
    assert vectors.closest("", [made], 5) == vectors.closest("123", [made], 5) == []


def test_broken_weights_leave_the_words(tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    texts = ["The archive of Ulm is here. " * 20]
    for broken in (b"", b"\xff" * 100, (folder / VECTORS_FILE).read_bytes()[:-1000]):
        (tmp_path / VECTORS_FILE).write_bytes(broken)
        (tmp_path / VOCABULARY_FILE).write_bytes((folder / VOCABULARY_FILE).read_bytes())
        found = search(Job(texts, [None], "Where is the archive of Ulm?", 1_000, str(tmp_path)))
        assert found.passages
        assert "word vectors cannot be used" in capfd.readouterr().err


def test_many_short_texts_mean_what_one_long_one_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the table that no word of a text has are not touched for it: a conversation has many thousand texts."""
    vectors = WordVectors(folder)
    texts = ["the car waits in the garage", NEEDLE, "an automobile has a garage"]
    found = vectors.closest(QUESTION, [vectors.meaning(text) for text in texts], 3)
    assert found[0].segment == 1
    touched: list[int] = []
    weights = meaning._weights
    monkeypatch.setattr(meaning, "_weights", lambda counts: touched.append(len(counts)) or weights(counts))
    monkeypatch.setattr(vectors, "_table", np.vstack([vectors._table, np.ones((30_000, 128), np.float32)]))
    again = vectors.closest(QUESTION, [vectors.meaning(text) for text in texts], 3)
    assert [each.segment for each in again] == [each.segment for each in found]
    assert [each.cosine for each in again] == pytest.approx([each.cosine for each in found])
    assert sorted(touched)[-2] < 100  # all but the one over everything
