"""What searches of earlier turns found, for the model to read again.

Items keep what was found, also where the client did not ask for it. The model reads what the newest searches found, as
much as one search may give, so that it can be asked about without a new search and a conversation does not fill the
window with what it once looked for. With the tool at hand the results keep numbers, so that an answer can cite them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from inhouse.api.responses import wire
from inhouse.api.responses.reading_items import NOT_AT_HAND
from inhouse.generation.items import GenerationRequest, Item, ToolOutput
from inhouse.tools.file_search import FileSearchCall, Result
from inhouse.tools.hosted import HostedTool

MOST_CHARS = 24_000
"""Of results that are read again: what one search may give."""
MOST_SEARCHES = 8


def recalled(
    request: GenerationRequest, items: Sequence[wire.InputItem], tools: Sequence[HostedTool]
) -> GenerationRequest:
    """The request, with the results of its earlier searches as the tools tell them, and the oldest left out.

    Args:
        items: that it was read from.
    """
    searches = [item for item in items if isinstance(item, wire.FileSearchCall) and item.results]
    if not searches:
        return request
    outputs = {search.id: ToolOutput(search.id, NOT_AT_HAND) for search in searches}
    for search in _newest(searches):
        outputs[search.id] = ToolOutput(search.id, *_read(search, tools))
    read: list[Item] = [
        outputs.get(item.call_id, item) if isinstance(item, ToolOutput) else item for item in request.items
    ]
    return msgspec.structs.replace(request, items=tuple(read))


def _newest(searches: Sequence[wire.FileSearchCall]) -> Sequence[wire.FileSearchCall]:
    """The oldest of them first, so that numbers stay what they were. The very last one is always among them."""
    room = MOST_CHARS
    count = 0
    for search in reversed(searches[-MOST_SEARCHES:]):
        room -= sum(len(found.text or "") for found in search.results or ())
        if room < 0 and count:
            break
        count += 1
    return searches[len(searches) - count :]


def _read(search: wire.FileSearchCall, tools: Sequence[HostedTool]) -> tuple[str, str | None]:
    """What the model reads of a search; without the tool the texts alone."""
    call = _call(search)
    for tool in tools:
        if (answered := tool.recall(call)) is not None:
            return answered.output, answered.plain
    return "\n\n".join(found.text for found in call.results or ())[:MOST_CHARS], None


def _call(search: wire.FileSearchCall) -> FileSearchCall:
    results = [
        Result(each.file_id or "", each.filename or "", each.score or 0.0, each.text or "", each.attributes or {})
        for each in search.results or ()
    ]
    return FileSearchCall(id=search.id, status="completed", queries=search.queries, results=results)
