"""A request on a call's engine, as it is: what the engine can read, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from inhouse.calls import Call
from inhouse.engines.upstream import Upstream
from inhouse.generation import local, remote
from inhouse.generation.errors import engine_errors
from inhouse.generation.events import Event
from inhouse.generation.grammar import compile_definition
from inhouse.generation.inputs import with_inputs
from inhouse.generation.items import Audio, CustomTool, File, GenerationRequest, Image, JsonSchema, Message, Part
from inhouse.generation.prompt import speakable
from inhouse.generation.sampling import check_biases
from inhouse.kit.errors import InvalidRequest

_UNREADABLE: dict[type[Part], str] = {Image: "image_url", Audio: "input_audio", File: "file"}


async def readable(call: Call, request: GenerationRequest) -> GenerationRequest:
    """The request with all files read. Embedded models read text, also that of documents.

    Raises:
        InvalidRequest: there is something that the engine cannot read.
        APIError: what the client is to be told.
    """
    with engine_errors(call.id):
        if isinstance(call.text_engine, Upstream):
            return await with_inputs(call, request)
    _refuse(request, (Image, Audio))
    request = await with_inputs(call, request)
    _refuse(request, (Image, Audio, File))
    return request


async def answer(call: Call, request: GenerationRequest) -> AsyncGenerator[list[Event], None]:
    """What the engine says to a request, in the batches it arrives in. Nothing of it is moderated.

    Raises:
        APIError: what the client is to be told.
    """
    request = await readable(call, request)
    form = request.format
    with engine_errors(call.id, constraint_param=form.param if isinstance(form, JsonSchema) else None):
        engine = call.text_engine
        if isinstance(engine, Upstream):
            events = remote.generate(call, engine, request)
        else:
            check_biases(request.sampling, engine.vocabulary)
            await _refuse_what_no_engine_can_follow(request)
            events = local.generate(call, engine, speakable(request))
        async with aclosing(events):
            async for batch in events:
                await call.answering()
                yield batch


async def _refuse_what_no_engine_can_follow(request: GenerationRequest) -> None:
    """Grammars of tools, also of those that the model will not call this time."""
    for tool in request.tools:
        if isinstance(tool, CustomTool) and tool.syntax != "text":
            # Compiling a client's grammar can take a while; the loop goes on meanwhile.
            await asyncio.to_thread(compile_definition, tool.syntax, tool.definition, param=tool.param)


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
