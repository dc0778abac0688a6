"""Runs, made in the background: they outlive the request, and the process.

A run is a job (``jobs.runner``). What its stream tells is stored in pieces while it is made, so that any process can
tell it, poll it or cancel it. While it waits for outputs of the client's functions, its job waits for the time when the
run expires; giving the outputs makes the job due at once. When the process dies that makes a run, another one, or the
next start, ends what was left open and makes the turn anew. Nothing leaves a thread locked: a run ends after
``EXPIRES_S`` at the latest.
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
from inhouse.api.assistants import store, wire
from inhouse.api.assistants.reading import DoesNotFit, first_place, fitted, format_of, items_of
from inhouse.api.assistants.recalling import Searched, recalled, searches
from inhouse.api.assistants.state import RunState, usage
from inhouse.api.assistants.store import Entry, StoredRun
from inhouse.api.assistants.stores import Stores, store_ids
from inhouse.api.assistants.telling import message_of, run_of, step_of, text, thread_of
from inhouse.api.assistants.tools import choice_of, functions, hosted_tools
from inhouse.api.assistants.writing import Ending, Writer, leftovers, run_error, without_texts
from inhouse.api.responses.hosting import HostedTools
from inhouse.calls import Call, Calls
from inhouse.generation.items import GenerationRequest, Sampling
from inhouse.generation.loop import respond
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import APIError, Overloaded, ServerError
from inhouse.kit.ids import request_id
from inhouse.limits import Demand
from inhouse.limits.demand import estimate
from inhouse.metering.usage import Usage
from inhouse.storage.database import Database

log = structlog.get_logger(__name__)

KIND = "run"
EXPIRES_S = 600.0
PIECE_S = 0.15
"""Events that come closer together than this are stored together, seconds."""
LOOK_S = 0.5
"""How often the events of a run that another process makes are looked for, seconds."""
BUSY_DELAYS_S = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60)
"""How long to wait for a busy engine, time after time, before the run fails."""
ENDS = frozenset(
    f"thread.run.{each}" for each in ("requires_action", "completed", "incomplete", "failed", "cancelled", "expired")
)
"""Events after which a stream has nothing more to tell."""

_events = msgspec.json.Decoder(list[dict[str, Any]])


class Context(msgspec.Struct, frozen=True):
    """What a run is made of."""

    stored: StoredRun
    entries: Sequence[Entry]
    resources: wire.ToolResources | None
    """Of the thread."""
    searches: Sequence[Searched]
    """What searches of the thread found, that the run reads again."""
    told: Sequence[dict[str, Any]]


class RunMaker:
    def __init__(
        self, calls: Calls, database: Database, runner: Runner, hosts: HostedTools, stores: Stores | None = None
    ) -> None:
        self._calls = calls
        self._database = database
        self._runner = runner
        self._hosts = hosts
        self._stores = stores
        self._news: dict[str, asyncio.Event] = {}
        runner.handle(KIND, self._run, self._give_up)

    def enqueue(self, connection: Connection, run_id: str) -> None:
        """Have a run made, or go on, or be ended. Call ``wake`` when that is committed."""
        queue.ask(connection, run_id, KIND, "{}")

    def wake(self, run_id: str) -> None:
        self._runner.wake()
        self._tell(run_id)

    def cancel(self, run_id: str) -> None:
        """Stop a run that is made in this process. Others see that it is asked for in the queue."""
        self._runner.cancel(run_id)
        self.wake(run_id)

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[list[Any], None]:
        """The stream of a run from an event on, until it ends, waits for the client, or is deleted."""
        while True:
            news = self._news.setdefault(run_id, asyncio.Event())
            pieces, run = await self._database.read(partial(_look, run_id=run_id, number=after))
            tells = run is not None and msgspec.json.decode(run.state, type=RunState).tells_content
            batch = [
                event if tells else without_texts(event)
                for first, body in pieces
                for number, event in enumerate(_events.decode(body), first)
                if number >= after
            ]
            if batch:
                # A client that reads slowly may find here what came after the outputs: another stream tells that.
                last = next((number for number, event in enumerate(batch) if event["event"] in ENDS), None)
                if last is not None:
                    yield batch[: last + 1]
                    return
                after += len(batch)
                yield batch
            elif run is None:
                self._news.pop(run_id, None)
                return
            else:
                await _wait(news, LOOK_S)

    def _tell(self, run_id: str) -> None:
        """Wake those who follow."""
        if (news := self._news.pop(run_id, None)) is not None:
            news.set()

    # Making them

    async def _run(self, job: Job) -> None:
        context = await self._database.read(partial(_context, run_id=job.id))
        if context is None or context.stored.status not in store.ACTIVE:
            await self._database.write(partial(queue.finish, id=job.id))
            return
        made = _Made(self, context)
        try:
            if self._runner.cancelled(job.id) or context.stored.status == "cancelling":
                made.end("cancelled")
            elif made.left_s <= 0:
                made.end("expired")
            elif context.stored.status == "requires_action":
                made.waits = True
            else:
                await self._make(made)
        except asyncio.CancelledError:
            if not self._runner.cancelled(job.id):
                raise
            made.end("cancelled")
        await asyncio.shield(self._database.submit(made.settle))
        self._tell(job.id)
        # A cancellation may have come while the outcome was being written.
        self._runner.wake()

    async def _make(self, made: _Made) -> None:
        try:
            async with asyncio.timeout(made.left_s) as bound:
                await made.make()
        except TimeoutError:
            if not bound.expired():
                raise
            made.end("expired")

    def _give_up(self, connection: Connection, job: Job) -> None:
        """A run that cannot be made, however often it is tried."""
        context = _context(connection, job.id)
        if context is not None and context.stored.status in store.ACTIVE:
            made = _Made(self, context)
            made.end("failed", ServerError("The server failed several times while it made this run."))
            made.write(connection)

    async def open(self, stored: StoredRun, run: wire.Run, demand: Demand) -> Call:
        state = msgspec.json.decode(stored.state, type=RunState)
        policy = await self._database.read(partial(guardrails_of, project_id=stored.project_id))
        return self._calls.open(
            Caller(state.organization_id, stored.project_id, state.key_id, policy=policy),
            "createRun",
            run.model,
            request_id=request_id(),
            endpoint="assistants",
            demand=demand,
            respond={},
        )


class _Made:
    """One turn of a run while it is made."""

    def __init__(self, maker: RunMaker, context: Context) -> None:
        self._maker = maker
        self._database = maker._database
        self._context = context
        self.run = run_of(context.stored.body)
        self._state = msgspec.json.decode(context.stored.state, type=RunState)
        self._writer = Writer(self.run)
        self._call: Call | None = None
        self._stored_at = 0.0
        self._ended = False
        self.waits = False
        """Whether the run now waits for outputs."""
        self._steps = [step_of(entry.body) for entry in self._own("step")]
        self._messages = [message_of(entry.body) for entry in self._own("message")]

    def _own(self, kind: str) -> list[Entry]:
        return [each for each in self._context.entries if each.run_id == self.run.id and each.kind == kind]

    @property
    def left_s(self) -> float:
        """Until it expires."""
        return (self.run.expires_at or 0) - time.time()

    @property
    def _used(self) -> Usage:
        return self._call.usage if self._call is not None else Usage()

    async def make(self) -> None:
        """Ask the model, and wait for it where it is busy."""
        self._end_leftovers("failed")
        for delay in (*BUSY_DELAYS_S, None):
            try:
                call = await self._maker.open(self._context.stored, self.run, self._demand())
                async with call as self._call:
                    await self._answer(call)
                return
            except Overloaded as error:
                if delay is None or self._writer.told:
                    self.end("failed", error)
                    return
            except APIError as error:
                self.end("failed", error)
                return
            except Exception:
                log.exception("run failed", run=self.run.id)
                self.end("failed", ServerError("The server had an error while it made this run."))
                return
            await asyncio.sleep(delay)

    def _demand(self) -> Demand:
        characters = len(self.run.instructions) + sum(len(each.body) for each in self._context.entries)
        return Demand(input_tokens=estimate(characters), max_tokens=self.run.max_completion_tokens)

    async def _answer(self, call: Call) -> None:
        run, state = self.run, self._state
        answered = any(step.type == "tool_calls" and step.status == "completed" for step in self._steps)
        resources = [state.resources, self._context.resources]
        if self._maker._stores is not None:
            await self._maker._stores.ready(call.project_id, store_ids(resources))
        hosted = hosted_tools(call, run, resources, self._maker._hosts)
        choice, hosting = choice_of(run, hosted, answered=answered)
        left = None
        if run.max_completion_tokens is not None:
            left = run.max_completion_tokens - state.completion_tokens
            if left < 1:
                self.end("incomplete")
                return
            left = min(left, call.card.max_output_of(call.snapshot))
        entries = self._context.entries
        read_again = recalled(self._context.searches, hosted, first_place(run, entries))
        items = items_of(run, entries, read_again)
        request = GenerationRequest(
            items=items,
            tools=functions(run.tools),
            tool_choice=choice,
            parallel_tool_calls=run.parallel_tool_calls,
            format=format_of(run, items),
            sampling=Sampling(temperature=state.temperature, top_p=state.top_p, max_tokens=left),
            stream=True,
            truncate=run.truncation_strategy is None or run.truncation_strategy.type == "auto",
        )
        if run.max_prompt_tokens is not None:
            try:
                request = await fitted(call, request, hosting, run.max_prompt_tokens - state.prompt_tokens)
            except DoesNotFit:
                self._incomplete("max_prompt_tokens")
                return
        self._writer.begin()
        await self._store_piece()
        self._stored_at = 0.0  # the first words are not held back
        async with aclosing(respond(call, request, hosting)) as batches:
            async for batch in batches:
                self._writer.of(batch, call.usage)
                if time.monotonic() - self._stored_at >= PIECE_S:
                    await self._store_piece()
        self._finish()

    def _finish(self) -> None:
        most = self.run.max_prompt_tokens
        if self._writer.reason in ("length", "content_filter"):
            self.end("incomplete")
        elif self._writer.waits:
            self._writer.wait(self._used)
            self.waits = True
        elif most is not None and self._state.prompt_tokens + self._used.input_tokens > most:
            self._incomplete("max_prompt_tokens")
        else:
            self.end("completed")

    def _incomplete(self, reason: Any) -> None:
        self.run.incomplete_details = wire.RunIncomplete(reason=reason)
        self.end("incomplete")

    def end(self, ending: Ending, error: APIError | None = None) -> None:
        """End the run and all that is open, unless it has ended."""
        if self._ended:
            return
        if self.waits and self._writer.told:
            # It was about to wait, which was not told yet; a cancellation came first.
            self._writer.told.pop()
        self.waits = False
        self._ended = True
        self._end_leftovers(ending, error)
        total = usage(
            self._state.prompt_tokens + self._used.input_tokens,
            self._state.completion_tokens + self._used.output_tokens,
            self._state.unread_tokens + self._used.unread_tokens,
        )
        self._writer.end(ending, self._used, total, error)

    def _end_leftovers(self, ending: Ending, error: APIError | None = None) -> None:
        """What an earlier turn left open: its process died, or the client did not act in time."""
        steps, messages, self._steps, self._messages = self._steps, self._messages, [*self._steps], []
        told = run_error(error) if error is not None else None
        if told is None and ending == "failed":
            told = run_error(ServerError("The server stopped while it made this step; the run goes on."))
        open_steps = [step for step in steps if step.status == "in_progress"]
        open_messages = [message for message in messages if message.status == "in_progress"]
        for step in open_steps:
            step.usage = self._state.usages.pop(step.id, None)
        self._writer.told += leftovers(open_steps, open_messages, self._context.told, ending, told)
        self._writer.steps.update((step.id, step) for step in open_steps)
        self._writer.messages.update((message.id, message) for message in open_messages)

    # Writing it down

    async def _store_piece(self) -> None:
        told, steps, messages = self._taken()
        if told or steps or messages:
            storing = partial(self._add_piece, told=told, steps=steps, messages=messages)
            if not await asyncio.shield(self._database.submit(storing)):
                raise asyncio.CancelledError("another process makes it")  # as the runner does when it sees that
            self._maker._tell(self.run.id)
        self._stored_at = time.monotonic()

    def _taken(self) -> tuple[list[Any], list[tuple[str, str]], list[tuple[str, str]]]:
        """What has changed and is not stored yet, as JSON."""
        writer = self._writer
        steps = [(step.id, text(step)) for step in writer.steps.values()]
        messages = [(message.id, text(message)) for message in writer.messages.values()]
        told, writer.told, writer.steps, writer.messages = writer.told, [], {}, {}
        return told, steps, messages

    def _add_piece(
        self,
        connection: Connection,
        told: Sequence[Any],
        steps: Sequence[tuple[str, str]],
        messages: Sequence[tuple[str, str]],
    ) -> bool:
        stored = store.find_run(connection, self.run.id, hold=True)
        if stored is None or not queue.hold(connection, self.run.id, self._maker._runner.owner):
            return False
        if stored.status == "queued":
            store.set_run(connection, self.run.id, "in_progress", text(_with_metadata(self.run, stored)))
        self._put(connection, steps, messages)
        if self._writer.queries:
            # Its status and body may be somebody else's by now.
            kept = store.find_run(connection, self.run.id) or stored
            self._state.queries |= self._writer.queries
            store.set_run(connection, kept.id, kept.status, kept.body, text(self._state))
        if told:
            store.add_events(connection, self.run.id, len(told), text(told))
        return True

    def _put(
        self, connection: Connection, steps: Sequence[tuple[str, str]], messages: Sequence[tuple[str, str]]
    ) -> None:
        # A message and the step that writes it begin together, the step first.
        for id, body in steps:
            store.put_step(connection, self.run.thread_id, self.run.id, id, body)
        for id, body in messages:
            store.put_message(connection, self.run.thread_id, id, self.run.id, body)

    def settle(self, connection: Connection) -> None:
        """Write down what it came to, unless the job is somebody else's by now."""
        # In the order in which others lock them.
        stored = store.find_run(connection, self.run.id, hold=True)
        if not queue.hold(connection, self.run.id, self._maker._runner.owner):
            return
        if stored is not None and stored.status == "cancelling" and self.waits:
            self.end("cancelled")
        if self.waits:
            due = int((self.run.expires_at or 0) * 1_000_000)
            queue.postpone(connection, self.run.id, self._maker._runner.owner, due)
        else:
            queue.finish(connection, self.run.id, self._maker._runner.owner)
        self.write(connection)

    def write(self, connection: Connection) -> None:
        stored = store.find_run(connection, self.run.id, hold=True)
        if stored is None:
            return
        told, steps, messages = self._taken()
        self._put(connection, steps, messages)
        if not told:
            return
        state = self._state
        state.prompt_tokens += self._used.input_tokens
        state.unread_tokens += self._used.unread_tokens
        state.completion_tokens += self._used.output_tokens
        state.usages.update(self._writer.usages)
        state.queries |= self._writer.queries
        run = _with_metadata(self.run, stored)
        store.set_run(connection, run.id, run.status, text(run), text(state))
        store.add_events(connection, run.id, len(told), text(told))


def _with_metadata(run: wire.Run, stored: StoredRun) -> wire.Run:
    """The run with the metadata that it was given meanwhile."""
    return msgspec.structs.replace(run, metadata=run_of(stored.body).metadata)


def _context(connection: Connection, run_id: str) -> Context | None:
    stored = store.find_run(connection, run_id)
    if stored is None:
        return None
    thread = store.get_thread(connection, stored.project_id, stored.thread_id)
    pieces = store.events_from(connection, run_id, 0)
    entries = store.entries(connection, stored.thread_id)
    return Context(
        stored,
        entries,
        thread_of(thread).tool_resources if thread is not None else None,
        searches(connection, run_id, entries),
        [event for _, body in pieces for event in _events.decode(body)],
    )


def _look(connection: Connection, run_id: str, number: int) -> tuple[list[tuple[int, str]], StoredRun | None]:
    # In this order: what is added in between is found when one looks again.
    run = store.find_run(connection, run_id)
    return store.events_from(connection, run_id, number), run


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        pass
