"""From a chat request to the core's: what the model takes is translated, what it does not take is refused."""

from __future__ import annotations

from typing import Any

import msgspec

from inhouse.api.chat import wire
from inhouse.api.chat.conversation import check_order
from inhouse.api.completing import stop_sequences, token_biases
from inhouse.api.moderating import moderate
from inhouse.calls import Call
from inhouse.generation.items import (
    AnswerFormat,
    Audio,
    CustomTool,
    File,
    FunctionTool,
    GenerationRequest,
    Image,
    Item,
    JsonObject,
    JsonSchema,
    Message,
    Part,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolOutput,
)
from inhouse.generation.schema import check_lenient, check_name, check_strict
from inhouse.kit.errors import InvalidRequest

LEGACY_CALL = "call_function"
"""Id under which the old form's one function call and its result find each other."""


def read(call: Call, body: wire.CreateChatCompletionRequest) -> GenerationRequest:
    """The request in the core's terms.

    Raises:
        InvalidRequest: the model does not take a parameter, a value, or two of them together.
    """
    _refuse_unsupported(call, body)
    _refuse_combinations(body)
    items = _items(body.messages)
    check_order(body.messages)
    tools = _tools(body)
    answer_format = _format(body)
    return GenerationRequest(
        items=tuple(items),
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        parallel_tool_calls=body.parallel_tool_calls is not False and body.functions is None,
        format=answer_format,
        sampling=_sampling(call, body),
        choices=body.n or 1,
        stream=bool(body.stream),
        prediction=_text(body.prediction.content) if body.prediction else None,
    )


def _refuse_unsupported(call: Call, body: wire.CreateChatCompletionRequest) -> None:
    """Parameters and values that the card says its model does not take, and models that are not here."""
    moderate(call, body.moderation)
    card = call.card
    for refused in card.parameters.refused:
        if getattr(body, refused.name, None) is not None:
            if refused.words is not None:
                raise InvalidRequest(refused.words)
            instead = f" Use '{refused.instead}' instead." if refused.instead else ""
            raise InvalidRequest(
                f"Unsupported parameter: '{refused.name}' is not supported with this model.{instead}",
                param=refused.name,
                code="unsupported_parameter",
            )
    for only in card.parameters.only:
        value = getattr(body, only.name, None)
        for given in value if isinstance(value, list) else [value]:
            if given is not None and str(given) not in only.values:
                supported = ", ".join(f"'{each}'" for each in only.values)
                raise InvalidRequest(
                    f"Unsupported value: '{only.name}' does not support '{given}' with this model. "
                    f"Supported values are: {supported}.",
                    param=only.name,
                    code="unsupported_value",
                )


def _refuse_combinations(body: wire.CreateChatCompletionRequest) -> None:
    def only_with(name: str, other: str, verb: str) -> InvalidRequest:
        return InvalidRequest(f"The '{name}' parameter is only allowed when '{other}' {verb}.", param=name)

    def only_beside(name: str, others: str) -> InvalidRequest:
        return InvalidRequest(
            f"Invalid value for '{name}': '{name}' is only allowed when '{others}' are specified.", param=name
        )

    if body.top_logprobs is not None and not body.logprobs:
        raise only_with("top_logprobs", "logprobs", "is enabled")
    if body.stream_options is not None and not body.stream:
        raise only_with("stream_options", "stream", "is enabled")
    if body.metadata and not body.store:
        raise only_with("metadata", "store", "is enabled")
    if body.max_tokens is not None and body.max_completion_tokens is not None:
        raise InvalidRequest(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    if body.tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if getattr(body, name) is not None:
                raise only_beside(name, "tools")
    elif body.functions is not None:
        raise InvalidRequest("'functions' and 'tools' cannot be used together; use 'tools'.", param="functions")
    if body.function_call is not None and body.functions is None:
        raise only_beside("function_call", "functions")


def _items(messages: list[wire.Message]) -> list[Item]:
    items: list[Item] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        match message:
            case wire.ToolMessage(content=content, tool_call_id=call_id):
                items.append(ToolOutput(call_id, _text(content)))
            case wire.FunctionMessage(content=content):
                items.append(ToolOutput(LEGACY_CALL, content or ""))
            case wire.AssistantMessage():
                items += _assistant(message, index)
            case wire.UserMessage(content=content, name=name):
                items.append(Message("user", _parts(content), name, path))
            case wire.DeveloperMessage(content=content, name=name):
                items.append(Message("developer", _parts(content), name, path))
            case wire.SystemMessage(content=content, name=name):
                items.append(Message("system", _parts(content), name, path))
    return items


def _assistant(message: wire.AssistantMessage, index: int) -> list[Item]:
    path = f"messages[{index}]"
    items: list[Item] = []
    said = _text(message.content) if message.content is not None else message.refusal
    calls = message.tool_calls or []
    if said is None and not calls and message.function_call is None:
        if message.audio is None:
            raise wire.null_content(index)
        raise InvalidRequest(f"Audio '{message.audio.id}' was not found or has expired.", param=f"{path}.audio.id")
    if said:
        items.append(Message("assistant", (Text(said),), message.name, path))
    for place, made in enumerate(calls):
        if isinstance(made, wire.CustomToolCall):
            check_name(made.custom.name, param=f"{path}.tool_calls[{place}].custom.name")
            items.append(ToolCall(made.id, made.custom.name, made.custom.input, "custom"))
        else:
            check_name(made.function.name, param=f"{path}.tool_calls[{place}].function.name")
            items.append(ToolCall(made.id, made.function.name, made.function.arguments))
    if message.function_call is not None:
        check_name(message.function_call.name, param=f"{path}.function_call.name")
        items.append(ToolCall(LEGACY_CALL, message.function_call.name, message.function_call.arguments))
    if not items:
        items.append(Message("assistant", (Text(""),), message.name, path))
    return items


def _parts(content: str | list[Any]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part(part) for part in content)


def _part(part: Any) -> Part:
    match part:
        case wire.TextPart(text=text):
            return Text(text)
        case wire.ImagePart(image_url=image):
            return Image(image.url, image.detail or "auto")
        case wire.AudioPart(input_audio=audio):
            return Audio(audio.data, audio.format)
        case wire.FilePart(file=file):
            return File(file.file_id, file.file_data, file.filename)
        case _:
            raise AssertionError(part)


def _text(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.refusal if isinstance(part, wire.RefusalPart) else part.text for part in content)


def _tools(body: wire.CreateChatCompletionRequest) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, tool in enumerate(body.tools or ()):
        if isinstance(tool, wire.CustomTool):
            tools.append(_custom_tool(tool.custom, f"tools[{index}].custom"))
        else:
            function = tool.function
            tools.append(
                _function(
                    function.name,
                    function.description,
                    function.parameters,
                    bool(function.strict),
                    f"tools[{index}].function.parameters",
                )
            )
    for index, old in enumerate(body.functions or ()):
        tools.append(_function(old.name, old.description, old.parameters, False, f"functions[{index}].parameters"))
    names = [tool.name for tool in tools]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"Tool names must be unique: '{twice}' is given twice.", param="tools")
    return tuple(tools)


def _function(
    name: str, description: str | None, parameters: dict[str, Any] | None, strict: bool, param: str
) -> FunctionTool:
    if parameters is not None or strict:
        check = check_strict if strict else check_lenient
        check(parameters if parameters is not None else {}, context_param=param, name=name)
    return FunctionTool(name, description, parameters, strict, param)


def _custom_tool(custom: wire.CustomDefinition, param: str) -> CustomTool:
    if not isinstance(custom.format, wire.GrammarFormat):
        return CustomTool(custom.name, custom.description)
    grammar = custom.format.grammar
    param = f"{param}.format.grammar.definition"
    return CustomTool(custom.name, custom.description, grammar.syntax, grammar.definition, param)


def _tool_choice(body: wire.CreateChatCompletionRequest, tools: tuple[Tool, ...]) -> ToolChoice:
    names = {tool.name for tool in tools}
    match body.tool_choice if body.tools is not None else body.function_call:
        case None:
            return ToolChoice("auto")
        case "none" | "auto" | "required" as mode:
            return ToolChoice(mode)
        case wire.FunctionChoice(function=named) | wire.CustomChoice(custom=named):
            _known({named.name}, names, "tool_choice")
            return ToolChoice("required", frozenset({named.name}), named=True)
        case wire.ToolName(name=name):
            _known({name}, names, "function_call")
            return ToolChoice("required", frozenset({name}), named=True)
        case wire.AllowedToolsChoice(allowed_tools=allowed):
            chosen = frozenset(
                tool.function.name if isinstance(tool, wire.AllowedFunction) else tool.custom.name
                for tool in allowed.tools
            )
            _known(chosen, names, "tool_choice")
            return ToolChoice(allowed.mode, chosen)
        case other:
            raise AssertionError(other)


def _known(chosen: set[str] | frozenset[str], names: set[str], param: str) -> None:
    for name in sorted(chosen - names):
        where = "tools" if param == "tool_choice" else "functions"
        raise InvalidRequest(f"Tool choice '{name}' not found in '{where}' parameter.", param=param)


def _format(body: wire.CreateChatCompletionRequest) -> AnswerFormat | None:
    match body.response_format:
        case wire.ResponseFormatJSONObject():
            if not any("json" in _said(message).lower() for message in body.messages):
                raise InvalidRequest(
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
                    "'json_object'.",
                    param="messages",
                )
            return JsonObject()
        case wire.ResponseFormatJSONSchema(json_schema=named):
            if named.schema is None:
                raise InvalidRequest(
                    "Missing required parameter: 'response_format.json_schema.schema'.",
                    param="response_format.json_schema.schema",
                    code="missing_required_parameter",
                )
            check = check_strict if named.strict else check_lenient
            check(named.schema, context_param="response_format", name=named.name)
            return JsonSchema(named.name, named.schema, bool(named.strict), named.description)
        case _:
            return None


def _said(message: wire.Message) -> str:
    content = message.content
    if content is None or isinstance(content, str):
        return content or ""
    return " ".join(part.text for part in content if isinstance(part, wire.TextPart))


def _sampling(call: Call, body: wire.CreateChatCompletionRequest) -> Sampling:
    most = call.card.max_output_of(call.snapshot)
    name = "max_tokens" if body.max_tokens is not None else "max_completion_tokens"
    wanted = getattr(body, name)
    if wanted is not None and wanted > most:
        raise InvalidRequest(
            f"{name} is too large: {wanted}. This model supports at most {most} completion tokens, whereas you "
            f"provided {wanted}.",
            param=name,
            code="invalid_value",
        )
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        seed=body.seed,
        stop=stop_sequences(body.stop),
        logit_bias=token_biases(body.logit_bias),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        max_tokens=wanted,
    )


def messages_json(messages: list[wire.Message]) -> bytes:
    """The messages as the client sent them, for storing."""
    return msgspec.json.encode(messages)
