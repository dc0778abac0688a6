"""What is asked for by its place among others that are alike."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from bench.haystack import haystack, hide
from tests.generation.reading.test_reading import ask, said
from tests.walking import Walk, walking

from inhouse.generation.items import Item
from inhouse.generation.reading.order import ordinals
from inhouse.generation.reading.plan import turns
from inhouse.generation.reading.search import Found, Job, search
from inhouse.generation.reading.segments import segments

BLOCKS = haystack(200_000)
NOTES = [f"Note about the amber treaty: it is filed under {code}." for code in range(10_001, 10_008)]
WORDS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
SUBJECTS = ("tapirs", "glaciers", "lanterns", "orchards", "violins", "harbours", "beetles")


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        yield walk


@pytest.mark.parametrize(
    ("question", "places"),
    [
        ("Under which number is the third note about the treaty filed?", [3]),
        ("Prepend aY0 to the 2nd (1 indexed) poem about tapirs.", [2]),
        ("Compare the first and the fourth note about the treaty.", [1, 4]),
        ("Give me the second to last poem about tapirs", [-2]),
        ("the next-to-last poem about tapirs", [-2]),
        ("the third-last poem about tapirs", [-3]),
        ("What is the last poem about tapirs?", [-1]),
        ("der dritten Notiz zum Vertrag", [3]),
        ("la deuxième note sur le traité", [2]),
        ("la cuarta nota sobre el tratado", [4]),
        ("the 21st message about tapirs", [21]),
        ("What happened last year?", []),
        ("What is the first name of the keeper?", []),
        ("How many seconds does it take?", []),
        ("Which of them is third?", []),
        ("", []),
    ],
)
def test_places_that_a_question_names(question: str, places: list[int]) -> None:
    assert [each.place for each in ordinals(question)] == places


def job(text: str, question: str, characters: int = 6_000) -> Job:
    texts = segments(text)
    return Job(texts, [None] * len(texts), question, characters)


def read(asked: Job, found: Found) -> str:
    return "\n".join(asked.texts[text][first:last] for text, first, last in found.passages)


def hidden(sentences: Sequence[str]) -> str:
    return hide(BLOCKS, {each: (at + 0.5) / len(sentences) for at, each in enumerate(sentences)})


@pytest.mark.parametrize("place", range(len(NOTES)))
def test_only_the_one_that_is_asked_for_is_read(place: int) -> None:
    asked = job(hidden(NOTES), f"Under which number is the {WORDS[place]} note about the amber treaty filed?")
    found = search(asked)
    assert [each for each in NOTES if each in read(asked, found)] == [NOTES[place]]
    assert [(each.place, each.count) for each in found.places] == [(place + 1, len(NOTES))]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What is the number of the last note about the amber treaty?", {6}),
        ("Compare the 2nd and the fifth note about the amber treaty.", {1, 4}),
        ("Tell me of the second to last note regarding that amber treaty.", {5}),
    ],
)
def test_from_the_end_and_several(question: str, wanted: set[int]) -> None:
    asked = job(hidden(NOTES), question)
    text = read(asked, search(asked))
    assert {at for at, each in enumerate(NOTES) if each in text} == wanted


@pytest.mark.parametrize(
    "question",
    [
        "What is the eighth note about the amber treaty?",  # there are seven
        "What is the third telegram of the consul?",
        "Which number has the note about the amber treaty?",
    ],
)
def test_what_cannot_be_counted_is_searched_as_ever(question: str) -> None:
    asked = job(hidden(NOTES), question)
    found = search(asked)
    assert found.places == []
    assert found.passages


def test_a_text_that_numbers_them_itself_is_believed() -> None:
    numbered = [f"The {word} rule of the amber guild is number {n}." for n, word in enumerate(WORDS)]
    random.Random(1).shuffle(numbered)
    asked = job(hidden(numbered), "What is the third rule of the amber guild?")
    found = search(asked)
    assert found.places == []
    assert "The third rule of the amber guild is number 2." in read(asked, found)


def test_sections_are_read_with_what_stands_in_them() -> None:
    sections = [f"## Minutes of the amber council\n\nChair: Person {n}.\n\n{BLOCKS[n][:900]}" for n in range(5)]
    text = "\n\n".join(part for n, section in enumerate(sections) for part in (*BLOCKS[n * 40 : n * 40 + 40], section))
    asked = job(text, "Who had the chair in the fourth minutes of the amber council?")
    assert [n for n in range(5) if f"Person {n}." in read(asked, search(asked))] == [3]


def test_what_else_a_question_needs_is_read_too() -> None:
    text = hide(BLOCKS, {each: 0.1 * at for at, each in enumerate(NOTES)} | {"The lamp of Ulm has the code 77.": 0.9})
    asked = job(text, "What is the code of the lamp of Ulm, and what does the third note about the amber treaty say?")
    seen = read(asked, search(asked))
    assert NOTES[2] in seen
    assert "77" in seen


def test_what_is_read_anyway_counts() -> None:
    asked = job(hidden(NOTES[1:6]), "Under which number is the second note about the amber treaty filed?")
    asked.edges = [(0, f"Read all. {NOTES[0]}"), (len(asked.texts), f"{NOTES[6]}\n\n{asked.question}")]
    found = search(asked)
    assert [(each.place, each.count) for each in found.places] == [(2, 7)]
    assert NOTES[1] in read(asked, found)


def poems(last_subjects: Sequence[str] = ()) -> list[Item]:
    """A conversation in which every subject has several poems and stories."""
    rng = random.Random(5)
    wanted = [(form, subject) for form in ("poem", "story") for subject in SUBJECTS for _ in range(5)]
    rng.shuffle(wanted)
    wanted += [("poem", subject) for subject in last_subjects]
    out: list[Item] = []
    for number, (form, subject) in enumerate(wanted):
        out.append(said("user", f"Write a {form} about {subject}."))
        out.append(said("assistant", f"Number {number}: here is a {form} about {subject}. " + "la la " * 60))
    return out


def numbers(items: Sequence[Item], what: str) -> list[str]:
    texts = [each.text for each in items if hasattr(each, "text")]
    return [f"Number {at // 2}:" for at, text in enumerate(texts) if text == f"Write a {what}."]


@pytest.mark.parametrize("place", [0, 2, 4, 5])
async def test_messages_of_a_conversation_are_counted_with_the_last_turns(walk: Walk, place: int) -> None:
    items = poems(["tapirs"])
    theirs = numbers(items, "poem about tapirs")
    question = said("user", f"Tell me again the {WORDS[place]} (1 indexed) poem about tapirs.")
    told = await ask(walk, (*items, question), read_tokens=1_500)
    assert [each for each in theirs if each in told.prompt] == [theirs[place]]
    assert f"[the {WORDS[place]} of 6 that are alike]" in told.prompt


async def test_a_document_with_its_question(walk: Walk) -> None:
    question = "Under which number is the second note about the amber treaty filed? Answer in one sentence."
    told = await ask(walk, (said("user", f"{hidden(NOTES)}\n\n{question}"),), read_tokens=1_500)
    assert f'\n\n[Of 7 that are alike, the second is: "{NOTES[1]}"]\n{question}|' in told.prompt
    assert told.prompt.index("[the second of 7 that are alike]") < told.prompt.index("[Of 7")


async def test_earlier_questions_do_not_count(walk: Walk) -> None:
    items = (
        said("user", f"Read this.\n\n{hidden(NOTES)}"),
        said("assistant", "I have read it."),
        said("user", "What is the first note about the amber treaty?"),
        said("assistant", "The first note about the amber treaty is filed under 10001."),
        said("user", "And the third note about the amber treaty?"),
    )
    told = await ask(walk, items, read_tokens=1_500)
    assert "[the third of 7 that are alike]" in told.prompt
    assert f'[Of 7 that are alike, the third is: "{NOTES[2]}"]\nAnd the third note' in told.prompt
    assert NOTES[3] not in told.prompt
    assert turns(items) == [0, 0, 3, -3, 5]
