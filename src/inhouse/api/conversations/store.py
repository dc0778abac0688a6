"""Stored conversations and their items: the queries. As those of responses (``responses.store``), they are bound to a
project, except where a conversation was looked up before, and take a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from inhouse.api.responses.items import Order, Page, StoredItem, add_items, page_of
from inhouse.storage.database import lock
from inhouse.storage.schema import conversations, response_items

_MOVE = (
    update(response_items)
    .where(response_items.c.key == bindparam("moved"))
    .values(conversation_id=bindparam("into"), place=bindparam("at"))
)


class PlacedItem(NamedTuple):
    """An item of a conversation. Keys are given once for all, places again after the last item was deleted."""

    stored: StoredItem
    place: int
    key: int


class ConversationMark(NamedTuple):
    """Tells whether a conversation has the items it had: items never change, and no key is given twice."""

    items: int
    last: int
    """Place of the last item; -1 where there is none."""
    keys: int
    """All keys added up."""

    def then(self, added: Sequence[PlacedItem]) -> ConversationMark:
        """The mark once these are at the end, too."""
        last = added[-1].place if added else self.last
        return ConversationMark(self.items + len(added), last, self.keys + sum(item.key for item in added))


class StoredConversation(msgspec.Struct, frozen=True):
    """A conversation. ``metadata`` is JSON, ``created_at`` Unix microseconds."""

    id: str
    created_at: int
    metadata: str


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


def conversation_items(connection: Connection, conversation_id: str, *, after: int = -1) -> list[PlacedItem]:
    """The items of a conversation, oldest first.

    Args:
        after: only those behind this place.
    """
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body, response_items.c.place, response_items.c.key)
        .where(response_items.c.conversation_id == conversation_id, response_items.c.place > after)
        .order_by(response_items.c.place)
    )
    return [PlacedItem(StoredItem(id, body), place, key) for id, body, place, key in rows]


def mark_of_conversation(connection: Connection, conversation_id: str) -> ConversationMark:
    """What its items are known by; read from an index alone."""
    count, last, keys = connection.execute(
        select(func.count(), func.max(response_items.c.place), func.sum(response_items.c.key)).where(
            response_items.c.conversation_id == conversation_id
        )
    ).one()
    return ConversationMark(count, -1 if last is None else last, int(keys or 0))


def append(connection: Connection, project_id: str, conversation_id: str, items: Sequence[StoredItem]) -> None:
    """Add items at the end of a conversation."""
    add_items(connection, project_id, items, conversation_id=conversation_id, place=_end(connection, conversation_id))


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
    moved = [{"moved": key, "into": conversation_id, "at": place + offset} for offset, key in enumerate(keys.all())]
    if moved:
        connection.execute(_MOVE, moved)


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
    return page_of(connection, query.order_by(place.asc() if order == "asc" else place.desc()), limit)


def conversation_item(connection: Connection, conversation_id: str, item_id: str) -> StoredItem | None:
    row = connection.execute(
        select(response_items.c.id, response_items.c.body)
        .where(response_items.c.conversation_id == conversation_id, response_items.c.id == item_id)
        .order_by(response_items.c.place.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else StoredItem(row.id, row.body)


def known_item(connection: Connection, conversation_id: str, ids: Sequence[str]) -> str | None:
    """One of the ids that an item of the conversation has already."""
    return connection.execute(
        select(response_items.c.id)
        .where(response_items.c.conversation_id == conversation_id, response_items.c.id.in_(ids))
        .limit(1)
    ).scalar_one_or_none()


def delete_conversation_item(connection: Connection, conversation_id: str, item_id: str) -> bool:
    """Whether there was one to delete. An item that belongs to a response stays there."""
    inside = and_(response_items.c.conversation_id == conversation_id, response_items.c.id == item_id)
    gone = connection.execute(delete(response_items).where(inside, response_items.c.response_id.is_(None))).rowcount
    left = connection.execute(update(response_items).where(inside).values(conversation_id=None, place=None)).rowcount
    return gone + left > 0


def items_before(connection: Connection, response_id: str, conversation_id: str | None) -> list[StoredItem]:
    """What a conversation held before a response in it."""
    place = response_items.c.place
    inside = response_items.c.conversation_id == conversation_id
    start = select(func.min(place)).where(inside, response_items.c.response_id == response_id).scalar_subquery()
    rows = connection.execute(
        select(response_items.c.id, response_items.c.body).where(inside, place < start).order_by(place)
    )
    return [StoredItem(row.id, row.body) for row in rows]


def _end(connection: Connection, conversation_id: str) -> int:
    """The first free place of a conversation, which nobody else takes before this transaction ends."""
    lock(connection, f"conversation {conversation_id}")
    last = connection.execute(
        select(func.max(response_items.c.place)).where(response_items.c.conversation_id == conversation_id)
    ).scalar()
    return 0 if last is None else last + 1
