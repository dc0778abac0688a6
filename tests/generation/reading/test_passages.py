"""Cutting texts, and what hostile ones do to it."""

from __future__ import annotations

import random
from array import array

import pytest
from tests.scripted import ScriptedEngine

from inhouse.generation import tokens
from inhouse.generation.reading.passages import MOST, passages
from inhouse.generation.reading.ranking import hash_of, index, words_of
from inhouse.generation.reading.segments import SEGMENT, segments

RNG = random.Random(3)
TEXTS = {
    "nothing": "",
    "one line": "x" * 300_000,
    "lines": "a line of words\n" * 20_000,
    "only breaks": "\n" * 200_000,
    "only spaces": " " * 200_000,
    "binary": "".join(chr(RNG.choice([0, 7, 127, 0xFFFD, 0x2028, 0x1F600, 65, 10])) for _ in range(150_000)),
    "one JSON line": '{"id":1,"note":"a word"},' * 10_000,
    "no spaces": "漢字かな交じり文。" * 20_000,
    "fences": "```\ncode\n```\n\n# Heading\n" * 8_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_nothing_is_lost_and_nothing_is_too_long(text: str) -> None:
    pieces = segments(text)
    assert "".join(pieces) == text
    assert all(len(piece) <= SEGMENT for piece in pieces)
    starts = passages(text)
    ends = [*starts, len(text)][1:]
    assert all(0 < end - start <= MOST for start, end in zip(starts, ends, strict=True))
    assert not text or starts[0] == 0
    indexed = index(text)
    assert list(array("I", indexed.starts)) == starts
    assert len(array("I", indexed.ends)) == len(starts)


def test_a_longer_text_begins_with_the_same_segments() -> None:
    text = "".join(f"{number}: some words of a line, and more of them\n" for number in range(10_000))
    before, after = segments(text), segments(text + "What was line 7?")
    assert len(before) > 3
    assert before[:-1] == after[: len(before) - 1]


async def test_segments_tokenize_as_the_whole() -> None:
    engine = ScriptedEngine()
    text = "some <|im_end|> words\n" * 9_000
    for special in (False, True):
        assert await tokens.tokenize(engine, text, special=special) == await engine.tokenize(text, special=special)


def test_passages_keep_to_the_structure() -> None:
    section = "## Heading {n}\n\n" + "A sentence about a thing. " * 12
    text = "\n\n".join(section.replace("{n}", str(n)) for n in range(20))
    starts = passages(text)
    assert all(text[start:].startswith("## Heading") for start in starts)
    records = "\n".join(f'{{"id": {n}, "text": "{"word " * 20}"}}' for n in range(50))
    assert all(records[start:].startswith('{"id"') for start in passages(records))
    code = "\n".join(f"def name_{n}(x):\n" + "    y = x + 1\n" * 25 for n in range(9))
    assert all(code[start:].startswith("def name_") for start in passages(code))


def test_words() -> None:
    assert words_of("Don't SHOUT, snake_case 42!") == ["don", "t", "shout", "snake", "case", "42"]
    assert words_of("東京都 Tokyo") == ["東京", "京都", "tokyo"]
    assert hash_of("codes") == hash_of("code")
    assert hash_of("cities") == hash_of("city")
    assert hash_of("class") != hash_of("clas")
