"""Which rows of a list have the words that somebody looks for, and how many there are.

No operation searches by words or counts. This finds ids alone, within one organization or project; what a page shows
of each is what the operation that retrieves it answers, to whoever asks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, func, or_, select

from inhouse.storage.database import Database
from inhouse.storage.schema import (
    api_keys,
    audit_logs,
    files,
    invites,
    projects,
    service_accounts,
    users,
    vector_store_files,
    vector_stores,
)

Kind = Literal["projects", "keys", "users", "invites", "files", "stores", "store_files"]
PAGE = 25
MOST_WORDS = 200
"""Characters."""


class Found(msgspec.Struct, frozen=True):
    """A page of ids, each with the id of what it belongs to, and how many there are on all pages."""

    ids: list[tuple[str, str]]
    total: int
    page: int
    """From 1 on; the last one where a later one was asked for."""
    words: str

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))

    @property
    def first(self) -> int:
        return (self.page - 1) * PAGE + 1

    @property
    def last(self) -> int:
        return self.first + len(self.ids) - 1


class _List(msgspec.Struct, frozen=True):
    rows: FromClause
    id: ColumnElement[str]
    of: ColumnElement[str]
    """What a row belongs to."""
    within: ColumnElement[str]
    """What must be the one that is asked about."""
    at: ColumnElement[int]
    words: tuple[ColumnElement[str], ...]
    there: tuple[ColumnElement[bool], ...] = ()
    newest_first: bool = True


_OWNED = api_keys.outerjoin(service_accounts, service_accounts.c.id == api_keys.c.user_id).outerjoin(
    users, users.c.id == api_keys.c.user_id
)
_KEY_WORDS = (
    api_keys.c.name,
    api_keys.c.hint,
    api_keys.c.id,
    func.coalesce(service_accounts.c.name, ""),
    func.coalesce(users.c.name, ""),
    func.coalesce(users.c.email, ""),
)
_LISTS: Mapping[Kind, _List] = MappingProxyType(
    {
        "projects": _List(
            projects,
            projects.c.id,
            projects.c.organization_id,
            projects.c.organization_id,
            projects.c.created_at,
            (projects.c.name, projects.c.id),
            newest_first=False,
        ),
        "keys": _List(
            _OWNED.join(projects, projects.c.id == api_keys.c.project_id),
            api_keys.c.id,
            api_keys.c.project_id,
            api_keys.c.organization_id,
            api_keys.c.created_at,
            _KEY_WORDS,
            (api_keys.c.kind == "project", api_keys.c.revoked_at.is_(None), projects.c.archived_at.is_(None)),
        ),
        "users": _List(
            users,
            users.c.id,
            users.c.organization_id,
            users.c.organization_id,
            users.c.added_at,
            (users.c.name, users.c.email, users.c.id),
            (users.c.deleted_at.is_(None),),
            newest_first=False,
        ),
        "invites": _List(  # those that nobody has accepted yet
            invites,
            invites.c.id,
            invites.c.organization_id,
            invites.c.organization_id,
            invites.c.created_at,
            (invites.c.email, invites.c.id),
            (invites.c.accepted_at.is_(None), invites.c.deleted_at.is_(None)),
        ),
        "files": _List(
            files,
            files.c.id,
            files.c.project_id,
            files.c.project_id,
            files.c.created_at,
            (files.c.filename, files.c.id, files.c.purpose),
        ),
        "stores": _List(
            vector_stores,
            vector_stores.c.id,
            vector_stores.c.project_id,
            vector_stores.c.project_id,
            vector_stores.c.created_at,
            (vector_stores.c.name, vector_stores.c.id),
        ),
        "store_files": _List(
            vector_store_files,
            vector_store_files.c.file_id,
            vector_store_files.c.filename,
            vector_store_files.c.store_id,
            vector_store_files.c.created_at,
            (vector_store_files.c.filename, vector_store_files.c.file_id, vector_store_files.c.status),
        ),
    }
)


class Finding:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def audited(self, organization_id: str) -> list[str]:
        """The types of events that an organization's audit log has, in order."""
        of = audit_logs.c
        wanted = select(of.type).distinct().where(of.organization_id == organization_id).order_by(of.type)
        return await self._database.read(lambda c: list(c.execute(wanted).scalars()))

    async def find(
        self,
        kind: Kind,
        within: str,
        words: str = "",
        page: int = 1,
        *,
        of: str = "",
        purpose: str = "",
        archived: bool = True,
    ) -> Found:
        """A page of a list, of rows that have every one of the words, whatever the case.

        Args:
            within: id of the organization, project or store that the list is of.
            page: from 1 on; beyond the last, the last.
            of: keys only of this project.
            purpose: files only of this purpose.
            archived: whether archived projects are among the projects.
        """
        listed = _LISTS[kind]
        words = words.replace("\0", "").strip()[:MOST_WORDS]  # PostgreSQL refuses a NUL
        wanted = [listed.within == within, *listed.there]
        wanted += [or_(*(each.icontains(word, autoescape=True) for each in listed.words)) for word in words.split()]
        if kind == "files":
            now = time.time_ns() // 1000
            wanted.append(or_(files.c.expires_at.is_(None), files.c.expires_at > now))
            if purpose:
                wanted.append(files.c.purpose == purpose)
        if of:
            wanted.append(listed.of == of)
        if kind == "projects" and not archived:
            wanted.append(projects.c.archived_at.is_(None))
        order: list[Any] = [listed.at, listed.id]

        def work(connection: Connection) -> Found:
            total = connection.execute(select(func.count()).select_from(listed.rows).where(*wanted)).scalar_one()
            shown = max(1, min(page, -(-total // PAGE)))
            rows = connection.execute(
                select(listed.id, listed.of)
                .select_from(listed.rows)
                .where(*wanted)
                .order_by(*(each.desc() if listed.newest_first else each.asc() for each in order))
                .limit(PAGE)
                .offset((shown - 1) * PAGE)
            )
            return Found([(row[0], row[1]) for row in rows], total, shown, words)

        return await self._database.read(work)
