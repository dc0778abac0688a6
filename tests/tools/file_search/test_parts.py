"""Words, chunks, filters, the index, queries and citations: the parts of file search by themselves."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhouse.engines.weights import WeightsCache
from inhouse.tools.file_search.chunking import Chunker
from inhouse.tools.file_search.citing import Citations
from inhouse.tools.file_search.filters import Attributes, Columns, Combination, Comparison, Filter
from inhouse.tools.file_search.index import K1, B, Index, Query, Segment, Weights, packed, part_of
from inhouse.tools.file_search.rewriting import rewritten
from inhouse.tools.file_search.service import Found
from inhouse.tools.file_search.words import words
from inhouse.tools.hosted import Cited

BOTH = Weights(0.5, 0.5)
WORDS = Weights(0.0, 1.0)
VECTORS = Weights(1.0, 0.0)


def same(one: str, other: str) -> bool:
    return words(one) == words(other)


def test_words() -> None:
    assert same("Policies", "policy")
    assert same("BOXES", "boxe")
    assert same("ﬁle", "file")
    assert not same("bus", "bu")
    assert set(words("max_num_results")) > set(words("num"))
    assert set(words("parseURLQuery")) > set(words("url query"))
    assert set(words("漢字検索")) & set(words("検索"))
    assert words("... !") == []


CHUNKER = Chunker(WeightsCache())
CHUNKER._load()


@given(st.text(max_size=3000), st.sampled_from([(100, 0), (100, 50), (150, 20)]))
@settings(max_examples=40, deadline=None)
def test_chunks_make_up_the_text(text: str, size: tuple[int, int]) -> None:
    found = list(CHUNKER.chunks(text, *size))
    assert "".join(chunk.text[chunk.repeated :] for chunk in found).split() == text.split()


@pytest.mark.parametrize("text", ["One sentence. " * 3000, "word " * 200_000, "é漢字🙂 " * 5000, "a" * 50_000])
def test_chunks_are_no_larger_than_asked(text: str) -> None:
    found = list(CHUNKER.chunks(text, 100, 50))
    counts = [len(CHUNKER._encoding.encode_ordinary(chunk.text)) for chunk in found]
    # A cut may split a token in two.
    assert max(counts) <= 104
    assert "".join(chunk.text[chunk.repeated :] for chunk in found) == text
    assert len(found) == 1 or all(chunk.repeated for chunk in found[1:])


def test_chunks_end_where_sentences_do() -> None:
    found = list(CHUNKER.chunks("This is a sentence of some words. " * 100, 100, 20))
    assert all(chunk.text.endswith(". ") for chunk in found)


CASES = [
    (("eq", "a", 1), {"a": 1}, True),
    (("eq", "a", 1), {"a": 1.0}, True),
    (("eq", "a", 1), {"a": True}, False),
    (("eq", "a", True), {"a": True}, True),
    (("eq", "a", "1"), {"a": 1}, False),
    (("eq", "a", 1), {}, False),
    (("ne", "a", 1), {}, True),
    (("ne", "a", 1), {"a": 2}, True),
    (("ne", "a", 1), {"a": 1}, False),
    (("gt", "a", 1), {"a": 2}, True),
    (("gt", "a", 1), {"a": 1}, False),
    (("gte", "a", 1), {"a": 1}, True),
    (("lt", "a", "b"), {"a": "a"}, True),
    (("lt", "a", "b"), {"a": 1}, False),
    (("lte", "a", 1.5), {"a": 1}, True),
    (("lte", "a", 1), {}, False),
    (("in", "a", ["x", "y"]), {"a": "y"}, True),
    (("in", "a", []), {"a": "y"}, False),
    (("nin", "a", ["x"]), {"a": "y"}, True),
    (("nin", "a", ["x"]), {}, True),
    (("nin", "a", [1]), {"a": 1.0}, False),
]


def passes(attributes: Attributes, wanted: Filter) -> bool:
    (found,) = Columns([attributes]).passing(wanted)
    return bool(found)


@pytest.mark.parametrize(("comparison", "attributes", "passed"), CASES)
def test_comparisons(comparison: Any, attributes: dict[str, Any], passed: bool) -> None:
    assert passes(attributes, Comparison(*comparison)) is passed


def test_combinations() -> None:
    one, other = Comparison("eq", "a", 1), Comparison("eq", "b", 2)
    nested = Combination("and", (Combination("or", (one, other)), Comparison("ne", "c", 3)))
    assert passes({"a": 1}, nested)
    assert not passes({"a": 1, "c": 3}, nested)
    assert not passes({}, nested)
    assert passes({}, Combination("and", ()))
    assert not passes({}, Combination("or", ()))


VALUES = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, 2**53 + 1, 2.0**53]), st.sampled_from(["", "a", "b"])
)


@given(
    st.lists(st.dictionaries(st.sampled_from("ab"), VALUES), max_size=12),
    st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]),
    VALUES,
)
@settings(max_examples=200, deadline=None)
def test_columns_are_what_looking_at_each_file_gives(rows: Any, operator: Any, value: Any) -> None:
    def kind(of: Any) -> type:
        return float if type(of) is int else type(of)

    def fits(own: Any) -> bool:
        alike = kind(own) is kind(value)
        if operator in ("eq", "ne"):
            return (alike and own == value) is (operator == "eq")
        if not alike:
            return False
        return {"gt": own > value, "gte": own >= value, "lt": own < value, "lte": own <= value}[operator]

    found = Columns(rows).passing(Comparison(operator, "a", value)).tolist()
    assert found == [fits(row["a"]) if "a" in row else operator == "ne" for row in rows]


def segment(run: str, texts: list[str], vectors: Any, first: int = 0) -> Segment:
    data = None if vectors is None else vectors.astype("<f2").tobytes()
    return Segment(run, first, len(texts), data, packed([words(text) for text in texts]))


TEXTS = ["red apples", "green pears and green grapes", "apples apples pie", "nothing", ""]


def test_words_are_scored_by_bm25() -> None:
    index = Index().updated(part_of([segment("r", TEXTS, None)], 0), {"r"})
    found = {hit.number: hit.score for hit in index.search([Query(None, words("apple pie"))], WORDS, 10)}
    texts = [words(text) for text in TEXTS]
    mean = sum(map(len, texts)) / len(texts)

    def rarity(word: int) -> float:
        count = sum(word in text for text in texts)
        return math.log1p((len(texts) - count + 0.5) / (count + 0.5))

    asked = words("apple pie")
    most = sum(rarity(word) * (K1 + 1) for word in asked)
    for number, text in enumerate(texts):
        counts = Counter(text)
        norm = K1 * (1 - B + B * len(text) / mean)
        score = sum(rarity(w) * counts[w] * (K1 + 1) / (counts[w] + norm) for w in asked)
        assert found[number] == pytest.approx(score / most, abs=1e-5)
    assert max(found, key=found.__getitem__) == 2


def test_the_index_finds_what_looking_at_everything_finds() -> None:
    """In several parts, with files that went, before and after they are merged."""
    random = np.random.default_rng(1)
    index, alive = Index(), set()
    vectors: dict[str, Any] = {}
    for number in range(20):
        run = f"run{number}"
        rows = random.normal(size=(7, 16)).astype(np.float32)
        vectors[run] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        alive.add(run)
        if number % 5 == 4:
            alive.discard(f"run{number - 2}")
        index = index.updated(part_of([segment(run, ["x"] * 7, vectors[run])], 16), alive)
        query = vectors[run][3]
        expected = sorted(
            ((float(np.clip(row @ query, 0, 1)), r, n) for r in alive for n, row in enumerate(vectors[r])),
            key=lambda each: -each[0],
        )[:5]
        found = index.search([Query(query, ())], VECTORS, 5)
        assert [(hit.run, hit.number) for hit in found] == [(r, n) for _, r, n in expected]
        assert [hit.score for hit in found] == pytest.approx([score for score, _, _ in expected], abs=2e-3)
    assert len(index.parts) <= 6
    few, many = (np.array([run in some for run in index.alive]) for some in ({"run0", "run2"}, alive - {"run0"}))
    only = index.search([Query(query, ())], VECTORS, 50, among=few)
    assert {hit.run for hit in only} == {"run0"}
    assert len(only) == 7
    assert [hit.run for hit in index.search([Query(vectors["run0"][3], ())], VECTORS, 1)] == ["run0"]
    assert {hit.run for hit in index.search([Query(query, ())], VECTORS, 200, among=many)} == alive - {"run0"}


def test_scores_are_between_zero_and_one() -> None:
    rows = np.eye(5, 8, dtype=np.float32)
    index = Index().updated(part_of([segment("r", TEXTS, rows)], 8), {"r"})
    found = index.search([Query(-rows[0], words("apples")), Query(rows[1], words("green"))], BOTH, 10)
    assert all(0 <= hit.score <= 1 for hit in found)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len(index.search([Query(rows[1], words("green"))], BOTH, 10, least=0.5)) == 1
    assert Index().search([Query(rows[0], ())], BOTH, 10) == []


def test_vectors_of_another_space_do_not_count() -> None:
    rows = np.eye(2, 8, dtype=np.float32)
    index = Index().updated(part_of([segment("old", ["apples", "pears"], None)], 0), {"old"})
    index = index.updated(part_of([segment("new", ["plums", "grapes"], rows)], 8), {"old", "new"})
    for parts in (index, index.updated(part_of([segment("x", ["y"], None)], 0), {"old", "new"})):
        best = parts.search([Query(rows[0], words("apple"))], BOTH, 2)
        assert {hit.run for hit in best} == {"old", "new"}


@pytest.mark.parametrize(
    ("query", "core"),
    [
        ("Can you tell me what the capital of France is?", "capital of France is"),
        ("what is the height of the main tower", "height of the main tower"),
        ("Please show me the invoices of May, thanks!", "invoices of May"),
        ("otters", "otters"),
        ("Why?", "Why?"),
        (" " * 30_000 + "?" * 2000, " " * 30_000 + "?" * 2000),
    ],
)
def test_rewriting(query: str, core: str) -> None:
    assert rewritten(query) == core


def found(number: int, text: str = "The budget for marketing is 3400 euros.") -> Found:
    return Found(f"file-{number}", f"{number}.txt", {}, 0.5, text)


def cited(file: int) -> Cited:
    return Cited({"type": "file_citation", "file_id": f"file-{file}", "filename": f"{file}.txt"})


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_marks_become_citations(size: int) -> None:
    citations = Citations()
    assert [citations.number(found(n)) for n in (1, 2, 1)] == [1, 2, 1]
    text = "It is 3400 euros 【1】. See both【2†budget.txt】. Not 【9】 or 【x】, or 【"
    told: list[str | Cited] = []
    for at in range(0, len(text), size):
        told += citations.read(text[at : at + size])
    told += citations.end(last=True)
    place, marks = "", []
    for each in told:
        if isinstance(each, str):
            place += each
        else:
            marks.append((len(place), each))
    assert place == "It is 3400 euros. See both. Not 【9】 or 【x】, or 【"
    assert marks == [(16, cited(1)), (26, cited(2))]


def test_without_marks_files_are_cited_whose_words_the_answer_shares() -> None:
    citations = Citations()
    citations.number(found(1))
    citations.number(found(2, "Otters hold hands."))
    assert citations.read("The marketing budget: 3400 euros.") == ["The marketing budget: 3400 euros."]
    assert citations.end(last=False) == []
    assert citations.end(last=True) == [cited(1)]
    nothing = Citations()
    assert nothing.read("no results 【1") == ["no results 【1"]
    assert nothing.end(last=True) == []
