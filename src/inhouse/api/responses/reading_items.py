"""From the items of a request to the core's: what a text model can use of them, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.generation.items import File, Image, Item, Message, Part, Text, ToolCall, ToolOutput
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.mcp import seen_name

NOT_AT_HAND = "The results are not at hand any more."
"""What the model reads of a search whose results a client has left out, or that was too long ago."""
NAMESPACE_MARK = "__"
"""Joins a namespace and a tool's name to the one name that the model sees."""


def full_name(namespace: Any, name: str) -> str:
    """The name under which the model sees a tool."""
    return f"{namespace}{NAMESPACE_MARK}{name}" if namespace else name


class Reading:
    """A conversation as the core takes it, read item by item; a copy can be read on from where this one is.

    Args:
        paired: refuse calls without outputs, and outputs without calls.
    """

    def __init__(self, *, paired: bool = True) -> None:
        self._paired = paired
        self._read: list[Item] = []
        self._made: dict[str, None] = {}
        self._answered: set[str] = set()
        self._asked: dict[str, tuple[wire.MCPApprovalRequest, int]] = {}
        """Requests for approval, and where their calls stand if they are denied."""
        self._denied: dict[str, str] = {}
        """What the model reads of calls that the client did not allow, by the id of the request for it."""

    def copy(self) -> Reading:
        other = Reading(paired=self._paired)
        other._read = self._read.copy()
        other._made = self._made.copy()
        other._answered = self._answered.copy()
        other._asked = self._asked.copy()
        other._denied = self._denied.copy()
        return other

    def add(self, item: wire.InputItem, path: str) -> None:
        """The next item. Compaction items must have been opened.

        Args:
            path: told in errors.

        Raises:
            InvalidRequest: an output lacks its call, or an approval the request for it.
        """
        match item:
            case wire.InputMessage(role=role, content=content):
                self._read.append(Message(role, _parts(content), path=path))
                return
            case wire.InputFunctionCall(call_id=id) | wire.InputCustomToolCall(call_id=id):
                self._made[id] = None
            case wire.InputFunctionCallOutput(call_id=id):
                self._answer(id or "", "function")
            case wire.InputCustomToolCallOutput(call_id=id):
                self._answer(id or "", "custom tool")
            case wire.MCPApprovalRequest(id=id):
                self._asked[id] = item, len(self._read)
            case wire.InputMCPApprovalResponse():
                self._decide(item)
        self._read += _read(item, path)

    def items(self) -> list[Item]:
        """What was read.

        Raises:
            InvalidRequest: a call lacks its output.
        """
        if self._paired:
            for id in self._made:
                if id not in self._answered:
                    raise InvalidRequest(f"No tool output found for function call {id}.", param="input")
        read = self._read.copy()
        for id in reversed(self._asked):
            if (told := self._denied.get(id)) is not None:
                request, place = self._asked[id]
                call = ToolCall(id, seen_name(request.server_label, request.name), request.arguments)
                read[place:place] = [call, ToolOutput(id, told)]
        return read

    def _answer(self, id: str, kind: str) -> None:
        """The model must see of every call what came of it, and nothing that answers no call."""
        if self._paired and id not in self._made:
            raise InvalidRequest(f"No tool call found for {kind} call output with call_id {id}.", param="input")
        self._answered.add(id)

    def _decide(self, item: wire.InputMCPApprovalResponse) -> None:
        if item.approval_request_id not in self._asked:
            raise InvalidRequest(
                f"No approval request found for approval response with approval_request_id {item.approval_request_id}.",
                param="input",
            )
        if not item.approve:
            reason = f" The reason: {item.reason}" if item.reason else ""
            self._denied[item.approval_request_id] = f"The user did not allow this call.{reason}"


def core_items(
    items: Sequence[wire.InputItem], *, first: int = 0, paired: bool = True, begun: Reading | None = None
) -> list[Item]:
    """Items for the core. Compaction items must have been opened.

    Args:
        first: how many of them are history; the others' places are told in errors.
        paired: as for ``Reading``.
        begun: a reading of that history, which is read on.

    Raises:
        InvalidRequest: a call lacks its output, or an output its call.
    """
    reading = begun or Reading(paired=paired)
    for index in range(0 if begun is None else first, len(items)):
        reading.add(items[index], f"input[{index - first}]" if index >= first else "input")
    return reading.items()


def _read(item: wire.InputItem, path: str) -> Iterator[Item]:
    match item:
        case wire.InputFunctionCall(call_id=id, name=name, namespace=namespace, arguments=arguments):
            yield ToolCall(id, full_name(namespace, name), arguments)
        case wire.InputCustomToolCall(call_id=id, name=name, namespace=namespace, input=text):
            yield ToolCall(id, full_name(namespace, name), text, "custom")
        case (
            wire.InputFunctionCallOutput(call_id=id, output=output)
            | wire.InputCustomToolCallOutput(call_id=id, output=output)
        ):
            yield from _output(id or "", output, path)
        case _:
            yield from _read_tool_use(item)


def _read_tool_use(item: wire.InputItem) -> Iterator[Item]:
    """Calls of hosted and of client-run tools, as calls and outputs of tools of their kind's name.

    What only says how a model came to its words (reasoning, lists of tools, approvals) is left out.
    """
    match item:
        case wire.MCPCall(id=id, server_label=label, name=name, arguments=arguments, output=output, error=error):
            yield ToolCall(id, seen_name(label, name), arguments)
            yield ToolOutput(id, output or _json(error) if output or error else "")
        case wire.FileSearchCall(id=id, queries=queries, results=results):
            yield ToolCall(id, "file_search", _json({"queries": queries}))
            texts = [found.text or "" for found in results or ()]
            yield ToolOutput(id, "\n\n".join(texts) or NOT_AT_HAND)
        case wire.WebSearchCall(id=id, action=action, status=status):
            yield ToolCall(id, "web_search", _json(action))
            yield ToolOutput(id, status)
        case wire.CodeInterpreterCall(id=id, code=code, outputs=outputs):
            yield ToolCall(id, "code_interpreter", _json({"code": code}))
            yield ToolOutput(id, "\n".join(out.logs for out in outputs or () if isinstance(out, wire.CodeLogs)))
        case wire.ImageGenerationCall(id=id, status=status):
            yield ToolCall(id, "image_generation", "{}")
            yield ToolOutput(id, status)
        case wire.LocalShellCall(call_id=id, action=action):
            yield ToolCall(id, "local_shell", _json(action))
        case wire.LocalShellCallOutput(id=id, output=output):
            yield ToolOutput(id, output)
        case wire.InputShellCall(call_id=id, action=action):
            yield ToolCall(id, "shell", _json(action))
        case wire.InputShellCallOutput(call_id=id, output=outputs):
            yield ToolOutput(id, _json(outputs))
        case wire.InputApplyPatchCall(call_id=id, operation=operation):
            yield ToolCall(id, "apply_patch", _json(operation))
        case wire.InputApplyPatchCallOutput(call_id=id, output=output, status=status):
            yield ToolOutput(id, output or status)
        case wire.ComputerCall(call_id=id, action=action):
            yield ToolCall(id, "computer", _json(action) if action else "{}")
        case wire.InputComputerCallOutput(call_id=id):
            yield ToolOutput(id, "screenshot")
        case wire.Program(call_id=id, code=code):
            yield ToolCall(id, "program", _json({"code": code}))
        case wire.ProgramOutput(call_id=id, result=result):
            yield ToolOutput(id, result)


def _parts(content: str | Sequence[Any]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(part for each in content for part in _part(each))


def _part(part: Any) -> Iterator[Part]:
    match part:
        case wire.InputText(text=text) | wire.OutputText(text=text):
            yield Text(text)
        case wire.Refusal(refusal=text):
            yield Text(text)
        case wire.InputImage(image_url=url, file_id=file_id, detail=detail):
            if url:
                yield Image(url, detail or "auto")
            elif file_id:
                yield Image("", detail or "auto", file_id)
            else:
                raise InvalidRequest(
                    "Missing required parameter: an input_image needs 'image_url' or 'file_id'.", param="input"
                )
        case wire.InputFile(file_id=file_id, file_data=data, file_url=url, filename=name, detail=detail):
            yield File(file_id or None, data or None, name or None, url or None, detail or "auto")


def _output(call_id: str, output: str | Sequence[Any], path: str) -> Iterator[Item]:
    """A tool's output; what is not text follows it as the user's."""
    if isinstance(output, str):
        yield ToolOutput(call_id, output)
        return
    parts = _parts(output)
    yield ToolOutput(call_id, "".join(part.text for part in parts if isinstance(part, Text)))
    if others := tuple(part for part in parts if not isinstance(part, Text)):
        yield Message("user", others, path=path)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
