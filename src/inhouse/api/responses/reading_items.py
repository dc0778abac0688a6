"""From the items of a request to the core's: what a text model can use of them, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.generation.items import File, Image, Item, Message, Part, Text, ToolCall, ToolOutput
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.mcp import seen_name

NAMESPACE_MARK = "__"
"""Joins a namespace and a tool's name to the one name that the model sees."""


def full_name(namespace: Any, name: str) -> str:
    """The name under which the model sees a tool."""
    return f"{namespace}{NAMESPACE_MARK}{name}" if namespace else name


def core_items(items: Sequence[wire.InputItem], *, first: int = 0, paired: bool = True) -> list[Item]:
    """Items for the core. Compaction items must have been opened.

    Args:
        first: how many of them are history; the others' places are told in errors.
        paired: refuse calls without outputs, and outputs without calls.

    Raises:
        InvalidRequest: a call lacks its output, or an output its call.
    """
    if paired:
        _check_pairs(items)
    denied = _denied(items)
    read: list[Item] = []
    for index, item in enumerate(items):
        if isinstance(item, wire.MCPApprovalRequest):
            read += denied.get(item.id, ())
        read += _read(item, f"input[{index - first}]" if index >= first else "input")
    return read


def _read(item: wire.InputItem, path: str) -> Iterator[Item]:
    match item:
        case wire.InputMessage(role=role, content=content):
            yield Message(role, _parts(content), path=path)
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
            # Results that were not asked for are not kept with the response.
            yield ToolOutput(id, "\n\n".join(texts) or "The results are not at hand any more.")
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


def _denied(items: Sequence[wire.InputItem]) -> dict[str, tuple[Item, ...]]:
    """Calls that the client did not allow, by the id of the request for it: what the model reads of them."""
    asked = {item.id: item for item in items if isinstance(item, wire.MCPApprovalRequest)}
    denied: dict[str, tuple[Item, ...]] = {}
    for item in items:
        if not isinstance(item, wire.InputMCPApprovalResponse):
            continue
        request = asked.get(item.approval_request_id)
        if request is None:
            raise InvalidRequest(
                f"No approval request found for approval response with approval_request_id {item.approval_request_id}.",
                param="input",
            )
        if not item.approve:
            reason = f" The reason: {item.reason}" if item.reason else ""
            denied[request.id] = (
                ToolCall(request.id, seen_name(request.server_label, request.name), request.arguments),
                ToolOutput(request.id, f"The user did not allow this call.{reason}"),
            )
    return denied


def _check_pairs(items: Sequence[wire.InputItem]) -> None:
    """The model must see of every call what came of it, and nothing that answers no call."""
    made: dict[str, None] = {}
    answered: set[str] = set()
    for item in items:
        match item:
            case wire.InputFunctionCall(call_id=id) | wire.InputCustomToolCall(call_id=id):
                made[id] = None
            case wire.InputFunctionCallOutput(call_id=id) if id not in made:
                raise InvalidRequest(f"No tool call found for function call output with call_id {id}.", param="input")
            case wire.InputCustomToolCallOutput(call_id=id) if id not in made:
                raise InvalidRequest(
                    f"No tool call found for custom tool call output with call_id {id}.", param="input"
                )
            case wire.InputFunctionCallOutput(call_id=id) | wire.InputCustomToolCallOutput(call_id=id):
                answered.add(id or "")
    for id in made:
        if id not in answered:
            raise InvalidRequest(f"No tool output found for function call {id}.", param="input")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
