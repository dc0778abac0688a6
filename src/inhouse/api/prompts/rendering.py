"""Variables of saved prompts: `{{name}}` in a text, filled in once, so that a value is never read as a template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inhouse.api.prompts.wire import PromptContent
from inhouse.api.responses.wire import InputFile, InputImage, InputMessage, InputText
from inhouse.kit.errors import InvalidRequest

Value = str | InputText | InputImage | InputFile
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]*)\s*\}\}")


def variables_of(content: PromptContent) -> list[str]:
    """Names of the variables, in the order in which they first appear."""
    names: dict[str, None] = {}
    for message in content.messages:
        for text in _texts(message):
            names |= dict.fromkeys(_VARIABLE.findall(text))
    return list(names)


def check_values(content: PromptContent, values: Mapping[str, Value]) -> None:
    """Whether the values are those that the prompt needs.

    Raises:
        InvalidRequest: a variable has no value, or a value no variable.
    """
    names = variables_of(content)
    if missing := [name for name in names if name not in values]:
        raise InvalidRequest(f"Missing prompt variables: {', '.join(missing)}", param="prompt.variables")
    if unknown := [name for name in values if name not in names]:
        raise InvalidRequest(f"Unknown prompt variables: {', '.join(unknown)}", param="prompt.variables")


def rendered(content: PromptContent, values: Mapping[str, Value]) -> list[InputMessage]:
    """The messages with every variable filled in: texts in place, images and files as parts of their own."""
    return [msgspec.structs.replace(message, content=_filled(message.content, values)) for message in content.messages]


def _texts(message: InputMessage) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content if isinstance(part, InputText)]


def _filled(content: str | Sequence[Any], values: Mapping[str, Value]) -> list[Any]:
    parts: list[Any] = []
    for part in [InputText(text=content)] if isinstance(content, str) else content:
        parts += _split(part.text, values) if isinstance(part, InputText) else [part]
    return parts


def _split(text: str, values: Mapping[str, Value]) -> list[Any]:
    parts: list[Any] = []
    said = ""
    # The pattern has one group: texts and names alternate.
    for index, piece in enumerate(_VARIABLE.split(text)):
        value: Value = piece if index % 2 == 0 else values[piece]
        if isinstance(value, str | InputText):
            said += value if isinstance(value, str) else value.text
            continue
        if said:
            parts.append(InputText(text=said))
            said = ""
        parts.append(value)
    if said or not parts:
        parts.append(InputText(text=said))
    return parts
