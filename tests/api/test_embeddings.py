"""Embeddings without a model: what is asked of hosts and upstreams, and what becomes of their answers."""

from __future__ import annotations

import asyncio
import base64
import struct
from pathlib import Path
from typing import Any

import pytest
from tests.upstreams import scripted_upstream
from tests.walking import Walk, walking

from inhouse.engines.embedding.shapes import COUNT, Counted, Inputs, Vectors
from inhouse.engines.protocol import EngineBusy, EngineFailed, Refused

SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"


class Host:
    """A host whose vectors tell the length of the text: (3, 4, length), at length 1 for 0."""

    def __init__(self, *, tokens: int | None = None, error: Exception | None = None, row: Any = (0.6, 0.8)) -> None:
        self.asked: list[tuple[str, list[Any]]] = []
        self.tenants: set[str] = set()
        self.tokens = tokens
        self.error = error
        self.row = row
        self.hangs_after: int | None = None

    async def call(self, path: str, request: Inputs, answer: type, *, tenant: str, priority: int) -> Any:
        self.asked.append((path, request.inputs))
        self.tenants.add(tenant)
        if self.error is not None:
            raise self.error
        if self.hangs_after is not None and len(self.asked) > self.hangs_after:
            await asyncio.Event().wait()
        tokens = [len(given) if self.tokens is None else self.tokens for given in request.inputs]
        if path == COUNT:
            return Counted(tokens)
        data = b"".join(struct.pack(f"<{len(self.row)}f", *self.row) for _ in request.inputs)
        return Vectors(len(self.row), data, tokens)


@pytest.fixture
async def walk(tmp_path: Path) -> Any:
    async with walking(tmp_path) as walk:
        yield walk


async def ask(walk: Walk, given: Any, model: str = SMALL, **more: Any) -> Any:
    client = await walk.client()
    return await client.post("/v1/embeddings", {"model": model, "input": given, **more})


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("a text", ["a text"]),
        (["one", "two"], ["one", "two"]),
        ([5, 6, 7], [[5, 6, 7]]),
        ([[5], [6, 7]], [[5], [6, 7]]),
    ],
)
async def test_every_form_of_input(walk: Walk, given: Any, inputs: list[Any]) -> None:
    host = walk.engine(Host())
    answer = (await ask(walk, given)).json()
    assert host.asked == [("/embed", inputs)]
    assert (answer["object"], answer["model"]) == ("list", SMALL)
    assert [each["index"] for each in answer["data"]] == list(range(len(inputs)))
    for each in answer["data"]:
        assert each["object"] == "embedding"
        assert len(each["embedding"]) == 1536
        assert each["embedding"][:3] == [pytest.approx(0.6), pytest.approx(0.8), 0.0]
    tokens = sum(map(len, inputs))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


@pytest.mark.parametrize(("model", "dimensions"), [(SMALL, 1536), (LARGE, 3072), (ADA, 1536)])
async def test_the_length_that_the_card_promises(walk: Walk, model: str, dimensions: int) -> None:
    walk.engine(Host())
    data = (await ask(walk, "x", model, encoding_format="base64")).json()["data"][0]["embedding"]
    numbers = struct.unpack(f"<{dimensions}f", base64.b64decode(data))
    assert numbers[:3] == (pytest.approx(0.6), pytest.approx(0.8), 0.0)


async def test_fewer_dimensions_are_at_length_one_again(walk: Walk) -> None:
    walk.engine(Host(row=(3 / 13, 4 / 13, 12 / 13)))
    assert (await ask(walk, "x", dimensions=2)).json()["data"][0]["embedding"] == pytest.approx([0.6, 0.8])
    assert (await ask(walk, "x", dimensions=4)).json()["data"][0]["embedding"] == pytest.approx(
        [3 / 13, 4 / 13, 12 / 13, 0]
    )


@pytest.mark.parametrize(
    ("body", "message", "param", "code"),
    [
        ({"input": ""}, "'$.input' is invalid. Please check the API reference: ", None, None),
        ({"input": ["a", ""]}, "'$.input' is invalid.", None, None),
        ({"input": []}, "Invalid 'input': empty array.", "input", "empty_array"),
        ({"input": [[]]}, "Invalid 'input[0]': empty array.", "input[0]", "empty_array"),
        ({"input": ["a"] * 2049}, "Invalid 'input': array too long.", "input", "array_above_max_length"),
        ({"input": ["a", 1]}, "Invalid type for 'input': expected one of a string", "input", "invalid_type"),
        ({"input": [-1]}, "Invalid 'input[0]': integer below minimum value.", "input[0]", "integer_below_min_value"),
        ({"input": "a", "dimensions": 0}, "Invalid 'dimensions'", "dimensions", "integer_below_min_value"),
        ({"input": "a", "dimensions": 1537}, "Invalid value for 'dimensions' = 1537. Must be", "dimensions", None),
        ({"input": "a", "model": ADA, "dimensions": 2}, "This model does not support specifying dim", None, None),
        ({"input": "a", "encoding_format": "int8"}, "Invalid value: 'int8'.", "encoding_format", "invalid_value"),
    ],
)
async def test_what_is_refused(walk: Walk, body: Any, message: str, param: str | None, code: str | None) -> None:
    walk.engine(Host())
    client = await walk.client()
    answer = await client.post("/v1/embeddings", {"model": SMALL, **body})
    error = answer.json()["error"]
    assert answer.status == 400
    assert error["message"].startswith(message)
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


async def test_an_input_that_is_too_long(walk: Walk) -> None:
    host = walk.engine(Host(tokens=8193))
    error = (await ask(walk, "x" * 8193)).json()["error"]
    assert error["message"] == (
        "This model's maximum context length is 8192 tokens, however you requested 8193 tokens (8193 in your prompt; "
        "0 for the completion). Please reduce your prompt; or completion length."
    )
    assert [path for path, _ in host.asked] == [COUNT], "nothing was embedded"
    walk.engine(Host(tokens=8192))
    assert (await ask(walk, "x" * 8193)).status == 200, "it is the tokens that count"


async def test_a_request_that_is_too_long(walk: Walk) -> None:
    walk.engine(Host(tokens=8000))
    error = (await ask(walk, ["x" * 8000] * 38)).json()["error"]
    assert error == {
        "message": "Requested 304000 tokens, max 300000 tokens per request",
        "type": "max_tokens_per_request",
        "param": None,
        "code": "max_tokens_per_request",
    }


async def test_a_large_request_takes_turns(walk: Walk) -> None:
    host = walk.engine(Host())
    answer = (await ask(walk, [f"{n}" for n in range(2048)], dimensions=2)).json()
    assert [each["index"] for each in answer["data"]] == list(range(2048))
    assert [len(inputs) for _, inputs in host.asked] == [64] * 32
    assert [text for _, inputs in host.asked for text in inputs] == [f"{n}" for n in range(2048)]
    assert len(host.tenants) == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Refused("Invalid token id: 7.", param="input"), 400, None),
        (EngineBusy("full"), 503, "server_is_overloaded"),
        (EngineFailed("died of /secret/path"), 500, None),
    ],
)
async def test_a_host_that_fails(walk: Walk, error: Exception, status: int, code: str | None) -> None:
    walk.engine(Host(error=error))
    answer = await ask(walk, "x")
    assert (answer.status, answer.json()["error"]["code"]) == (status, code)
    assert "secret" not in answer.json()["error"]["message"]
    (row,) = await walk.rows()
    assert (row.status, row.input_tokens) == (status, 0)


async def test_the_ledger(walk: Walk) -> None:
    walk.engine(Host(tokens=1000))
    await ask(walk, ["a", "b"])
    (row,) = await walk.rows()
    assert (row.operation, row.model, row.family) == ("createEmbedding", SMALL, "embeddings")
    assert (row.input_tokens, row.output_tokens, row.status) == (2000, 0, 200)
    assert row.cost_nanos == 2000 * 20, "2 cents a million tokens"


async def test_who_leaves_pays_for_what_was_embedded(walk: Walk) -> None:
    host = walk.engine(Host(tokens=10))
    host.hangs_after = 1
    client = await walk.client()
    asked = asyncio.create_task(client.post("/v1/embeddings", {"model": SMALL, "input": ["a"] * 65}))
    while len(host.asked) < 2:
        await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    (row,) = await walk.rows()
    assert (row.status, row.input_tokens) == (499, 640)


async def test_models_of_other_endpoints(walk: Walk) -> None:
    client = await walk.client()
    answer = await client.post("/v1/embeddings", {"model": "gpt-4.1", "input": "x"})
    assert (answer.status, answer.json()["error"]["param"]) == (404, "model")
    answer = await client.post(
        "/v1/chat/completions", {"model": SMALL, "messages": [{"role": "user", "content": "Hi"}]}
    )
    assert answer.status == 404


@pytest.mark.parametrize("packed", [True, False])
async def test_an_upstream(walk: Walk, packed: bool) -> None:
    row = [0.6, 0.8]
    told: Any = base64.b64encode(struct.pack("<2f", *row)).decode() if packed else row
    async with scripted_upstream() as upstream:
        await walk.upstream(upstream.url, SMALL)
        data = [{"index": index, "embedding": told, "object": "embedding"} for index in (1, 0)]
        upstream.answer = {"data": data, "usage": {"prompt_tokens": 9, "total_tokens": 9}}
        answer = (await ask(walk, ["a", "b"], dimensions=3)).json()
        assert [each["embedding"] for each in answer["data"]] == [pytest.approx([0.6, 0.8, 0])] * 2
        assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
        asked = upstream.bodies[0]
        assert (asked["model"], asked["input"], asked["encoding_format"]) == ("theirs", ["a", "b"], "base64")
        (row,) = await walk.rows()
        assert row.input_tokens == 9


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [], "usage": {"prompt_tokens": 1}},
        {"data": [{"index": 3, "embedding": [1.0]}], "usage": {"prompt_tokens": 1}},
        {"data": [{"index": 0, "embedding": "???"}], "usage": {"prompt_tokens": 1}},
        {"data": "nothing"},
    ],
)
async def test_an_upstream_that_breaks_the_contract(walk: Walk, answer: Any) -> None:
    async with scripted_upstream() as upstream:
        await walk.upstream(upstream.url, SMALL)
        upstream.answer = answer
        assert (await ask(walk, "a")).status == 500
