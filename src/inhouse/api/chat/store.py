"""Stored chat completions: the queries. Each is bound to a project; another project's rows do not exist for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, tuple_, update

from inhouse.storage.database import Database
from inhouse.storage.schema import stored_completions as table


class Stored(msgspec.Struct, frozen=True):
    """A stored completion: JSON of the messages it was asked with, and of the answer as it was given.

    ``metadata`` is a JSON object of texts as msgspec writes it, without spaces.
    """

    id: str
    created_at: int
    model: str
    metadata: str
    request: str
    response: str


class CompletionStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, project_id: str, stored: Stored) -> None:
        row = {"project_id": project_id, **msgspec.structs.asdict(stored)}
        await self._database.write(lambda connection: connection.execute(insert(table), row))

    async def get(self, project_id: str, completion_id: str) -> Stored | None:
        return await self._database.read(lambda connection: _get(connection, project_id, completion_id))

    async def set_metadata(self, project_id: str, completion_id: str, metadata: str) -> Stored | None:
        """The completion with its new metadata, or None if there is none of this id."""

        def work(connection: Connection) -> Stored | None:
            connection.execute(
                update(table)
                .where(table.c.project_id == project_id, table.c.id == completion_id)
                .values(metadata=metadata)
            )
            return _get(connection, project_id, completion_id)

        return await self._database.write(work)

    async def delete(self, project_id: str, completion_id: str) -> bool:
        """Whether there was one to delete."""
        statement = delete(table).where(table.c.project_id == project_id, table.c.id == completion_id)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount > 0)

    async def page(
        self,
        project_id: str,
        *,
        after: str | None,
        limit: int,
        order: Literal["asc", "desc"],
        models: Sequence[str] | None,
        metadata: Mapping[str, str],
    ) -> tuple[Sequence[Stored], bool] | None:
        """One page, and whether more follow. None if ``after`` names no completion."""

        query = select(table).where(table.c.project_id == project_id)
        if models is not None:
            query = query.where(table.c.model.in_(models))
        columns = (table.c.created_at, table.c.id)
        query = query.order_by(*(column.asc() if order == "asc" else column.desc() for column in columns))

        def work(connection: Connection) -> tuple[Sequence[Stored], bool] | None:
            wanted = query.where(*(_mentions(connection, name, value) for name, value in metadata.items()))
            edge: Stored | None = None
            if after is not None:
                edge = _get(connection, project_id, after)
                if edge is None:
                    return None
            found: list[Stored] = []
            while True:
                rest = wanted
                if edge is not None:
                    last = tuple_(edge.created_at, edge.id)
                    rest = rest.where(tuple_(*columns) > last if order == "asc" else tuple_(*columns) < last)
                rows = [_stored(row) for row in connection.execute(rest.limit(limit + 1))]
                found += [row for row in rows if metadata.items() <= _pairs(row).items()]
                if len(found) > limit or len(rows) <= limit:
                    return found[:limit], len(found) > limit
                edge = rows[-1]

        return await self._database.read(work)


def _mentions(connection: Connection, name: str, value: str) -> ColumnElement[bool]:
    """Holds for every row whose metadata has this pair, and for hardly any other.

    The databases' own JSON functions differ in which names and characters they can look up; the encoded text is the
    same everywhere.
    """
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    pair = msgspec.json.encode({name: value})[1:-1].decode()
    return find(table.c.metadata, pair) > 0


def _pairs(stored: Stored) -> dict[str, str]:
    return msgspec.json.decode(stored.metadata, type=dict[str, str])


def _get(connection: Connection, project_id: str, completion_id: str) -> Stored | None:
    row = connection.execute(
        select(table).where(table.c.project_id == project_id, table.c.id == completion_id)
    ).one_or_none()
    return None if row is None else _stored(row)


def _stored(row: Any) -> Stored:
    return Stored(row.id, row.created_at, row.model, row.metadata, row.request, row.response)
