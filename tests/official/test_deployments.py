"""What serves a model can be changed while the server runs: other weights, or other servers."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from openai import APIError, APIStatusError, BadRequestError, InternalServerError, NotFoundError, OpenAI
from pydantic import BaseModel

from .running import CHAT, FAST, INSTRUCT, Server, until, user

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
    asked: dict[str, Any] = {"messages": user("Say hello."), "max_completion_tokens": 6, "temperature": 0}
    return client.chat.completions.create(model=model, **{**asked, **options})


@pytest.fixture(scope="module")
def gateway(start_server: Any, server: Server) -> Server:
    """A server with nothing of its own: the shared one serves its gpt-4.1, gpt-4.1-nano and the legacy model."""
    gateway: Server = start_server({"UPSTREAM_KEY": server.key}, engines__preload="")
    for model in (CHAT, FAST, INSTRUCT):
        gateway.cli("models", "use", model, "--upstream", server.base_url, "--upstream-key-env", "UPSTREAM_KEY")
    with gateway.client() as client:
        until(lambda: str(server.port) in served_by(client, INSTRUCT), "the upstream is not used", 5)
    return gateway


@pytest.fixture(scope="module")
def through(gateway: Server) -> Any:
    with gateway.client() as client:
        yield client


def served_by(client: OpenAI, model: str) -> str:
    return str(client.models.retrieve(model).model_dump()["served_by"])


def test_other_weights_take_over_within_seconds(start_server: Any) -> None:
    server: Server = start_server(engines__preload=FAST)
    with server.client() as client:
        before = hello(client)
        assert SMOL in served_by(client, FAST)
        server.cli("models", "use", FAST, "qwen2.5-coder-0.5b-instruct-q4_k_m")
        until(lambda: QWEN in served_by(client, FAST), "the other weights do not take over", 5)
        other = hello(client)
        assert other.model == before.model  # the contract's name stays
        assert other.system_fingerprint != before.system_fingerprint
        assert other.choices[0].message.content != before.choices[0].message.content
        assert server.call(other._request_id)["deployment"].startswith("qwen2.5-coder-0.5b")
        server.cli("models", "use", FAST, "smollm2-135m-instruct-q4_1")
        until(lambda: SMOL in served_by(client, FAST), "the first weights do not come back", 5)
        again = hello(client)
        assert again.system_fingerprint == before.system_fingerprint
        assert again.choices == before.choices
        server.cli("models", "use", FAST, "--none")

        def gone() -> bool:
            try:
                hello(client)
            except NotFoundError as error:
                return error.code == "model_not_found"
            return False

        until(gone, "a model that nothing serves still answers", 5)
        assert FAST not in {model.id for model in client.models.list()}
    history = [
        line for line in server.cli("models", "show", FAST).splitlines() if "served by" in line or "before" in line
    ]
    assert len(history) == 4 or len(history) == 3
    assert "not deployed" in history[0]
    assert SMOL in history[1]
    assert QWEN in history[2]


def test_through_another_server(through: OpenAI, client: OpenAI, gateway: Server) -> None:
    answer, direct = hello(through), hello(client)
    assert answer.choices[0].message.content == direct.choices[0].message.content
    assert answer.model == direct.model
    assert answer.usage == direct.usage
    assert answer.id != direct.id
    row = gateway.call(answer._request_id)
    assert (row["input_tokens"], row["output_tokens"]) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


def test_a_stream_through_another_server(through: OpenAI, client: OpenAI) -> None:
    *chunks, last = list(hello(through, stream=True, n=2, stream_options={"include_usage": True}))
    texts = {0: "", 1: ""}
    for chunk in chunks:
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts[0] == hello(client).choices[0].message.content
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
    told = hello(through, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert [entry.token for entry in told] == [
        entry.token for entry in hello(client, logprobs=True).choices[0].logprobs.content
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
        hello(through, messages=user("word " * 10_000))
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")


def test_a_client_that_leaves_is_left_by_the_other_server_too(through: OpenAI, gateway: Server, server: Server) -> None:
    stream = hello(through, stream=True, max_completion_tokens=2000, logit_bias={"2": -100, "0": -100})
    for _ in range(4):
        next(stream)
    id = stream.response.headers["x-request-id"]
    ((theirs,),) = server.rows("SELECT id FROM calls WHERE state = 'open'")
    stream.close()
    until(lambda: gateway.call(id)["state"] == "settled", "not settled here", 1)
    until(lambda: server.call(theirs)["state"] == "settled", "not settled there", 1)
    assert gateway.call(id)["status"] == server.call(theirs)["status"] == 499


def test_a_key_that_the_other_server_refuses_is_ours_to_mend(start_server: Any, server: Server) -> None:
    gateway: Server = start_server({"UPSTREAM_KEY": "sk-not-a-key-of-theirs"}, engines__preload="")
    gateway.cli("models", "use", FAST, "--upstream", server.base_url, "--upstream-key-env", "UPSTREAM_KEY")
    with gateway.client() as client:
        until(lambda: "127.0.0.1" in served_by(client, FAST), "the upstream is not used", 5)
        with pytest.raises(InternalServerError) as failed:
            hello(client)
    assert failed.value.status_code == 500
    assert "sk-" not in str(failed.value)


def test_the_next_server_takes_over_when_one_dies(start_server: Any, server: Server) -> None:
    first: Server = start_server(engines__preload=FAST)
    first.settings["api_key"] = first.key
    gateway: Server = start_server({"FIRST": first.key, "SECOND": server.key}, engines__preload="")
    upstreams = ["--upstream", first.base_url, "--upstream", server.base_url]
    gateway.cli("models", "use", FAST, *upstreams, "--upstream-key-env", "FIRST", "--upstream-key-env", "SECOND")

    def served(where: Server) -> int:
        ((count,),) = where.rows("SELECT count(*) FROM calls")
        return int(count)

    with gateway.client() as client:
        until(lambda: str(first.port) in served_by(client, FAST), "the upstreams are not used", 5)
        before = served(server)
        hello(client)
        assert (served(first), served(server)) == (1, before)
        stream = hello(client, stream=True, max_completion_tokens=2000, logit_bias={"2": -100, "0": -100})
        next(stream)
        first.kill()
        with pytest.raises((APIError, openai.APIConnectionError)) as broken:
            list(stream)  # what has begun cannot go on elsewhere
        assert "had an error processing your request" in str(broken.value)
        for _ in range(3):
            assert hello(client).choices[0].message.content
        assert list(hello(client, stream=True))
        assert served(server) == before + 4
        assert gateway.rows("SELECT count(*) FROM calls WHERE state = 'open'") == [(0,)]


def test_when_no_server_is_left(start_server: Any) -> None:
    gateway: Server = start_server(engines__preload="")
    gateway.cli("models", "use", FAST, "--upstream", "http://127.0.0.1:9/v1")
    with gateway.client() as client:
        until(lambda: "127.0.0.1:9" in served_by(client, FAST), "the upstream is not used", 5)
        for stream in (False, True):
            with pytest.raises(APIStatusError) as failed:
                hello(client, stream=stream)
            assert failed.value.status_code in (500, 503)
            assert "127.0.0.1" not in str(failed.value)
