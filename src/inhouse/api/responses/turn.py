"""One turn: a request together with what it goes on from, ready for the model."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from inhouse.api.moderating import moderate
from inhouse.api.prompts.service import prompt_messages
from inhouse.api.responses import store, wire
from inhouse.api.responses.checking import check_items
from inhouse.api.responses.compaction import opened
from inhouse.api.responses.hosting import HostedTools
from inhouse.api.responses.items import StoredItem
from inhouse.api.responses.mcp import told_server
from inhouse.api.responses.moderating import told_moderation
from inhouse.api.responses.past import NOTHING, Past, Pasts
from inhouse.api.responses.reading import LOGPROBS, check, read, tools_of
from inhouse.api.responses.reading_tools import Toolbox
from inhouse.api.responses.recalling import recalled
from inhouse.api.responses.store import StoredResponse
from inhouse.api.responses.stored import body_of, input_items, stored_item, stored_output
from inhouse.api.responses.writing import Writer
from inhouse.calls import Call
from inhouse.generation.events import ChoiceFinished, Event
from inhouse.generation.items import FunctionTool, GenerationRequest
from inhouse.generation.loop import respond
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database
from inhouse.tools.hosted import ToolEvent

Recall = Callable[[str], Past | None]
"""What a turn after a response goes on from, where a connection remembers it."""


class Turn(msgspec.Struct, kw_only=True):
    """What one response is made of."""

    project_id: str
    body: wire.CreateResponse
    request: GenerationRequest
    tools: Toolbox
    response: wire.Response
    created_at: int
    """Unix microseconds."""
    input: list[StoredItem]
    """The items that came with the request itself."""
    conversation_id: str | None
    prompt: list[wire.InputMessage]
    """What the saved prompt begins with."""
    items: list[wire.InputItem]
    """All that the model reads, the oldest first."""
    leading: list[wire.OutputItem] = []
    """Output that is there before the model answers."""
    answers: bool = True
    """Whether the model answers at all."""
    past: Past = NOTHING
    """What it goes on from."""
    whole: dict[str, wire.OutputItem] = {}
    """Of the output, as ``Writer.whole``."""

    @property
    def stored(self) -> bool:
        return self.body.store is not False

    @property
    def logprobs(self) -> bool:
        return LOGPROBS in (self.body.include or ())

    @property
    def obfuscate(self) -> bool:
        options = self.body.stream_options
        return bool(self.body.stream) and (options is None or options.include_obfuscation is not False)

    def writer(self) -> Writer:
        writer = Writer(
            self.response, self.tools, logprobs=self.logprobs, obfuscate=self.obfuscate, leading=self.leading
        )
        self.whole = writer.whole
        return writer

    async def answer(self, call: Call) -> AsyncGenerator[list[Event | ToolEvent], None]:
        """Ask the model, and run the hosted tools that it calls; nothing, where it was only asked to compact."""
        if not self.answers:
            yield [ChoiceFinished("stop", 0)]
            return
        async with aclosing(respond(call, self.request, self.tools.hosting)) as batches:
            async for batch in batches:
                yield batch
        if call.moderated is not None:
            self.response.moderation = told_moderation(call.moderated)

    def to_store(self) -> StoredResponse:
        """The response as it stands."""
        return StoredResponse(
            id=self.response.id,
            created_at=self.created_at,
            status=self.response.status,
            previous_response_id=self.body.previous_response_id,
            conversation_id=self.conversation_id,
            body=body_of(self.response),
            output=stored_output(self.response.output, self.whole),
        )


async def prepare(
    database: Database,
    pasts: Pasts,
    project_id: str,
    call: Call,
    body: wire.CreateResponse,
    hosts: HostedTools,
    recall: Recall | None = None,
) -> Turn:
    """Check a request and gather what it goes on from.

    Args:
        recall: asked before the database.

    Raises:
        InvalidRequest, NotFound
    """
    check(call, body)
    conversation_id = conversation_of(body.conversation)
    past = None
    if recall is not None and body.previous_response_id is not None and conversation_id is None:
        past = recall(body.previous_response_id)
    if past is None:
        past = await pasts.gather(project_id, body.previous_response_id, conversation_id)
    given = given_items(body.input)
    check_items(given, past.items)
    new = await resolved(database, project_id, given)
    said = await prompt_messages(database, project_id, body.prompt)
    items = await opened(database, project_id, past.items, new)
    turn = _turn(project_id, call, body, hosts, conversation_id, said, past, *items)
    turn.input = [stored_item(item) for item in new if not isinstance(item, wire.CompactionTrigger)]
    return turn


async def resume(
    database: Database,
    pasts: Pasts,
    project_id: str,
    call: Call,
    body: wire.CreateResponse,
    hosts: HostedTools,
    response_id: str,
) -> Turn:
    """The turn of a response whose input is stored already. Raises as ``prepare``."""
    conversation_id = conversation_of(body.conversation)
    past = await pasts.gather(project_id, body.previous_response_id, conversation_id)
    own = await database.read(partial(store.own_input, response_id=response_id))
    said = await prompt_messages(database, project_id, body.prompt)
    new = [*input_items(own), *triggers(body)]
    items = await opened(database, project_id, past.items, new)
    turn = _turn(project_id, call, body, hosts, conversation_id, said, past, *items)
    turn.response.id = response_id
    turn.input = own
    return turn


def _turn(
    project_id: str,
    call: Call,
    body: wire.CreateResponse,
    hosts: HostedTools,
    conversation_id: str | None,
    prompt: list[wire.InputMessage],
    past: Past,
    history: list[wire.InputItem],
    new: list[wire.InputItem],
) -> Turn:
    moderate(call, body.moderation)
    items = [*history, *new]
    tools = tools_of(call, body, items, hosts)
    now = time.time_ns() // 1000
    begun = past.reading() if history is past.items else None
    request = read(call, body, items, tools, prompt=prompt, history=len(history), begun=begun)
    return Turn(
        project_id=project_id,
        body=body,
        request=recalled(request, items, tools.hosting.tools),
        tools=tools,
        response=_response(call, body, tools, conversation_id, prompt, now // 1_000_000),
        created_at=now,
        input=[],
        conversation_id=conversation_id,
        items=items,
        prompt=prompt,
        past=past,
    )


def given_items(given: str | list[wire.InputItem] | None) -> list[wire.InputItem]:
    """The input as items; text is a message of the user."""
    if isinstance(given, str):
        return [wire.InputMessage(role="user", content=given)]
    return given or []


def triggers(body: wire.CreateResponse) -> list[wire.InputItem]:
    """What of the input is an order, and is not stored."""
    return [item for item in given_items(body.input) if isinstance(item, wire.CompactionTrigger)]


def conversation_of(given: str | wire.ConversationReference | None) -> str | None:
    return given.id if isinstance(given, wire.ConversationReference) else given


async def resolved(database: Database, project_id: str, items: Sequence[wire.InputItem]) -> list[wire.InputItem]:
    """Items with those in place that are only named by their id.

    Raises:
        NotFound
    """
    wanted = [item.id for item in items if isinstance(item, wire.ItemReference)]
    if not wanted:
        return list(items)
    found = await database.read(partial(store.items_by_id, project_id=project_id, ids=wanted))
    resolved: list[wire.InputItem] = []
    for item in items:
        if not isinstance(item, wire.ItemReference):
            resolved.append(item)
        elif item.id in found:
            resolved += input_items([StoredItem(item.id, found[item.id])])
        else:
            raise NotFound(
                f"Item with id '{item.id}' not found. Items are not persisted when `store` is set to false.",
                param="input",
            )
    return resolved


def _response(
    call: Call,
    body: wire.CreateResponse,
    tools: Toolbox,
    conversation_id: str | None,
    prompt: list[wire.InputMessage],
    created_at: int,
) -> wire.Response:
    text = body.text or wire.TextConfig()
    return wire.Response(
        id=new_id("resp_"),
        created_at=created_at,
        status="queued" if body.background else "in_progress",
        background=bool(body.background),
        instructions=_instructions(body.instructions, prompt),
        max_output_tokens=body.max_output_tokens,
        max_tool_calls=body.max_tool_calls,
        model=call.snapshot.id,
        output=[],
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        conversation=wire.ResponseConversation(id=conversation_id) if conversation_id is not None else None,
        prompt=body.prompt,
        prompt_cache_key=body.prompt_cache_key,
        prompt_cache_retention=body.prompt_cache_retention,
        reasoning=body.reasoning or wire.ReasoningConfig(),
        safety_identifier=body.safety_identifier,
        service_tier=call.service_tier,  # type: ignore[arg-type]
        store=body.store is not False,
        temperature=1.0 if body.temperature is None else body.temperature,
        text=wire.TextConfig(format=text.format or wire.TextFormatText(), verbosity=text.verbosity or "medium"),
        tool_choice=body.tool_choice or "auto",
        tools=[_told(tool, tools) for tool in body.tools or ()],
        top_logprobs=body.top_logprobs or 0,
        top_p=1.0 if body.top_p is None else body.top_p,
        truncation=body.truncation or "disabled",
        user=body.user,
        metadata=body.metadata or {},
    )


def _instructions(instructions: str | None, prompt: Sequence[wire.InputMessage]) -> str | list[wire.InputItem] | None:
    """What the model was told first; where a saved prompt tells it, as items."""
    if not prompt:
        return instructions
    own = [wire.InputMessage(role="system", content=[wire.InputText(text=instructions)])] if instructions else []
    return [*own, *prompt]


def _told(tool: Any, tools: Toolbox) -> Any:
    """A tool as the response repeats it: with what was decided where the request said nothing."""
    if isinstance(tool, wire.MCPServer):
        return told_server(tool)
    if not isinstance(tool, wire.FunctionTool):
        return tool
    taken = next((each for each in tools.tools if each.name == tool.name), None)
    strict = taken.strict if isinstance(taken, FunctionTool) else bool(tool.strict)
    return msgspec.structs.replace(tool, strict=strict)
