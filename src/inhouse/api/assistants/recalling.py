"""What searches of a thread found, for the model to read again.

Steps keep what was found. A run that goes on after outputs reads all that it found itself; a later run of the thread
reads what the newest searches found, as much as one search may give, so that it can be asked about without a new
search, and a thread does not fill the window with what it once looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.api.assistants import store, wire
from inhouse.api.assistants.state import RunState
from inhouse.api.assistants.store import Entry
from inhouse.api.assistants.telling import step_of
from inhouse.tools.file_search import FileSearchCall, Result
from inhouse.tools.hosted import Answered, HostedTool

MOST_EARLIER_CHARS = 24_000
"""Of what earlier runs found: what one search may give."""
MOST_EARLIER = 8
"""Searches of earlier runs that are read again."""


class Searched(msgspec.Struct, frozen=True):
    """A search of a thread: whose it is, what was looked for, and what was found."""

    run_id: str | None
    place: int
    item: FileSearchCall


def searches(connection: Connection, run_id: str, entries: Sequence[Entry]) -> list[Searched]:
    """The searches of a thread that a run reads again, the oldest first."""
    found: list[tuple[Entry, wire.FileSearchCall]] = []
    earlier, room = MOST_EARLIER, MOST_EARLIER_CHARS
    for entry in reversed(entries):
        own = entry.run_id == run_id
        if entry.kind != "step" or not (own or earlier):
            continue
        details = step_of(entry.body).step_details
        calls = details.tool_calls if isinstance(details, wire.ToolCalls) else []
        for call in reversed(calls):
            if not isinstance(call, wire.FileSearchCall):
                continue
            if not own:
                room -= sum(len(_text(each)) for each in _results(call))
                earlier = earlier - 1 if room >= 0 else 0
            if own or room >= 0:
                found.append((entry, call))
    known: dict[str, list[str]] = {}
    for id in {entry.run_id for entry, _ in found}:
        stored = store.find_run(connection, id) if id is not None else None
        if stored is not None:
            known |= msgspec.json.decode(stored.state, type=RunState).queries
    return [Searched(entry.run_id, entry.place, _item(call, known.get(call.id, []))) for entry, call in reversed(found)]


def recalled(found: Sequence[Searched], tools: Sequence[HostedTool], first: int) -> Mapping[str, Answered]:
    """What the model reads of searches, by the ids of their calls. Without the tool, a run reads nothing of them.

    Args:
        first: the place of the oldest entry that the run reads.
    """
    read: dict[str, Answered] = {}
    for each in found:
        for tool in tools if each.place >= first else ():
            if (answered := tool.recall(each.item)) is not None:
                read[each.item.id] = answered
    return read


def _item(call: wire.FileSearchCall, queries: list[str]) -> FileSearchCall:
    results = [Result(each.file_id, each.file_name, each.score, _text(each), {}) for each in _results(call)]
    return FileSearchCall(id=call.id, status="completed", queries=queries, results=results)


def _results(call: wire.FileSearchCall) -> list[wire.SearchResult]:
    return [] if call.file_search.results is UNSET else call.file_search.results


def _text(result: wire.SearchResult) -> str:
    return "" if result.content is UNSET else "\n".join(part.text for part in result.content if part.text)
