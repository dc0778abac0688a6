"""Background responses: they outlive the request, and the process.

A background response is a job (``jobs.runner``). What its stream tells is stored in pieces while it is made, so that
any process can tell it again from any event on. When the process that makes it dies, another one, or the next start,
makes it anew under the same id: what the stream left open is ended as incomplete, the stream goes on with
``response.in_progress`` and the next sequence number, and the last event holds the whole response. After
``runner.MOST_ATTEMPTS`` it fails, so that none stays in progress.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.access.policies import guardrails_of
from inhouse.api.completing import padding
from inhouse.api.conversations import store as conversations
from inhouse.api.responses import store, wire
from inhouse.api.responses.compacting import compact_if_wanted
from inhouse.api.responses.demand import demand
from inhouse.api.responses.ending import endings
from inhouse.api.responses.hosting import NO_HOSTED_TOOLS, HostedTools
from inhouse.api.responses.locking import hold, let_go
from inhouse.api.responses.mcp import without_secrets
from inhouse.api.responses.past import Pasts
from inhouse.api.responses.reading_tools import Toolbox
from inhouse.api.responses.store import StoredResponse
from inhouse.api.responses.stored import body_of, response_of, stored_output
from inhouse.api.responses.turn import Turn, resume, triggers
from inhouse.api.responses.writing import Writer
from inhouse.calls import Call, Calls
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import APIError, Overloaded, ServerError
from inhouse.kit.ids import request_id
from inhouse.storage.database import Database
from inhouse.webhooks import EventType, record

log = structlog.get_logger(__name__)

KIND = "response"
OPERATION = "createResponse"
ENDPOINT = "responses"
PIECE_S = 0.15
"""Events that come closer together than this are stored together, seconds."""
LOOK_S = 0.5
"""How often the events of a response that another process makes are looked for, seconds."""
CANCEL_WAIT_S = 5.0
BUSY_DELAYS_S = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
"""How long to wait for a busy engine, time after time, before the response fails."""
WEBHOOKS: dict[str, EventType] = {
    "completed": "response.completed",
    "failed": "response.failed",
    "cancelled": "response.cancelled",
    "incomplete": "response.incomplete",
}

_events = msgspec.json.Decoder(list[dict[str, Any]])
_encode = msgspec.json.Encoder().encode


class Payload(msgspec.Struct):
    """What a job is made of: whose it is, and the request without its input, which is stored as items."""

    organization_id: str
    project_id: str
    key_id: str
    body: wire.CreateResponse
    secret: bool = False
    """Whether the request had secrets, which only the process that took it knows."""


class Background:
    def __init__(
        self,
        calls: Calls,
        database: Database,
        runner: Runner,
        hosts: HostedTools = NO_HOSTED_TOOLS,
        pasts: Pasts | None = None,
    ) -> None:
        self._calls = calls
        self._database = database
        self._runner = runner
        self._hosts = hosts
        self._pasts = pasts or Pasts(database)
        self._news: dict[str, asyncio.Event] = {}
        self._secrets: dict[str, list[wire.Tool]] = {}
        """Tools with their secrets, by response: these are never stored."""
        runner.handle(KIND, self._run, self._give_up)

    async def submit(self, caller: Caller, turn: Turn) -> None:
        """Store a queued response, to be made soon."""
        writer = turn.writer()
        told = writer.queued()
        tools = turn.body.tools
        bare = [without_secrets(tool) for tool in tools] if tools else tools
        secret = bare != tools
        payload = Payload(
            caller.organization_id,
            caller.project_id,
            caller.key_id,
            msgspec.structs.replace(turn.body, input=triggers(turn.body), client_metadata=None, tools=bare),
            secret,
        )
        if tools and secret:
            self._secrets[turn.response.id] = tools

        def work(connection: Connection) -> None:
            if turn.conversation_id is not None:
                hold(connection, turn.project_id, turn.conversation_id, turn.response.id, None)
            store.add_response(connection, turn.project_id, turn.to_store(), turn.input)
            _add_events(connection, turn.response.id, told)
            owner = self._runner.owner if secret else None
            queue.enqueue(connection, turn.response.id, KIND, _encode(payload).decode(), owner=owner)

        await self._database.write(work)
        self._runner.wake()

    async def follow(
        self, response_id: str, *, after: int = -1, obfuscate: bool = True
    ) -> AsyncGenerator[list[Any], None]:
        """The stream of a response from an event on, until it ends."""
        while True:
            news = self._news.setdefault(response_id, asyncio.Event())
            pieces, still = await self._database.read(partial(_look, response_id=response_id, after=after))
            batch = [event for piece in pieces for event in _events.decode(piece) if event["sequence_number"] > after]
            if batch:
                after = batch[-1]["sequence_number"]
                if obfuscate:
                    for event in batch:
                        if isinstance(delta := event.get("delta"), str):
                            event["obfuscation"] = padding(len(delta))
                yield batch
            elif not still:
                self._news.pop(response_id, None)
                return
            else:
                await _wait(news, LOOK_S)

    async def cancel(self, response_id: str) -> None:
        """Stop a response, wherever it is made, and wait until that is written down."""
        await self._database.write(partial(queue.request_cancel, id=response_id))
        self._runner.cancel(response_id)
        self._runner.wake()
        give_up = time.monotonic() + CANCEL_WAIT_S
        while time.monotonic() < give_up:
            news = self._news.setdefault(response_id, asyncio.Event())
            if not await self._database.read(partial(queue.is_open, id=response_id)):
                break
            await _wait(news, LOOK_S)
        self._news.pop(response_id, None)

    def forget(self, response_id: str) -> None:
        """Stop to make a response that was deleted."""
        self._runner.cancel(response_id)
        self._secrets.pop(response_id, None)

    # Making them

    async def _run(self, job: Job) -> None:
        payload = msgspec.json.decode(job.payload, type=Payload)
        stored, told = await self._database.read(partial(_begin, response_id=job.id))
        if stored is None:
            await self._database.write(partial(queue.finish, id=job.id))
            return
        made = _Made(self, payload, stored, told)
        try:
            if self._runner.cancelled(job.id):
                made.cancel()
            elif payload.secret and job.id not in self._secrets:
                made.fail(
                    ServerError(
                        "The server that took this request has stopped. The headers and the authorization of its MCP "
                        "servers are never stored: send the request again."
                    )
                )
            else:
                if payload.secret:
                    payload.body.tools = self._secrets[job.id]
                await made.make()
        except asyncio.CancelledError:
            if not self._runner.cancelled(job.id):
                raise
            made.cancel()
        await asyncio.shield(self._database.submit(made.end))
        self._secrets.pop(job.id, None)
        self._tell(job.id)

    def _give_up(self, connection: Connection, job: Job) -> None:
        """A response that cannot be made, however often it is tried."""
        stored, told = _begin(connection, job.id)
        if stored is not None:
            writer = Writer(response_of(stored), Toolbox(), sequence=len(told))
            last = writer.numbered(endings(told))
            last += writer.fail(ServerError("The server failed several times while it made this response."))
            if store.end_response(connection, job.id, "failed", body_of(writer.response), []):
                _add_events(connection, job.id, last)
                project_id = msgspec.json.decode(job.payload, type=Payload).project_id
                record(connection, project_id, "response.failed", job.id)

    def _tell(self, response_id: str) -> None:
        """Wake those who follow."""
        if (news := self._news.pop(response_id, None)) is not None:
            news.set()

    async def _open(self, payload: Payload) -> Call:
        policy = await self._database.read(partial(guardrails_of, project_id=payload.project_id))
        return self._calls.open(
            Caller(payload.organization_id, payload.project_id, payload.key_id, policy=policy),
            OPERATION,
            payload.body.model or "",
            request_id=request_id(),
            endpoint=ENDPOINT,
            demand=demand(payload.body),
            respond={},
            tier=payload.body.service_tier,
        )


class _Made:
    """A response while it is made."""

    def __init__(
        self, background: Background, payload: Payload, stored: StoredResponse, told: Sequence[dict[str, Any]]
    ) -> None:
        self._background = background
        self._database = background._database
        self._payload = payload
        self._stored = stored
        self._writer = Writer(response_of(stored), Toolbox(), sequence=len(told))
        self._call: Call | None = None
        self._held = self._writer.numbered(endings(told))
        self._stored_at = 0.0
        self._begun = False

    async def make(self) -> None:
        """Ask the model, and wait for it where it is busy."""
        for delay in (*BUSY_DELAYS_S, None):
            try:
                async with await self._background._open(self._payload) as self._call:
                    await self._answer(self._call)
                return
            except Overloaded as error:
                if delay is None or self._begun:
                    self.fail(error)
                    return
            except APIError as error:
                self.fail(error)
                return
            except Exception:
                log.exception("background response failed", response=self._stored.id)
                self.fail(ServerError("The server had an error while it made this response."))
                return
            await asyncio.sleep(delay)

    async def _answer(self, call: Call) -> None:
        payload, stored = self._payload, self._stored
        hosts, pasts = self._background._hosts, self._background._pasts
        turn = await resume(self._database, pasts, payload.project_id, call, payload.body, hosts, stored.id)
        turn.response.created_at = stored.created_at // 1_000_000
        await compact_if_wanted(self._database, call, turn)
        writer = Writer(turn.response, turn.tools, logprobs=turn.logprobs, obfuscate=False, leading=turn.leading)
        async with aclosing(turn.answer(call)) as batches:
            async for batch in batches:
                if not self._begun:
                    self._begun = True
                    writer.sequence, self._writer = self._writer.sequence, writer
                    self._held += writer.begin(created=False)
                self._held += writer.of(batch)
                if time.monotonic() - self._stored_at >= PIECE_S:
                    await self._store_piece()
        self._held += writer.finish(call.usage)

    async def _store_piece(self) -> None:
        told, self._held = self._held, []
        if told:
            if not await asyncio.shield(self._database.submit(partial(self._add_piece, told=told))):
                raise asyncio.CancelledError("another process makes it")  # as the runner does when it sees that
            self._background._tell(self._stored.id)
        self._stored_at = time.monotonic()

    def _add_piece(self, connection: Connection, told: Sequence[wire.ResponseStreamEvent]) -> bool:
        if not queue.hold(connection, self._stored.id, self._background._runner.owner):
            return False
        store.set_status(connection, self._payload.project_id, self._stored.id, "in_progress")
        _add_events(connection, self._stored.id, told)
        return True

    def fail(self, error: APIError) -> None:
        self._held += self._writer.fail(error, self._call.usage if self._call is not None else None)

    def cancel(self) -> None:
        if self._writer.response.status not in ("completed", "incomplete", "failed"):
            self._held += self._writer.cancel(self._call.usage if self._call is not None else None)

    def end(self, connection: Connection) -> None:
        """Write down what it came to, unless somebody else has."""
        response, stored, project_id = self._writer.response, self._stored, self._payload.project_id
        if not queue.finish(connection, stored.id, self._background._runner.owner):
            return
        output = stored_output(response.output, self._writer.whole)
        let_go(connection, stored.id)
        if store.end_response(connection, stored.id, response.status, body_of(response), output):
            _add_events(connection, stored.id, self._held)
            if (happened := WEBHOOKS.get(response.status)) is not None:
                record(connection, project_id, happened, stored.id)
            if stored.conversation_id is not None and response.status in ("completed", "incomplete"):
                conversations.append_response(connection, project_id, stored.conversation_id, stored.id)


def _add_events(connection: Connection, response_id: str, told: Sequence[wire.ResponseStreamEvent]) -> None:
    if told:
        first, last = told[0].sequence_number, told[-1].sequence_number
        store.add_events(connection, response_id, first, last, _encode(told).decode())


def _look(connection: Connection, response_id: str, after: int) -> tuple[list[str], bool]:
    # In this order: what is added in between is found when one looks again.
    still = queue.is_open(connection, response_id)
    return store.events_after(connection, response_id, after), still


def _begin(connection: Connection, response_id: str) -> tuple[StoredResponse | None, list[dict[str, Any]]]:
    """A response, and what its stream told so far."""
    pieces = store.events_after(connection, response_id, -1)
    return store.find_response(connection, response_id), [event for each in pieces for event in _events.decode(each)]


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
