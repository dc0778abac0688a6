"""Responses over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.responses import wire
from inhouse.api.responses.service import ResponsesService
from inhouse.kit.errors import FailedDependency, NotFound, Overloaded
from inhouse.kit.sse import EventStream


class Responses:
    def __init__(self, service: ResponsesService) -> None:
        self._service = service

    @operation(
        "POST", "/responses", id="createResponse", tag="Responses", errors=(NotFound, FailedDependency, Overloaded)
    )
    async def create(
        self, request: Request, body: wire.CreateResponse
    ) -> wire.Response | EventStream[wire.ResponseStreamEvent]:
        """Answer items.

        With `stream`, the answer comes as server-sent events, ended by `response.completed`, `response.incomplete` or
        `response.failed`.
        """
        if request.caller.policy.zero_retention:
            body.store = False
        if body.background:
            if body.stream:
                return EventStream(self._service.stream_background(request, body), style="typed")
            return (await self._service.submit(request, body)).response
        if body.stream:
            return EventStream(self._service.stream(request, body), style="typed")
        return await self._service.respond(request, body)

    @operation(
        "POST",
        "/responses/input_tokens",
        id="Getinputtokencounts",
        tag="Responses",
        errors=(NotFound, FailedDependency),
    )
    async def count(self, request: Request, body: wire.CountInputTokens) -> wire.InputTokens:
        """Count the tokens that a request would have."""
        return await self._service.count(request, body)

    @operation("POST", "/responses/compact", id="Compactconversation", tag="Responses", errors=(NotFound, Overloaded))
    async def compact(self, request: Request, body: wire.CompactResponse) -> wire.CompactedResponse:
        """Make a conversation shorter."""
        return await self._service.compact(request, body)

    @operation("GET", "/responses/{response_id}", id="getResponse", tag="Responses", errors=(NotFound,))
    async def retrieve(
        self, request: Request, response_id: str, query: wire.RetrieveResponseQuery
    ) -> wire.Response | EventStream[wire.ResponseStreamEvent]:
        """Get a stored response.

        With `stream`, the events of a background response, from `starting_after` on.
        """
        if query.stream:
            return EventStream(self._service.stream_again(request.caller, response_id, query), style="typed")
        return await self._service.retrieve(request.caller, response_id, query.include)

    @operation("DELETE", "/responses/{response_id}", id="deleteResponse", tag="Responses", errors=(NotFound,))
    async def delete(self, request: Request, response_id: str) -> wire.ResponseDeleted:
        """Delete a stored response."""
        return await self._service.delete(request.caller, response_id)

    @operation("POST", "/responses/{response_id}/cancel", id="cancelResponse", tag="Responses", errors=(NotFound,))
    async def cancel(self, request: Request, response_id: str) -> wire.Response:
        """Cancel a background response."""
        return await self._service.cancel(request.caller, response_id)

    @operation("GET", "/responses/{response_id}/input_items", id="listInputItems", tag="Responses", errors=(NotFound,))
    async def input_items(
        self, request: Request, response_id: str, query: wire.ListInputItemsQuery
    ) -> wire.ResponseItemList:
        """List what a stored response was asked with, and what it went on from."""
        return await self._service.input_items(request.caller, response_id, query)
