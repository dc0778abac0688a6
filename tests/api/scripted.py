"""Responses on an engine that writes what a test says, to look at the order of events and at faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from sqlalchemy import select

from inhouse.access import Caller
from inhouse.api.conversations.routes import Conversations
from inhouse.api.conversations.service import ConversationsService
from inhouse.api.operation import Headers, Request, operations_of
from inhouse.api.responses import wire
from inhouse.api.responses.background import Background
from inhouse.api.responses.hosting import NO_HOSTED_TOOLS, HostedTools
from inhouse.api.responses.keeping import Keeping
from inhouse.api.responses.routes import Responses
from inhouse.api.responses.service import ResponsesService
from inhouse.calls import Calls
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import load_cards
from inhouse.engines.protocol import Completion, Finished, Piece, TokenLogprob
from inhouse.jobs.runner import Runner
from inhouse.kit.ids import request_id
from inhouse.kit.sse import EventStream
from inhouse.kit.validation import convert, decode, parse_query
from inhouse.limits import Limits
from inhouse.metering.budgets import Budgets
from inhouse.metering.ledger import Ledger
from inhouse.metering.metrics import Metrics
from inhouse.settings import LimitSettings
from inhouse.storage.database import Database
from inhouse.storage.schema import calls as calls_table


class ScriptedEngine:
    """A text engine: a character is a token, a prompt is its messages as JSON lines.

    ``script`` holds an answer for each completion; the last one is used again and again. A piece that is an exception
    is raised.
    """

    def __init__(self, *script: Sequence[str | Exception], window: int = 100_000) -> None:
        self.script = list(script)
        self.window = window
        self.vocabulary = 0x110000
        self.prompts: list[str] = []
        self.reason: str = "stop"
        self.open = 0
        """Completions under way."""
        self.gate: asyncio.Event | None = None
        """Set: pieces after the first wait for it."""

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return [ord(letter) for letter in text]

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    async def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        lines = [f"{message['role']}: {message.get('content') or ''}{_calls(message)}" for message in messages]
        if tools:
            lines.insert(0, "tools: " + " ".join(tool["function"]["name"] for tool in tools))
        return "\n".join(lines)

    async def complete(self, request: Completion) -> AsyncGenerator[list[Piece | Finished], None]:
        self.prompts.append("".join(map(chr, request.prompt)))
        pieces = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.open += 1
        spent = 0
        try:
            for index, piece in enumerate(pieces):
                if index and self.gate is not None:
                    await self.gate.wait()
                if isinstance(piece, Exception):
                    raise piece
                spent += 1
                logprobs = [] if request.logprobs is None else [TokenLogprob(piece, -0.5, list(piece.encode()))]
                yield [Piece(piece, [1], logprobs, 1)]
                await asyncio.sleep(0)
            yield [Finished(self.reason, len(request.prompt), 0, spent)]  # type: ignore[arg-type]
        finally:
            self.open -= 1

    async def infill_prompt(self, prefix: str, suffix: str) -> list[int] | None:
        return None

    async def prompt_logprobs(
        self, tokens: Sequence[int], top: int = 0, *, tenant: str = ""
    ) -> list[TokenLogprob | None]:
        raise NotImplementedError


def _calls(message: dict[str, Any]) -> str:
    return "".join(f" call {c['function']['name']}{c['function']['arguments']}" for c in message.get("tool_calls", ()))


class _Pool:
    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine

    def get(self, deployment: Any) -> ScriptedEngine:
        return self.engine


class Platform:
    """The faces of Responses and Conversations over one database. Two on one database stand for two processes."""

    def __init__(
        self,
        database: Database,
        engine: ScriptedEngine,
        hosts: HostedTools = NO_HOSTED_TOOLS,
        keeping: Keeping | None = None,
    ) -> None:
        self.database = database
        self.engine = engine
        self.ledger = Ledger(database)
        self.calls = Calls(
            Catalog(load_cards(), Bindings(database)),
            Limits.of(LimitSettings(), database),
            self.ledger,
            Budgets(database),
            _Pool(engine),  # type: ignore[arg-type]
            Metrics(),
        )
        self.runner = Runner(database, poll_s=0.05)
        self.background = Background(self.calls, database, self.runner, hosts)
        self.service = ResponsesService(self.calls, database, self.background, hosts, keeping)
        faces = Responses(self.service), Conversations(ConversationsService(database, keeping))
        self.operations = {operation.id: operation for operation in operations_of(*faces)}

    async def call(
        self, id: str, body: dict[str, Any] | None = None, *, project: str = "proj_one", query: str = "", **path: str
    ) -> Any:
        """What an operation answers: the JSON, or the events of a stream as JSON."""
        result = await self._result(id, body, project, query, path)
        if isinstance(result, EventStream):
            return [event async for event in events(result)]
        return msgspec.json.decode(msgspec.json.encode(result))

    async def stream(self, body: dict[str, Any], *, project: str = "proj_one") -> EventStream[Any]:
        """A stream that a test reads, or leaves, by itself."""
        result = await self._result("createResponse", {"stream": True, **body}, project, "", {})
        assert isinstance(result, EventStream)
        return result

    async def _result(
        self, id: str, body: dict[str, Any] | None, project: str, query: str, path: dict[str, str]
    ) -> Any:
        operation = self.operations[id]
        caller = Caller("org-one", project, "key_one")
        request = Request(request_id(), operation, caller, Headers([]), None, 0.0)
        arguments: dict[str, Any] = dict(path)
        if body is not None:
            if id == "createResponse":
                body = {"model": "gpt-4.1", **body}
            arguments["body"] = decode(msgspec.json.encode(body), operation.body_type)
        if operation.query_type is not None:
            arguments["query"] = convert(parse_query(query.encode()), operation.query_type)
        return await operation.handler(request, **arguments)

    async def settled(self) -> list[tuple[str, int | None]]:
        """State and status of every call, oldest first."""
        rows = await self.database.read(
            lambda c: c.execute(
                select(calls_table.c.state, calls_table.c.status).order_by(calls_table.c.created_at)
            ).all()
        )
        return [(row.state, row.status) for row in rows]

    async def close(self) -> None:
        await self.runner.stop()
        await self.ledger.close()


Make = Callable[..., Platform]


@asynccontextmanager
async def platforms(database: Database) -> AsyncIterator[Make]:
    """Makes platforms on a database, each with the script of its engine; they are let go and closed at the end."""
    made: list[Platform] = []

    def make(*script: Any) -> Platform:
        made.append(Platform(database, ScriptedEngine(*script)))
        return made[-1]

    yield make
    for platform in made:
        if platform.engine.gate is not None:
            platform.engine.gate.set()
        await platform.close()


async def events(stream: EventStream[Any]) -> AsyncGenerator[dict[str, Any], None]:
    """Events of a stream as a client reads them."""
    try:
        async for batch in stream.batches:
            for line in stream.frame(batch).decode().split("\n"):
                if line.startswith("data: "):
                    yield msgspec.json.decode(line[6:])
    finally:
        await stream.batches.aclose()


def check_order(told: list[dict[str, Any]], *, ended: bool = True) -> None:
    """What holds for every stream: numbers without gaps, and an end for everything that was started."""
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    assert msgspec.convert(told, list[wire.ResponseStreamEvent])
    opened: list[tuple[str, Any]] = []
    for event in told:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert not opened
            opened.append(("item", event["item"]["id"]))
        elif kind == "response.content_part.added":
            opened.append(("part", event["item_id"]))
        elif kind == "response.content_part.done":
            assert opened.pop() == ("part", event["item_id"])
        elif kind == "response.output_item.done":
            assert opened.pop() == ("item", event["item"]["id"])
        elif kind.endswith(".delta"):
            assert opened[-1][1] == event["item_id"]
    if ended:
        assert not opened
        assert told[-1]["type"] in ("response.completed", "response.incomplete", "response.failed")
