"""Takes up assistants, threads and messages that were exported from the vendor, as its API returned them.

A file is JSON, or JSON Lines: objects of the API (told apart by ``object``), lists of them, pages of lists, in any
nesting. A message names its thread (``thread_id``), or stands in the ``messages`` of one. Ids and times stay, so that
an application finds what it knows; what is there already is left as it is, so that a file can be taken up again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import Connection

from inhouse.api.assistants import store, wire
from inhouse.api.assistants.telling import text
from inhouse.kit.errors import InvalidRequest
from inhouse.storage.database import Database


class Imported(msgspec.Struct, kw_only=True):
    """What was taken up, what was there already, and what could not be taken up, in words."""

    assistants: int = 0
    threads: int = 0
    messages: int = 0
    known: int = 0
    left_behind: list[str] = []


async def take_up(database: Database, project_id: str, data: bytes) -> Imported:
    """Take up an export, all of it or nothing.

    Raises:
        InvalidRequest: it is not JSON, or holds nothing of Assistants.
    """
    objects = list(_objects(_read(data), None))
    if not objects:
        raise InvalidRequest(
            "The file holds no assistants, threads or messages: they are known by their 'object', e.g. 'assistant'."
        )
    return await database.write(lambda connection: _take_up(connection, project_id, objects))


def _read(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        lines = [line for line in data.splitlines() if line.strip()]
        try:
            return [msgspec.json.decode(line) for line in lines]
        except msgspec.DecodeError:
            raise InvalidRequest(f"The file is neither JSON nor JSON Lines: {error}") from None


def _objects(value: Any, thread_id: str | None) -> Iterator[dict[str, Any]]:
    """Objects of the API in a value; messages with the thread that they stand in. Lists give the oldest first."""
    if isinstance(value, list):
        yield from (found for each in _oldest_first(value) for found in _objects(each, thread_id))
    elif isinstance(value, dict):
        kind = value.get("object")
        if kind in ("assistant", "thread.message", "thread.run", "thread.run.step"):
            yield value if thread_id is None else {"thread_id": thread_id, **value}
            return
        inside = thread_id
        if kind == "thread":
            inside = value.get("id")
            yield {name: each for name, each in value.items() if name != "messages"}
        for each in value.values():
            if isinstance(each, list | dict):
                yield from _objects(each, inside)


def _oldest_first(values: list[Any]) -> list[Any]:
    """Pages come newest first; times are whole seconds, so the order of the page decides among equals."""
    times = [each.get("created_at") for each in values if isinstance(each, dict)]
    known = [each for each in times if isinstance(each, int)]
    newest_first = len(known) > 1 and all(later >= earlier for later, earlier in pairwise(known))
    return values[::-1] if newest_first else values


def _take_up(connection: Connection, project_id: str, objects: Sequence[dict[str, Any]]) -> Imported:
    told = Imported()
    others: Counter[str] = Counter()
    messages: dict[str, list[wire.Message]] = defaultdict(list)
    for each in objects:
        kind = str(each["object"])
        try:
            match kind:
                case "assistant":
                    _assistant(connection, project_id, msgspec.convert(each, wire.Assistant), told)
                case "thread":
                    _thread(connection, project_id, msgspec.convert(each, wire.Thread), told)
                case "thread.message":
                    message = msgspec.convert(each, wire.Message)
                    messages[message.thread_id].append(message)
                case _:
                    others[kind] += 1
        except msgspec.ValidationError as error:
            told.left_behind.append(f"{each.get('id', kind)}: {error}")
    for thread_id, found in messages.items():
        if store.get_thread(connection, project_id, thread_id) is None:
            told.left_behind.append(f"{thread_id}: {len(found)} messages of a thread that is not in the file")
            continue
        for message in sorted(found, key=lambda message: message.created_at):
            if store.get_message(connection, thread_id, message.id) is not None:
                told.known += 1
                continue
            message.status = "completed" if message.status == "in_progress" else message.status
            # Of the run nothing else is known here.
            store.put_message(connection, thread_id, message.id, None, text(message))
            told.messages += 1
            if message.attachments:
                told.left_behind.append(f"{message.id}: the contents of its attachments; upload the files")
    told.left_behind += [f"{count} × {kind}: runs are not taken up" for kind, count in sorted(others.items())]
    return told


def _assistant(connection: Connection, project_id: str, assistant: wire.Assistant, told: Imported) -> None:
    if store.get_assistant(connection, project_id, assistant.id) is not None:
        told.known += 1
        return
    at = assistant.created_at * 1_000_000
    store.add_assistant(connection, project_id, assistant.id, at, text(assistant))
    told.assistants += 1
    hosted = sorted({str(tool.__struct_config__.tag) for tool in assistant.tools} - {"function"})
    if hosted:
        told.left_behind.append(f"{assistant.id}: what {', '.join(hosted)} worked with; its files have other ids here")


def _thread(connection: Connection, project_id: str, thread: wire.Thread, told: Imported) -> None:
    if store.get_thread(connection, project_id, thread.id) is not None:
        told.known += 1
        return
    store.add_thread(connection, project_id, thread.id, thread.created_at * 1_000_000, text(thread))
    told.threads += 1
