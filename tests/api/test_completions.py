"""Legacy Completions over ASGI, on an engine that says what the test wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion
from tests.scripted import PLAIN, Say, ScriptedEngine
from tests.walking import Client, Walk, walking

PATH = "/v1/completions"


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(lambda request: Say([" upon", " a"])))
        yield walk


@pytest.fixture
async def client(walk: Walk) -> Client:
    return await walk.client()


def ask(prompt: Any = "Once", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-3.5-turbo-instruct", "prompt": prompt, **more}


async def test_anonymous(walk: Walk) -> None:
    assert (await (await walk.client(x="y")).post(PATH, ask())).status == 401


async def test_a_completion(walk: Walk, client: Client) -> None:
    answer = await client.post(PATH, ask())
    told = Completion.model_validate(answer.json(), strict=True)
    assert told.id.startswith("cmpl-")
    assert told.model == "gpt-3.5-turbo-instruct"
    [choice] = told.choices
    assert (choice.text, choice.index, choice.finish_reason, choice.logprobs) == (" upon a", 0, "stop", None)
    assert told.usage is not None
    assert (told.usage.prompt_tokens, told.usage.completion_tokens) == (4, 8)
    [row] = await walk.rows()
    assert (row.id, row.operation, row.status) == (answer.headers["x-request-id"], "createCompletion", 200)


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        ("ab", [[97, 98]]),
        (["a", "b"], [[97], [98]]),
        ([97, 98], [[97, 98]]),
        ([[97], [98, 99]], [[97], [98, 99]]),
        ("", [[*map(ord, "<|endoftext|>")]]),
        (None, [[*map(ord, "<|endoftext|>")]]),
        (["", "a"], [[*map(ord, "<|endoftext|>")], [97]]),
    ],
)
async def test_all_forms_of_prompts(walk: Walk, client: Client, prompt: Any, tokens: list[list[int]]) -> None:
    engine = walk.engine(ScriptedEngine(lambda request: Say(["x"])))
    answer = await client.post(PATH, ask(prompt))
    assert [choice["index"] for choice in answer.json()["choices"]] == [*range(len(tokens))]
    assert sorted(asked.prompt for asked in engine.asked) == sorted(tokens)


async def test_log_probabilities_and_offsets(client: Client) -> None:
    answer = await client.post(PATH, ask("é!", echo=True, logprobs=1, max_tokens=2))
    [choice] = answer.json()["choices"]
    assert choice["text"] == "é! u"
    assert choice["logprobs"]["tokens"] == ["é", "!", " ", "u"]
    assert choice["logprobs"]["text_offset"] == [0, 1, 2, 3]
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert choice["logprobs"]["top_logprobs"][0] is None
    assert choice["logprobs"]["top_logprobs"][1] == {"?": -0.5}
    none = (await client.post(PATH, ask(logprobs=0))).json()["choices"][0]["logprobs"]
    assert none["top_logprobs"] is None
    assert none["tokens"] == list(" upon a")


async def test_a_stream(walk: Walk, client: Client) -> None:
    answer = await client.post(
        PATH, ask("é", stream=True, echo=True, logprobs=1, n=2, stream_options={"include_usage": True})
    )
    *events, usage, done = answer.events
    assert done == "[DONE]"
    for event in events:
        assert (event["object"], event["id"], event["usage"]) == ("text_completion", usage["id"], None)
    texts = {0: "", 1: ""}
    offsets: dict[int, list[int]] = {0: [], 1: []}
    ends = []
    for event in events:
        [choice] = event["choices"]
        texts[choice["index"]] += choice["text"]
        if choice["finish_reason"]:
            ends.append((choice["index"], choice["finish_reason"]))
        else:
            offsets[choice["index"]] += choice["logprobs"]["text_offset"]
    assert texts == {0: "é upon a", 1: "é upon a"}
    assert offsets == {0: [*range(8)], 1: [*range(8)]}
    assert sorted(ends) == [(0, "stop"), (1, "stop")]
    assert usage["choices"] == []
    assert usage["usage"]["prompt_tokens"] == 1
    [row] = await walk.rows()
    assert row.output_tokens == usage["usage"]["completion_tokens"]


async def test_best_of(walk: Walk, client: Client) -> None:
    walk.engine(ScriptedEngine([Say(["z"]), Say(["A"])]))
    answer = (await client.post(PATH, ask(best_of=2))).json()
    assert [choice["text"] for choice in answer["choices"]] == ["A"]
    assert answer["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize(
    ("more", "status", "param", "words"),
    [
        ({"best_of": 1, "n": 2}, 400, "best_of", "(currently 2)"),
        ({"best_of": 2, "stream": True}, 400, "best_of", "Cannot stream results with best_of > n."),
        ({"suffix": "x", "echo": True}, 400, "echo", "cannot be used together with 'suffix'"),
        ({"suffix": "x"}, 400, "suffix", "cannot fill in text before a suffix"),
        ({"stream_options": {}}, 400, "stream_options", "only allowed when 'stream' is enabled"),
        ({"prompt": ["x"] * 129}, 400, "prompt", "Too many prompts: 129"),
        ({"prompt": [1, "x"]}, 400, "prompt", "an array of mixed types"),
        ({"prompt": [PLAIN + 4]}, 400, "prompt", "token id above maximum value"),
        ({"logit_bias": {"-1": 1}}, 400, "logit_bias", "Invalid key in 'logit_bias': -1"),
        (
            {"max_tokens": 10_000},
            400,
            None,
            "This model's maximum context length is 4096 tokens, however you requested",
        ),
        ({"model": "gpt-4.1"}, 404, "model", "Did you mean to use v1/chat/completions?"),
        ({"model": "x"}, 404, "model", "does not exist"),
    ],
)
async def test_what_is_refused(
    client: Client, more: dict[str, Any], status: int, param: str | None, words: str
) -> None:
    answer = await client.post(PATH, {**ask(), **more})
    error = answer.json()["error"]
    assert (answer.status, error["param"]) == (status, param), error
    assert words in error["message"]
