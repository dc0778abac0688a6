"""The tools of assistants: which are served here, what they have to work with, and how the core sees them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from inhouse.api.assistants import wire
from inhouse.api.assistants.stores import Stores, store_ids
from inhouse.api.responses import wire as responses
from inhouse.api.responses.hosting import Circumstances, HostedTools
from inhouse.api.responses.reading_tools import not_supported
from inhouse.api.responses.stored import RESULTS
from inhouse.calls import Call
from inhouse.files import Files
from inhouse.generation.items import FunctionTool, ToolChoice
from inhouse.generation.loop import Hosting
from inhouse.generation.schema import check_lenient, check_strict
from inhouse.kit.errors import InvalidRequest
from inhouse.tools.hosted import HostedTool


def kind_of(tool: wire.Tool) -> str:
    return str(tool.__struct_config__.tag)


def check_tools(tools: Iterable[wire.Tool], hosts: HostedTools, model: str) -> None:
    """Refuse what cannot be served.

    Raises:
        InvalidRequest: a hosted tool is not supported here, two functions have one name, or a schema is wrong.
    """
    functions(tools)
    for tool in tools:
        if not isinstance(tool, wire.FunctionTool) and kind_of(tool) not in hosts.kinds:
            raise not_supported(kind_of(tool), model)


def functions(tools: Iterable[wire.Tool]) -> tuple[FunctionTool, ...]:
    """The functions of the client, as the core takes them. Raises as ``check_tools``."""
    made: list[FunctionTool] = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, wire.FunctionTool):
            continue
        given = tool.function
        where = f"tools[{index}].function.parameters"
        parameters = None if given.parameters is UNSET else given.parameters
        strict = given.strict is True
        if parameters is not None or strict:
            check = check_strict if strict else check_lenient
            check(parameters or {}, context_param=where, name=given.name)
        if any(other.name == given.name for other in made):
            raise InvalidRequest(f"Tool names must be unique: '{given.name}' is given twice.", param="tools")
        described = None if given.description is UNSET else given.description
        made.append(FunctionTool(given.name, described, parameters, strict, where))
    return tuple(made)


def hosted_tools(
    call: Call, run: wire.Run, resources: Sequence[wire.ToolResources | None], hosts: HostedTools
) -> tuple[HostedTool, ...]:
    """The hosted tools of a run.

    Args:
        resources: of the assistant and of the thread.

    Raises:
        InvalidRequest
    """
    made: list[HostedTool] = []
    for index, tool in enumerate(run.tools):
        if isinstance(tool, wire.FunctionTool):
            continue
        asked = msgspec.convert(_as_responses(tool, resources), responses.Tool)
        # Steps keep what was found; whether a client is told of it is decided when it asks.
        body = responses.CreateResponse(model=run.model, input="", tools=[asked], include=[RESULTS])
        found = hosts.make(kind_of(tool), asked, Circumstances(call, body, [], f"tools[{index}]"))
        if found is None:
            raise not_supported(kind_of(tool), run.model)
        made.append(found)
    return tuple(made)


def _as_responses(tool: wire.Tool, resources: Sequence[wire.ToolResources | None]) -> dict[str, Any]:
    """A hosted tool in the terms of the Responses contract, whose tools these are."""
    if isinstance(tool, wire.CodeInterpreterTool):
        files = [id for each in resources if each is not None for id in _ids(each.code_interpreter, "file_ids")]
        return {"type": "code_interpreter", "container": {"type": "auto", "file_ids": list(dict.fromkeys(files))}}
    told: dict[str, Any] = {"type": "file_search", "vector_store_ids": store_ids(resources)}
    if isinstance(tool, wire.FileSearchTool) and tool.file_search is not UNSET:
        if tool.file_search.max_num_results is not UNSET:
            told["max_num_results"] = tool.file_search.max_num_results
        if tool.file_search.ranking_options is not UNSET:
            told["ranking_options"] = {"score_threshold": tool.file_search.ranking_options.score_threshold}
    return told


def _ids(resource: Any, name: str) -> list[Any]:
    found = UNSET if resource is UNSET else getattr(resource, name)
    return [] if found is UNSET else list(found)


def choice_of(run: wire.Run, hosted: Sequence[HostedTool], *, answered: bool) -> tuple[ToolChoice, Hosting]:
    """Which tools the model may or must use.

    Args:
        answered: whether calls of this run have been answered: a choice that forces one would force one for ever.

    Raises:
        InvalidRequest: the choice names a tool that the run does not have.
    """
    check_choice(run.tool_choice, run.tools)
    match run.tool_choice:
        case wire.NamedToolChoice() if answered:
            return ToolChoice("auto"), Hosting(tuple(hosted))
        case wire.NamedToolChoice(type="function", function=function):
            name = "" if function is UNSET else function.name
            return ToolChoice("required", frozenset({name}), named=True), Hosting(tuple(hosted))
        case wire.NamedToolChoice(type=kind):
            chosen = tuple((tool, None) for tool in hosted if tool.kind == kind)
            return ToolChoice("required", frozenset()), Hosting(tuple(hosted), chosen, forced=True)
        case "none" | "required" as mode if not answered or mode == "none":
            return ToolChoice(mode), Hosting(tuple(hosted))
        case _:
            return ToolChoice("auto"), Hosting(tuple(hosted))


def check_choice(choice: wire.ToolChoice | None, tools: Sequence[wire.Tool]) -> None:
    """Raises InvalidRequest if a choice names what is not there."""
    if choice == "required" and not tools:
        raise InvalidRequest("Tool choice 'required' must be specified with 'tools'.", param="tool_choice")
    if not isinstance(choice, wire.NamedToolChoice):
        return
    if choice.type == "function":
        if choice.function is UNSET:
            raise InvalidRequest(
                "Missing required parameter: 'tool_choice.function'.",
                param="tool_choice.function",
                code="missing_required_parameter",
            )
        name = choice.function.name
        known = any(isinstance(tool, wire.FunctionTool) and tool.function.name == name for tool in tools)
    else:
        name = choice.type
        known = any(kind_of(tool) == name for tool in tools)
    if not known:
        raise InvalidRequest(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")


class Keeping(msgspec.Struct, frozen=True):
    """What messages and tool resources name by id, and who knows it. None: nobody here does."""

    files: Files | None = None
    stores: Stores | None = None


async def check_files(keeping: Keeping, project_id: str, messages: Sequence[wire.CreateMessage], path: str) -> None:
    """
    Args:
        path: where the messages stand in the request, for errors; empty for a message alone.

    Raises:
        NotFound: a message names a file that is not there.
    """
    if keeping.files is None:
        return
    for index, message in enumerate(messages):
        where = f"{path}[{index}]." if path else ""
        for place, part in enumerate(message.content if isinstance(message.content, list) else ()):
            if isinstance(part, wire.ImageFilePart):
                param = f"{where}content[{place}].image_file.file_id"
                await keeping.files.get(project_id, part.image_file.file_id, param)
        for place, attached in enumerate(message.attachments or ()):
            if attached.file_id is not UNSET:
                await keeping.files.get(project_id, attached.file_id, f"{where}attachments[{place}].file_id")


async def kept_resources(
    given: wire.NewToolResources | wire.ToolResources | None, project_id: str, keeping: Keeping
) -> wire.ToolResources | None:
    """Tool resources as they are kept: vector stores that are to be made are made, the others must be there.

    Raises:
        InvalidRequest: both an existing vector store and a new one are given, or there are none here.
        NotFound: there is no such vector store, or no such file.
    """
    if given is None:
        return None
    stores = keeping.stores
    for id in _ids(given.code_interpreter, "file_ids"):
        if keeping.files is not None:
            await keeping.files.get(project_id, id, "tool_resources.code_interpreter.file_ids")
    kept = wire.ToolResources(code_interpreter=given.code_interpreter)
    search = given.file_search
    if search is UNSET:
        return kept
    ids = _ids(search, "vector_store_ids")
    fresh = _ids(search, "vector_stores") if isinstance(search, wire.NewFileSearchResources) else []
    where = "tool_resources.file_search"
    if ids and fresh:
        raise InvalidRequest("Only one of 'vector_store_ids' and 'vector_stores' can be set.", param=where)
    if stores is None and (fresh or ids):
        raise InvalidRequest("Vector stores are not supported on this server.", param=where)
    if stores is not None:
        if ids:
            await stores.check(project_id, ids, f"{where}.vector_store_ids")
        ids += [await stores.create(project_id, each) for each in fresh]
    kept.file_search = wire.FileSearchResources(vector_store_ids=ids)
    return kept
