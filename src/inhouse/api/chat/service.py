"""Chat Completions: answer, stream, store."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from inhouse.access import Caller
from inhouse.api.chat import wire
from inhouse.api.chat.demand import demand
from inhouse.api.chat.reading import messages_json, read
from inhouse.api.chat.store import CompletionStore, Stored
from inhouse.api.chat.writing import Chunks, Whole
from inhouse.api.completing import most_input_tokens
from inhouse.api.operation import Request
from inhouse.calls import Call, Calls
from inhouse.generation.core import generate
from inhouse.kit.errors import NotFound
from inhouse.metering.pricing import Bound


class ChatService:
    def __init__(self, calls: Calls, store: CompletionStore) -> None:
        self._calls = calls
        self._store = store

    def _open(self, request: Request, body: wire.CreateChatCompletionRequest) -> Call:
        return self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint="chat_completions",
            demand=demand(body),
            respond=request.respond,
            streams=bool(body.stream),
            tier=body.service_tier,
            most=_most(request, body),
        )

    async def complete(self, request: Request, body: wire.CreateChatCompletionRequest) -> wire.ChatCompletion:
        async with self._open(request, body) as call:
            answer = Whole(call, body)
            async with aclosing(generate(call, read(call, body))) as batches:
                async for batch in batches:
                    answer.add(batch)
            completion = answer.completion()
            if _keeps(request, body):
                completion.metadata = body.metadata or {}
                await self._keep(request, body, completion)
            return completion

    async def stream(
        self, request: Request, body: wire.CreateChatCompletionRequest
    ) -> AsyncGenerator[list[wire.ChatCompletionChunk], None]:
        async with self._open(request, body) as call:
            chunks = Chunks(call, body)
            whole = Whole(call, body) if _keeps(request, body) else None
            async with aclosing(generate(call, read(call, body))) as batches:
                async for batch in batches:
                    if whole is not None:
                        whole.add(batch)
                    if out := chunks.of(batch):
                        yield out
            if whole is not None:
                completion = whole.completion()
                completion.id, completion.created = chunks.id, chunks.created
                completion.metadata = body.metadata or {}
                await self._keep(request, body, completion)

    async def _keep(
        self, request: Request, body: wire.CreateChatCompletionRequest, completion: wire.ChatCompletion
    ) -> None:
        stored = wire.StoredChatCompletion(
            **{name: getattr(completion, name) for name in completion.__struct_fields__},
            request_id=request.request_id,
            seed=body.seed,
            temperature=1.0 if body.temperature is None else body.temperature,
            top_p=1.0 if body.top_p is None else body.top_p,
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
            input_user=body.user,
            tools=msgspec.to_builtins(body.tools),
            tool_choice=msgspec.to_builtins(body.tool_choice),
            response_format=msgspec.to_builtins(body.response_format),
        )
        row = Stored(
            id=completion.id,
            created_at=time.time_ns() // 1000,
            model=completion.model,
            metadata=msgspec.json.encode(completion.metadata).decode(),
            request=messages_json(body.messages).decode(),
            response=msgspec.json.encode(stored).decode(),
        )
        await self._store.add(request.caller.project_id, row)

    async def list(self, caller: Caller, query: wire.ListChatCompletionsQuery) -> wire.ChatCompletionList:
        page = await self._store.page(
            caller.project_id,
            after=query.after,
            limit=query.limit,
            order=query.order,
            models=None if query.model is None else self._calls.snapshots_of(query.model),
            metadata=query.metadata or {},
        )
        if page is None:
            raise _not_found(str(query.after), "after")
        rows, more = page
        data = [_completion(row) for row in rows]
        return wire.ChatCompletionList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )

    async def retrieve(self, caller: Caller, completion_id: str) -> wire.StoredChatCompletion:
        return _completion(await self._find(caller, completion_id))

    async def update(
        self, caller: Caller, completion_id: str, body: wire.UpdateChatCompletionRequest
    ) -> wire.StoredChatCompletion:
        metadata = msgspec.json.encode(body.metadata or {}).decode()
        stored = await self._store.set_metadata(caller.project_id, completion_id, metadata)
        if stored is None:
            raise _not_found(completion_id)
        return _completion(stored)

    async def delete(self, caller: Caller, completion_id: str) -> wire.ChatCompletionDeleted:
        if not await self._store.delete(caller.project_id, completion_id):
            raise _not_found(completion_id)
        return wire.ChatCompletionDeleted(id=completion_id)

    async def messages(
        self, caller: Caller, completion_id: str, query: wire.ListChatMessagesQuery
    ) -> wire.ChatCompletionMessageList:
        stored = await self._find(caller, completion_id)
        messages = msgspec.json.decode(stored.request, type=list[wire.Message])
        data = [_message(f"{completion_id}-{index}", message) for index, message in enumerate(messages)]
        if query.order == "desc":
            data.reverse()
        if query.after is not None:
            places = [index for index, message in enumerate(data) if message.id == query.after]
            if not places:
                raise NotFound(f"No such message: {query.after}", param="after")
            data = data[places[0] + 1 :]
        page = data[: query.limit]
        return wire.ChatCompletionMessageList(
            data=page,
            first_id=page[0].id if page else None,
            last_id=page[-1].id if page else None,
            has_more=len(data) > len(page),
        )

    async def _find(self, caller: Caller, completion_id: str) -> Stored:
        stored = await self._store.get(caller.project_id, completion_id)
        if stored is None:
            raise _not_found(completion_id)
        return stored


def _keeps(request: Request, body: wire.CreateChatCompletionRequest) -> bool:
    return bool(body.store) and not request.caller.policy.zero_retention


def _most(request: Request, body: wire.CreateChatCompletionRequest) -> Bound:
    parts = [part for message in body.messages if isinstance(message.content, list) for part in message.content]
    only_text = all(isinstance(part, wire.TextPart | wire.RefusalPart) for part in parts)
    return Bound(
        input_tokens=most_input_tokens(request) if only_text else None,
        output_tokens=body.max_completion_tokens or body.max_tokens,
        choices=body.n or 1,
    )


def _not_found(completion_id: str, param: str = "completion_id") -> NotFound:
    return NotFound(f"No such chat completion: {completion_id}", param=param)


def _completion(stored: Stored) -> wire.StoredChatCompletion:
    completion = msgspec.json.decode(stored.response, type=wire.StoredChatCompletion)
    completion.metadata = msgspec.json.decode(stored.metadata, type=dict[str, str])
    return completion


def _role(message: wire.Message) -> Any:
    return message.__struct_config__.tag


def _message(id: str, message: wire.Message) -> wire.StoredMessage:
    content = message.content
    told = wire.StoredMessage(
        id=id,
        role=_role(message),
        content=content if isinstance(content, str) else None,
        name=getattr(message, "name", None),
    )
    if isinstance(content, list):
        told.content_parts = [part for part in content if isinstance(part, wire.TextPart | wire.ImagePart)]
    if isinstance(message, wire.AssistantMessage):
        told.refusal = message.refusal
        if message.tool_calls:
            told.tool_calls = message.tool_calls
        if message.function_call is not None:
            told.function_call = message.function_call
    elif isinstance(message, wire.ToolMessage):
        told.tool_call_id = message.tool_call_id
    return told
