from __future__ import annotations

import json

import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import UpstreamModel


def routes(say, table: dict[str, object]):
    """Answers by path: JSON, a status line, or a function of the decoded body."""

    async def handler(request, reader, writer):
        found = table.get(request.path, "404 Not Found")
        if callable(found):
            found = found(json.loads(request.body))
        if isinstance(found, str):
            writer.write(say.answer(b'{"error":{}}', found))
        else:
            writer.write(say.answer(json.dumps(found).encode()))

    return handler


VLLM = {
    "/v1/models": {"object": "list", "data": [{"id": "qwen", "object": "model", "max_model_len": 32768}]},
    "/tokenize": lambda body: (
        {"count": 9, "max_model_len": 32768, "tokens": list(range(9))}
        if "messages" in body
        else {"count": 2, "max_model_len": 32768, "tokens": [1, 2]}
    ),
}
LLAMA = {
    "/v1/models": {"models": [], "data": [{"id": "a.gguf", "meta": {"n_ctx": 4096, "n_ctx_train": 32768}}]},
    "/tokenize": lambda body: {"tokens": list(body.get("content", "")) and list(range(len(body["content"])))},
    "/apply-template": lambda body: {"prompt": "<user>" + body["messages"][0]["content"]},
}
BARE = {"/v1/models": {"data": [{"id": "gpt"}, {"id": "other"}]}}


async def test_models_and_windows(serve, connect, say) -> None:
    vllm, llama, bare = [await serve(routes(say, table)) for table in (VLLM, LLAMA, BARE)]
    upstream = connect(vllm, llama, bare)
    assert await upstream.models() == [
        UpstreamModel("qwen", 32768, vllm.url),
        UpstreamModel("a.gguf", 4096, llama.url),
        UpstreamModel("gpt", None, bare.url),
        UpstreamModel("other", None, bare.url),
    ]
    assert await upstream.window() == 4096
    assert await connect(vllm).window() == 32768
    assert await connect(bare).window() is None


async def test_a_window_that_only_the_properties_tell(serve, connect, say) -> None:
    """Of servers whose list of models says what a model was trained for, not what a slot holds."""
    models = {"data": [{"id": "a.gguf", "meta": {"n_ctx_train": 32768}}]}
    props = {"default_generation_settings": {"n_ctx": 1_048_576}, "total_slots": 1}
    server = await serve(routes(say, {"/v1/models": models, "/props": props}))
    assert await connect(server).window() == 1_048_576
    odd = await serve(routes(say, {"/v1/models": models, "/props": {"default_generation_settings": "x"}}))
    upstream = connect(odd)
    assert await upstream.window() is None
    asked = len(odd.requests)
    assert await upstream.window() is None
    assert len(odd.requests) == asked + 1, "what a server lacks is not asked for again"


async def test_models_of_servers_that_fail(serve, connect, say, nowhere) -> None:
    vllm = await serve(routes(say, VLLM))
    assert [model.id for model in await connect(nowhere, vllm).models()] == ["qwen"]
    with pytest.raises(EngineFailed):
        await connect(nowhere).models()
    strange = await serve(routes(say, {"/v1/models": {"data": "none"}}))
    with pytest.raises(EngineFailed, match="shape of its own"):
        await connect(strange).models()


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        ({"data": []}, True),
        ("404 Not Found", True),
        ("401 Unauthorized", False),
        ("503 Loading", False),
    ],
)
async def test_ready(serve, connect, say, nowhere, answer, ready) -> None:
    server = await serve(routes(say, {"/v1/models": answer}))
    assert await connect(nowhere, server).ready() is ready
    assert await connect(nowhere).ready() is False


async def test_ready_leaves_the_circuit_alone(connect, nowhere) -> None:
    upstream = connect(nowhere)
    await upstream.ready()
    assert upstream.targets()[0].failures == 0


async def test_tokens_from_vllm(serve, connect, say) -> None:
    server = await serve(routes(say, VLLM))
    upstream = connect(server, model=None)
    assert await upstream.tokenize("hello") == [1, 2]
    assert await upstream.count_tokens([{"role": "user", "content": "hi"}], [{"type": "function"}]) == 9
    asked = json.loads(server.requests[-1].body)
    assert asked["model"] == "qwen"
    assert asked["tools"] == [{"type": "function"}]


async def test_tokens_from_llama_cpp(serve, connect, say) -> None:
    server = await serve(routes(say, LLAMA))
    upstream = connect(server)
    assert await upstream.tokenize("abc", special=True) == [0, 1, 2]
    assert json.loads(server.requests[-1].body)["parse_special"] is True
    assert await upstream.tokenize("") == []
    assert await upstream.count_tokens([{"role": "user", "content": "hi"}]) == len("<user>hi")


async def test_what_is_not_supported_is_asked_once(serve, connect, say) -> None:
    server = await serve(routes(say, BARE))
    upstream = connect(server)
    for _ in range(3):
        assert await upstream.tokenize("hello") is None
        assert await upstream.count_tokens([{"role": "user", "content": "hi"}]) is None
    assert sorted(request.path for request in server.requests) == ["/apply-template", "/tokenize"]


async def test_a_server_that_counts_texts_alone_keeps_counting_them(serve, connect, say) -> None:
    """A refusal of one chat, by its shape or by its template, says nothing of the next request."""
    table: dict[str, object] = {"/tokenize": "422 Unprocessable Entity"}
    server = await serve(routes(say, table))
    upstream = connect(server)
    assert await upstream.count_tokens([{"role": "user", "content": "hi"}]) is None
    table["/tokenize"] = {"tokens": [1, 2], "count": 2}
    assert await upstream.tokenize("hello") == [1, 2]
    assert await upstream.count_tokens([{"role": "user", "content": "hi"}]) == 2


async def test_a_server_that_is_down_is_not_taken_for_one_that_cannot(serve, connect, say) -> None:
    table: dict[str, object] = {"/tokenize": "503 Loading"}
    upstream = connect(await serve(routes(say, table)))
    with pytest.raises(EngineFailed):
        await upstream.tokenize("hello")
    table["/tokenize"] = {"tokens": [5]}
    assert await upstream.tokenize("hello") == [5]
