"""What serves a model can be changed while the server runs: other weights, or other servers."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError, InternalServerError, NotFoundError, OpenAI
from pydantic import BaseModel

from .running import CHAT, COUNTING, FAST, INSTRUCT, Server, until, user

OTHER = "gpt-4.1-mini"
"""The one that these tests bind to this and that."""
SMOL, QWEN = "SmolLM2-135M", "Qwen2.5-Coder-0.5B"
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def hello(client: OpenAI, model: str = FAST, **options: Any) -> Any:
    return client.chat.completions.create(**{**COUNTING, "model": model, "max_completion_tokens": 6, **options})


@pytest.fixture(scope="module")
def gateway(start_server: Any, server: Server) -> Server:
    """A server with nothing of its own: the shared one serves its gpt-4.1, gpt-4.1-nano and the legacy model."""
    keys = {"UPSTREAM_KEY": server.key, "WRONG_KEY": "sk-not-a-key-of-theirs"}
    gateway: Server = start_server(keys, engines__preload="")
    for model in (CHAT, FAST, INSTRUCT):
        gateway.cli("models", "use", model, "--upstream", server.base_url, "--upstream-key-env", "UPSTREAM_KEY")
    with gateway.client() as client:
        until(lambda: str(server.port) in served_by(client, INSTRUCT), "the upstream is not used")
    return gateway


@pytest.fixture(scope="module")
def through(gateway: Server) -> Any:
    with gateway.client() as client:
        yield client


def served_by(client: OpenAI, model: str) -> str:
    """In the words of the list of models; empty if nothing does."""
    listed = {each.id: each.model_dump()["served_by"] for each in client.models.list()}
    return str(listed.get(model, ""))


def test_other_weights_take_over_within_seconds(gateway: Server, through: OpenAI) -> None:
    def answer(weights: str) -> Any:
        until(lambda: weights in served_by(through, OTHER), f"{weights} does not take over")
        return hello(through, OTHER)

    before = answer(QWEN)
    gateway.cli("models", "use", OTHER, "smollm2-135m-instruct-q4_1")
    other = answer(SMOL)
    assert other.model == before.model  # the contract's name stays
    assert other.system_fingerprint != before.system_fingerprint
    assert gateway.settled(other._request_id)["deployment"].startswith("smollm2-135m-instruct")
    gateway.cli("models", "use", OTHER, "qwen2.5-coder-0.5b-instruct-q4_k_m")
    again = answer(QWEN)
    assert (again.system_fingerprint, again.choices) == (before.system_fingerprint, before.choices)
    gateway.cli("models", "use", OTHER, "--none")

    def gone() -> bool:
        try:
            hello(through, OTHER)
        except NotFoundError as error:
            return error.code == "model_not_found"
        return False

    until(gone, "a model that nothing serves still answers")
    assert OTHER not in {model.id for model in through.models.list()}
    shown = gateway.cli("models", "show", OTHER).splitlines()
    history = [line for line in shown if "served by" in line or "before" in line]
    assert "not deployed" in history[0]
    assert QWEN in history[1]
    assert SMOL in history[2]


def test_through_another_server(through: OpenAI, client: OpenAI, gateway: Server) -> None:
    answer, direct = hello(through, CHAT), hello(client, CHAT)
    assert answer.choices[0].message.content == direct.choices[0].message.content
    assert answer.model == direct.model
    assert answer.usage == direct.usage
    assert answer.id != direct.id
    row = gateway.settled(answer._request_id)
    assert (row["input_tokens"], row["output_tokens"]) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


def test_a_stream_through_another_server(through: OpenAI, client: OpenAI) -> None:
    *chunks, last = list(hello(through, CHAT, stream=True, n=2, stream_options={"include_usage": True}))
    texts = {0: "", 1: ""}
    for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts[0] == texts[1] == hello(client, CHAT).choices[0].message.content
    assert last.usage.completion_tokens == 12
    assert {chunk.choices[0].finish_reason for chunk in chunks} == {None, "length"}


def test_tools_through_another_server(through: OpenAI) -> None:
    asked = {"model": CHAT, "messages": user("What is the weather in Paris?"), "tools": [WEATHER], "temperature": 0}
    whole = through.chat.completions.create(**asked, max_completion_tokens=60)  # type: ignore[call-overload]
    (call,) = whole.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Paris"})
    stream = through.chat.completions.create(**asked, max_completion_tokens=60, stream=True)  # type: ignore[call-overload]
    deltas = [chunk.choices[0].delta for chunk in stream]
    assert not any(delta.content for delta in deltas)
    pieces = [piece for delta in deltas for piece in delta.tool_calls or []]
    assert pieces[0].function.name == "get_weather"
    assert json.loads("".join(piece.function.arguments for piece in pieces)) == {"city": "Paris"}


def test_the_rest_through_another_server(through: OpenAI, client: OpenAI) -> None:
    parsed = through.chat.completions.parse(
        model=CHAT, messages=user("Make up a person."), response_format=Person, max_completion_tokens=60
    )
    assert isinstance(parsed.choices[0].message.parsed, Person)
    told = hello(through, CHAT, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert [entry.token for entry in told] == [
        entry.token for entry in hello(client, CHAT, logprobs=True).choices[0].logprobs.content
    ]
    assert all(len(entry.top_logprobs) == 2 for entry in told)
    legacy = through.completions.create(model=INSTRUCT, prompt="One, two,", max_tokens=4, temperature=0, logprobs=1)
    assert legacy.choices[0].text == " three, four,"
    assert legacy.usage is not None
    assert legacy.usage.completion_tokens == 4
    stored = hello(through, store=True)
    assert through.chat.completions.retrieve(stored.id).id == stored.id
    with pytest.raises(NotFoundError):
        client.chat.completions.retrieve(stored.id)  # kept where it was asked, not where it was answered


def test_refusals_of_another_server_reach_the_client(through: OpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        hello(through, messages=user("word " * 1_100_000))
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


def test_a_client_that_leaves_is_left_by_the_other_server_too(through: OpenAI, gateway: Server, server: Server) -> None:
    stream = hello(through, stream=True, max_completion_tokens=2000, logit_bias={"2": -100, "0": -100})
    for _ in range(4):
        next(stream)
    id = stream.response.headers["x-request-id"]
    open_calls = "SELECT id FROM calls WHERE state = 'open'"
    time.sleep(0.3)  # for calls of other tests to be settled in the database, too
    until(lambda: bool(server.rows(open_calls)), "the other server has no call")
    ((theirs,),) = server.rows(open_calls)
    stream.close()
    assert gateway.settled(id)["status"] == server.settled(theirs)["status"] == 499


def test_a_key_that_the_other_server_refuses_is_ours_to_mend(gateway: Server, through: OpenAI, server: Server) -> None:
    gateway.cli("models", "use", OTHER, "--upstream", server.base_url, "--upstream-key-env", "WRONG_KEY")
    until(lambda: str(server.port) in served_by(through, OTHER), "the upstream is not used")
    with pytest.raises(InternalServerError) as failed:
        hello(through, OTHER)
    assert failed.value.status_code == 500
    assert "sk-" not in str(failed.value)


def test_the_next_server_takes_over_when_one_dies(
    start_server: Any, gateway: Server, through: OpenAI, server: Server
) -> None:
    first: Server = start_server(engines__preload=FAST, api_key=server.key)
    targets = ["--upstream", first.base_url, "--upstream", server.base_url, "--upstream-key-env", "UPSTREAM_KEY"]
    gateway.cli("models", "use", FAST, *targets)
    until(lambda: str(first.port) in served_by(through, FAST), "the upstreams are not used")

    def served(where: Server) -> int:
        time.sleep(0.3)  # for the database to have what the ledger has
        ((count,),) = where.rows("SELECT count(*) FROM calls")
        return int(count)

    before = served(server)
    hello(through)
    assert (served(first), served(server)) == (1, before)
    stream = hello(through, stream=True, max_completion_tokens=2000, logit_bias={"2": -100, "0": -100})
    next(stream)
    first.kill()
    with pytest.raises(APIError) as broken:
        list(stream)  # what has begun cannot go on elsewhere
    assert "had an error processing your request" in str(broken.value)
    for _ in range(3):
        assert hello(through).choices[0].message.content
    assert list(hello(through, stream=True))
    assert served(server) == before + 4
    until(lambda: gateway.rows("SELECT count(*) FROM calls WHERE state = 'open'") == [(0,)], "a call stays open")


def test_when_no_server_is_left(gateway: Server, through: OpenAI) -> None:
    gateway.cli("models", "use", OTHER, "--upstream", "http://127.0.0.1:9/v1")
    until(lambda: "127.0.0.1:9" in served_by(through, OTHER), "the upstream is not used")
    for stream in (False, True):
        with pytest.raises(APIStatusError) as failed:
            hello(through, OTHER, stream=stream)
        assert failed.value.status_code in (500, 503)
        assert "127.0.0.1" not in str(failed.value)
