"""Threads and their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.assistants import store, wire
from inhouse.api.assistants.stores import store_ids
from inhouse.api.assistants.telling import (
    cursor,
    listed,
    message_of,
    named_cursor,
    not_found,
    text,
    thread_in,
)
from inhouse.api.assistants.tools import Keeping, check_files, kept_resources
from inhouse.jobs import queue
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database

T = TypeVar("T")


class ThreadsService:
    def __init__(self, database: Database, runner: Runner, keeping: Keeping) -> None:
        self._database = database
        self._runner = runner
        self._keeping = keeping

    async def create(self, caller: Caller, body: wire.CreateThread) -> wire.Thread:
        thread, adding = await self.prepare(caller, body)
        await self._database.write(adding)
        return thread

    async def prepare(
        self, caller: Caller, body: wire.CreateThread, resources: wire.ToolResources | None = None
    ) -> tuple[wire.Thread, Callable[[Connection], None]]:
        """A new thread, and what adds it with its messages.

        Args:
            resources: of the run that begins it.
        """
        kept = await kept_resources(body.tool_resources or resources, caller.project_id, self._keeping)
        await check_files(self._keeping, caller.project_id, body.messages or (), "messages")
        if self._keeping.stores is not None:
            kept = await self._keeping.stores.attach(caller.project_id, kept, body.messages or ())
        now = store.now()
        thread = wire.Thread(
            id=new_id("thread_"), created_at=now // 1_000_000, metadata=body.metadata or {}, tool_resources=kept
        )
        messages = [new_message(thread.id, each) for each in body.messages or ()]

        def add(connection: Connection) -> None:
            store.add_thread(connection, caller.project_id, thread.id, now, text(thread))
            add_messages(connection, thread.id, messages)

        return thread, add

    async def retrieve(self, caller: Caller, thread_id: str) -> wire.Thread:
        return await self._database.read(partial(thread_in, project_id=caller.project_id, thread_id=thread_id))

    async def update(self, caller: Caller, thread_id: str, body: wire.UpdateThread) -> wire.Thread:
        given: dict[str, Any] = {}
        if body.metadata is not UNSET:
            given["metadata"] = body.metadata or {}
        if body.tool_resources is not UNSET:
            given["tool_resources"] = await kept_resources(body.tool_resources, caller.project_id, self._keeping)

        def work(connection: Connection) -> wire.Thread:
            changed = msgspec.structs.replace(thread_in(connection, caller.project_id, thread_id), **given)
            store.set_thread(connection, thread_id, text(changed))
            return changed

        return await self._database.write(work)

    async def delete(self, caller: Caller, thread_id: str) -> wire.ThreadDeleted:
        def work(connection: Connection) -> list[str]:
            store.lock_thread(connection, thread_id)
            thread_in(connection, caller.project_id, thread_id)
            runs = store.delete_thread(connection, thread_id)
            for run_id in runs:
                queue.finish(connection, run_id)
            return runs

        for run_id in await self._database.write(work):
            self._runner.cancel(run_id)
        return wire.ThreadDeleted(id=thread_id)

    # Messages

    async def attach(self, caller: Caller, thread_id: str, messages: Sequence[wire.CreateMessage], path: str) -> None:
        """Look up the files that messages name, and make those searchable that are attached for it.

        Raises:
            NotFound: a message names a file that is not there, or there is no such thread.
        """
        await check_files(self._keeping, caller.project_id, messages, path)
        stores = self._keeping.stores
        if stores is None or not any(message.attachments for message in messages):
            return
        before = (await self.retrieve(caller, thread_id)).tool_resources
        after = await stores.attach(caller.project_id, before, messages)
        if after is before:
            return

        def work(connection: Connection) -> wire.ToolResources | None:
            store.lock_thread(connection, thread_id)
            thread = thread_in(connection, caller.project_id, thread_id)
            if not store_ids([thread.tool_resources]):
                thread = msgspec.structs.replace(thread, tool_resources=after)
                store.set_thread(connection, thread_id, text(thread))
            return thread.tool_resources

        kept = await self._database.write(work)
        if kept is not after:  # another message brought a store meanwhile
            await stores.attach(caller.project_id, kept, messages)

    async def add_message(self, caller: Caller, thread_id: str, body: wire.CreateMessage) -> wire.Message:
        message = new_message(thread_id, body)
        await self.attach(caller, thread_id, [body], "")

        def work(connection: Connection) -> wire.Message:
            store.lock_thread(connection, thread_id)
            thread_in(connection, caller.project_id, thread_id)
            refuse_while_active(connection, thread_id)
            add_messages(connection, thread_id, [message])
            return message

        return await self._database.write(work)

    async def retrieve_message(self, caller: Caller, thread_id: str, message_id: str) -> wire.Message:
        return await self._database.read(partial(_message, caller=caller, thread_id=thread_id, message_id=message_id))

    async def update_message(
        self, caller: Caller, thread_id: str, message_id: str, body: wire.UpdateMessage
    ) -> wire.Message:
        def work(connection: Connection) -> wire.Message:
            message = _message(connection, caller, thread_id, message_id)
            if body.metadata is not UNSET:
                message.metadata = body.metadata or {}
            store.put_message(connection, thread_id, message_id, message.run_id, text(message))
            return message

        return await self._database.write(work)

    async def delete_message(self, caller: Caller, thread_id: str, message_id: str) -> wire.MessageDeleted:
        def work(connection: Connection) -> None:
            thread_in(connection, caller.project_id, thread_id)
            if not store.delete_message(connection, thread_id, message_id):
                raise not_found("message", message_id)

        await self._database.write(work)
        return wire.MessageDeleted(id=message_id)

    async def messages(self, caller: Caller, thread_id: str, query: wire.ListMessagesQuery) -> wire.MessageList:
        def work(connection: Connection) -> store.Found:
            thread_in(connection, caller.project_id, thread_id)
            return store.messages_page(connection, thread_id, query.run_id, cursor(query))

        with named_cursor("message"):
            page: wire.MessageList = listed(wire.MessageList, await self._database.read(work), message_of)
        return page


def refuse_while_active(connection: Connection, thread_id: str) -> None:
    """Raises InvalidRequest: the official answer while a run is active."""
    run_id = store.active_run(connection, thread_id)
    if run_id is not None:
        raise InvalidRequest(f"Can't add messages to {thread_id} while a run {run_id} is active.")


def new_message(thread_id: str, body: wire.CreateMessage) -> wire.Message:
    """A message that a client sent."""
    now = store.now() // 1_000_000
    parts: list[wire.MessagePart] = []
    for part in [wire.InputText(text=body.content)] if isinstance(body.content, str) else body.content:
        if isinstance(part, wire.InputText):
            parts.append(wire.TextPart(text=wire.TextContent(value=part.text)))
        else:
            parts.append(part)
    return wire.Message(
        id=new_id("msg_", 24),
        created_at=now,
        thread_id=thread_id,
        role=body.role,
        content=parts,
        attachments=body.attachments or [],
        metadata=body.metadata or {},
        completed_at=now,
    )


def add_messages(connection: Connection, thread_id: str, messages: Sequence[wire.Message]) -> None:
    for message in messages:
        store.put_message(connection, thread_id, message.id, message.run_id, text(message))


def _message(connection: Connection, caller: Caller, thread_id: str, message_id: str) -> wire.Message:
    thread_in(connection, caller.project_id, thread_id)
    body = store.get_message(connection, thread_id, message_id)
    if body is None:
        raise not_found("message", message_id)
    return message_of(body)
