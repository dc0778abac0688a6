"""The context window: what fits, and what is said when it does not."""

from __future__ import annotations

import msgspec

from inhouse.calls import Call
from inhouse.engines.protocol import TextEngine
from inhouse.generation.items import GenerationRequest, Item, Message, ToolCall, ToolOutput
from inhouse.generation.prompt import prompt_tokens
from inhouse.kit.errors import InvalidRequest

ROOM_FOR_ANSWER = 1024
"""Tokens kept free for the answer where old items are dropped and the request names no limit."""


async def fitted(call: Call, engine: TextEngine, request: GenerationRequest) -> tuple[GenerationRequest, list[int]]:
    """The request and its prompt; with ``truncate``, without the oldest items that do not fit.

    Instructions and the last item stay. At most a quarter of the window is kept free for the answer.
    """
    prompt = await prompt_tokens(engine, request)
    limit = min(call.card.context_window, engine.window)
    room = limit - min(request.sampling.max_tokens or ROOM_FOR_ANSWER, limit // 4)
    if not request.truncate or len(prompt) <= room:
        return request, prompt
    # Between these lies how many items have to go.
    fewest, most = 0, max(len(request.items) - 1, 0)
    while fewest < most:
        middle = (fewest + most) // 2
        shorter = msgspec.structs.replace(request, items=without_first(request.items, middle))
        if len(await prompt_tokens(engine, shorter)) <= room:
            most = middle
        else:
            fewest = middle + 1
    shorter = msgspec.structs.replace(request, items=without_first(request.items, fewest))
    return shorter, await prompt_tokens(engine, shorter)


def without_first(items: tuple[Item, ...], count: int) -> tuple[Item, ...]:
    """The items after the first ``count``, with all instructions, and without outputs whose calls are dropped."""
    kept: list[Item] = []
    calls: set[str] = set()
    for index, item in enumerate(items):
        if isinstance(item, Message) and item.role in ("system", "developer"):
            kept.append(item)
        elif index >= count and not (isinstance(item, ToolOutput) and item.call_id not in calls):
            kept.append(item)
            if isinstance(item, ToolCall):
                calls.add(item.id)
    return tuple(kept)


def completion_budget(call: Call, request: GenerationRequest, input_tokens: int, window: int) -> int:
    """How many tokens the answer may have.

    The card's window and the deployment's are both kept. Where the input leaves less than was asked for, the answer
    is cut there and ends with ``length``.

    Args:
        input_tokens: tokens of the prompt, counted by the deployment's own tokenizer.
        window: tokens of the deployment's window.

    Raises:
        InvalidRequest: ``context_length_exceeded``.
    """
    limit = min(call.card.context_window, window)
    if input_tokens >= limit:
        raise context_length_exceeded(limit, input_tokens, request)
    room = limit - input_tokens
    most = min(room, call.card.max_output_of(call.snapshot))
    return most if request.sampling.max_tokens is None else min(most, request.sampling.max_tokens)


def context_length_exceeded(limit: int, tokens: int, request: GenerationRequest) -> InvalidRequest:
    what = "messages or functions" if request.tools else "messages"
    return InvalidRequest(
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {tokens} tokens. "
        f"Please reduce the length of the {what}.",
        param=request.items_param,
        code="context_length_exceeded",
    )
