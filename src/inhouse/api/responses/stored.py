"""The form in which items and responses are stored: as a client receives them, so that they go out as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from inhouse.api.responses import wire
from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.mcp import without_secrets
from inhouse.api.responses.store import StoredResponse
from inhouse.kit.ids import new_id

_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
    "mcp_approval_response": "mcpr_",
    "additional_tools": "at_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "shell_call": "sh_",
    "shell_call_output": "sho_",
    "apply_patch_call": "apc_",
    "apply_patch_call_output": "apco_",
    "computer_call_output": "cco_",
}
_WITH_STATUS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "computer_call_output",
        "tool_search_call",
        "tool_search_output",
        "shell_call",
        "shell_call_output",
    }
)
_DEFAULTS: dict[str, dict[str, Any]] = {
    "tool_search_call": {"call_id": None, "execution": "client"},
    "tool_search_output": {"call_id": None, "execution": "client"},
    "shell_call": {"environment": None},
    "shell_call_output": {"max_output_length": None},
}

RESULTS = "file_search_call.results"
"""The value of ``include`` that asks for what searches found."""
_items = msgspec.json.Decoder(list[wire.InputItem])
_encode = msgspec.json.Encoder().encode


def stored_item(item: wire.InputItem | wire.OutputItem) -> StoredItem:
    """An item with everything that a client leaves out and the service fills in."""
    if isinstance(item, wire.InputAdditionalTools):
        item = msgspec.structs.replace(item, tools=[without_secrets(tool) for tool in item.tools])
    fields: dict[str, Any] = {
        name: value for name, value in msgspec.to_builtins(item).items() if value is not None or name in _NULLS
    }
    kind = fields["type"]
    for name, value in _DEFAULTS.get(kind, {}).items():
        fields.setdefault(name, value)
    if kind in _WITH_STATUS:
        fields.setdefault("status", "completed")
    if kind == "message" and isinstance(fields["content"], str):
        said = fields["content"]
        fields["content"] = (
            [{"type": "output_text", "text": said, "annotations": [], "logprobs": []}]
            if fields["role"] == "assistant"
            else [{"type": "input_text", "text": said}]
        )
    id = fields.pop("id", None) or new_id(_PREFIXES.get(kind, "item_"))
    return StoredItem(id, _encode({"id": id, **fields}).decode())


_NULLS = frozenset({"code", "outputs", "result", "output", "error", "approval_request_id"})
"""Fields that are null where there is nothing."""


def stored_output(output: Sequence[wire.OutputItem], whole: Mapping[str, wire.OutputItem]) -> list[StoredItem]:
    """The items of a response.

    Args:
        whole: some of them, by their ids, with the results that its client did not ask for.
    """
    kept: list[StoredItem] = []
    for item in output:
        stored = stored_item(item)
        found = whole.get(stored.id)
        if isinstance(found, wire.FileSearchCall):
            fields = {**msgspec.json.decode(stored.body), _FOUND: found.results}
            stored = StoredItem(stored.id, _encode(fields).decode())
        kept.append(stored)
    return kept


def input_items(stored: Sequence[StoredItem]) -> list[wire.InputItem]:
    """Stored items as if a client had sent them, with all that was found."""
    return _items.decode("[" + ",".join(_with_found(item, told=True) for item in stored) + "]") if stored else []


def for_client(items: Sequence[StoredItem], include: Sequence[str] | None = None) -> list[Any]:
    """Stored items in an answer: their JSON is what a client gets, so hardly anything is decoded.

    Args:
        include: what the client asks for beside.
    """
    told = RESULTS in (include or ())
    return [msgspec.Raw(_with_found(item, told=told).encode()) for item in items]


_FOUND = "found"
"""Where the results of a search are kept that its client did not ask for; in place of ``results``, where it did."""


def _with_found(item: StoredItem, *, told: bool) -> str:
    if not (item.id.startswith("fs_") and f'"{_FOUND}":' in item.body):
        return item.body
    fields = msgspec.json.decode(item.body)
    found = fields.pop(_FOUND, None)
    if told and found is not None:
        fields["results"] = found
    return _encode(fields).decode()


def body_of(response: wire.Response) -> str:
    """The JSON of a response without its output."""
    return _encode(msgspec.structs.replace(response, output=[])).decode()


def response_of(stored: StoredResponse, include: Sequence[str] | None = None) -> wire.Response:
    response = msgspec.json.decode(stored.body, type=wire.Response)
    response.status = cast(wire.ResponseStatus, stored.status)
    response.output = for_client(stored.output, include)
    return response
