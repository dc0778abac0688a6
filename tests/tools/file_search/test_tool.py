"""The tool by itself: when a search is charged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inhouse.engines.protocol import EngineBusy
from inhouse.kit.errors import NotFound, RateLimited
from inhouse.tools.file_search import FileSearch, Found, Search
from inhouse.tools.hosted import Answered, HostedCall, ItemDone

FOUND = Found("file-1", "a.txt", {}, 0.5, "The budget is 3400 euros.")


class Call(SimpleNamespace):
    """What the tool needs of a call."""

    def __init__(self, refuses: Exception | None = None) -> None:
        super().__init__(id="req_1", project_id="proj_1", text_engine=None, card=SimpleNamespace(context_window=4096))
        self.refuses = refuses
        self.charged: list[tuple[Any, ...]] = []

    async def charge(self, *told: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.charged.append(told)


async def run(call: Call, arguments: str, error: Exception | None = None) -> tuple[str, str]:
    """The item's status, and what the model reads."""

    async def search(project_id: str, store_ids: Any, search: Search) -> list[Found]:
        if error is not None:
            raise error
        return [FOUND]

    stores: Any = SimpleNamespace(search=search)
    tool = FileSearch(stores, call, ["vs_1", "vs_2"], Search(()), tells=True)  # type: ignore[arg-type]
    events = [event async for batch in tool.run(HostedCall("call_1", "file_search", arguments)) for event in batch]
    (done,) = [event for event in events if isinstance(event, ItemDone)]
    (answered,) = [event for event in events if isinstance(event, Answered)]
    return done.item.status, answered.output  # type: ignore[attr-defined]


async def test_a_search_is_charged_once() -> None:
    call = Call()
    status, read = await run(call, '{"queries": ["budget", "euros"]}')
    assert status == "completed"
    assert "3400" in read
    assert call.charged == [("file_search_calls", "searchVectorStore", 2_500_000, "vs_1")]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [('{"queries": ["x"]}', EngineBusy("no turn")), ('{"queries": ["x"]}', NotFound("gone")), ("{}", None)],
)
async def test_a_search_that_fails_is_not_charged(arguments: str, error: Exception | None) -> None:
    call = Call()
    status, read = await run(call, arguments, error)
    assert (status, call.charged) == ("failed", [])
    assert read.startswith("The search failed")


async def test_what_no_budget_covers_is_not_read() -> None:
    status, read = await run(Call(RateLimited("You exceeded your current quota.")), '{"queries": ["x"]}')
    assert status == "failed"
    assert "quota" in read
    assert "3400" not in read
