"""What the services of Assistants share: how stored objects are told, and what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection

from inhouse.api.assistants import store, wire
from inhouse.kit.errors import InvalidRequest, NotFound

encode = msgspec.json.Encoder().encode


def text(value: Any) -> str:
    """JSON to store."""
    return encode(value).decode()


def not_found(kind: str, id: str) -> NotFound:
    """The official answer for what is not there, or is another project's."""
    return NotFound(f"No {kind} found with id '{id}'.")


def cursor(query: wire.OldPageQuery) -> store.Cursor:
    return store.Cursor(query.limit, query.order, query.after, query.before)


@contextmanager
def named_cursor(kind: str) -> Iterator[None]:
    """Tell a client that what its cursor names is not in the list."""
    try:
        yield
    except store.NoSuchCursor as error:
        raise InvalidRequest(f"No {kind} found with id '{error.id}'.", param=error.name) from None


def listed(kind: Any, found: store.Found, read: Callable[[str], Any]) -> Any:
    """A page as the client gets it, of this kind."""
    data = [read(body) for body in found.bodies]
    return kind(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=found.more,
    )


def assistant_of(body: str) -> wire.Assistant:
    return msgspec.json.decode(body, type=wire.Assistant)


def thread_of(body: str) -> wire.Thread:
    return msgspec.json.decode(body, type=wire.Thread)


def message_of(body: str) -> wire.Message:
    return msgspec.json.decode(body, type=wire.Message)


def run_of(body: str) -> wire.Run:
    return msgspec.json.decode(body, type=wire.Run)


def step_of(body: str) -> wire.RunStep:
    return msgspec.json.decode(body, type=wire.RunStep)


def thread_in(connection: Connection, project_id: str, thread_id: str) -> wire.Thread:
    """A thread of a project. Raises NotFound."""
    body = store.get_thread(connection, project_id, thread_id)
    if body is None:
        raise not_found("thread", thread_id)
    return thread_of(body)


def with_defaults(assistant: wire.Assistant) -> wire.Assistant:
    """The assistant as it is told: with what counts where nothing was set."""
    return msgspec.structs.replace(
        assistant,
        temperature=1.0 if assistant.temperature is None else assistant.temperature,
        top_p=1.0 if assistant.top_p is None else assistant.top_p,
        response_format=assistant.response_format or "auto",
        metadata=assistant.metadata or {},
        reasoning_effort=assistant.reasoning_effort or msgspec.UNSET,
    )
