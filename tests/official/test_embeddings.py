"""Embeddings through the official SDK."""

from __future__ import annotations

import json
import math

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from .running import Server

SMALL, LARGE, ADA = "text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("model", "dimensions"), [(SMALL, 1536), (LARGE, 3072), (ADA, 1536)])
def test_vectors(client: OpenAI, server: Server, model: str, dimensions: int) -> None:
    """The SDK asks for base64 unless told otherwise, and hands out numbers."""
    texts = ["How do I change my password?", "Resetting your login", "Tomato soup"]
    answer = client.embeddings.create(model=model, input=texts)
    assert (answer.object, answer.model) == ("list", model)
    assert [each.index for each in answer.data] == [0, 1, 2]
    assert all(len(each.embedding) == dimensions and each.object == "embedding" for each in answer.data)
    question, near, far = [each.embedding for each in answer.data]
    assert cosine(question, question) == pytest.approx(1, abs=1e-5)
    assert cosine(question, near) > cosine(question, far) + 0.2
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 6 + 1 + 4 + 3
    floats = client.embeddings.create(model=model, input=texts[0], encoding_format="float").data[0].embedding
    assert floats == pytest.approx(question)
    row = server.settled(answer._request_id)
    assert (row["model"], row["input_tokens"], row["output_tokens"]) == (model, 14, 0)


def test_texts_and_their_tokens_are_the_same(client: OpenAI) -> None:
    text = client.embeddings.create(model=SMALL, input="hello world")
    tokens = client.embeddings.create(model=SMALL, input=[15339, 1917])
    several = client.embeddings.create(model=SMALL, input=[[15339, 1917], [15339]])
    assert text.data[0].embedding == tokens.data[0].embedding == several.data[0].embedding
    assert (text.usage.prompt_tokens, tokens.usage.prompt_tokens, several.usage.prompt_tokens) == (2, 2, 3)


async def test_dimensions(aclient: AsyncOpenAI) -> None:
    whole = (await aclient.embeddings.create(model=LARGE, input="hello world")).data[0].embedding
    for dimensions in (256, 384, 1024):
        cut = (await aclient.embeddings.create(model=LARGE, input="hello world", dimensions=dimensions)).data[0]
        assert len(cut.embedding) == dimensions
        norm = math.hypot(*whole[:dimensions])
        assert cut.embedding == pytest.approx([value / norm for value in whole[:dimensions]], abs=1e-6)


def test_refusals(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="does not support specifying dimensions"):
        client.embeddings.create(model=ADA, input="x", dimensions=2)
    with pytest.raises(BadRequestError, match="maximum context length is 8192 tokens"):
        client.embeddings.create(model=SMALL, input="word " * 9000)
    with pytest.raises(BadRequestError, match="Invalid token id") as refused:
        client.embeddings.create(model=SMALL, input=[100256])
    assert refused.value.param == "input"
    with pytest.raises(NotFoundError):
        client.embeddings.create(model="text-embedding-9", input="x")


def test_limits_and_models(client: OpenAI, server: Server) -> None:
    headers = client.embeddings.with_raw_response.create(model=SMALL, input="x").headers
    assert headers["x-ratelimit-limit-tokens"] == "10000000"
    assert "all-MiniLM-L6-v2" in json.loads(client.models.with_raw_response.retrieve(SMALL).content)["served_by"]
