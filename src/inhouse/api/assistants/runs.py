"""Runs: begun, followed, given outputs, cancelled."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.assistants import store, wire
from inhouse.api.assistants.assistants import check_settings, find_assistant
from inhouse.api.assistants.running import EXPIRES_S, RunMaker
from inhouse.api.assistants.state import RunState
from inhouse.api.assistants.store import StoredRun
from inhouse.api.assistants.telling import (
    cursor,
    listed,
    named_cursor,
    not_found,
    run_of,
    step_of,
    text,
    thread_in,
)
from inhouse.api.assistants.threads import ThreadsService, add_messages, new_message
from inhouse.api.assistants.tools import check_choice
from inhouse.api.assistants.writing import end_step, without_content
from inhouse.api.responses.hosting import HostedTools
from inhouse.calls import Calls
from inhouse.jobs import queue
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.kit.sse import EventStream
from inhouse.storage.database import Database

T = TypeVar("T")


class Begun(msgspec.Struct, frozen=True):
    """A run, and how many events its stream had told before."""

    run: wire.Run
    told: int = 0


class RunsService:
    """
    Args:
        expires_s: how long a run may take, waiting for outputs included, seconds.
    """

    def __init__(
        self,
        calls: Calls,
        database: Database,
        maker: RunMaker,
        threads: ThreadsService,
        hosts: HostedTools,
        *,
        expires_s: float = EXPIRES_S,
    ) -> None:
        self._calls = calls
        self._database = database
        self._maker = maker
        self._threads = threads
        self._hosts = hosts
        self._expires_s = expires_s

    async def create(
        self, caller: Caller, thread_id: str, body: wire.CreateRun, include: Sequence[str] | None = None
    ) -> Begun:
        assistant = await self._assistant(caller, body)
        run = self._new(caller, thread_id, assistant, body)
        await self._threads.attach(caller, thread_id, body.additional_messages or (), "additional_messages")
        state = _state(caller, assistant, body)
        state.tells_content = bool(include)

        def work(connection: Connection) -> None:
            store.lock_thread(connection, thread_id)
            thread_in(connection, caller.project_id, thread_id)
            messages = [new_message(thread_id, each) for each in body.additional_messages or ()]
            self._add(connection, caller, run, state, [])
            add_messages(connection, thread_id, messages)

        await self._database.write(work)
        self._maker.wake(run.id)
        return Begun(run)

    async def begin(self, caller: Caller, body: wire.CreateThreadAndRun) -> Begun:
        """A run on a thread of its own."""
        assistant = await self._assistant(caller, body)
        thread, adding = await self._threads.prepare(caller, body.thread or wire.CreateThread(), body.tool_resources)
        run = self._new(caller, thread.id, assistant, body)
        state = _state(caller, assistant, body)

        def work(connection: Connection) -> None:
            adding(connection)
            self._add(connection, caller, run, state, [wire.ThreadCreated(data=thread)])

        await self._database.write(work)
        self._maker.wake(run.id)
        return Begun(run)

    def told(self, begun: Begun, *, after: int) -> EventStream[wire.AssistantStreamEvent]:
        """The stream of a run from an event on."""
        following: AsyncGenerator[Sequence[Any], None] = self._maker.follow(begun.run.id, after)
        return EventStream(following, style="named")

    async def _assistant(self, caller: Caller, body: wire.RunSettings) -> wire.Assistant:
        return await self._database.read(partial(find_assistant, project_id=caller.project_id, id=body.assistant_id))

    def _new(self, caller: Caller, thread_id: str, assistant: wire.Assistant, body: wire.RunSettings) -> wire.Run:
        """A run with what it takes from its assistant. Raises as ``check_settings``."""
        instructions = assistant.instructions if body.instructions is None else body.instructions
        more = getattr(body, "additional_instructions", None)
        now = store.now() // 1_000_000
        run = wire.Run(
            id=new_id("run_"),
            created_at=now,
            assistant_id=assistant.id,
            thread_id=thread_id,
            expires_at=now + round(self._expires_s),
            model=body.model or assistant.model,
            instructions="\n".join(each for each in (instructions, more) if each),
            tools=assistant.tools if body.tools is None else body.tools,
            metadata=body.metadata or {},
            temperature=_first(body.temperature, assistant.temperature),
            top_p=_first(body.top_p, assistant.top_p),
            max_completion_tokens=body.max_completion_tokens,
            max_prompt_tokens=body.max_prompt_tokens,
            truncation_strategy=body.truncation_strategy or wire.Truncation(type="auto", last_messages=None),
            response_format=_first(body.response_format, assistant.response_format, "auto"),
            tool_choice=body.tool_choice or "auto",
            parallel_tool_calls=body.parallel_tool_calls is not False,
        )
        truncation = run.truncation_strategy
        if truncation and truncation.type == "last_messages" and not truncation.last_messages:
            raise InvalidRequest(
                "Missing required parameter: 'truncation_strategy.last_messages'.",
                param="truncation_strategy.last_messages",
                code="missing_required_parameter",
            )
        effort = getattr(body, "reasoning_effort", None)
        check_settings(self._calls, caller, run.model, run, self._hosts, reasoning_effort=effort)
        check_choice(run.tool_choice, run.tools)
        run.temperature, run.top_p = _first(run.temperature, 1.0), _first(run.top_p, 1.0)
        return run

    def _add(
        self, connection: Connection, caller: Caller, run: wire.Run, state: RunState, before: Sequence[Any]
    ) -> None:
        active = store.active_run(connection, run.thread_id)
        if active is not None:
            raise InvalidRequest(f"Thread {run.thread_id} already has an active run {active}.")
        stored = StoredRun(
            id=run.id,
            thread_id=run.thread_id,
            project_id=caller.project_id,
            created_at=store.now(),
            status=run.status,
            body=text(run),
            state=text(state),
        )
        store.add_run(connection, stored, run.assistant_id)
        told = [*before, wire.RunCreated(data=run), wire.RunQueued(data=run)]
        store.add_events(connection, run.id, len(told), text(told))
        self._maker.enqueue(connection, run.id)

    # While it runs

    async def submit(self, caller: Caller, thread_id: str, run_id: str, body: wire.SubmitToolOutputs) -> Begun:
        """Give a run the outputs that it waits for."""
        outputs = {each.tool_call_id or "": each.output or "" for each in body.tool_outputs}

        def work(connection: Connection) -> Begun:
            stored = self._held(connection, caller, thread_id, run_id)
            run = run_of(stored.body)
            over = (run.expires_at or 0) * 1_000_000 <= store.now()
            status = "expired" if stored.status == "requires_action" and over else stored.status
            if status != "requires_action" or run.required_action is None:
                raise InvalidRequest(f'Runs in status "{status}" do not accept tool outputs.')
            wanted = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
            if sorted(wanted) != sorted(each.tool_call_id or "" for each in body.tool_outputs):
                raise InvalidRequest(f"Expected tool outputs for call_ids {wanted}, got {list(outputs)}")
            state = msgspec.json.decode(stored.state, type=RunState)
            before = store.next_event(connection, run_id)
            told: list[Any] = []
            for body_ in store.steps_of(connection, run_id):
                step = step_of(body_)
                if step.status != "in_progress" or not isinstance(step.step_details, wire.ToolCalls):
                    continue
                for call in step.step_details.tool_calls:
                    if isinstance(call, wire.FunctionCall):
                        call.function.output = outputs[call.id]
                step.usage = state.usages.pop(step.id, None)
                end_step(step, "completed")
                store.put_step(connection, thread_id, run_id, step.id, text(step))
                told.append(wire.StepCompleted(data=step))
            run.status, run.required_action = "queued", None
            told.append(wire.RunQueued(data=run))
            store.set_run(connection, run_id, run.status, text(run), text(state))
            store.add_events(connection, run_id, len(told), text(told))
            self._maker.enqueue(connection, run_id)
            return Begun(run, before)

        begun = await self._database.write(work)
        self._maker.wake(run_id)
        return begun

    async def cancel(self, caller: Caller, thread_id: str, run_id: str) -> wire.Run:
        """Have a run stopped, wherever it is made. It is cancelled a little later."""

        def work(connection: Connection) -> wire.Run:
            stored = self._held(connection, caller, thread_id, run_id)
            if stored.status not in store.ACTIVE or stored.status == "cancelling":
                raise InvalidRequest(f"Cannot cancel run with status '{stored.status}'.")
            run = run_of(stored.body)
            run.status, run.required_action = "cancelling", None
            store.set_run(connection, run_id, run.status, text(run))
            store.add_events(connection, run_id, 1, text([wire.RunCancelling(data=run)]))
            self._maker.enqueue(connection, run_id)
            queue.request_cancel(connection, run_id)
            return run

        run = await self._database.write(work)
        self._maker.cancel(run_id)
        return run

    async def update(self, caller: Caller, thread_id: str, run_id: str, body: wire.UpdateRun) -> wire.Run:
        def work(connection: Connection) -> wire.Run:
            stored = self._held(connection, caller, thread_id, run_id)
            run = run_of(stored.body)
            if body.metadata is not UNSET:
                run.metadata = body.metadata or {}
            store.set_run(connection, run_id, stored.status, text(run))
            return run

        return await self._database.write(work)

    # Looking

    async def retrieve(self, caller: Caller, thread_id: str, run_id: str) -> wire.Run:
        return await self._reading(caller, thread_id, run_id, lambda connection, stored: run_of(stored.body))

    async def list(self, caller: Caller, thread_id: str, query: wire.OldPageQuery) -> wire.RunList:
        def work(connection: Connection) -> store.Found:
            thread_in(connection, caller.project_id, thread_id)
            return store.runs_page(connection, thread_id, cursor(query))

        with named_cursor("run"):
            page: wire.RunList = listed(wire.RunList, await self._database.read(work), run_of)
        return page

    async def steps(
        self, caller: Caller, thread_id: str, run_id: str, query: wire.ListRunStepsQuery
    ) -> wire.RunStepList:
        asked = wire.OldPageQuery(limit=query.limit, order=query.order, after=query.after, before=query.before)
        with named_cursor("run step"):
            found = await self._reading(
                caller,
                thread_id,
                run_id,
                lambda connection, stored: store.steps_page(connection, stored.id, cursor(asked)),
            )
        page: wire.RunStepList = listed(wire.RunStepList, found, partial(_told_step, include=query.include))
        return page

    async def retrieve_step(
        self, caller: Caller, thread_id: str, run_id: str, step_id: str, query: wire.IncludeQuery
    ) -> wire.RunStep:
        body = await self._reading(
            caller, thread_id, run_id, lambda connection, stored: store.get_step(connection, stored.id, step_id)
        )
        if body is None:
            raise not_found("run step", step_id)
        return _told_step(body, query.include)

    async def _reading(
        self, caller: Caller, thread_id: str, run_id: str, work: Callable[[Connection, StoredRun], T]
    ) -> T:
        return await self._database.read(
            lambda connection: work(connection, _find(connection, caller, thread_id, run_id))
        )

    def _held(self, connection: Connection, caller: Caller, thread_id: str, run_id: str) -> StoredRun:
        """A run that nobody else changes before the transaction ends. Raises NotFound."""
        _find(connection, caller, thread_id, run_id)
        held = store.find_run(connection, run_id, hold=True)
        if held is None:
            raise not_found("run", run_id)
        return held


def _find(connection: Connection, caller: Caller, thread_id: str, run_id: str) -> StoredRun:
    thread_in(connection, caller.project_id, thread_id)
    stored = store.get_run(connection, thread_id, run_id)
    if stored is None:
        raise not_found("run", run_id)
    return stored


def _state(caller: Caller, assistant: wire.Assistant, body: wire.RunSettings) -> RunState:
    return RunState(
        organization_id=caller.organization_id,
        key_id=caller.key_id,
        reasoning_effort=_first(getattr(body, "reasoning_effort", None), assistant.reasoning_effort or None),
        resources=assistant.tool_resources,
        temperature=_first(body.temperature, assistant.temperature),
        top_p=_first(body.top_p, assistant.top_p),
    )


def _told_step(body: str, include: Sequence[str] | None) -> wire.RunStep:
    step = step_of(body)
    return step if include else without_content(step)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)
