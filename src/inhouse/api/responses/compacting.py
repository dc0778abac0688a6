"""Making a conversation shorter: on its own, and before an answer where the request wants that."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from inhouse.api.operation import Request
from inhouse.api.responses import wire
from inhouse.api.responses.checking import check_items
from inhouse.api.responses.compaction import Compacted, carried, opened, seal
from inhouse.api.responses.demand import demand
from inhouse.api.responses.past import Pasts
from inhouse.api.responses.reading import read
from inhouse.api.responses.reading_items import core_items
from inhouse.api.responses.stored import for_client, stored_item
from inhouse.api.responses.summary import MOST_TOKENS, summarize
from inhouse.api.responses.turn import Turn, given_items, resolved
from inhouse.api.responses.writing import response_usage
from inhouse.calls import Call, Calls
from inhouse.engines.upstream import Upstream
from inhouse.generation.core import count_tokens
from inhouse.generation.items import Item, Message, Text
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.limits.demand import CHARACTERS_PER_TOKEN, estimate
from inhouse.storage.database import Database

ENDPOINT = "responses"
USUAL_SHARE = 0.8
"""Of the window: from here on a conversation is made shorter where the request names no threshold."""


async def compact(
    calls: Calls, database: Database, pasts: Pasts, request: Request, body: wire.CompactResponse
) -> wire.CompactedResponse:
    """A conversation in fewer words: its user's messages as they are, and a compaction item for the rest.

    Raises:
        APIError: what the client is to be told.
    """
    project_id = request.caller.project_id
    if body.model is None:
        raise InvalidRequest("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    async with calls.open(
        request.caller,
        request.operation.id,
        body.model,
        request_id=request.request_id,
        endpoint=ENDPOINT,
        demand=demand(body),
        respond=request.respond,
        tier=body.service_tier,
        streams=False,
    ) as call:
        past = await pasts.gather(project_id, body.previous_response_id, None)
        given = given_items(body.input)
        check_items(given, past.items)
        new = await resolved(database, project_id, given)
        before, after = await opened(database, project_id, past.items, new)
        items = [*before, *after]
        if not items:
            raise InvalidRequest(
                "One of 'input' or 'previous_response_id' must be provided.", code="missing_required_parameter"
            )
        told: list[Item] = [Message("system", (Text(body.instructions),))] if body.instructions else []
        summary = await summarize(call, [*told, *core_items(items, paired=False)])
        item = await _item(database, project_id, summary, _asked(items))
        said = [stored_item(each) for each in items if isinstance(each, wire.InputMessage) and each.role == "user"]
        return wire.CompactedResponse(
            id=new_id("resp_"),
            output=[*for_client(said), item],
            created_at=int(time.time()),
            usage=response_usage(call.usage),
        )


async def compact_if_wanted(database: Database, call: Call, turn: Turn) -> None:
    """Make what the turn reads shorter, where it is longer than the request's threshold, or where the request ends
    with a trigger. The turn then leads with the compaction item.

    Raises:
        APIError: what the client is to be told.
    """
    items = turn.items
    if any(isinstance(item, wire.CompactionTrigger) for item in given_items(turn.body.input)[:-1]):
        raise InvalidRequest("A 'compaction_trigger' must be the final input item.", param="input")
    if items and isinstance(items[-1], wire.CompactionTrigger):
        turn.answers = False
        most, kept = MOST_TOKENS, _asked(items)
        rest: Sequence[wire.InputItem] = items
    else:
        threshold = await _threshold(call, turn.body)
        if threshold is None or await _length(call, turn) <= threshold:
            return
        most = threshold // 4
        rest, kept = _split(items, most_characters=threshold // 2 * CHARACTERS_PER_TOKEN)
        if not rest:
            return  # all of it is the current turn, which the model must read as it is
    summary = await summarize(call, core_items(rest, paired=False), most_tokens=most)
    turn.leading = [await _item(database, turn.project_id, summary, kept)]
    if turn.answers:
        turn.items = [*carried(Compacted(summary)), *kept]
        turn.request = read(call, turn.body, turn.items, turn.tools, prompt=turn.prompt, history=len(turn.items))


async def _item(database: Database, project_id: str, summary: str, kept: Sequence[wire.InputItem]) -> wire.Compaction:
    carried = Compacted(summary, [msgspec.Raw(msgspec.json.encode(item)) for item in kept])
    return wire.Compaction(id=new_id("cmp_"), encrypted_content=await seal(database, project_id, carried))


async def _threshold(call: Call, body: wire.CreateResponse) -> int | None:
    """From how many tokens on it is wanted."""
    wanted = body.context_management or ()
    if not wanted:
        return None
    named = [each.compact_threshold for each in wanted if each.compact_threshold is not None]
    window = call.card.context_window
    own = None if isinstance(call.text_engine, Upstream) else call.text_engine.window
    usual = int(min(window, own or window) * USUAL_SHARE)
    return min([*named, usual])


async def _length(call: Call, turn: Turn) -> int:
    """Tokens of the prompt; of an upstream's, which tells them only with an answer, an estimate."""
    if isinstance(call.text_engine, Upstream):
        return estimate(len(msgspec.json.encode((turn.request.items, turn.request.tools))))
    return await count_tokens(call, turn.request)


def _asked(items: Sequence[wire.InputItem]) -> list[wire.InputItem]:
    """What a compaction of everything keeps: what the user said, tools, and calls that wait for their outputs."""
    answered = {
        item.call_id
        for item in items
        if isinstance(item, wire.InputFunctionCallOutput | wire.InputCustomToolCallOutput)
    }
    return [
        item
        for item in items
        if (isinstance(item, wire.InputMessage) and item.role == "user")
        or isinstance(item, wire.InputAdditionalTools)
        or (isinstance(item, wire.InputFunctionCall | wire.InputCustomToolCall) and item.call_id not in answered)
    ]


def _split(
    items: Sequence[wire.InputItem], *, most_characters: int
) -> tuple[list[wire.InputItem], list[wire.InputItem]]:
    """What is summarized, and what is kept: the last message of the user, and of what followed it as much as fits.

    A call is never parted from its output.
    """
    asked = max(
        (i for i, item in enumerate(items) if isinstance(item, wire.InputMessage) and item.role == "user"),
        default=len(items),
    )
    start = len(items)
    left = most_characters
    waiting: set[str | None] = set()
    for index in range(len(items) - 1, asked, -1):
        item = items[index]
        left -= len(msgspec.json.encode(item))
        if left < 0:
            break
        if isinstance(item, wire.InputFunctionCallOutput | wire.InputCustomToolCallOutput):
            waiting.add(item.call_id)
        elif isinstance(item, wire.InputFunctionCall | wire.InputCustomToolCall):
            waiting.discard(item.call_id)
        if not waiting:
            start = index
    rest = [*items[:asked], *items[asked + 1 : start]]
    kept = [*items[asked : asked + 1], *items[start:]]
    tools = [item for item in rest if isinstance(item, wire.InputAdditionalTools)]
    return [item for item in rest if not isinstance(item, wire.InputAdditionalTools)], [*tools, *kept]
