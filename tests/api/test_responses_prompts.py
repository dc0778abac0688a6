"""Saved prompts: versions, variables, what a response tells of them, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inhouse.api.prompts.rendering import rendered, variables_of
from inhouse.api.prompts.service import PromptsService
from inhouse.api.prompts.wire import PromptContent
from inhouse.api.responses.wire import InputFile, InputImage, InputMessage, InputText
from inhouse.kit.errors import APIError, InvalidRequest, NotFound
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine

PROJECT = "proj_one"


@pytest.fixture
async def platform(database: Database) -> AsyncIterator[Platform]:
    platform = Platform(database, ScriptedEngine(["Hello."]))
    yield platform
    await platform.close()


@pytest.fixture
def prompts(database: Database) -> PromptsService:
    return PromptsService(database)


def says(text: str, **more: Any) -> PromptContent:
    return PromptContent(messages=[InputMessage(role="developer", content=text)], **more)


async def test_a_prompt_begins_a_response_and_sets_what_the_request_does_not(
    platform: Platform, prompts: PromptsService
) -> None:
    prompt = await prompts.create(
        PROJECT, "Greeting", says("Greet {{name}} in {{ language }}.", model="gpt-4.1-mini", temperature=0.3)
    )
    variables: dict[str, Any] = {"name": "{{language}}", "language": {"type": "input_text", "text": "Latin"}}
    body = {"model": None, "prompt": {"id": prompt.id, "variables": variables}}
    told = await platform.call("createResponse", body)
    # A value is never read as a template.
    assert platform.engine.prompts[0] == "system: Greet {{language}} in Latin."
    assert (told["model"], told["temperature"]) == ("gpt-4.1-mini-2025-04-14", 0.3)
    assert told["prompt"] == {"id": prompt.id, "version": "1", "variables": variables}
    assert told["instructions"][0]["role"] == "developer"
    assert told["instructions"][0]["content"] == [{"type": "input_text", "text": "Greet {{language}} in Latin."}]

    again = await platform.call(
        "createResponse",
        {**body, "model": "gpt-4.1", "temperature": 0.9, "input": "Hi", "instructions": "Be kind.", "stream": True},
    )
    assert platform.engine.prompts[1].splitlines()[-1] == "user: Hi"
    assert "Be kind." in platform.engine.prompts[1]
    response = again[-1]["response"]
    assert (response["model"], response["temperature"]) == ("gpt-4.1-2025-04-14", 0.9)
    assert response == await platform.call("getResponse", response_id=response["id"])
    # Like instructions, a prompt is not carried over.
    await platform.call("createResponse", {"input": "And?", "previous_response_id": response["id"]})
    assert "Latin" not in platform.engine.prompts[2]


async def test_the_published_version_is_used_unless_one_is_named(platform: Platform, prompts: PromptsService) -> None:
    id = (await prompts.create(PROJECT, "One", says("First."))).id
    assert await prompts.add_version(PROJECT, id, says("Second.")) == 2
    assert await prompts.add_version(PROJECT, id, says("Third."), publish=True) == 3

    async def read(version: str | None = None) -> tuple[str, str]:
        told = await platform.call("createResponse", {"prompt": {"id": id, "version": version}})
        return platform.engine.prompts[-1], told["prompt"]["version"]

    assert await read() == ("system: Third.", "3")
    assert await read("2") == ("system: Second.", "2")
    await prompts.publish(PROJECT, id, 1)
    assert await read() == ("system: First.", "1")
    assert (await prompts.get(PROJECT, id)).versions == 3
    assert [prompt.id for prompt in await prompts.list(PROJECT)] == [id]
    await prompts.delete(PROJECT, id)
    with pytest.raises(NotFound):
        await read()


async def test_a_background_response_keeps_its_version(platform: Platform, prompts: PromptsService) -> None:
    id = (await prompts.create(PROJECT, "One", says("First {{word}}."))).id
    body = {"prompt": {"id": id, "variables": {"word": "one"}}, "background": True}
    queued = await platform.call("createResponse", body)
    await prompts.add_version(PROJECT, id, says("Second."), publish=True)
    await platform.runner.start()
    async with asyncio.timeout(120):
        while (told := await platform.call("getResponse", response_id=queued["id"]))["status"] != "completed":
            await asyncio.sleep(0.02)
    assert platform.engine.prompts == ["system: First one."]
    assert told["prompt"]["version"] == "1"


def test_images_and_files_become_parts_of_their_own() -> None:
    content = PromptContent(
        messages=[
            InputMessage(role="user", content="See {{ picture }} and {{doc}}"),
            InputMessage(role="user", content=[InputText(text="{{picture}}"), InputImage(detail="low", file_id="f")]),
        ]
    )
    assert variables_of(content) == ["picture", "doc"]
    picture, doc = InputImage(detail="auto", image_url="data:image/png;base64,AA=="), InputFile(file_id="file-1")
    first, second = rendered(content, {"picture": picture, "doc": doc})
    assert first.content == [InputText(text="See "), picture, InputText(text=" and "), doc]
    assert second.content == [picture, InputImage(detail="low", file_id="f")]


@pytest.mark.parametrize(
    ("prompt", "error", "message"),
    [
        ({"variables": {}}, InvalidRequest, "Missing prompt variables: a, b"),
        ({"variables": {"a": "1"}}, InvalidRequest, "Missing prompt variables: b"),
        ({"variables": {"a": "1", "b": "2", "c": "3"}}, InvalidRequest, "Unknown prompt variables: c"),
        ({"version": "7"}, NotFound, "Prompt with id '{id}' and version '7' not found."),
        ({"version": "latest"}, NotFound, "Prompt with id '{id}' and version 'latest' not found."),
        ({"id": "pmpt_none"}, NotFound, "Prompt with id 'pmpt_none' not found."),
    ],
)
async def test_what_is_refused(
    platform: Platform, prompts: PromptsService, prompt: dict[str, Any], error: type[APIError], message: str
) -> None:
    id = (await prompts.create(PROJECT, "One", says("{{a}} {{b}}"))).id
    for how in ("store", "stream", "background"):
        with pytest.raises(error) as refused:
            await platform.call("createResponse", {"prompt": {"id": id, **prompt}, how: True})
        assert refused.value.message == message.format(id=id)


async def test_another_projects_prompt_does_not_exist(platform: Platform, prompts: PromptsService) -> None:
    id = (await prompts.create(PROJECT, "One", says("Secret."))).id
    with pytest.raises(NotFound):
        await platform.call("createResponse", {"prompt": {"id": id}}, project="proj_two")
    for work in (
        prompts.get("proj_two", id),
        prompts.version("proj_two", id),
        prompts.publish("proj_two", id, 1),
        prompts.add_version("proj_two", id, says("Mine.")),
        prompts.delete("proj_two", id),
    ):
        with pytest.raises(NotFound):
            await work
    assert await prompts.list("proj_two") == []
