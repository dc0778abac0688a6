"""Ends for what a killed process left open in a stream, so that in every stream all that was started is ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.api.responses.hosted_items import cut_short

_DELTAS = frozenset(
    {
        "response.output_text.delta",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    }
)


def endings(told: Iterable[Mapping[str, Any]]) -> list[wire.ResponseStreamEvent]:
    """Events, without numbers, that end what is open after these.

    Args:
        told: all events of a stream so far, as they were sent.
    """
    item: Mapping[str, Any] | None = None
    part: Mapping[str, Any] | None = None
    parts: list[Any] = []
    text: list[str] = []
    for event in told:
        match event["type"]:
            case "response.output_item.added":
                item, part, parts, text = event, None, [], []
            case "response.content_part.added":
                part, text = event, []
            case "response.content_part.done":
                part = None
                parts.append(event["part"])
            case "response.output_item.done":
                item = None
            case kind if kind in _DELTAS:
                text.append(event["delta"])
    if item is None:
        return []
    if item["item"]["type"] not in ("message", "function_call", "custom_tool_call"):
        return cut_short(item["item"], item["output_index"])
    place = (item["item"]["id"], item["output_index"])
    if item["item"]["type"] == "message":
        ends = _part_ends(part, "".join(text), *place) if part is not None else []
        done = [*parts, *(msgspec.to_builtins(end.part) for end in ends if isinstance(end, wire.ContentPartDone))]
        whole = {**item["item"], "content": done, "status": "incomplete"}
    else:
        ends = [_call_end(item["item"], "".join(text), *place)]
        field = "input" if item["item"]["type"] == "custom_tool_call" else "arguments"
        whole = {**item["item"], field: "".join(text), "status": "incomplete"}
    return [*ends, wire.OutputItemDone(output_index=place[1], item=msgspec.convert(whole, wire.OutputItem))]


def _part_ends(part: Mapping[str, Any], text: str, item_id: str, index: int) -> list[wire.ResponseStreamEvent]:
    content = part["content_index"]
    if part["part"]["type"] == "refusal":
        return [
            wire.RefusalDone(item_id=item_id, output_index=index, content_index=content, refusal=text),
            wire.ContentPartDone(
                item_id=item_id, output_index=index, content_index=content, part=wire.Refusal(refusal=text)
            ),
        ]
    return [
        wire.OutputTextDone(item_id=item_id, output_index=index, content_index=content, text=text, logprobs=[]),
        wire.ContentPartDone(
            item_id=item_id, output_index=index, content_index=content, part=wire.OutputText(text=text)
        ),
    ]


def _call_end(call: Mapping[str, Any], text: str, item_id: str, index: int) -> wire.ResponseStreamEvent:
    if call["type"] == "custom_tool_call":
        return wire.CustomToolCallInputDone(item_id=item_id, output_index=index, input=text)
    return wire.FunctionCallArgumentsDone(item_id=item_id, output_index=index, name=call["name"], arguments=text)
