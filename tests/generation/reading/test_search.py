"""What is found, and in which process."""

from __future__ import annotations

import asyncio
import random
from array import array

import pytest
from bench.haystack import CITIES, haystack, hide

from inhouse.generation.reading import worker
from inhouse.generation.reading.asking import asks_for_all
from inhouse.generation.reading.ranking import Corpus, hash_of, index, words_of
from inhouse.generation.reading.search import Found, Job, search
from inhouse.generation.reading.segments import segments
from inhouse.generation.reading.worker import SearchFailed, searched

BLOCKS = haystack(400_000)


def job(text: str, question: str, characters: int = 4_000) -> Job:
    texts = segments(text)
    return Job(texts, [None] * len(texts), question, characters)


def read(asked: Job, found: Found) -> str:
    return "\n".join(asked.texts[text][first:last] for text, first, last in found.passages)


@pytest.mark.parametrize("depth", [0.0, 0.3, 0.7, 1.0])
def test_a_sentence_is_found_wherever_it_stands(depth: float) -> None:
    asked = job(hide(BLOCKS, {"The access code for the archive of Ulm is 5512377.": depth}), "Which code has Ulm?")
    assert "5512377" in read(asked, search(asked))


def test_what_differs_in_one_word_is_told_apart() -> None:
    rng = random.Random(1)
    hidden = {f"The code of {city} is {rng.randint(10**6, 10**7)}.": rng.random() for city in CITIES}
    asked = job(hide(BLOCKS, hidden), "What is the code of Jena?", 900)
    (wanted,) = (sentence for sentence in hidden if "Jena" in sentence)
    assert wanted in read(asked, search(asked))


def test_what_is_found_leads_further() -> None:
    hidden = {"The archive of Ulm is kept by Mirela Okonkwo.": 0.2, "Mirela Okonkwo drives a green tractor.": 0.9}
    asked = job(hide(BLOCKS, hidden), "Who keeps the archive of Ulm, and what does that person own?")
    assert "green tractor" in read(asked, search(asked))


def test_three_steps_through_a_graph() -> None:
    rng = random.Random(3)
    nodes = [f"{rng.getrandbits(40):010x}" for _ in range(100)]
    edges = [f"Node {node} leads to node {after}." for node, after in zip(nodes, nodes[1:] + nodes[:1], strict=True)]
    asked = job(
        hide(BLOCKS, {edge: rng.random() for edge in edges}),
        f"Where does one arrive from node {nodes[40]} after three steps?",
        12_000,
    )
    found = search(asked)
    first = read(asked, Found([], found.passages[:12], False))
    assert all(edge in first for edge in edges[40:43])


def test_questions_about_all_of_it_get_parts_of_all_of_it() -> None:
    asked = job(hide(BLOCKS, {}), "Please summarise this text.", 20_000)
    found = search(asked)
    assert found.whole
    assert {text for text, _, _ in found.passages} >= set(range(len(asked.texts) - 1))
    assert not search(job(hide(BLOCKS, {}), "Which market gives a signal?")).whole


@pytest.mark.parametrize(
    "text", ["Give me a summary", "TL;DR?", "what are the key points of it", "the entire document"]
)
def test_such_questions(text: str) -> None:
    assert asks_for_all(text)


def test_never_more_than_wanted_and_nothing_twice() -> None:
    asked = job(hide(BLOCKS, {}), "Which market signal keeps the weather report of the garden?", 5_000)
    spans = search(asked).passages
    assert sum(last - first for _, first, last in spans) <= 5_000
    assert len(set(spans)) == len(spans)


@pytest.mark.parametrize("question", ["", "?!", "the of and", "zzzz"])
def test_questions_that_say_nothing(question: str) -> None:
    found = search(job(hide(BLOCKS, {}), question))
    assert found.whole == (question != "the of and")
    assert len(found.passages) >= 3
    assert search(Job([], [], question, 100)).passages == []


def test_words_in_a_row_weigh_more() -> None:
    filler = ["harbour " * 30, "window " * 30]
    corpus = Corpus([index(text) for text in ["green tractor", "tractor of a green", *filler]])
    scores = corpus.scores(words_of("green tractor"))
    assert scores[0] > scores[1] > 0


async def test_the_child_finds_the_same_and_takes_a_given_index() -> None:
    asked = job(hide(BLOCKS, {"The access code for the archive of Ulm is 5512377.": 0.5}), "Which code has Ulm?")
    here, there = search(asked), await searched(asked)
    assert there == here
    again = await searched(Job(asked.texts, there.indexes, asked.question, asked.characters))
    assert again.passages == here.passages
    assert again.indexes == [None] * len(asked.texts)


async def test_hostile_texts_in_the_child() -> None:
    texts = ["x" * 65_000, "\x00\ud7ff\ufffe" * 20_000, *(f"message {n}" for n in range(20_000))]
    found = await searched(Job(texts, [None] * len(texts), "message 7", 500))
    assert (2 + 7, 0, len("message 7")) in found.passages


async def test_who_leaves_ends_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def started(*arguments: str, **options: object) -> asyncio.subprocess.Process:
        child = await start(*arguments[:1], "-c", "import time; time.sleep(600)", **options)  # type: ignore[arg-type]
        children.append(child)
        return child

    monkeypatch.setattr(worker.asyncio, "create_subprocess_exec", started)
    task = asyncio.create_task(searched(Job(["text"], [None], "q", 100)))
    while not children:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children[0].returncode is not None


async def test_a_child_that_dies_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    start = asyncio.create_subprocess_exec

    async def started(*arguments: str, **options: object) -> asyncio.subprocess.Process:
        return await start(*arguments[:1], "-c", "raise SystemExit('no memory')", **options)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.asyncio, "create_subprocess_exec", started)
    with pytest.raises(SearchFailed, match="no memory"):
        await searched(Job(["text"], [None], "q", 100))


def test_passages_with_a_word_are_counted_as_far_as_it_matters() -> None:
    text = "\n\n".join(f"The red bell {'rings loudly in the tower ' * 12}{n}." for n in range(50)) + " One ladder."
    corpus = Corpus([index(text)])
    for words in (["bell"], ["ladder"], ["red", "bell"], ["bell", "red"], ["tower", "ring"]):
        pattern = array("I", map(hash_of, words)).tobytes()
        whole = len(corpus.count(pattern))
        assert corpus.passages_with(pattern, 1_000) == whole
        assert corpus.passages_with(pattern, 3) == min(whole, 4)
        assert corpus.passages_with(pattern, 0) == min(whole, 1)
