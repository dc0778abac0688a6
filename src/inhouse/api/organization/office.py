"""What the services of administration share: reading, and changing on the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, select

from inhouse.access import Access, Project
from inhouse.access.store import project as find_project
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database
from inhouse.storage.schema import projects

T = TypeVar("T")


class Office:
    """Base of the services. Whatever changes keys, projects or people counts at once in this process."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def read(self, query: Callable[[Connection], T]) -> T:
        return await self._database.read(query)

    async def change(self, work: Callable[[Connection], T]) -> T:
        result = await self._database.write(work)
        self._access.forget()
        return result


def not_found(noun: str, id: str) -> NotFound:
    """What does not exist and what belongs to others are the same."""
    return NotFound(f"No such {noun}: {id}")


def project_of(connection: Connection, organization_id: str, project_id: str) -> Project:
    """A project of the organization.

    Raises:
        NotFound
    """
    project = find_project(connection, project_id)
    if project is None or project.organization_id != organization_id:
        raise not_found("project", project_id)
    return project


def active_project_of(connection: Connection, organization_id: str, project_id: str) -> Project:
    """A project that can be changed.

    Raises:
        NotFound
        InvalidRequest: it is archived.
    """
    project = project_of(connection, organization_id, project_id)
    if project.archived_at is not None:
        raise InvalidRequest(f"Project {project_id} is archived.", param="project_id")
    return project


def default_project_id(connection: Connection, organization_id: str) -> str | None:
    """The organization's first project."""
    query = select(projects.c.id).where(projects.c.organization_id == organization_id)
    return connection.execute(query.order_by(projects.c.created_at, projects.c.id).limit(1)).scalar()
