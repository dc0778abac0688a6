"""Saved prompts: keep them, publish a version, put them into a request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec

from inhouse.api.prompts import store
from inhouse.api.prompts.rendering import check_values, rendered
from inhouse.api.prompts.wire import Prompt, PromptContent, PromptVersion
from inhouse.api.responses import wire
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database


class PromptsService:
    """For whoever makes prompts: the command line, pages, migrations from elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, project_id: str, name: str, content: PromptContent) -> Prompt:
        """A new prompt, whose first version is published."""
        id = new_id("pmpt_", 48)
        return await self._database.write(partial(store.add, project_id=project_id, id=id, name=name, content=content))

    async def add_version(self, project_id: str, id: str, content: PromptContent, *, publish: bool = False) -> int:
        """The number of the new version. Requests get it when it is published, or when they name it.

        Raises:
            NotFound
        """
        adding = partial(store.add_version, project_id=project_id, id=id, content=content)
        number = await self._database.write(adding)
        if number is None:
            raise prompt_not_found(id)
        if publish:
            await self.publish(project_id, id, number)
        return number

    async def publish(self, project_id: str, id: str, version: int) -> None:
        """Use a version, newer or older, where a request names none.

        Raises:
            NotFound
        """
        if not await self._database.write(partial(store.publish, project_id=project_id, id=id, number=version)):
            raise prompt_not_found(id, str(version))

    async def list(self, project_id: str) -> Sequence[Prompt]:
        """The prompts of a project, the newest first."""
        return await self._database.read(partial(store.list_all, project_id=project_id))

    async def get(self, project_id: str, id: str) -> Prompt:
        """Raises NotFound."""
        found = await self._database.read(partial(store.get, project_id=project_id, id=id))
        if found is None:
            raise prompt_not_found(id)
        return found

    async def version(self, project_id: str, id: str, version: int | None = None) -> PromptVersion:
        """A version, by default the published one. Raises NotFound."""
        return await find_version(self._database, project_id, id, version)

    async def delete(self, project_id: str, id: str) -> None:
        """Raises NotFound."""
        if not await self._database.write(partial(store.remove, project_id=project_id, id=id)):
            raise prompt_not_found(id)


async def find_version(database: Database, project_id: str, id: str, version: int | None) -> PromptVersion:
    """A version of a prompt, by default the published one. Raises NotFound."""
    found = await database.read(partial(store.version, project_id=project_id, id=id, number=version))
    if found is None:
        raise prompt_not_found(id, None if version is None else str(version))
    return found


async def with_prompt(database: Database, project_id: str, body: wire.CreateResponse) -> wire.CreateResponse:
    """A request with what its saved prompt sets and it does not, and with the prompt's version named.

    Raises:
        NotFound: there is no such prompt, or no such version.
        InvalidRequest: a variable is missing, or unknown.
    """
    if body.prompt is None:
        return body
    found = await _named(database, project_id, body.prompt)
    check_values(found.content, body.prompt.variables or {})
    set_there = {
        name: value
        for name in PromptContent.__struct_fields__
        if name != "messages" and (value := getattr(found.content, name)) is not None and getattr(body, name) is None
    }
    prompt = msgspec.structs.replace(body.prompt, version=str(found.version))
    return msgspec.structs.replace(body, prompt=prompt, **set_there)


async def prompt_messages(
    database: Database, project_id: str, prompt: wire.PromptTemplate | None
) -> list[wire.InputMessage]:
    """What a request begins with. Raises as ``with_prompt``."""
    if prompt is None:
        return []
    found = await _named(database, project_id, prompt)
    check_values(found.content, prompt.variables or {})
    return rendered(found.content, prompt.variables or {})


async def _named(database: Database, project_id: str, prompt: wire.PromptTemplate) -> PromptVersion:
    if prompt.version is None:
        return await find_version(database, project_id, prompt.id, None)
    if not prompt.version.isdecimal() or len(prompt.version) > 9:
        raise prompt_not_found(prompt.id, prompt.version)
    return await find_version(database, project_id, prompt.id, int(prompt.version))


def prompt_not_found(id: str, version: str | None = None) -> NotFound:
    named = f"Prompt with id '{id}'" + ("" if version is None else f" and version '{version}'")
    return NotFound(f"{named} not found.", param="prompt.id" if version is None else "prompt.version")
