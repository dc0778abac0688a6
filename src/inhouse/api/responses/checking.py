"""What shapes cannot say of the items of a request: ids, who may say what, and names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from inhouse.api.responses import wire
from inhouse.generation.schema import check_name
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.wording import all_of

_ID: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_PREFIXES: Final[dict[type, str]] = {
    wire.InputMessage: "msg",
    wire.InputFunctionCall: "fc",
    wire.InputFunctionCallOutput: "fc",
    wire.InputCustomToolCall: "ctc",
    wire.InputReasoning: "rs",
}
_LONGEST_NAME: Final = 128
_SAID: Final[tuple[tuple[type, str], ...]] = ((wire.OutputText, "output_text"), (wire.Refusal, "refusal"))
"""Parts of what the assistant said; all others are parts of what it was told."""
_TOLD: Final[tuple[tuple[type, str], ...]] = (
    (wire.InputText, "input_text"),
    (wire.InputImage, "input_image"),
    (wire.InputFile, "input_file"),
)


def check_items(items: Sequence[wire.InputItem], known: Iterable[wire.InputItem] = (), *, param: str = "input") -> None:
    """Refuse items that no service of this contract takes.

    Args:
        known: what they are added to.
        param: where they stand in the request.

    Raises:
        InvalidRequest: an id is of another kind of item, a message has parts that its role cannot have, a call names
            what cannot be a tool's name, or two items have one id.
    """
    for index, item in enumerate(items):
        where = f"{param}[{index}]"
        if item_id(item) is not None:
            _check_id(item, f"{where}.id")
        if isinstance(item, wire.InputMessage):
            _check_parts(item, f"{where}.content")
        elif isinstance(item, wire.InputFunctionCall | wire.InputCustomToolCall):
            check_name(item.name, param=f"{where}.name", longest=_LONGEST_NAME)
    ids = [id for item in items if (id := item_id(item)) is not None]
    seen = {item_id(item) for item in known} if ids else set()
    for id in ids:
        if id in seen:
            raise duplicate(id, param)
        seen.add(id)


def duplicate(id: str, param: str) -> InvalidRequest:
    """Two items of one conversation have the same id, so that neither could be named by it."""
    return InvalidRequest(
        f"Duplicate item found with id {id}. Remove duplicate items from your input and try again.", param=param
    )


def item_id(item: wire.InputItem) -> str | None:
    """The id that a client gave an item, or names one by."""
    id: str | None = getattr(item, "id", None)
    return id


def _check_id(item: wire.InputItem, param: str) -> None:
    id = item_id(item)
    assert id is not None
    fault = None
    prefix = _PREFIXES.get(type(item), "")
    if not _ID.match(id):
        fault = (
            "Expected an ID that contains letters, numbers, underscores, or dashes, but this value contained "
            "additional characters."
        )
    elif not id.startswith(prefix):
        fault = f"Expected an ID that begins with '{prefix}'."
    if fault is not None:
        raise InvalidRequest(f"Invalid '{param}': '{id[:200]}'. {fault}", param=param, code="invalid_value")


def _check_parts(message: wire.InputMessage, param: str) -> None:
    if isinstance(message.content, str):
        return
    allowed = _SAID if message.role == "assistant" else _TOLD
    kinds = tuple(kind for kind, _ in allowed)
    for index, part in enumerate(message.content):
        if not isinstance(part, kinds):
            given = next(name for kind, name in (*_SAID, *_TOLD) if isinstance(part, kind))
            supported = all_of([f"'{name}'" for _, name in allowed])
            raise InvalidRequest(
                f"Invalid value: '{given}'. Supported values are: {supported}.",
                param=f"{param}[{index}]",
                code="invalid_value",
            )
