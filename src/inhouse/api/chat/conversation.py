"""The order of messages: a call is followed by its results, a result follows its call."""

from __future__ import annotations

from inhouse.api.chat import wire
from inhouse.kit.errors import InvalidRequest


def check_order(messages: list[wire.Message]) -> None:
    """Refuse conversations whose tool calls and results do not belong together.

    Raises:
        InvalidRequest
    """
    open_calls: list[str] = []
    answerable: set[str] = set()
    for index, message in enumerate(messages):
        if isinstance(message, wire.ToolMessage):
            if message.tool_call_id not in answerable:
                raise InvalidRequest(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages.[{index}].role",
                )
            if message.tool_call_id in open_calls:
                open_calls.remove(message.tool_call_id)
            continue
        _all_answered(open_calls, index)
        answerable.clear()
        if isinstance(message, wire.AssistantMessage) and message.tool_calls:
            open_calls = [call.id for call in message.tool_calls]
            answerable = set(open_calls)
    _all_answered(open_calls, len(messages))


def _all_answered(open_calls: list[str], index: int) -> None:
    if open_calls:
        raise InvalidRequest(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(open_calls)}",
            param=f"messages.[{index}].role",
        )
