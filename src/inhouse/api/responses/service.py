"""Responses: answer, stream, keep."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial

import structlog
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.conversations import store as conversations
from inhouse.api.operation import Request
from inhouse.api.prompts.service import with_prompt
from inhouse.api.responses import store, wire
from inhouse.api.responses.background import Background
from inhouse.api.responses.checking import check_items
from inhouse.api.responses.compacting import compact, compact_if_wanted
from inhouse.api.responses.compaction import opened
from inhouse.api.responses.demand import demand
from inhouse.api.responses.hosting import NO_HOSTED_TOOLS, HostedTools
from inhouse.api.responses.keeping import Keeping
from inhouse.api.responses.locking import turn_on
from inhouse.api.responses.memory import Memory
from inhouse.api.responses.past import Pasts
from inhouse.api.responses.reading import read_for_count, refuse_unsupported, tools_of
from inhouse.api.responses.recalling import recalled
from inhouse.api.responses.stored import for_client, response_of
from inhouse.api.responses.turn import Recall, Turn, conversation_of, given_items, prepare, resolved
from inhouse.api.responses.writing import Writer
from inhouse.calls import Call, Calls
from inhouse.generation.core import count_tokens
from inhouse.generation.loop import declared
from inhouse.jobs import queue
from inhouse.kit.errors import APIError, InvalidRequest, NotFound, ServerError
from inhouse.storage.database import Database

log = structlog.get_logger(__name__)

ENDPOINT = "responses"


class ResponsesService:
    """
    Args:
        keeping, pasts: shared by all that keep and look for responses in this process.
    """

    def __init__(
        self,
        calls: Calls,
        database: Database,
        background: Background,
        hosts: HostedTools = NO_HOSTED_TOOLS,
        keeping: Keeping | None = None,
        pasts: Pasts | None = None,
    ) -> None:
        self._calls = calls
        self._database = database
        self._background = background
        self._hosts = hosts
        self._keeping = keeping or Keeping(database)
        self._pasts = pasts or Pasts(database)

    def _open(self, request: Request, body: wire.CreateResponse | wire.CountInputTokens) -> Call:
        if body.model is None:
            raise InvalidRequest(
                "Missing required parameter: 'model'.", param="model", code="missing_required_parameter"
            )
        for tool in body.tools or ():
            request.caller.policy.check_tool(request.caller.project_id, str(tool.__struct_config__.tag))
        return self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint=ENDPOINT,
            demand=demand(body),
            respond=request.respond,
            tier=body.service_tier if isinstance(body, wire.CreateResponse) else None,
            streams=isinstance(body, wire.CreateResponse) and bool(body.stream),
        )

    def _turn(self, caller: Caller, body: wire.CreateResponse) -> AbstractAsyncContextManager[None]:
        conversation_id = conversation_of(body.conversation)
        return turn_on(self._database, caller.project_id, conversation_id, lambda: self._calls.instance)

    async def _prepare(
        self, request: Request, call: Call, body: wire.CreateResponse, recall: Recall | None = None
    ) -> Turn:
        return await prepare(self._database, self._pasts, request.caller.project_id, call, body, self._hosts, recall)

    async def compact(self, request: Request, body: wire.CompactResponse) -> wire.CompactedResponse:
        """A conversation in fewer words."""
        await self._there(body)
        return await compact(self._calls, self._database, self._pasts, request, body)

    async def respond(self, request: Request, body: wire.CreateResponse) -> wire.Response:
        """Answer at once. A response that fails, or that nobody waits for any more, is not kept: its id was never
        told."""
        body = await with_prompt(self._database, request.caller.project_id, body)
        await self._there(body)
        async with self._open(request, body) as call, self._turn(request.caller, body):
            turn = await self._prepare(request, call, body)
            await compact_if_wanted(self._database, call, turn)
            writer = turn.writer()
            writer.begin()
            async with aclosing(turn.answer(call)) as batches:
                async for batch in batches:
                    writer.of(batch)
            writer.finish(call.usage)
            await self._keep(turn)
        return turn.response

    async def stream(
        self, request: Request, body: wire.CreateResponse, memory: Memory | None = None
    ) -> AsyncGenerator[Sequence[wire.ResponseStreamEvent], None]:
        """Answer as the model writes. From the first event on the response is kept, whatever becomes of it.

        Args:
            memory: of the connection that it is asked for on.
        """
        body = await with_prompt(self._database, request.caller.project_id, body)
        await self._there(body)
        writer: Writer | None = None
        turn: Turn | None = None
        call = self._open(request, body)
        kept = False
        try:
            async with call, self._turn(request.caller, body):
                recall = memory.recall if memory is not None else None
                turn = await self._prepare(request, call, body, recall)
                await compact_if_wanted(self._database, call, turn)
                async with aclosing(turn.answer(call)) as batches:
                    async for batch in batches:
                        out: list[wire.ResponseStreamEvent] = []
                        if writer is None:
                            writer = turn.writer()
                            out = writer.begin()
                        out += writer.of(batch)
                        if out:
                            yield out
                assert writer is not None
                last = writer.finish(call.usage)
                kept = True
                await self._keep(turn)
                if memory is not None:
                    memory.remember(turn)
        except Exception as error:
            if writer is None or turn is None:
                raise
            last = writer.fail(self._failure(error, request.request_id), call.usage)
            await self._keep(turn)
        except BaseException:
            # The client left. What it was told of must not stay in progress.
            if writer is not None and turn is not None and not kept:
                writer.cancel(call.usage)
                await self._keep(turn)
            raise
        yield last

    async def warm_up(
        self, request: Request, body: wire.CreateResponse, memory: Memory
    ) -> AsyncGenerator[Sequence[wire.ResponseStreamEvent], None]:
        """Take note of a request, so that the next turn can go on from it. Nothing is generated, and nothing costs."""
        body = await with_prompt(self._database, request.caller.project_id, body)
        await self._there(body)
        async with self._open(request, body) as call, self._turn(request.caller, body):
            turn = await self._prepare(request, call, body, memory.recall)
            told = turn.writer().noted(call.usage)
            await self._keep(turn)
            memory.remember(turn)
        yield told

    async def submit(self, request: Request, body: wire.CreateResponse) -> Turn:
        """Answer in the background. Raises for everything that can be known beforehand."""
        body = await with_prompt(self._database, request.caller.project_id, body)
        await self._there(body)
        call = self._open(request, body)
        turn = await self._prepare(request, call, body)
        await self._background.submit(request.caller, turn)
        return turn

    async def stream_background(
        self, request: Request, body: wire.CreateResponse
    ) -> AsyncGenerator[Sequence[wire.ResponseStreamEvent], None]:
        """Answer in the background, and tell of it. It goes on if the client leaves."""
        turn = await self.submit(request, body)
        async with aclosing(self._background.follow(turn.response.id, obfuscate=turn.obfuscate)) as batches:
            async for batch in batches:
                yield batch

    async def stream_again(
        self, caller: Caller, response_id: str, query: wire.RetrieveResponseQuery
    ) -> AsyncGenerator[Sequence[wire.ResponseStreamEvent], None]:
        """The stream of a background response, from any event on."""
        if not response_of(await self._find(caller, response_id)).background:
            raise InvalidRequest(
                "This response cannot be streamed: it was not created with 'background' set to true.", param="stream"
            )
        after = -1 if query.starting_after is None else query.starting_after
        following = self._background.follow(response_id, after=after, obfuscate=query.include_obfuscation is not False)
        async with aclosing(following) as batches:
            async for batch in batches:
                yield batch

    async def cancel(self, caller: Caller, response_id: str) -> wire.Response:
        """Stop a background response. One that has ended stays as it is."""
        stored = await self._find(caller, response_id)
        if not response_of(stored).background:
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        if stored.status in store.LIVE:
            await self._background.cancel(response_id)
            # Whoever made it is gone: the next one to take it up will find it cancelled.
            cancelling = partial(
                store.set_status, project_id=caller.project_id, response_id=response_id, status="cancelled"
            )
            await self._database.write(cancelling)
        return response_of(await self._find(caller, response_id))

    def _failure(self, error: Exception, request_id: str) -> APIError:
        if isinstance(error, APIError):
            return error
        log.error("response failed", request_id=request_id, exc_info=error)
        return ServerError(
            "The server had an error while processing your request. Sorry about that! You can retry your request, or "
            f"look for the request ID {request_id} in the server's log."
        )

    async def _there(self, body: wire.CreateResponse | wire.CountInputTokens | wire.CompactResponse) -> None:
        """Returns when what a request goes on from is in the database."""
        await self._keeping.stored(body.previous_response_id)
        if not isinstance(body.input, str) and any(isinstance(item, wire.ItemReference) for item in body.input or ()):
            await self._keeping.written()

    async def _keep(self, turn: Turn) -> None:
        """Store what the turn came to, also if the client leaves meanwhile."""
        if turn.stored and turn.conversation_id is None:
            to_store = turn.to_store()
            past = turn.past.then([*turn.input, *to_store.output])
            self._pasts.remember(turn.project_id, turn.response.id, past, turn.body.previous_response_id)
            await self._keeping.keep(store.Kept(turn.project_id, to_store, turn.input))
        elif turn.stored or (turn.conversation_id is not None and turn.response.status in ("completed", "incomplete")):
            await asyncio.shield(self._database.submit(partial(_keep, turn=turn)))

    async def retrieve(self, caller: Caller, response_id: str, include: Sequence[str] | None = None) -> wire.Response:
        return response_of(await self._find(caller, response_id), include)

    async def delete(self, caller: Caller, response_id: str) -> wire.ResponseDeleted:
        def work(connection: Connection) -> bool:
            gone = store.delete_response(connection, caller.project_id, response_id)
            if gone:
                queue.finish(connection, response_id)
            return gone

        await self._keeping.stored(response_id)
        if not await self._database.write(work):
            raise not_found(response_id)
        self._background.forget(response_id)
        self._pasts.forget(caller.project_id, response_id)
        return wire.ResponseDeleted(id=response_id)

    async def input_items(
        self, caller: Caller, response_id: str, query: wire.ListInputItemsQuery
    ) -> wire.ResponseItemList:
        stored = await self._find(caller, response_id)
        page = await self._database.read(
            partial(
                store.input_page,
                project_id=caller.project_id,
                response=stored,
                after=query.after,
                limit=query.limit,
                order=query.order,
            )
        )
        if page is None:
            raise InvalidRequest(f"Item with id '{query.after}' not found.", param="after")
        return wire.ResponseItemList(
            data=for_client(page.items, query.include),
            first_id=page.items[0].id if page.items else None,
            last_id=page.items[-1].id if page.items else None,
            has_more=page.more,
        )

    async def count(self, request: Request, body: wire.CountInputTokens) -> wire.InputTokens:
        project_id = request.caller.project_id
        await self._there(body)
        async with self._open(request, body) as call:
            refuse_unsupported(call.card, body.reasoning, body.text)
            past = await self._pasts.gather(project_id, body.previous_response_id, conversation_of(body.conversation))
            given = given_items(body.input)
            check_items(given, past.items)
            new = await resolved(self._database, project_id, given)
            before, after = await opened(self._database, project_id, past.items, new)
            items = [*before, *after]
            tools = tools_of(call, body, items, self._hosts)
            asked = recalled(read_for_count(body, items, tools, history=len(before)), items, tools.hosting.tools)
            return wire.InputTokens(input_tokens=await count_tokens(call, await declared(asked, tools.hosting)))

    async def _find(self, caller: Caller, response_id: str) -> store.StoredResponse:
        await self._keeping.stored(response_id)
        stored = await self._database.read(
            partial(store.get_response, project_id=caller.project_id, response_id=response_id)
        )
        if stored is None:
            raise not_found(response_id)
        return stored


def _keep(connection: Connection, turn: Turn) -> None:
    to_store = turn.to_store()
    ended = turn.response.status in ("completed", "incomplete")
    if turn.stored:
        store.add_response(connection, turn.project_id, to_store, turn.input)
        if turn.conversation_id is not None and ended:
            conversations.append_response(connection, turn.project_id, turn.conversation_id, turn.response.id)
    elif turn.conversation_id is not None:
        conversations.append(connection, turn.project_id, turn.conversation_id, [*turn.input, *to_store.output])


def not_found(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id}' not found.", param="response_id")
