"""Embeddings: vectors of texts."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import msgspec

from inhouse.api.completing import most_input_tokens
from inhouse.api.embeddings import wire
from inhouse.api.embeddings.vectors import Vector, fitted, packed, rows, unpacked
from inhouse.api.operation import Request
from inhouse.calls import Call, Calls
from inhouse.catalog.cards import Card
from inhouse.engines.embedding.shapes import COUNT, EMBED, Counted, Input, Inputs, Vectors
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.protocol import EngineFailed, Refused
from inhouse.engines.upstream import Upstream, UpstreamError
from inhouse.generation.errors import engine_errors
from inhouse.generation.remote import client_error
from inhouse.kit.errors import InvalidRequest
from inhouse.limits import Demand, estimate
from inhouse.metering.pricing import Bound

TURN_INPUTS = 64
TURN_BYTES = 64 << 10
"""What is embedded in one turn of the engine's queue, so that nobody waits for the whole of a large request."""


class EmbeddingsService:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def embed(self, request: Request, body: wire.CreateEmbeddingRequest) -> wire.CreateEmbeddingResponse:
        inputs = read(body)
        async with self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint="embeddings",
            demand=demand(inputs),
            respond=request.respond,
            streams=False,
            most=Bound(input_tokens=most_input_tokens(request), output_tokens=0, prompts=len(inputs)),
        ) as call:
            dimensions = _dimensions(call.card, body.dimensions)
            write: Callable[[Vector], Any] = packed if body.encoding_format == "base64" else list
            data: list[wire.Embedding] = []
            async with aclosing(_vectors(call, inputs)) as parts:
                async for part in parts:
                    for vector in part:
                        embedding = write(fitted(vector, dimensions))
                        data.append(wire.Embedding(index=len(data), embedding=embedding))
                    await asyncio.sleep(0)
            tokens = call.usage.input_tokens
            return wire.CreateEmbeddingResponse(
                data=data,
                model=call.snapshot.id,
                usage=wire.EmbeddingUsage(prompt_tokens=tokens, total_tokens=tokens),
            )


def read(body: wire.CreateEmbeddingRequest) -> list[Input]:
    """The inputs: a text, tokens, texts, or lists of tokens, always as a list.

    Raises:
        InvalidRequest: an empty text.
    """
    given: Any = body.input
    inputs: list[Input] = [given] if isinstance(given, str) or isinstance(given[0], int) else given
    if "" in inputs:
        raise InvalidRequest(
            "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
        )
    return inputs


def demand(inputs: list[Input]) -> Demand:
    """What the request may use at most. Inputs that are given as tokens need no estimate."""
    tokens = sum(len(given) for given in inputs if not isinstance(given, str))
    return Demand(input_tokens=tokens + estimate(sum(len(given) for given in inputs if isinstance(given, str))))


def _dimensions(card: Card, asked: int | None) -> int:
    """Components of each vector of the answer.

    Raises:
        InvalidRequest: more than the model gives, or any number of a model that takes none.
        EngineFailed: the card says nothing of vectors.
    """
    promised = card.embedding
    if promised is None:
        raise EngineFailed(f"the card of {card.id} does not say how long its vectors are")
    if asked is None:
        return promised.dimensions
    if not promised.shortens:
        raise InvalidRequest("This model does not support specifying dimensions.")
    if asked > promised.dimensions:
        raise InvalidRequest(
            f"Invalid value for 'dimensions' = {asked}. Must be less than or equal to {promised.dimensions}.",
            param="dimensions",
        )
    return asked


async def _vectors(call: Call, inputs: list[Input]) -> AsyncGenerator[list[Vector], None]:
    """The vectors in order, some at a time. What was embedded is in the usage, also if the client leaves.

    Raises:
        APIError: what the client is to be told.
    """
    with engine_errors(call.id):
        engine = call.host("embedding")
        if isinstance(engine, Upstream):
            yield await _ask_upstream(call, engine, inputs)
            return
        try:
            if _may_be_too_long(call.card, inputs):
                counted = await engine.call(
                    COUNT, Inputs(inputs), Counted, tenant=call.project_id, priority=call.priority
                )
                _check_tokens(call.card, counted.tokens)
            for turn in turns(inputs):
                yield await _ask_host(call, engine, turn)
        except Refused as error:
            raise InvalidRequest(str(error), param=error.param, code=error.code) from error


async def _ask_host(call: Call, engine: HostedEngine, turn: list[Input]) -> list[Vector]:
    answer = await engine.call(EMBED, Inputs(turn), Vectors, tenant=call.project_id, priority=call.priority)
    call.usage.input_tokens += sum(answer.tokens)
    return list(rows(answer.data, answer.width))


def turns(inputs: list[Input]) -> Iterator[list[Input]]:
    """The inputs in the parts that take a turn each."""
    turn: list[Input] = []
    size = 0
    for given in inputs:
        length = len(given)
        if turn and (len(turn) == TURN_INPUTS or size + length > TURN_BYTES):
            yield turn
            turn, size = [], 0
        turn.append(given)
        size += length
    yield turn


def _may_be_too_long(card: Card, inputs: list[Input]) -> bool:
    """A token is at least a byte, so short texts need no counting."""
    most = [len(given.encode()) if isinstance(given, str) else len(given) for given in inputs]
    promised = card.embedding
    return max(most) > card.context_window or (promised is not None and sum(most) > promised.max_request_tokens)


def _check_tokens(card: Card, tokens: list[int]) -> None:
    longest, total = max(tokens), sum(tokens)
    if longest > card.context_window:
        raise InvalidRequest(
            f"This model's maximum context length is {card.context_window} tokens, however you requested {longest} "
            f"tokens ({longest} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
        )
    if card.embedding is not None and total > card.embedding.max_request_tokens:
        raise InvalidRequest(
            f"Requested {total} tokens, max {card.embedding.max_request_tokens} tokens per request",
            type="max_tokens_per_request",
            code="max_tokens_per_request",
        )


class _Embedding(msgspec.Struct):
    embedding: list[float] | str
    index: int


class _Usage(msgspec.Struct):
    prompt_tokens: int


class _Answer(msgspec.Struct):
    data: list[_Embedding]
    usage: _Usage


async def _ask_upstream(call: Call, upstream: Upstream, inputs: list[Input]) -> list[Vector]:
    """An upstream counts, limits and embeds by itself; its vectors are brought to the promised length here."""
    body = {"model": call.snapshot.id, "input": inputs, "encoding_format": "base64"}
    try:
        answer = msgspec.json.decode((await upstream.post("/embeddings", body)).body, type=_Answer)
        found = sorted(answer.data, key=lambda each: each.index)
        if [each.index for each in found] != list(range(len(inputs))):
            raise EngineFailed("the upstream did not send one vector for each input")
        # Some servers send floats whatever was asked for.
        vectors = [
            unpacked(each.embedding) if isinstance(each.embedding, str) else array("f", each.embedding)
            for each in found
        ]
    except UpstreamError as error:
        raise client_error(error) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise EngineFailed(f"the upstream sent what is not the contract: {error}") from error
    call.usage.input_tokens = answer.usage.prompt_tokens
    return vectors
