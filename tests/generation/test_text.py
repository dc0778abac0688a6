"""Plain continuation: on an engine that says what the test wrote, and on an upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.scripted import Say, ScriptedEngine
from tests.upstreams import Scripted, scripted_upstream
from tests.walking import Walk, events, walking

from inhouse.engines.protocol import Completion, EngineFailed
from inhouse.generation.items import Sampling
from inhouse.generation.text import TextRequest, generate_text
from inhouse.kit.errors import InvalidRequest, ServerError

MODEL = "gpt-3.5-turbo-instruct"


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


@pytest.fixture
async def server(walk: Walk) -> AsyncIterator[Scripted]:
    async with scripted_upstream() as server:
        await walk.upstream(server.url, MODEL)
        yield server


def ask(*prompts: Any, **more: Any) -> TextRequest:
    names = ("max_tokens", "stop", "logprobs", "seed", "temperature", "logit_bias")
    sampling = {name: more.pop(name) for name in names if name in more}
    return TextRequest(prompts=prompts or ("Once",), sampling=Sampling(**sampling), **more)


async def run(walk: Walk, request: TextRequest) -> list[dict[str, Any]]:
    async with walk.call(MODEL, "completions", operation="createCompletion") as call:
        return await events(generate_text(call, request))


def text(told: list[dict[str, Any]], choice: int = 0) -> str:
    return "".join(event["text"] for event in told if event["type"] in ("text", "echo") and event["choice"] == choice)


async def test_a_continuation(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine([Say([" upon", " a"])]))
    told = await run(walk, ask())
    assert text(told) == " upon a"
    assert [event["type"] for event in told] == ["text", "text", "finished", "usage"]
    assert told[-2]["reason"] == "stop"
    assert (told[-1]["input_tokens"], told[-1]["output_tokens"]) == (4, 8)
    [asked] = engine.asked
    assert asked.prompt == [*map(ord, "Once")]
    assert asked.max_tokens == 16


async def test_prompts_and_choices_are_numbered_in_order(walk: Walk) -> None:
    def say(request: Completion) -> Say:
        return Say([chr(request.prompt[0]).lower(), str(request.seed)])

    engine = walk.engine(ScriptedEngine(say))
    told = await run(walk, ask("A", (66,), choices=2, seed=7))
    assert [text(told, choice) for choice in range(4)] == ["a7", "a8", "b7", "b8"]
    assert sorted(event["choice"] for event in told if event["type"] == "finished") == [0, 1, 2, 3]
    assert told[-1]["input_tokens"] == 2, "each prompt is read and billed once"
    assert told[-1]["output_tokens"] == 4 * 3
    assert engine.running == 0


async def test_echo(walk: Walk) -> None:
    walk.engine(ScriptedEngine(lambda request: Say([" upon"])))
    told = await run(walk, ask(echo=True))
    assert told[0] == {"type": "echo", "text": "Once", "choice": 0, "first_token": None, "logprobs": []}
    assert text(told) == "Once upon"
    assert text(await run(walk, ask((79, 110), echo=True))) == "On upon"


async def test_echo_of_what_is_only_scored(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine([]))
    told = await run(walk, ask(echo=True, logprobs=1, max_tokens=0))
    echo, end, usage = told
    assert (echo["text"], echo["first_token"]) == ("Once", "O")
    assert [entry["token"] for entry in echo["logprobs"]] == ["n", "c", "e"]
    assert echo["logprobs"][0]["top"][0]["token"] == "?"
    assert end["reason"] == "length"
    assert (usage["input_tokens"], usage["output_tokens"]) == (4, 0)
    assert engine.asked == []


async def test_a_prompt_too_long_to_be_scored_is_refused(walk: Walk) -> None:
    walk.engine(ScriptedEngine([]))
    with pytest.raises(InvalidRequest, match="at most 100 tokens") as refusal:
        await run(walk, ask("x" * 101, echo=True, logprobs=0, max_tokens=0))
    assert refusal.value.param == "logprobs"


async def test_the_best_are_those_whose_tokens_were_likeliest(walk: Walk) -> None:
    # A character's log probability is its code over -100: capital letters are likelier.
    script = [Say(["zzz"]), Say(["AA", "A"]), Say(["MMMMMMMM"]), Say(["aB"])]
    engine = walk.engine(ScriptedEngine(script))
    told = await run(walk, ask(best_of=4, choices=2))
    assert [text(told, choice) for choice in range(2)] == ["AAA", "MMMMMMMM"], "by the mean, not by the sum"
    assert all(event["logprobs"] == [] for event in told if event["type"] == "text"), "nobody asked for them"
    assert told[-1]["output_tokens"] == 3 + 3 + 8 + 2 + 4, "all draws are billed"
    assert all(asked.logprobs == 0 for asked in engine.asked)


async def test_the_best_of_each_prompt_with_echo_and_log_probabilities(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say([chr(request.prompt[0] + (request.seed or 0))])))
    told = await run(walk, ask("A", "M", best_of=3, choices=1, seed=0, echo=True, logprobs=0))
    assert [text(told, choice) for choice in range(2)] == ["AA", "MM"]
    assert [entry["token"] for event in told if event["type"] == "text" for entry in event["logprobs"]] == ["A", "M"]
    assert len(engine.asked) == 6


async def test_a_suffix(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine([Say(["b"])], middle=True))
    assert text(await run(walk, ask("a", suffix="c"))) == "b"
    assert "".join(map(chr, engine.asked[0].prompt)) == "a<>c"
    with pytest.raises(InvalidRequest) as refusal:
        await run(walk, ask((1, 2), suffix="c"))
    assert refusal.value.param == "suffix"
    engine.middle = False
    with pytest.raises(InvalidRequest, match="cannot fill in") as refusal:
        await run(walk, ask("a", suffix="c"))
    assert (refusal.value.param, refusal.value.code) == ("suffix", "unsupported_parameter")


@pytest.mark.parametrize(
    ("length", "max_tokens", "fits"), [(84, None, True), (85, None, False), (60, 40, True), (61, 40, False)]
)
async def test_what_does_not_fit_whole_is_refused(walk: Walk, length: int, max_tokens: int | None, fits: bool) -> None:
    walk.engine(ScriptedEngine(lambda request: Say(["x"]), window=100))
    request = ask("x", "x" * length, max_tokens=max_tokens)
    if fits:
        await run(walk, request)
        return
    with pytest.raises(InvalidRequest) as refusal:
        await run(walk, request)
    assert refusal.value.code == "context_length_exceeded"
    wanted = 16 if max_tokens is None else max_tokens
    assert refusal.value.message == (
        f"This model's maximum context length is 100 tokens, however you requested {length + wanted} tokens "
        f"({length} in your prompt; {wanted} for the completion). Please reduce your prompt; or completion length."
    )


async def test_tokens_that_do_not_exist_are_refused(walk: Walk) -> None:
    engine = walk.engine(ScriptedEngine([]))
    with pytest.raises(
        InvalidRequest, match=f"Expected a value <= {engine.vocabulary - 1}, but got 2000000000"
    ) as refusal:
        await run(walk, ask((5, 2_000_000_000), echo=True))
    assert (refusal.value.param, refusal.value.code) == ("prompt", "integer_above_max_value")
    with pytest.raises(InvalidRequest) as refusal:
        await run(walk, ask(logit_bias={2_000_000_000: 1.0}))
    assert refusal.value.param == "logit_bias"


@pytest.mark.parametrize(
    ("error", "kind"), [(EngineFailed("died"), ServerError), (ValueError("it cannot"), InvalidRequest)]
)
@pytest.mark.parametrize("choices", [1, 2])
async def test_an_engine_that_fails(walk: Walk, error: Exception, kind: type[Exception], choices: int) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say(["x"], error=error)))
    with pytest.raises(kind):
        await run(walk, ask(choices=choices))
    assert engine.running == 0
    [row] = await walk.rows()
    assert row.state == "settled"


async def test_an_upstream_is_asked_for_all_of_it(walk: Walk, server: Scripted) -> None:
    server.answer = {
        "choices": [
            {"text": "a", "index": 0, "finish_reason": "stop"},
            {"text": "b", "index": 1, "finish_reason": "length"},
            {"text": "c", "index": 2, "finish_reason": "stop"},
            {"text": "d", "index": 3, "finish_reason": "odd"},
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9},
    }
    told = await run(
        walk,
        ask(
            "x", (1, 2), echo=True, choices=2, best_of=3, seed=1, stop=("s",), logprobs=2, max_tokens=0, temperature=0.5
        ),
    )
    assert [text(told, choice) for choice in range(4)] == ["a", "b", "c", "d"]
    assert [event["reason"] for event in told if event["type"] == "finished"] == ["stop", "length", "stop", "stop"]
    assert (told[-1]["input_tokens"], told[-1]["output_tokens"]) == (5, 9)
    [body] = server.bodies
    assert body == {
        "model": "theirs",
        "prompt": ["x", [1, 2]],
        "echo": True,
        "n": 2,
        "best_of": 3,
        "seed": 1,
        "stop": ["s"],
        "logprobs": 2,
        "max_tokens": 0,
        "temperature": 0.5,
    }


async def test_an_upstream_streams(walk: Walk, server: Scripted) -> None:
    logprobs = {"tokens": ["a", "é"], "token_logprobs": [None, -0.5], "top_logprobs": [None, {"e": -1.0}]}
    server.chunks = [
        {"choices": [{"text": "aé", "index": 0, "finish_reason": None, "logprobs": logprobs}]},
        {"choices": [{"text": "", "index": 0, "finish_reason": "stop"}]},
        {
            "choices": [{"text": "", "index": 0, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        },
    ]
    told = await run(walk, ask("x", stream=True, logprobs=1))
    assert [event["type"] for event in told] == ["text", "finished", "usage"]
    [entry] = told[0]["logprobs"]
    assert (entry["token"], entry["bytes"], entry["top"][0]["token"]) == ("é", [195, 169], "e")
    [body] = server.bodies
    assert (body["prompt"], body["stream"], body["stream_options"]) == ("x", True, {"include_usage": True})


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": [{"text": "a", "index": 1, "finish_reason": "stop"}]},
        {"choices": [{"text": "a", "index": 0}]},
        b"no json",
        {"choices": [{"text": "a", "index": 0, "finish_reason": "stop"}], "usage": {"prompt_tokens": -5}},
    ],
    ids=str,
)
async def test_an_upstream_that_breaks_the_contract(walk: Walk, server: Scripted, answer: Any) -> None:
    server.answer = answer
    with pytest.raises(ServerError):
        await run(walk, ask())


async def test_an_upstream_that_refuses(walk: Walk, server: Scripted) -> None:
    server.status, server.answer = 400, {"error": {"message": "No.", "param": "prompt", "code": "x"}}
    with pytest.raises(InvalidRequest, match=r"^No\.$"):
        await run(walk, ask())
