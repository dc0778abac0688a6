"""Moderations on the real classifier, through the official SDK and as curl would."""

from __future__ import annotations

import base64
import io

import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from PIL import Image

from .running import Server

THREAT = "I am going to find you and kill you."
PATH = "/v1/moderations"


def picture(color: str = "white") -> str:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def test_a_text(client: OpenAI, server: Server) -> None:
    told = client.moderations.create(input=THREAT)
    assert told.model == "omni-moderation-latest"
    [result] = told.results
    assert result.flagged
    assert result.categories.harassment_threatening
    assert result.category_scores.harassment_threatening >= 0.5
    assert result.category_applied_input_types.harassment_threatening == ["text"]
    assert not result.categories.sexual
    row = server.settled(told._request_id or "")
    assert (row["status"], row["cost_nanos"], row["output_tokens"]) == (200, 0, 0)
    assert row["input_tokens"] > 5
    assert row["deployment"].startswith("moderation-english@")


async def test_texts(aclient: AsyncOpenAI) -> None:
    told = await aclient.moderations.create(model="omni-moderation-2024-09-26", input=["Good morning!", THREAT])
    assert [result.flagged for result in told.results] == [False, True]


def test_a_text_with_an_image(client: OpenAI) -> None:
    told = client.moderations.create(
        model="omni-moderation-latest",
        input=[
            {"type": "text", "text": "My new wall paint."},
            {"type": "image_url", "image_url": {"url": picture()}},
        ],
    )
    [result] = told.results
    assert not result.flagged
    assert result.category_applied_input_types.sexual == ["text", "image"]
    assert result.category_applied_input_types.hate == ["text"]


def test_a_text_model(client: OpenAI) -> None:
    told = client.moderations.create(model="text-moderation-stable", input=THREAT)
    assert told.model == "text-moderation-007"
    assert told.results[0].categories.violence
    assert told.results[0].categories.illicit is None


def test_its_card(client: OpenAI) -> None:
    assert client.models.retrieve("omni-moderation-latest").id == "omni-moderation-latest"


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "http://127.0.0.1:1/a.png", "ftp://example.com/a.png"])
def test_images_that_are_none(client: OpenAI, url: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.moderations.create(input=[{"type": "image_url", "image_url": {"url": url}}])
    assert refused.value.param == "input[0].image_url.url"


def test_a_chat_model_moderates_nothing(client: OpenAI) -> None:
    with pytest.raises(NotFoundError):
        client.moderations.create(model="gpt-4.1", input="a")


def test_as_curl_would(server: Server) -> None:
    answer = server.http("POST", PATH, {"input": "I want to kill them."})
    assert answer.status == 200
    assert "x-ratelimit-limit-requests" in answer.headers
    assert server.http("POST", PATH, b"{").status == 400
    assert server.http("POST", PATH, {"input": "a"}, {"authorization": None}).status == 401


def test_a_huge_text_is_refused_at_once(client: OpenAI) -> None:
    with pytest.raises(APIStatusError) as refused:
        client.moderations.create(input="kill " * 200_000)
    assert refused.value.status_code in (400, 429)


def test_moderation_along_with_a_chat_completion(client: OpenAI) -> None:
    told = client.chat.completions.create(
        model="gpt-4.1",
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=8,
        moderation={"model": "omni-moderation-latest"},
    )
    assert told.moderation is not None
    for side in (told.moderation.input, told.moderation.output):
        assert side.type == "moderation_results"
        assert [result.flagged for result in side.results] == [False]
    with pytest.raises(BadRequestError) as refused:
        client.chat.completions.create(
            model="gpt-4.1",
            messages=[{"role": "user", "content": THREAT}],
            moderation={"model": "omni-moderation-latest", "policy": {"input": {"mode": "block"}}},
        )
    assert (refused.value.code, refused.value.param) == ("content_policy_violation", "messages")


def test_moderation_along_with_a_response(client: OpenAI) -> None:
    stream = client.responses.create(
        model="gpt-4.1",
        input=THREAT,
        max_output_tokens=16,
        moderation={"model": "omni-moderation-latest", "policy": {"output": {"mode": "block"}}},
        stream=True,
    )
    *_, last = stream
    assert last.type in ("response.completed", "response.incomplete")
    told = last.response
    assert told.moderation is not None
    assert told.moderation.input.type == "moderation_result"
    assert told.moderation.input.flagged
    assert told.moderation.output.type == "moderation_result"
    assert client.responses.retrieve(told.id).moderation == told.moderation
