"""Conversations: keep items that responses go on with."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.conversations import store, wire
from inhouse.api.responses.checking import check_items, duplicate
from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.keeping import Keeping
from inhouse.api.responses.locking import refuse_if_held
from inhouse.api.responses.past import conversation_not_found
from inhouse.api.responses.stored import for_client, stored_item
from inhouse.api.responses.turn import resolved
from inhouse.api.responses.wire import ItemReference
from inhouse.api.responses.wire.request import Include
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database

T = TypeVar("T")


class ConversationsService:
    """
    Args:
        keeping: of the responses of this process.
    """

    def __init__(self, database: Database, keeping: Keeping | None = None) -> None:
        self._database = database
        self._keeping = keeping or Keeping(database)

    async def create(self, caller: Caller, body: wire.CreateConversationRequest) -> wire.Conversation:
        items = await self._stored(caller, body.items or [])
        conversation = store.StoredConversation(new_id("conv_"), time.time_ns() // 1000, _json(body.metadata))
        adding = partial(store.add_conversation, project_id=caller.project_id, conversation=conversation, items=items)
        await self._database.write(adding)
        return _told(conversation)

    async def retrieve(self, caller: Caller, conversation_id: str) -> wire.Conversation:
        return await self._with(caller, conversation_id, lambda connection, found: _told(found))

    async def update(
        self, caller: Caller, conversation_id: str, body: wire.UpdateConversationRequest
    ) -> wire.Conversation:
        updated = await self._database.write(
            partial(
                store.set_metadata,
                project_id=caller.project_id,
                conversation_id=conversation_id,
                metadata=_json(body.metadata),
            )
        )
        if updated is None:
            raise conversation_not_found(conversation_id)
        return _told(updated)

    async def delete(self, caller: Caller, conversation_id: str) -> wire.ConversationDeleted:
        deleting = partial(store.delete_conversation, project_id=caller.project_id, conversation_id=conversation_id)
        if not await self._database.write(deleting):
            raise conversation_not_found(conversation_id)
        return wire.ConversationDeleted(id=conversation_id)

    async def add_items(
        self, caller: Caller, conversation_id: str, body: wire.CreateItemsRequest, include: Include = None
    ) -> wire.ConversationItemList:
        items = await self._stored(caller, body.items)

        def work(connection: Connection, found: store.StoredConversation) -> None:
            refuse_if_held(connection, found.id)
            if (known := store.known_item(connection, found.id, [item.id for item in items])) is not None:
                raise duplicate(known, "items")
            store.append(connection, caller.project_id, found.id, items)

        await self._with(caller, conversation_id, work, write=True)
        return _page(items, include, more=False)

    async def list_items(
        self, caller: Caller, conversation_id: str, query: wire.ListItemsQuery
    ) -> wire.ConversationItemList:
        page = await self._with(
            caller,
            conversation_id,
            lambda connection, found: store.conversation_page(
                connection, found.id, after=query.after, limit=query.limit, order=query.order
            ),
        )
        if page is None:
            raise _item_not_found(conversation_id, query.after or "")
        return _page(page.items, query.include, more=page.more)

    async def retrieve_item(self, caller: Caller, conversation_id: str, item_id: str, include: Include = None) -> Any:
        item = await self._with(
            caller,
            conversation_id,
            lambda connection, found: store.conversation_item(connection, found.id, item_id),
        )
        if item is None:
            raise _item_not_found(conversation_id, item_id)
        return for_client([item], include)[0]

    async def delete_item(self, caller: Caller, conversation_id: str, item_id: str) -> wire.Conversation:
        def work(connection: Connection, found: store.StoredConversation) -> wire.Conversation:
            if not store.delete_conversation_item(connection, found.id, item_id):
                raise _item_not_found(conversation_id, item_id)
            return _told(found)

        return await self._with(caller, conversation_id, work, write=True)

    async def _stored(self, caller: Caller, items: Sequence[Any]) -> list[StoredItem]:
        check_items(items, param="items")
        if any(isinstance(item, ItemReference) for item in items):
            await self._keeping.written()
        return [stored_item(item) for item in await resolved(self._database, caller.project_id, items)]

    async def _with(
        self,
        caller: Caller,
        conversation_id: str,
        work: Callable[[Connection, store.StoredConversation], T],
        *,
        write: bool = False,
    ) -> T:
        """What ``work`` gives for a conversation of the caller's project, in one transaction with looking it up.

        Raises:
            NotFound
        """

        def transaction(connection: Connection) -> T:
            found = store.get_conversation(connection, caller.project_id, conversation_id)
            if found is None:
                raise conversation_not_found(conversation_id)
            return work(connection, found)

        return await (self._database.write(transaction) if write else self._database.read(transaction))


def _json(metadata: dict[str, str] | None) -> str:
    return msgspec.json.encode(metadata or {}).decode()


def _told(stored: store.StoredConversation) -> wire.Conversation:
    return wire.Conversation(
        id=stored.id,
        created_at=stored.created_at // 1_000_000,
        metadata=msgspec.json.decode(stored.metadata, type=dict[str, str]),
    )


def _page(items: Sequence[StoredItem], include: Include, *, more: bool) -> wire.ConversationItemList:
    return wire.ConversationItemList(
        data=for_client(items, include),
        first_id=items[0].id if items else None,
        last_id=items[-1].id if items else None,
        has_more=more,
    )


def _item_not_found(conversation_id: str, item_id: str) -> NotFound:
    return NotFound(f"Item with id '{item_id}' not found in conversation with id '{conversation_id}'.", param="item_id")
