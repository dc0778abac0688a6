"""Questions about the whole, and searches that the model asks for, through the core."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from bench.haystack import haystack, hide
from tests.scripted import Say, ScriptedEngine
from tests.upstreams import Scripted, scripted_upstream, whole
from tests.walking import Walk, walking

from inhouse.engines.deployments import Embedded, Remote
from inhouse.engines.protocol import Completion, EngineFailed
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.generation.core import generate
from inhouse.generation.items import GenerationRequest, Message, Sampling, Text
from inhouse.generation.reading.asking import asks_for_all
from inhouse.kit.errors import APIError

FIRST, SECOND = "The archive of Ulm is kept by Mirela Lindqvist.", "5512377 belongs to the lady of row nine."
DOCUMENT = hide(haystack(120_000), {FIRST: 0.2, SECOND: 0.8})


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path, limits__tier="off") as walk:
        yield walk


def written(asked: Completion) -> str:
    return "".join(chr(token) if token < 0x110000 else "|" for token in asked.prompt)


async def ask(walk: Walk, engine: ScriptedEngine, question: str, **settings: Any) -> tuple[Any, dict[str, str]]:
    walk.engine(engine)
    deployment = Embedded(weights="any.gguf", title="Any", **settings)
    await walk.platform.catalog.bindings.bind("gpt-4.1", deployment, "test")
    call = walk.call()
    items = (Message("user", (Text(f"{DOCUMENT}\n\n{question}"),)),)
    async with call, aclosing(generate(call, GenerationRequest(items=items, sampling=Sampling(max_tokens=50)))) as told:
        async for _ in told:
            pass
    return call, call._respond


@pytest.mark.parametrize(
    ("question", "all_of_it"),
    [
        ("Summarise this.", True),
        ("What are the main points of the report?", True),
        ("How often is the word timeout written?", True),
        ("List all cities that are named.", True),
        ("Compare the documents.", True),
        ("How many people work in Ulm?", False),
        ("What is the access code for the archive of Ulm?", False),
        ("Compare the tax rates of Ulm and Lund.", False),
    ],
)
def test_which_questions_are_about_the_whole(question: str, all_of_it: bool) -> None:
    assert asks_for_all(question) is all_of_it


async def test_a_question_about_the_whole_is_answered_from_notes(walk: Walk) -> None:
    def script(asked: Completion) -> Say:
        said = written(asked)
        if "Part 2 of" in said:
            return Say(["nothing."])
        return Say([f"Note {said.split('Part ')[1][0]}."] if "You read one part" in said else ["All is well."])

    engine = ScriptedEngine(script, window=9_000)
    call, headers = await ask(walk, engine, "Summarise all of it.", whole_tokens=9_000, read_tokens=3_000)
    *maps, last = [written(each) for each in engine.asked]
    assert 3 <= len(maps) <= 9
    assert all(each.temperature == 0 and each.max_tokens < 100 for each in engine.asked[:-1])
    assert all("Summarise all of it." in each and f"of {len(maps)}:" in each for each in maps)
    assert f"[Notes on {len(maps)} parts" in last
    assert "Part 1: Note 1.\nPart 3: Note 3." in last
    assert "Part 2" not in last
    assert "Summarise all of it.|" in last
    # The parts come from all over the text, in its order.
    places = [DOCUMENT.index(each.split(f"of {len(maps)}:\n\n")[1].split("\n[…]\n")[0][:150]) for each in maps]
    assert places == sorted(places)
    assert places[-1] > len(DOCUMENT) / 2
    assert headers["x-inhouse-reading"] == f"map-reduce; parts={len(maps)}"
    read = sum(len(each.prompt) for each in engine.asked)
    assert headers["x-inhouse-read"] == f"{read}/{call.usage.input_tokens}"
    assert call.usage.input_tokens - call.usage.unread_tokens == read
    assert call.usage.output_tokens == len("All is well.") + 1, "notes are not billed"


@pytest.mark.parametrize("ends", [1, 2])
async def test_an_engine_that_ends_while_notes_are_taken(walk: Walk, ends: int) -> None:
    left = ends

    def script(asked: Completion) -> Say:
        nonlocal left
        if "Part 2 of" in written(asked) and left:
            left -= 1
            return Say(["No"], error=EngineFailed("the process ended"))
        return Say(["A note."])

    engine = ScriptedEngine(script, window=9_000)
    if ends > 1:
        with pytest.raises(APIError) as failed:
            await ask(walk, engine, "Summarise all of it.", whole_tokens=9_000, read_tokens=3_000)
        assert failed.value.status >= 500
        (row,) = await walk.rows()
        assert (row.input_tokens, row.output_tokens) == (0, 0)
        return
    call, headers = await ask(walk, engine, "Summarise all of it.", whole_tokens=9_000, read_tokens=3_000)
    assert headers["x-inhouse-reading"] == f"map-reduce; parts={len(engine.asked) - 2}"
    assert "Part 2: A note." in written(engine.asked[-1])
    assert call.usage.output_tokens == len("A note.") + 1


async def test_notes_can_be_switched_off(walk: Walk) -> None:
    engine = ScriptedEngine(lambda asked: Say(["Yes."]), window=9_000)
    _, headers = await ask(walk, engine, "Summarise all of it.", whole_tokens=0)
    assert len(engine.asked) == 1
    assert headers["x-inhouse-reading"] == "sample"


async def test_many_notes_are_noted_again(walk: Walk) -> None:
    engine = ScriptedEngine(lambda asked: Say(["a note " * 11]), window=9_000)
    await ask(walk, engine, "Summarise all of it.", whole_tokens=20_000, read_tokens=1_000)
    last = written(engine.asked[-1])
    assert len(last) < 9_000
    assert any("Part 1: a note" in written(each) for each in engine.asked[:-1])


def searching(*decisions: dict[str, Any]) -> ScriptedEngine:
    left = list(decisions)

    def script(asked: Completion) -> Say:
        if "You look whether" in written(asked):
            assert asked.grammar is not None
            return Say([json.dumps(left.pop(0))])
        return Say(["5512377"])

    return ScriptedEngine(script, window=9_000)


QUESTION = "Which shelfmark has the keeper of the archive of Ulm?"


async def test_the_model_asks_for_a_further_search(walk: Walk) -> None:
    engine = searching(
        {"fact": "", "name": "lady of row nine", "found": True}, {"fact": "", "name": "Mirela", "found": True}
    )
    call, headers = await ask(walk, engine, QUESTION, read_tokens=1_500, search_steps=3)
    first, second, last = [written(each) for each in engine.asked]
    assert FIRST in first
    assert SECOND not in first
    assert SECOND in second
    assert FIRST in last
    assert SECOND in last
    assert headers["x-inhouse-reading"] == "passages; searches=1"
    assert call.usage.input_tokens - call.usage.unread_tokens == sum(len(each.prompt) for each in engine.asked)


@pytest.mark.parametrize(
    "said", [{"fact": "", "name": " ", "found": False}, {"fact": "", "name": "x" * 99, "found": False}]
)
async def test_a_model_that_needs_nothing_or_babbles_is_asked_once(walk: Walk, said: dict[str, Any]) -> None:
    engine = searching(said)
    _, headers = await ask(walk, engine, QUESTION, search_steps=3)
    assert len(engine.asked) == 2
    assert headers["x-inhouse-reading"] == "passages; searches=0"


async def test_searches_are_bounded(walk: Walk) -> None:
    engine = searching(*({"fact": "", "name": f"row {n}", "found": False} for n in range(9)))
    _, headers = await ask(walk, engine, QUESTION, search_steps=2)
    assert len(engine.asked) == 3
    assert headers["x-inhouse-reading"] == "passages; searches=2"


@pytest.fixture
async def upstream() -> AsyncIterator[Scripted]:
    async with scripted_upstream() as upstream:
        yield upstream


@pytest.mark.parametrize("whole_tokens", [None, 12_000])
async def test_upstreams_take_notes_only_if_told(walk: Walk, upstream: Scripted, whole_tokens: int | None) -> None:
    usage = {"prompt_tokens": 2_000, "completion_tokens": 3, "total_tokens": 2_003}
    upstream.answer = whole({"content": "It rains."}, usage=usage)
    spec = UpstreamSpec(targets=[Target(upstream.url, "theirs")], retries=0)
    remote = Remote(upstream=spec, window=8_000, window_strategy="read", whole_tokens=whole_tokens)
    await walk.platform.catalog.bindings.bind("gpt-4.1", remote, "test")
    client = await walk.client()
    text = f"{DOCUMENT}\n\nSummarise all of it."
    told = await client.post(
        "/v1/chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user", "content": text}]}
    )
    assert told.status == 200
    asked = [each["messages"][-1]["content"] for each in upstream.chats]
    if whole_tokens is None:
        assert told.headers["x-inhouse-reading"] == "sample"
    else:
        assert told.headers["x-inhouse-reading"] == f"map-reduce; parts={len(asked) - 1}"
        assert "Part 1: It rains.\nPart 2: It rains." in asked[-1]
