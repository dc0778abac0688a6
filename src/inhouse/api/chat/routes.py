"""Chat Completions over HTTP."""

from __future__ import annotations

from inhouse.api.chat import wire
from inhouse.api.chat.service import ChatService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound, Overloaded
from inhouse.kit.sse import EventStream


class Chat:
    def __init__(self, service: ChatService) -> None:
        self._service = service

    @operation(
        "POST",
        "/chat/completions",
        id="createChatCompletion",
        tag="Chat",
        errors=(NotFound, Overloaded),
        style="legacy",
    )
    async def create(
        self, request: Request, body: wire.CreateChatCompletionRequest
    ) -> wire.ChatCompletion | EventStream[wire.ChatCompletionChunk]:
        """Answer a conversation.

        With `stream`, the answer comes as server-sent events, ended by `[DONE]`.
        """
        if body.stream:
            return EventStream(self._service.stream(request, body))
        return await self._service.complete(request, body)

    @operation("GET", "/chat/completions", id="listChatCompletions", tag="Chat", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListChatCompletionsQuery) -> wire.ChatCompletionList:
        """List stored completions.

        Only completions made with `store` are there.
        """
        return await self._service.list(request.caller, query)

    @operation("GET", "/chat/completions/{completion_id}", id="getChatCompletion", tag="Chat", errors=(NotFound,))
    async def retrieve(self, request: Request, completion_id: str) -> wire.StoredChatCompletion:
        """Get a stored completion."""
        return await self._service.retrieve(request.caller, completion_id)

    @operation("POST", "/chat/completions/{completion_id}", id="updateChatCompletion", tag="Chat", errors=(NotFound,))
    async def update(
        self, request: Request, completion_id: str, body: wire.UpdateChatCompletionRequest
    ) -> wire.StoredChatCompletion:
        """Replace the metadata of a stored completion."""
        return await self._service.update(request.caller, completion_id, body)

    @operation("DELETE", "/chat/completions/{completion_id}", id="deleteChatCompletion", tag="Chat", errors=(NotFound,))
    async def delete(self, request: Request, completion_id: str) -> wire.ChatCompletionDeleted:
        """Delete a stored completion."""
        return await self._service.delete(request.caller, completion_id)

    @operation(
        "GET",
        "/chat/completions/{completion_id}/messages",
        id="getChatCompletionMessages",
        tag="Chat",
        errors=(NotFound,),
    )
    async def messages(
        self, request: Request, completion_id: str, query: wire.ListChatMessagesQuery
    ) -> wire.ChatCompletionMessageList:
        """List the messages that a stored completion was asked with."""
        return await self._service.messages(request.caller, completion_id, query)
