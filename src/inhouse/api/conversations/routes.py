"""Conversations over HTTP."""

from __future__ import annotations

from inhouse.api.conversations import wire
from inhouse.api.conversations.service import ConversationsService
from inhouse.api.operation import Request, operation
from inhouse.api.responses.wire import StoredItem
from inhouse.kit.errors import NotFound

CONVERSATION = "/conversations/{conversation_id}"
ITEM = f"{CONVERSATION}/items/{{item_id}}"


class Conversations:
    def __init__(self, service: ConversationsService) -> None:
        self._service = service

    @operation("POST", "/conversations", id="createConversation", tag="Conversations", errors=(NotFound,))
    async def create(self, request: Request, body: wire.CreateConversationRequest | None) -> wire.Conversation:
        """Begin a conversation."""
        return await self._service.create(request.caller, body or wire.CreateConversationRequest())

    @operation("GET", CONVERSATION, id="getConversation", tag="Conversations", errors=(NotFound,))
    async def retrieve(self, request: Request, conversation_id: str) -> wire.Conversation:
        """Get a conversation."""
        return await self._service.retrieve(request.caller, conversation_id)

    @operation("POST", CONVERSATION, id="updateConversation", tag="Conversations", errors=(NotFound,))
    async def update(
        self, request: Request, conversation_id: str, body: wire.UpdateConversationRequest
    ) -> wire.Conversation:
        """Replace the metadata of a conversation."""
        return await self._service.update(request.caller, conversation_id, body)

    @operation("DELETE", CONVERSATION, id="deleteConversation", tag="Conversations", errors=(NotFound,))
    async def delete(self, request: Request, conversation_id: str) -> wire.ConversationDeleted:
        """Delete a conversation.

        Its items stay with the responses that they belong to.
        """
        return await self._service.delete(request.caller, conversation_id)

    @operation("POST", f"{CONVERSATION}/items", id="createConversationItems", tag="Conversations", errors=(NotFound,))
    async def add_items(
        self, request: Request, conversation_id: str, query: wire.IncludeQuery, body: wire.CreateItemsRequest
    ) -> wire.ConversationItemList:
        """Add items at the end of a conversation."""
        return await self._service.add_items(request.caller, conversation_id, body, query.include)

    @operation("GET", f"{CONVERSATION}/items", id="listConversationItems", tag="Conversations", errors=(NotFound,))
    async def list_items(
        self, request: Request, conversation_id: str, query: wire.ListItemsQuery
    ) -> wire.ConversationItemList:
        """List the items of a conversation."""
        return await self._service.list_items(request.caller, conversation_id, query)

    @operation("GET", ITEM, id="getConversationItem", tag="Conversations", errors=(NotFound,))
    async def retrieve_item(
        self, request: Request, conversation_id: str, item_id: str, query: wire.IncludeQuery
    ) -> StoredItem:
        """Get an item of a conversation."""
        item: StoredItem = await self._service.retrieve_item(request.caller, conversation_id, item_id, query.include)
        return item

    @operation("DELETE", ITEM, id="deleteConversationItem", tag="Conversations", errors=(NotFound,))
    async def delete_item(self, request: Request, conversation_id: str, item_id: str) -> wire.Conversation:
        """Take an item out of a conversation."""
        return await self._service.delete_item(request.caller, conversation_id, item_id)
