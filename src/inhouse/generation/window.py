"""The context window: what fits, and what is said when it does not."""

from __future__ import annotations

from inhouse.calls import Call
from inhouse.generation.items import GenerationRequest
from inhouse.kit.errors import InvalidRequest


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
