"""From the tools of a request to the core's, and back from the names that the model uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from inhouse.api.responses import wire
from inhouse.api.responses.hosting import Circumstances, HostedTools
from inhouse.api.responses.reading_items import full_name
from inhouse.calls import Call
from inhouse.generation.items import CustomTool, FunctionTool, Tool, ToolChoice
from inhouse.generation.loop import Hosting
from inhouse.generation.schema import check_lenient, check_strict, keeps_strict
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.hosted import HostedTool


class Toolbox(msgspec.Struct, frozen=True):
    """A request's tools as the core takes them, and what each name stands for."""

    tools: tuple[Tool, ...] = ()
    names: dict[str, tuple[str | None, str]] = {}
    """Namespace and name, by the name that the model sees."""
    choice: ToolChoice = ToolChoice()
    hosting: Hosting = Hosting()

    def named(self, name: str) -> tuple[str | None, str]:
        """Namespace and name of a tool that the model called."""
        return self.names.get(name, (None, name))


def toolbox(
    call: Call,
    body: wire.CreateResponse | wire.CountInputTokens,
    items: Sequence[wire.InputItem],
    added: Sequence[wire.Tool],
    hosts: HostedTools,
) -> Toolbox:
    """The tools of a request.

    Args:
        items: of the conversation so far and of the request.
        added: tools that items add.

    Raises:
        InvalidRequest: a tool is not supported here, two have one name, a schema or grammar is wrong, or the choice
            names none of them.
    """
    core: list[Tool] = []
    names: dict[str, tuple[str | None, str]] = {}
    hosted: list[HostedTool] = []

    def add(tool: Tool, namespace: str | None, name: str) -> None:
        if tool.name in names:
            raise InvalidRequest(f"Tool names must be unique: '{tool.name}' is given twice.", param="tools")
        names[tool.name] = (namespace, name)
        core.append(tool)

    for index, tool in enumerate([*(body.tools or ()), *added]):
        path = f"tools[{index}]"
        match tool:
            case wire.FunctionTool():
                add(_function(tool, None, path), None, tool.name)
            case wire.CustomTool():
                add(_custom(tool, None, path), None, tool.name)
            case wire.NamespaceTool(name=namespace, tools=members):
                for place, member in enumerate(members):
                    where = f"{path}.tools[{place}]"
                    if isinstance(member, wire.CustomTool):
                        add(_custom(member, namespace, where), namespace, member.name)
                    else:
                        add(_function(member, namespace, where), namespace, member.name)
            case _:
                made = hosts.make(_kind(tool), tool, Circumstances(call, body, items, path))
                if made is None:
                    raise not_supported(_kind(tool), call.card.id)
                hosted.append(made)
    most = body.max_tool_calls if isinstance(body, wire.CreateResponse) else None
    choice, chosen, forced = chosen_tools(body.tool_choice, names, hosted)
    return Toolbox(tuple(core), names, choice, Hosting(tuple(hosted), chosen, forced, most))


def not_supported(kind: str, model: str) -> InvalidRequest:
    return InvalidRequest(f"Hosted tool '{kind}' is not supported with {model}.", param="tools")


def _kind(tool: Any) -> str:
    return str(tool.__struct_config__.tag)


def _function(tool: wire.FunctionTool | wire.NamespaceFunction, namespace: str | None, path: str) -> FunctionTool:
    parameters = tool.parameters or None
    strict = bool(tool.strict)
    where = f"{path}.parameters"
    if tool.strict is None or tool.strict is msgspec.UNSET:
        strict = parameters is not None and keeps_strict(parameters, context_param=where, name=tool.name)
    if not strict and parameters is not None:
        check_lenient(parameters, context_param=where, name=tool.name)
    elif strict and tool.strict:
        check_strict(parameters or {}, context_param=where, name=tool.name)
    return FunctionTool(full_name(namespace, tool.name), tool.description or None, parameters, strict, where)


def _custom(tool: wire.CustomTool, namespace: str | None, path: str) -> CustomTool:
    name, description = full_name(namespace, tool.name), tool.description or None
    if not isinstance(tool.format, wire.GrammarFormat):
        return CustomTool(name, description)
    form = tool.format
    return CustomTool(name, description, form.syntax, form.definition, f"{path}.format.definition")


Chosen = tuple[tuple[HostedTool, str | None], ...]


def chosen_tools(
    choice: wire.ToolChoice | None, names: dict[str, tuple[str | None, str]], hosted: Sequence[HostedTool]
) -> tuple[ToolChoice, Chosen, bool]:
    """The choice among the client's own tools, what it names of hosted ones, and whether it forces these.

    Raises:
        InvalidRequest: it names a tool that the request does not have.
    """
    match choice:
        case None:
            return ToolChoice("auto"), (), False
        case "none" | "auto" | "required" as mode:
            if mode == "required" and not names and not hosted:
                raise InvalidRequest(
                    "Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice"
                )
            return ToolChoice(mode), (), False
        case wire.FunctionChoice(name=name) | wire.CustomChoice(name=name):
            return ToolChoice("required", frozenset(_known(name, names, _kind(choice))), named=True), (), False
        case wire.AllowedTools(mode=mode, tools=tools):
            own: set[str] = set()
            chosen: list[tuple[HostedTool, str | None]] = []
            for tool in tools:
                if tool.get("type") in ("function", "custom"):
                    own |= _known(_name(tool), names)
                else:
                    name = tool.get("name")
                    label = tool.get("server_label")
                    chosen += _hosted(str(tool.get("type")), label, name, hosted)
            return ToolChoice(mode, frozenset(own)), tuple(chosen), False
        case wire.MCPChoice(server_label=label, name=name):
            return ToolChoice("required", frozenset()), _hosted("mcp", label, name or None, hosted), True
        case _:
            return ToolChoice("required", frozenset()), _hosted(_kind(choice), None, None, hosted), True


def _hosted(kind: str, label: Any, name: Any, hosted: Sequence[HostedTool]) -> Chosen:
    """The hosted tools of a kind; where a label is told, those of that label."""
    found = tuple((tool, name or None) for tool in hosted if tool.kind == kind and label in (None, tool.label))
    if not found:
        raise InvalidRequest(f"Tool choice '{label or kind}' not found in 'tools' parameter.", param="tool_choice")
    return found


def _name(tool: dict[str, Any]) -> str:
    name = tool.get("name")
    if not isinstance(name, str):
        raise InvalidRequest(
            "Missing required parameter: 'tool_choice.tools[].name'.",
            param="tool_choice.tools",
            code="missing_required_parameter",
        )
    return name


def _known(name: str, names: dict[str, tuple[str | None, str]], called: str | None = None) -> set[str]:
    """The names that the model sees of a tool that the client names.

    Args:
        called: what an error calls it in place of its name: of a choice it tells the kind.
    """
    found = {full for full, (_, own) in names.items() if name in (own, full)}
    if not found:
        raise InvalidRequest(f"Tool choice '{called or name}' not found in 'tools' parameter.", param="tool_choice")
    return found
