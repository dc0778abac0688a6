"""Items and events of hosted tools on the wire: for every tool the same, none is known by name.

Tools give items in the contract's own terms (``tools.hosted``), so they are only checked and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.tools.hosted import HostedItem, ItemProgress

_FAILED = {"mcp_call": "mcp_call.failed", "mcp_list_tools": "mcp_list_tools.failed"}
"""The event that ends an item's progress badly, where the contract has one."""
_CUT = {
    "mcp_call": {"status": "incomplete"},
    "mcp_list_tools": {"error": "The response ended before the server had told its tools."},
    "file_search_call": {"status": "incomplete"},
    "web_search_call": {"status": "failed"},
    "code_interpreter_call": {"status": "incomplete"},
    "image_generation_call": {"status": "failed"},
}
"""How an item is told that was cut short."""


def told_item(item: HostedItem) -> wire.OutputItem:
    """The item as it is on the wire."""
    whole: wire.OutputItem = msgspec.convert(msgspec.to_builtins(item), wire.OutputItem)
    return whole


def told_progress(progress: ItemProgress, item_id: str, output_index: int) -> wire.ResponseStreamEvent:
    """The event of a step."""
    return _event(progress.stage, item_id, output_index, progress.fields)


def _event(stage: str, item_id: str, output_index: int, fields: Mapping[str, Any]) -> wire.ResponseStreamEvent:
    event: wire.ResponseStreamEvent = msgspec.convert(
        {"type": f"response.{stage}", "item_id": item_id, "output_index": output_index, **fields},
        wire.ResponseStreamEvent,
    )
    return event


def cut_short(item: Mapping[str, Any], output_index: int) -> list[wire.ResponseStreamEvent]:
    """Events, without numbers, that end an item of a hosted tool on its way; the last one holds the item.

    Args:
        item: as it was told when it began.
    """
    kind = item["type"]
    whole: wire.OutputItem = msgspec.convert({**item, **_CUT.get(kind, {})}, wire.OutputItem)
    ends: list[wire.ResponseStreamEvent] = []
    if (failed := _FAILED.get(kind)) is not None:
        ends.append(_event(failed, item["id"], output_index, {}))
    return [*ends, wire.OutputItemDone(output_index=output_index, item=whole)]
