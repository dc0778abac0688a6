"""The search in vector stores as a hosted tool of a response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import structlog

from inhouse.calls import Call
from inhouse.catalog.terms import load_fees
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.kit.errors import APIError, InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.tools.file_search.citing import Citations
from inhouse.tools.file_search.service import Found, Search, VectorStores
from inhouse.tools.hosted import (
    Answered,
    Cited,
    Declaration,
    HostedCall,
    HostedItem,
    HostedTool,
    ItemDone,
    ItemProgress,
    ItemStarted,
    Paused,
    ToolEvent,
    ToolEvents,
)

NAME = "file_search"
MOST_QUERIES = 8
READ_SHARE = 0.25
"""Of the model's window, that the results of one search may fill."""
CHARS_A_TOKEN = 3
MOST_CHARS = 24_000
"""Of results that the model reads of one search: ten chunks of 800 tokens."""
NOTHING = "Nothing was found."
HOW_TO_CITE = (
    "Now answer the user in your own words, from these results only where they fit. After each sentence that uses a "
    "result, write its mark, for example 【1】."
)

log = structlog.get_logger(__name__)


class Result(msgspec.Struct, frozen=True):
    """A result as the contract tells it."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: dict[str, Any]


class FileSearchCall(HostedItem, kw_only=True, tag="file_search_call"):
    """One search. ``results`` are told where they were asked for."""

    status: Literal["in_progress", "searching", "completed", "incomplete", "failed"]
    queries: list[str]
    results: list[Result] | None = None


class FileSearch(HostedTool):
    """One search tool of one response.

    Args:
        search: what is the same in every search; it has no queries yet.
        tells: whether items hold their results.
    """

    kind = NAME

    def __init__(
        self,
        stores: VectorStores,
        call: Call,
        store_ids: Sequence[str],
        search: Search,
        *,
        tells: bool,
    ) -> None:
        self._stores = stores
        self._call = call
        self._store_ids = tuple(store_ids)
        self._search = search
        self._tells = tells
        self._citations = Citations()

    async def prepare(self) -> ToolEvents:
        await self._stores.check(self._call.project_id, self._store_ids)
        none: tuple[list[ToolEvent | Answered | Paused], ...] = ()
        for batch in none:
            yield batch

    def declarations(self) -> Sequence[Declaration]:
        return [
            Declaration(
                NAME,
                NAME,
                "Searches the user's files. Call it to answer questions about their contents, with one or several "
                "short queries that say what to look for.",
                {
                    "type": "object",
                    "properties": {
                        "queries": {
                            "type": "array",
                            "items": {"type": "string", "maxLength": 200},
                            "minItems": 1,
                            "maxItems": 4,
                            "description": "What to look for.",
                        }
                    },
                    "required": ["queries"],
                    "additionalProperties": False,
                },
                strict=True,
            )
        ]

    async def run(self, call: HostedCall) -> ToolEvents:
        queries = _queries(call.arguments)
        item = FileSearchCall(id=new_id("fs_"), status="in_progress", queries=queries)
        yield [
            ItemStarted(item),
            ItemProgress("file_search_call.in_progress"),
            ItemProgress("file_search_call.searching"),
        ]
        try:
            if not queries:
                raise InvalidRequest("The call has no queries.")
            search = msgspec.structs.replace(self._search, queries=tuple(queries))
            found = await self._stores.search(self._call.project_id, self._store_ids, search)
            await self._charge()
        except (APIError, EngineBusy, EngineFailed) as error:
            log.warning("a file search failed", call=self._call.id, reason=str(error))
            reason = error.message if isinstance(error, APIError) else "The search is not available now."
            item = msgspec.structs.replace(item, status="failed")
            yield [ItemDone(item), Answered(call, f"The search failed: {reason}")]
            return
        results = [Result(each.file_id, each.filename, each.score, each.text, each.attributes) for each in found]
        whole = msgspec.structs.replace(item, status="completed", results=results)
        done = ItemDone(whole) if self._tells else ItemDone(msgspec.structs.replace(whole, results=None), whole)
        yield [ItemProgress("file_search_call.completed"), done, Answered(call, *self._shown(found))]

    def recall(self, item: HostedItem) -> Answered | None:
        if not isinstance(item, FileSearchCall):
            return None
        call = HostedCall(item.id, NAME, msgspec.json.encode({"queries": item.queries}).decode())
        found = [
            Found(each.file_id, each.filename, each.attributes, each.score, each.text) for each in item.results or ()
        ]
        return Answered(call, *self._shown(found))

    def read(self, text: str) -> list[str | Cited]:
        return self._citations.read(text)

    def end_text(self, *, last: bool) -> list[str | Cited]:
        return self._citations.end(last=last)

    async def _charge(self) -> None:
        fee = load_fees()[NAME]
        detail = self._store_ids[0]
        await self._call.charge("file_search_calls", "searchVectorStore", fee.price // fee.per, detail)

    def _room(self) -> int:
        """Characters of results that the model may read."""
        engine = self._call.text_engine
        window = engine.window if isinstance(engine, LlamaEngine) else self._call.card.context_window
        return min(MOST_CHARS, int(window * READ_SHARE) * CHARS_A_TOKEN)

    def _shown(self, found: Sequence[Found]) -> tuple[str, str]:
        """What the model reads: the best results, as many as there is room for; with marks to set, and without."""
        if not found:
            return NOTHING, NOTHING
        marked: list[str] = []
        plain: list[str] = []
        room = most = self._room()
        for each in found:
            text = each.text.strip()
            if plain and len(text) > room:
                break
            number = self._citations.number(each)
            marked.append(f"Result 【{number}】, from {each.filename}:\n{text[:most]}")
            plain.append(f"From {each.filename}:\n{text[:most]}")
            room -= len(text)
        return "\n\n".join([*marked, HOW_TO_CITE]), "\n\n".join(plain)


def _queries(arguments: str) -> list[str]:
    """The queries of a call, whatever the model made of them."""
    try:
        told = msgspec.json.decode(arguments or "{}")
    except msgspec.MsgspecError:
        return []
    if isinstance(told, dict):
        told = told.get("queries", told.get("query"))
    given = told if isinstance(told, list) else [told]
    return [each.strip() for each in given if isinstance(each, str) and each.strip()][:MOST_QUERIES]
