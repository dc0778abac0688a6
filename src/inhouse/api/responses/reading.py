"""From a request to the core's: what the model takes is translated, what it does not take is refused."""

from __future__ import annotations

from collections.abc import Sequence

from inhouse.api.responses import wire
from inhouse.api.responses.hosting import HostedTools
from inhouse.api.responses.reading_items import Reading, core_items
from inhouse.api.responses.reading_tools import Toolbox, toolbox
from inhouse.calls import Call
from inhouse.catalog.cards import Card
from inhouse.generation.items import (
    AnswerFormat,
    GenerationRequest,
    Item,
    JsonObject,
    JsonSchema,
    Message,
    Sampling,
    Text,
)
from inhouse.generation.schema import check_lenient, check_strict
from inhouse.kit.errors import InvalidRequest

LOGPROBS = "message.output_text.logprobs"
_SAMPLED = ("temperature", "top_p")
"""What models that reason do not take here, either; the others of their card do not exist here, or are told apart."""


def check(call: Call, body: wire.CreateResponse) -> None:
    """Refuse what the model does not take, or what does not go together.

    Raises:
        InvalidRequest
    """
    refuse_unsupported(call.card, body.reasoning, body.text)
    for refused in call.card.parameters.refused:
        if refused.name in _SAMPLED and getattr(body, refused.name) is not None:
            raise InvalidRequest(
                f"Unsupported parameter: '{refused.name}' is not supported with this model.", param=refused.name
            )
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if body.background and body.store is False:
        raise InvalidRequest("Background responses must be stored: leave 'store' out, or set it.", param="store")
    if all(each is None for each in (body.input, body.previous_response_id, body.conversation, body.prompt)):
        raise InvalidRequest(
            "One of 'input' or 'previous_response_id' or 'prompt' or 'conversation' must be provided.",
            code="missing_required_parameter",
        )
    for index, each in enumerate(body.context_management or ()):
        if each.type != "compaction":
            raise InvalidRequest(
                f"Invalid value: '{each.type}'. Supported values are: 'compaction'.",
                param=f"context_management[{index}].type",
                code="invalid_value",
            )


def refuse_unsupported(card: Card, reasoning: wire.ReasoningConfig | None, text: wire.TextConfig | None) -> None:
    """Parameters and values that the card says its model does not take."""
    effort = reasoning.effort if reasoning is not None else None
    given = {"reasoning.effort": effort, "text.verbosity": text.verbosity if text is not None else None}
    for refused in card.parameters.refused:
        if given.get(refused.name) is not None:
            raise InvalidRequest(
                f"Unsupported parameter: '{refused.name}' is not supported with this model.",
                param=refused.name,
                code="unsupported_parameter",
            )
    for only in card.parameters.only:
        value = given.get(only.name)
        if value is not None and value not in only.values:
            supported = ", ".join(f"'{each}'" for each in only.values)
            raise InvalidRequest(
                f"Unsupported value: '{only.name}' does not support '{value}' with this model. "
                f"Supported values are: {supported}.",
                param=only.name,
                code="unsupported_value",
            )


def tools_of(
    call: Call,
    body: wire.CreateResponse | wire.CountInputTokens,
    items: Sequence[wire.InputItem],
    hosts: HostedTools,
) -> Toolbox:
    """The request's tools, and those that items add."""
    added = [tool for item in items if isinstance(item, wire.InputAdditionalTools) for tool in item.tools]
    return toolbox(call, body, items, added, hosts)


def read(
    call: Call,
    body: wire.CreateResponse,
    items: Sequence[wire.InputItem],
    tools: Toolbox,
    *,
    prompt: Sequence[wire.InputItem] = (),
    history: int = 0,
    begun: Reading | None = None,
) -> GenerationRequest:
    """The request in the core's terms.

    Args:
        items: of the conversation so far and of this request.
        prompt: what the saved prompt begins with.
        history: how many of them are of the conversation.
        begun: a reading of the conversation, which is read on.

    Raises:
        InvalidRequest: the model does not take a parameter, a value, or two of them together.
    """
    _check_approved(body, items, history)
    read = [*core_items(prompt, first=len(prompt)), *core_items(items, first=history, begun=begun)]
    return GenerationRequest(
        items=_with_instructions(body.instructions, read),
        tools=tools.tools,
        tool_choice=tools.choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        format=answer_format(body.text, body.instructions, [*prompt, *items]),
        sampling=_sampling(call, body),
        stream=bool(body.stream),
        truncate=body.truncation == "auto",
        items_param="input",
    )


def read_for_count(
    body: wire.CountInputTokens, items: Sequence[wire.InputItem], tools: Toolbox, *, history: int
) -> GenerationRequest:
    """What decides the length of the prompt. Raises as ``read``."""
    return GenerationRequest(
        items=_with_instructions(body.instructions, core_items(items, first=history)),
        tools=tools.tools,
        tool_choice=tools.choice,
        format=answer_format(body.text, body.instructions, items),
        items_param="input",
    )


def _check_approved(body: wire.CreateResponse, items: Sequence[wire.InputItem], history: int) -> None:
    """A call that the client allows must have a server to be made at: it gives the server again, with its secrets."""
    given = {tool.server_label for tool in body.tools or () if isinstance(tool, wire.MCPServer)}
    asked = {item.id: item.server_label for item in items if isinstance(item, wire.MCPApprovalRequest)}
    for item in items[history:]:
        if isinstance(item, wire.InputMCPApprovalResponse) and item.approve:
            label = asked.get(item.approval_request_id)
            if label is not None and label not in given:
                raise InvalidRequest(
                    f"The call that the approval response for '{item.approval_request_id}' allows cannot be made: MCP "
                    f"server '{label}' is not among the 'tools' of this request.",
                    param="tools",
                )


def _with_instructions(instructions: str | None, items: list[Item]) -> tuple[Item, ...]:
    if not instructions:
        return tuple(items)
    return (Message("system", (Text(instructions),), path="instructions"), *items)


def answer_format(
    text: wire.TextConfig | None, instructions: str | None, items: Sequence[wire.InputItem]
) -> AnswerFormat | None:
    match text.format if text is not None else None:
        case wire.TextFormatJSONObject():
            if "json" not in (instructions or "").lower() and not any("json" in said(item).lower() for item in items):
                raise InvalidRequest(
                    "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
                    "'json_object'.",
                    param="input",
                )
            return JsonObject()
        case wire.TextFormatJSONSchema(name=name, schema=schema, strict=strict, description=description):
            checked = check_strict if strict else check_lenient
            checked(schema, context_param="text.format.schema", name=name)
            return JsonSchema(name, schema, bool(strict), description, "text.format.schema")
        case _:
            return None


def said(item: wire.InputItem) -> str:
    """The text of a message; nothing of other items."""
    if not isinstance(item, wire.InputMessage):
        return ""
    if isinstance(item.content, str):
        return item.content
    return " ".join(part.text for part in item.content if isinstance(part, wire.InputText | wire.OutputText))


def _sampling(call: Call, body: wire.CreateResponse) -> Sampling:
    most = call.card.max_output_of(call.snapshot)
    wanted = body.max_output_tokens
    if wanted is not None and wanted > most:
        raise InvalidRequest(
            f"max_output_tokens is too large: {wanted}. This model supports at most {most} output tokens, whereas you "
            f"provided {wanted}.",
            param="max_output_tokens",
            code="invalid_value",
        )
    return Sampling(
        temperature=body.temperature,
        top_p=body.top_p,
        logprobs=(body.top_logprobs or 0) if LOGPROBS in (body.include or ()) else None,
        max_tokens=wanted,
    )
