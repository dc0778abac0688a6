"""The one way into a model for everything that generates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from inhouse.calls import Call
from inhouse.engines.upstream import Upstream
from inhouse.generation import local, remote, window
from inhouse.generation.errors import engine_errors
from inhouse.generation.events import Event
from inhouse.generation.grammar import compile_definition
from inhouse.generation.inputs import with_inputs
from inhouse.generation.items import (
    Audio,
    CustomTool,
    File,
    GenerationRequest,
    Image,
    JsonSchema,
    Message,
    Part,
    Sampling,
)
from inhouse.generation.prompt import speakable
from inhouse.generation.sampling import check_biases
from inhouse.kit.errors import InvalidRequest

_UNREADABLE: dict[type[Part], str] = {Image: "image_url", Audio: "input_audio", File: "file"}


async def generate(call: Call, request: GenerationRequest) -> AsyncGenerator[list[Event], None]:
    """Run a request on the call's engine.

    Gives events in the batches they arrived in: deltas and tool calls of each choice, ``ChoiceFinished`` for each,
    and ``Usage`` last. The call is on the books before the first batch. Closing the generator stops the engine.

    Raises:
        APIError: what the client is to be told.
    """
    form = request.format
    with engine_errors(call.id, constraint_param=form.param if isinstance(form, JsonSchema) else None):
        if isinstance(call.text_engine, Upstream):
            events = remote.generate(call, call.text_engine, await with_inputs(call, request))
        else:
            request = await _readable(call, request)
            check_biases(request.sampling, call.text_engine.vocabulary)
            await _refuse_what_no_engine_can_follow(request)
            events = local.generate(call, call.text_engine, speakable(request))
        async with aclosing(events):
            async for batch in events:
                await call.answering()
                yield batch


async def count_tokens(call: Call, request: GenerationRequest) -> int:
    """Tokens of the prompt that a request makes, counted by the deployment's own tokenizer.

    An upstream tells them only with an answer, so it is asked for one of a single token.

    Raises:
        APIError: what the client is to be told.
    """
    if not isinstance(call.text_engine, Upstream):
        request = await _readable(call, request)
        with engine_errors(call.id):
            return await window.count(call, call.text_engine, speakable(request))
    least = msgspec.structs.replace(request, sampling=Sampling(max_tokens=1), stream=False)
    before = call.usage.input_tokens
    async with aclosing(generate(call, least)) as batches:
        async for _ in batches:
            pass
    return call.usage.input_tokens - before


async def _refuse_what_no_engine_can_follow(request: GenerationRequest) -> None:
    """Grammars of tools, also of those that the model will not call this time."""
    for tool in request.tools:
        if isinstance(tool, CustomTool) and tool.syntax != "text":
            # Compiling a client's grammar can take a while; the loop goes on meanwhile.
            await asyncio.to_thread(compile_definition, tool.syntax, tool.definition, param=tool.param)


async def _readable(call: Call, request: GenerationRequest) -> GenerationRequest:
    """Embedded models read text, also that of documents.

    Raises:
        InvalidRequest: there is something else to read.
    """
    _refuse(request, (Image, Audio))
    request = await with_inputs(call, request)
    _refuse(request, (Image, Audio, File))
    return request


def _refuse(request: GenerationRequest, kinds: tuple[type[Part], ...]) -> None:
    for item in request.items:
        if not isinstance(item, Message):
            continue
        for index, part in enumerate(item.parts):
            if isinstance(part, kinds):
                raise InvalidRequest(
                    f"Invalid content type. {_UNREADABLE[type(part)]} is only supported by certain models.",
                    param=f"{item.path}.content[{index}].type",
                )
