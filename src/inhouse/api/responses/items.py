"""Items as they are stored: each once, with the response or the conversation that it came with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Select

from inhouse.storage.bulk import insert_rows
from inhouse.storage.schema import response_items

Order = Literal["asc", "desc"]


class StoredItem(msgspec.Struct, frozen=True):
    """An item: its id, and its JSON as a client receives it."""

    id: str
    body: str


class Page(msgspec.Struct, frozen=True):
    """Some items of a list, and whether more follow."""

    items: Sequence[StoredItem]
    more: bool


def add_items(
    connection: Connection,
    project_id: str,
    items: Sequence[StoredItem],
    *,
    response_id: str | None = None,
    is_output: int = 0,
    conversation_id: str | None = None,
    place: int | None = None,
) -> None:
    now = time.time_ns() // 1000
    rows = item_rows(
        project_id,
        items,
        now,
        response_id=response_id,
        is_output=is_output,
        conversation_id=conversation_id,
        place=place,
    )
    insert_rows(connection, response_items, rows)


def item_rows(
    project_id: str,
    items: Sequence[StoredItem],
    now: int,
    *,
    response_id: str | None = None,
    is_output: int = 0,
    conversation_id: str | None = None,
    place: int | None = None,
) -> list[dict[str, Any]]:
    return [
        {
            "id": item.id,
            "project_id": project_id,
            "created_at": now,
            "response_id": response_id,
            "is_output": is_output,
            "conversation_id": conversation_id,
            "place": None if place is None else place + offset,
            "body": item.body,
        }
        for offset, item in enumerate(items)
    ]


def page_of(connection: Connection, query: Select[Any], limit: int) -> Page:
    rows = [StoredItem(row.id, row.body) for row in connection.execute(query.limit(limit + 1))]
    return Page(rows[:limit], len(rows) > limit)
