"""Saved prompts: the queries. Each is bound to a project; another project's prompts do not exist for it."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from inhouse.api.prompts.wire import Prompt, PromptContent, PromptVersion
from inhouse.storage.database import lock
from inhouse.storage.schema import prompt_versions, prompts

_content = msgspec.json.Decoder(PromptContent)


def add(connection: Connection, project_id: str, id: str, name: str, content: PromptContent) -> Prompt:
    now = time.time_ns() // 1000
    connection.execute(insert(prompts).values(id=id, project_id=project_id, created_at=now, name=name, published=1))
    _add_version(connection, id, 1, content)
    return Prompt(id=id, project_id=project_id, created_at=now, name=name, published=1, versions=1)


def add_version(connection: Connection, project_id: str, id: str, content: PromptContent) -> int | None:
    """The number of the new version; None if there is no such prompt."""
    lock(connection, f"prompt {id}")
    if (found := get(connection, project_id, id)) is None:
        return None
    _add_version(connection, id, found.versions + 1, content)
    return found.versions + 1


def get(connection: Connection, project_id: str, id: str) -> Prompt | None:
    return next(iter(_prompts(connection, prompts.c.project_id == project_id, prompts.c.id == id)), None)


def list_all(connection: Connection, project_id: str) -> list[Prompt]:
    """The newest first."""
    return _prompts(connection, prompts.c.project_id == project_id)


def version(connection: Connection, project_id: str, id: str, number: int | None) -> PromptVersion | None:
    """A version, by default the published one."""
    wanted = prompts.c.published if number is None else number
    row = connection.execute(
        select(prompt_versions)
        .join(prompts, prompts.c.id == prompt_versions.c.prompt_id)
        .where(prompts.c.project_id == project_id, prompts.c.id == id, prompt_versions.c.version == wanted)
    ).one_or_none()
    if row is None:
        return None
    return PromptVersion(
        prompt_id=id, version=row.version, created_at=row.created_at, content=_content.decode(row.body)
    )


def publish(connection: Connection, project_id: str, id: str, number: int) -> bool:
    """Whether there is such a version."""
    if version(connection, project_id, id, number) is None:
        return False
    connection.execute(update(prompts).where(prompts.c.id == id).values(published=number))
    return True


def remove(connection: Connection, project_id: str, id: str) -> bool:
    """Whether there was one to delete."""
    if get(connection, project_id, id) is None:
        return False
    connection.execute(delete(prompt_versions).where(prompt_versions.c.prompt_id == id))
    connection.execute(delete(prompts).where(prompts.c.id == id))
    return True


def _add_version(connection: Connection, id: str, number: int, content: PromptContent) -> None:
    connection.execute(
        insert(prompt_versions).values(
            prompt_id=id,
            version=number,
            created_at=time.time_ns() // 1000,
            body=msgspec.json.encode(content).decode(),
        )
    )


def _prompts(connection: Connection, *conditions: ColumnElement[bool]) -> list[Prompt]:
    count = select(func.max(prompt_versions.c.version)).where(prompt_versions.c.prompt_id == prompts.c.id)
    rows = connection.execute(
        select(prompts, count.scalar_subquery().label("versions"))
        .where(*conditions)
        .order_by(prompts.c.created_at.desc(), prompts.c.id.desc())
    )
    return [
        Prompt(
            id=row.id,
            project_id=row.project_id,
            created_at=row.created_at,
            name=row.name,
            published=row.published,
            versions=row.versions,
        )
        for row in rows
    ]
