"""Stored responses, conversations and their items: the queries. Each is bound to a project; another project's rows do
not exist for it.

An item is stored once, with the response or the conversation it came with. A response that goes on from another one
names it, and what the model must read is gathered along that chain, so that a turn costs no more to store the longer
the conversation is.

The functions take a connection, so that several of them make one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.selectable import CTE

from inhouse.storage.database import lock
from inhouse.storage.schema import conversations, response_events, response_items, responses

Order = Literal["asc", "desc"]
LIVE = ("queued", "in_progress")


class StoredItem(msgspec.Struct, frozen=True):
    """An item: its id, and its JSON as a client receives it."""

    id: str
    body: str


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A response: its JSON without the output, and the output. ``created_at`` is in Unix microseconds."""

    id: str
    created_at: int
    status: str
    previous_response_id: str | None
    conversation_id: str | None
    body: str
    output: Sequence[StoredItem] = ()


class StoredConversation(msgspec.Struct, frozen=True):
    """A conversation. ``metadata`` is JSON, ``created_at`` Unix microseconds."""

    id: str
    created_at: int
    metadata: str


class Page(msgspec.Struct, frozen=True):
    """Some items of a list, and whether more follow."""

    items: Sequence[StoredItem]
    more: bool


# Responses


def add_response(
    connection: Connection, project_id: str, response: StoredResponse, inputs: Sequence[StoredItem]
) -> None:
    """Store a response with its input and what output it has."""
    connection.execute(
        insert(responses).values(
            id=response.id,
            project_id=project_id,
            created_at=response.created_at,
            status=response.status,
            previous_response_id=response.previous_response_id,
            conversation_id=response.conversation_id,
            body=response.body,
        )
    )
    _add_items(connection, project_id, inputs, response_id=response.id)
    _add_items(connection, project_id, response.output, response_id=response.id, is_output=1)


def get_response(connection: Connection, project_id: str, response_id: str) -> StoredResponse | None:
    """A response of a project."""
    return _response(connection, responses.c.project_id == project_id, responses.c.id == response_id)


def find_response(connection: Connection, response_id: str) -> StoredResponse | None:
    """A response of whatever project, for those who make it."""
    return _response(connection, responses.c.id == response_id)


def _response(connection: Connection, *conditions: ColumnElement[bool]) -> StoredResponse | None:
    row = connection.execute(select(responses).where(*conditions)).one_or_none()
    if row is None:
        return None
    return StoredResponse(
        id=row.id,
        created_at=row.created_at,
        status=row.status,
        previous_response_id=row.previous_response_id,
        conversation_id=row.conversation_id,
        body=row.body,
        output=_own_items(connection, row.id, is_output=1),
    )


def set_status(connection: Connection, project_id: str, response_id: str, status: str) -> bool:
    """Change the status of a response that is not at its end. False if it is, or if there is none."""
    return (
        connection.execute(
            update(responses)
            .where(responses.c.project_id == project_id, responses.c.id == response_id, responses.c.status.in_(LIVE))
            .values(status=status)
        ).rowcount
        > 0
    )


def end_response(
    connection: Connection, response_id: str, status: str, body: str, output: Sequence[StoredItem]
) -> bool:
    """What a response that was stored before its end came to. False if it was deleted meanwhile."""
    held = connection.execute(
        update(responses)
        .where(responses.c.id == response_id)
        .values(status=status, body=body)
        .returning(responses.c.project_id)
    ).scalar()
    if held is not None:
        _add_items(connection, held, output, response_id=response_id, is_output=1)
    return held is not None


def delete_response(connection: Connection, project_id: str, response_id: str) -> bool:
    """Whether there was one to delete. Items that are in a conversation stay there."""
    gone = connection.execute(
        delete(responses).where(responses.c.project_id == project_id, responses.c.id == response_id)
    ).rowcount
    if not gone:
        return False
    own = response_items.c.response_id == response_id
    connection.execute(delete(response_items).where(own, response_items.c.conversation_id.is_(None)))
    connection.execute(update(response_items).where(own).values(response_id=None))
    connection.execute(delete(response_events).where(response_events.c.response_id == response_id))
    return True


def own_input(connection: Connection, response_id: str) -> list[StoredItem]:
    """The input that came with a response itself."""
    return _own_items(connection, response_id, is_output=0)


def chain(connection: Connection, project_id: str, response_id: str) -> list[StoredItem] | None:
    """All items up to a response and with it, oldest first. None if it, or one it goes on from, is not there."""
    links = _links(project_id, response_id)
    root = connection.execute(select(links).order_by(links.c.depth.desc()).limit(1)).one_or_none()
    if root is None or root.previous is not None:
        return None
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .join(links, response_items.c.response_id == links.c.id)
        .order_by(links.c.depth.desc(), response_items.c.key)
    )
    before = _conversation_before(connection, root.id, root.conversation_id) if root.conversation_id else []
    return before + [StoredItem(row.id, row.body) for row in rows]


def input_page(
    connection: Connection, project_id: str, response: StoredResponse, *, after: str | None, limit: int, order: Order
) -> Page | None:
    """Some of what a response was asked with, along its chain. None if ``after`` names no item of it."""
    links = _links(project_id, response.id)
    steps = (links.c.depth, response_items.c.key)
    of_it = (
        select(response_items.c.id, response_items.c.body, links.c.depth, response_items.c.key)
        .join(links, response_items.c.response_id == links.c.id)
        .where(or_(links.c.depth > 0, response_items.c.is_output == 0))
    )
    # Along the chain depth counts backwards, within a response the key counts forwards.
    if after is not None:
        edge = connection.execute(
            of_it.where(response_items.c.id == after).order_by(links.c.depth, response_items.c.key.desc()).limit(1)
        ).one_or_none()
        if edge is None:
            return None
        depth, key = steps
        of_it = of_it.where(
            or_(depth < edge.depth, and_(depth == edge.depth, key > edge.key))
            if order == "asc"
            else or_(depth > edge.depth, and_(depth == edge.depth, key < edge.key))
        )
    of_it = of_it.order_by(
        *((steps[0].desc(), steps[1].asc()) if order == "asc" else (steps[0].asc(), steps[1].desc()))
    )
    return _page(connection, of_it, limit)


class Listed(msgspec.Struct, frozen=True):
    """A stored response in a list, ``created_at`` in Unix seconds."""

    id: str
    created_at: int
    status: str
    model: str


def recent_responses(
    connection: Connection, project_id: str, after: str | None, limit: int
) -> tuple[list[Listed], bool]:
    """Stored responses, newest first, after the one with the id ``after``; and whether there are more."""
    table = responses.c
    query = select(table.id, table.created_at, table.status, table.body).where(table.project_id == project_id)
    if after is not None:
        edge = select(table.created_at, table.id).where(table.project_id == project_id, table.id == after)
        if (last := connection.execute(edge).first()) is not None:
            query = query.where(
                or_(table.created_at < last.created_at, and_(table.created_at == last.created_at, table.id < last.id))
            )
    rows = connection.execute(query.order_by(table.created_at.desc(), table.id.desc()).limit(limit + 1)).all()
    found = [
        Listed(row.id, row.created_at // 1_000_000, row.status, msgspec.json.decode(row.body, type=_Model).model)
        for row in rows[:limit]
    ]
    return found, len(rows) > limit


class _Model(msgspec.Struct):
    model: str = ""


def items_by_id(connection: Connection, project_id: str, ids: Sequence[str]) -> dict[str, str]:
    """Bodies by id, of those that are stored."""
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .where(response_items.c.project_id == project_id, response_items.c.id.in_(ids))
        .order_by(response_items.c.key)
    )
    return {row.id: row.body for row in rows}


# Conversations


def add_conversation(
    connection: Connection, project_id: str, conversation: StoredConversation, items: Sequence[StoredItem]
) -> None:
    connection.execute(
        insert(conversations).values(
            id=conversation.id,
            project_id=project_id,
            created_at=conversation.created_at,
            metadata=conversation.metadata,
        )
    )
    append(connection, project_id, conversation.id, items)


def get_conversation(connection: Connection, project_id: str, conversation_id: str) -> StoredConversation | None:
    row = connection.execute(
        select(conversations).where(conversations.c.project_id == project_id, conversations.c.id == conversation_id)
    ).one_or_none()
    return None if row is None else StoredConversation(row.id, row.created_at, row.metadata)


def set_metadata(
    connection: Connection, project_id: str, conversation_id: str, metadata: str
) -> StoredConversation | None:
    """The conversation with its new metadata, or None if there is none of this id."""
    connection.execute(
        update(conversations)
        .where(conversations.c.project_id == project_id, conversations.c.id == conversation_id)
        .values(metadata=metadata)
    )
    return get_conversation(connection, project_id, conversation_id)


def delete_conversation(connection: Connection, project_id: str, conversation_id: str) -> bool:
    """Whether there was one to delete. Items that belong to a response stay there."""
    gone = connection.execute(
        delete(conversations).where(conversations.c.project_id == project_id, conversations.c.id == conversation_id)
    ).rowcount
    if not gone:
        return False
    inside = response_items.c.conversation_id == conversation_id
    connection.execute(delete(response_items).where(inside, response_items.c.response_id.is_(None)))
    connection.execute(update(response_items).where(inside).values(conversation_id=None, place=None))
    return True


def conversation_items(connection: Connection, conversation_id: str) -> list[StoredItem]:
    """All items of a conversation, oldest first."""
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .where(response_items.c.conversation_id == conversation_id)
        .order_by(response_items.c.place)
    )
    return [StoredItem(row.id, row.body) for row in rows]


def append(connection: Connection, project_id: str, conversation_id: str, items: Sequence[StoredItem]) -> None:
    """Add items at the end of a conversation."""
    _add_items(connection, project_id, items, conversation_id=conversation_id, place=_end(connection, conversation_id))


def append_response(connection: Connection, project_id: str, conversation_id: str, response_id: str) -> None:
    """Add the input and the output of a stored response at the end of its conversation, if that still is there."""
    if get_conversation(connection, project_id, conversation_id) is None:
        return
    place = _end(connection, conversation_id)
    keys = connection.execute(
        select(response_items.c.key)
        .where(response_items.c.response_id == response_id, response_items.c.conversation_id.is_(None))
        .order_by(response_items.c.key)
    ).scalars()
    for offset, key in enumerate(keys.all()):
        connection.execute(
            update(response_items)
            .where(response_items.c.key == key)
            .values(conversation_id=conversation_id, place=place + offset)
        )


def conversation_page(
    connection: Connection, conversation_id: str, *, after: str | None, limit: int, order: Order
) -> Page | None:
    """Some items of a conversation. None if ``after`` names none of them."""
    place = response_items.c.place
    query = select(response_items.c.id, response_items.c.body).where(
        response_items.c.conversation_id == conversation_id
    )
    if after is not None:
        edge = connection.execute(
            select(place)
            .where(response_items.c.conversation_id == conversation_id, response_items.c.id == after)
            .order_by(place.desc())
            .limit(1)
        ).scalar_one_or_none()
        if edge is None:
            return None
        query = query.where(place > edge if order == "asc" else place < edge)
    return _page(connection, query.order_by(place.asc() if order == "asc" else place.desc()), limit)


def conversation_item(connection: Connection, conversation_id: str, item_id: str) -> StoredItem | None:
    row = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .where(response_items.c.conversation_id == conversation_id, response_items.c.id == item_id)
        .order_by(response_items.c.place.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else StoredItem(row.id, row.body)


def delete_conversation_item(connection: Connection, conversation_id: str, item_id: str) -> bool:
    """Whether there was one to delete. An item that belongs to a response stays there."""
    inside = and_(response_items.c.conversation_id == conversation_id, response_items.c.id == item_id)
    gone = connection.execute(delete(response_items).where(inside, response_items.c.response_id.is_(None))).rowcount
    left = connection.execute(update(response_items).where(inside).values(conversation_id=None, place=None)).rowcount
    return gone + left > 0


# Events of background responses


def add_events(connection: Connection, response_id: str, first: int, last: int, body: str) -> None:
    """A piece of a stream: a JSON array of the events with these sequence numbers."""
    connection.execute(insert(response_events).values(response_id=response_id, first=first, last=last, body=body))


def events_after(connection: Connection, response_id: str, sequence: int) -> list[str]:
    """The pieces of a stream that hold events after a sequence number, in order."""
    rows = connection.execute(
        select(response_events.c.body)
        .where(response_events.c.response_id == response_id, response_events.c.last > sequence)
        .order_by(response_events.c.first)
    )
    return list(rows.scalars())


# Parts


def _links(project_id: str, response_id: str) -> CTE:
    """The responses of a chain, by how far back they are."""
    first = select(
        responses.c.id,
        responses.c.previous_response_id.label("previous"),
        responses.c.conversation_id,
        literal(0).label("depth"),
    ).where(responses.c.project_id == project_id, responses.c.id == response_id)
    links = first.cte("links", recursive=True)
    return links.union_all(
        select(responses.c.id, responses.c.previous_response_id, responses.c.conversation_id, links.c.depth + 1).where(
            responses.c.project_id == project_id, responses.c.id == links.c.previous
        )
    )


def _conversation_before(connection: Connection, response_id: str, conversation_id: str) -> list[StoredItem]:
    """What a conversation held before a response in it."""
    place = response_items.c.place
    inside = response_items.c.conversation_id == conversation_id
    start = select(func.min(place)).where(inside, response_items.c.response_id == response_id).scalar_subquery()
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body).where(inside, place < start).order_by(place)
    )
    return [StoredItem(row.id, row.body) for row in rows]


def _own_items(connection: Connection, response_id: str, *, is_output: int) -> list[StoredItem]:
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .where(response_items.c.response_id == response_id, response_items.c.is_output == is_output)
        .order_by(response_items.c.key)
    )
    return [StoredItem(row.id, row.body) for row in rows]


def _add_items(
    connection: Connection,
    project_id: str,
    items: Sequence[StoredItem],
    *,
    response_id: str | None = None,
    is_output: int = 0,
    conversation_id: str | None = None,
    place: int | None = None,
) -> None:
    if not items:
        return
    now = time.time_ns() // 1000
    connection.execute(
        insert(response_items),
        [
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
        ],
    )


def _end(connection: Connection, conversation_id: str) -> int:
    """The first free place of a conversation, which nobody else takes before this transaction ends."""
    lock(connection, f"conversation {conversation_id}")
    last = connection.execute(
        select(func.max(response_items.c.place)).where(response_items.c.conversation_id == conversation_id)
    ).scalar()
    return 0 if last is None else last + 1


def _page(connection: Connection, query: Select[Any], limit: int) -> Page:
    rows = [StoredItem(row.id, row.body) for row in connection.execute(query.limit(limit + 1))]
    return Page(rows[:limit], len(rows) > limit)
