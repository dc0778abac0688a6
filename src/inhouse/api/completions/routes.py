"""Legacy Completions over HTTP."""

from __future__ import annotations

from inhouse.api.completions import wire
from inhouse.api.completions.service import CompletionsService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound, Overloaded
from inhouse.kit.sse import EventStream


class Completions:
    def __init__(self, service: CompletionsService) -> None:
        self._service = service

    @operation(
        "POST", "/completions", id="createCompletion", tag="Completions", errors=(NotFound, Overloaded), style="legacy"
    )
    async def create(
        self, request: Request, body: wire.CreateCompletionRequest
    ) -> wire.Completion | EventStream[wire.Completion]:
        """Continue a text.

        The legacy way of asking a model: no conversation, no tools. With `stream`, the text comes as server-sent
        events, ended by `[DONE]`.
        """
        if body.stream:
            return EventStream(self._service.stream(request, body))
        return await self._service.complete(request, body)
