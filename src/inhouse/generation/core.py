"""The one way into a model for everything that generates."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from inhouse.calls import Call
from inhouse.engines.upstream import Upstream
from inhouse.generation import window
from inhouse.generation.answering import answer, readable
from inhouse.generation.errors import engine_errors
from inhouse.generation.events import Event
from inhouse.generation.items import GenerationRequest, Sampling
from inhouse.generation.moderation.guarding import Guard, said_in
from inhouse.generation.prompt import speakable


def generate(call: Call, request: GenerationRequest) -> AsyncGenerator[list[Event], None]:
    """Run a request on the call's engine, within the guardrails of the call.

    Gives events in the batches they arrived in: deltas and tool calls of each choice, ``ChoiceFinished`` for each,
    and ``Usage`` last. The call is on the books before the first batch. Closing the generator stops the engine.

    Raises:
        APIError: what the client is to be told.
    """
    return _guarded(call, request) if call.guardrails else answer(call, request)


async def _guarded(call: Call, request: GenerationRequest) -> AsyncGenerator[list[Event], None]:
    request = await readable(call, request)
    async with Guard(call) as guard:
        await guard.check(*said_in(request.items), param=request.items_param)
        guarded = guard.watch(answer(call, request), request.choices, stream=request.stream)
        async with aclosing(guarded):
            async for batch in guarded:
                yield batch


async def count_tokens(call: Call, request: GenerationRequest) -> int:
    """Tokens of the prompt that a request makes, counted by the deployment's own tokenizer.

    An upstream tells them only with an answer, so it is asked for one of a single token.

    Raises:
        APIError: what the client is to be told.
    """
    request = await readable(call, request)
    if not isinstance(call.text_engine, Upstream):
        with engine_errors(call.id):
            return await window.count(call, call.text_engine, speakable(request))
    least = msgspec.structs.replace(request, sampling=Sampling(max_tokens=1), stream=False)
    before = call.usage.input_tokens
    async with aclosing(answer(call, least)) as batches:
        async for _ in batches:
            pass
    return call.usage.input_tokens - before
