"""The loop of hosted tools as the Responses face tells it, with a tool that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.walking import migrated

from inhouse.api.responses import store
from inhouse.api.responses.ending import endings
from inhouse.api.responses.hosting import Circumstances, HostedTools
from inhouse.engines.protocol import EngineFailed
from inhouse.generation import loop
from inhouse.kit.errors import InvalidRequest
from inhouse.storage.database import Database
from inhouse.tools.hosted import (
    Answered,
    Declaration,
    HostedCall,
    HostedItem,
    HostedTool,
    ItemDone,
    ItemProgress,
    ItemStarted,
    Paused,
    ToolEvents,
)
from scripted import Platform, ScriptedEngine, check_order, events

SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}
FUNCTION = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": True},
    "strict": False,
}


def calling(name: str, word: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {{"word": "{word}"}}}}\n</tool_call>'


class SearchItem(HostedItem, kw_only=True, tag="file_search_call"):
    status: str
    queries: list[str]


class Bench:
    """What the tools of a test do, and what became of them."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.running = 0
        self.most_running = 0
        self.closed = 0
        self.holds: dict[str, asyncio.Event] = {}
        """Words whose call waits."""
        self.pauses = False
        self.plain: str | None = None
        self.fails: Exception | None = None
        self.prepares: Exception | None = None


class Searching(HostedTool):
    kind = "file_search"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def prepare(self) -> ToolEvents:
        if self.bench.prepares is not None:
            raise self.bench.prepares
        yield []

    def declarations(self) -> Sequence[Declaration]:
        return [
            Declaration(
                "file_search",
                "file_search",
                "Search.",
                {"type": "object", "properties": {}, "additionalProperties": True},
            )
        ]

    async def run(self, call: HostedCall) -> ToolEvents:
        bench = self.bench
        word = msgspec.json.decode(call.arguments)["word"]
        bench.ran.append(word)
        bench.running += 1
        bench.most_running = max(bench.most_running, bench.running)
        try:
            item = SearchItem(id=f"fs_{word}", status="in_progress", queries=[word])
            yield [ItemStarted(item), ItemProgress("file_search_call.in_progress")]
            await asyncio.sleep(0)
            if word in bench.holds:
                await bench.holds[word].wait()
            if bench.fails is not None:
                raise bench.fails
            yield [
                ItemProgress("file_search_call.completed"),
                ItemDone(msgspec.structs.replace(item, status="completed")),
                Paused() if bench.pauses else Answered(call, f"found {word}", bench.plain),
            ]
        finally:
            bench.running -= 1

    async def close(self) -> None:
        self.bench.closed += 1


Make = Callable[..., Platform]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def make(tmp_path: Path, bench: Bench) -> AsyncIterator[Make]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    made: list[Platform] = []

    def maker(tool: Any, circumstances: Circumstances) -> HostedTool:
        return Searching(bench)

    def make(*script: Sequence[str | Exception], window: int = 100_000) -> Platform:
        engine = ScriptedEngine(*script, window=window)
        made.append(Platform(database, engine, HostedTools({"file_search": maker})))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()


def types(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told]


async def ask(platform: Platform, **body: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = await platform.call(
        "createResponse", {"input": "Hi", "tools": [SEARCH], "stream": True, **body}
    )
    check_order(told)
    return told


async def test_a_call_is_run_and_read(make: Make, bench: Bench) -> None:
    platform = make(["Let me see. ", calling("file_search", "a")], ["It says ", "found."])
    told = await ask(platform)
    assert [kind for kind in types(told) if not kind.endswith("delta")] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "file_search_call.in_progress",
        "file_search_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["message", "file_search_call", "message"]
    assert output[1] == {"type": "file_search_call", "id": "fs_a", "status": "completed", "queries": ["a"]}
    assert "tools: file_search" in platform.engine.prompts[0]
    assert 'assistant: Let me see. call file_search{"word":"a"}' in platform.engine.prompts[1]
    assert "tool: found a" in platform.engine.prompts[1]
    assert (bench.closed, bench.running) == (1, 0)


async def test_usage_is_that_of_all_turns_and_settled_once(make: Make) -> None:
    platform = make([calling("file_search", "a")], ["Done", "."])
    told = await ask(platform)
    usage = told[-1]["response"]["usage"]
    assert usage["input_tokens"] == sum(len(prompt) for prompt in platform.engine.prompts)
    assert usage["output_tokens"] == 3
    assert await platform.settled() == [("settled", 200)]


async def test_a_response_without_a_stream_is_the_same(make: Make, bench: Bench) -> None:
    platform = make([calling("file_search", "a")], ["Done."])
    response = await platform.call("createResponse", {"input": "Hi", "tools": [SEARCH]})
    assert [item["type"] for item in response["output"]] == ["file_search_call", "message"]
    assert response["status"] == "completed"
    again = await platform.call("getResponse", response_id=response["id"])
    assert again["output"] == response["output"]
    assert bench.closed == 1


async def test_what_a_call_found_is_read_again_in_the_next_response(make: Make) -> None:
    platform = make([calling("file_search", "a")], ["Done."], ["More."])
    first = await platform.call("createResponse", {"input": "Hi", "tools": [SEARCH]})
    await platform.call("createResponse", {"input": "And?", "previous_response_id": first["id"]})
    assert 'call file_search{"queries":["a"]}' in platform.engine.prompts[-1]


async def test_parallel_calls_run_together_and_are_told_in_order(make: Make, bench: Bench) -> None:
    bench.holds["a"] = asyncio.Event()
    platform = make([calling("file_search", "a") + "\n" + calling("file_search", "b")], ["Done."])
    asking = asyncio.create_task(ask(platform))
    while bench.most_running < 2:
        await asyncio.sleep(0.01)
    bench.holds["a"].set()
    told = await asking
    assert [item["id"] for item in told[-1]["response"]["output"][:2]] == ["fs_a", "fs_b"]
    assert "tool: found a\ntool: found b" in platform.engine.prompts[1]


async def test_a_function_of_the_client_ends_the_response_after_the_hosted_calls(make: Make, bench: Bench) -> None:
    platform = make([calling("look_up", "x") + "\n" + calling("file_search", "a")], ["Done."])
    told = await ask(platform, tools=[SEARCH, FUNCTION])
    output = told[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "file_search_call"]
    assert told[-1]["type"] == "response.completed"
    assert bench.ran == ["a"]
    # The client answers, and the model reads of both.
    call_id = output[0]["call_id"]
    await platform.call(
        "createResponse",
        {
            "input": [{"type": "function_call_output", "call_id": call_id, "output": "42"}],
            "previous_response_id": told[-1]["response"]["id"],
            "tools": [SEARCH, FUNCTION],
        },
    )
    assert "call look_up" in platform.engine.prompts[-1]
    assert "call file_search" in platform.engine.prompts[-1]
    assert "tool: 42" in platform.engine.prompts[-1]


async def test_no_more_calls_than_allowed(make: Make, bench: Bench) -> None:
    both = calling("file_search", "a") + "\n" + calling("file_search", "b")
    platform = make([both], ["Done."])
    told = await ask(platform, max_tool_calls=1)
    assert bench.ran == ["a"]
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["file_search_call", "message"]
    assert "tools:" not in platform.engine.prompts[1]


async def test_a_model_that_calls_for_ever_is_made_to_speak(
    make: Make, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MOST_TURNS", 3)
    platform = make(*[[calling("file_search", str(turn))] for turn in range(3)], ["Enough."])
    told = await ask(platform)
    assert bench.ran == ["0", "1", "2"]
    assert told[-1]["response"]["output"][-1]["content"][0]["text"] == "Enough."


async def test_a_call_is_not_repeated(make: Make, bench: Bench) -> None:
    platform = make([calling("file_search", "a")], [calling("file_search", "a")], ["Spoken."])
    told = await ask(platform)
    assert bench.ran == ["a"]
    assert told[-1]["response"]["output"][-1]["content"][0]["text"] == "Spoken."


@pytest.mark.parametrize("silence", [[], [" \n"], ["[", "] "]], ids=["nothing", "spaces", "brackets"])
async def test_a_silent_turn_after_a_call_is_asked_again(
    make: Make, bench: Bench, silence: list[str | Exception]
) -> None:
    platform = make([calling("file_search", "a")], silence, ["It is ", "so."])
    told = await ask(platform, tools=[SEARCH, FUNCTION])
    response = told[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["file_search_call", "message"]
    assert response["output"][1]["content"][0]["text"] == "It is so."
    assert [event["delta"] for event in told if event["type"] == "response.output_text.delta"] == ["It is ", "so."]
    asked = platform.engine.prompts
    assert asked[2] == "user: Hi\n\nResult of file_search: found a\nAnswer with the help of these results."
    assert response["usage"]["input_tokens"] == sum(map(len, asked))
    assert response["usage"]["output_tokens"] == 1 + len(silence) + 2
    assert (await platform.settled(), bench.ran) == ([("settled", 200)], ["a"])


async def test_small_numbers_beside_numbered_results_are_marks_and_no_answer(make: Make, bench: Bench) -> None:
    bench.plain = "It is 7."
    platform = make([calling("file_search", "a")], ["1", " ", "2."], ["It is 7."])
    told = await ask(platform)
    assert told[-1]["response"]["output"][1]["content"][0]["text"] == "It is 7."
    plain = "user: Hi\n\nResult of file_search: It is 7.\nAnswer with the help of these results."
    assert platform.engine.prompts[2] == plain
    for said in (["19", "87"], ["12", " pounds"], ["1", "."]):
        bench.plain = None if said[1] == "." else "It is 7."
        platform = make([calling("file_search", "a")], said, ["Not asked for."])
        told = await ask(platform)
        assert told[-1]["response"]["output"][1]["content"][0]["text"] == "".join(said)


async def test_a_model_that_calls_again_reads_the_results_plainly(make: Make, bench: Bench) -> None:
    bench.plain = "It is 7."
    platform = make([calling("file_search", "a")], [calling("file_search", "a")], ["It is 7."])
    told = await ask(platform)
    assert told[-1]["response"]["output"][-1]["content"][0]["text"] == "It is 7."
    assert "Result of file_search: It is 7." in platform.engine.prompts[-1]
    assert "found a" not in platform.engine.prompts[-1]


async def test_it_is_asked_again_once(make: Make) -> None:
    platform = make([calling("file_search", "a")], [])
    told = await ask(platform)
    assert told[-1]["type"] == "response.completed"
    assert len(platform.engine.prompts) == 3


async def test_a_silent_turn_at_the_limit_of_tokens_is_not_asked_again(make: Make) -> None:
    platform = make([calling("file_search", "a")], [" "] * 15, ["Too late."])
    told = await ask(platform, max_output_tokens=16)
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert len(platform.engine.prompts) == 2


async def test_silence_is_an_answer_where_no_tool_gave_anything(make: Make) -> None:
    platform = make([])
    told = await ask(platform)
    assert told[-1]["type"] == "response.completed"
    assert len(platform.engine.prompts) == 1


async def test_outputs_of_the_clients_functions_are_answered_too(make: Make) -> None:
    platform = make([], ["Warm."])
    called = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
    given = {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"}
    asked = [{"role": "user", "content": "Paris?"}, called, given]
    told = await ask(platform, input=asked, tools=[FUNCTION])
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == "Warm."
    assert "18 degrees" in platform.engine.prompts[1]


async def test_a_forced_call_is_made_once(make: Make, bench: Bench) -> None:
    platform = make(['{"name": "file_search", "arguments": {"word": "a"}}'], ["Done."])
    told = await ask(platform, tools=[SEARCH, FUNCTION], tool_choice={"type": "file_search"})
    assert bench.ran == ["a"]
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["file_search_call", "message"]
    assert told[-1]["response"]["tool_choice"] == {"type": "file_search"}
    assert "tools: look_up file_search" in platform.engine.prompts[1]


async def test_required_is_met_by_the_first_call(make: Make, bench: Bench) -> None:
    platform = make(['{"name": "file_search", "arguments": {"word": "a"}}'], ["Done."])
    told = await ask(platform, tool_choice="required")
    assert bench.ran == ["a"]
    assert told[-1]["response"]["output"][-1]["type"] == "message"


async def test_no_tool_is_called_where_none_may_be(make: Make, bench: Bench) -> None:
    text = calling("file_search", "a")
    told = await ask(make([text]), tool_choice="none")
    assert bench.ran == []
    assert told[-1]["response"]["output"][0]["type"] == "message"


async def test_allowed_tools_stay_the_only_ones(make: Make, bench: Bench) -> None:
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "file_search"}]}
    platform = make(['{"name": "file_search", "arguments": {"word": "a"}}'], [calling("look_up", "x")])
    told = await ask(platform, tools=[SEARCH, FUNCTION], tool_choice=allowed)
    assert bench.ran == ["a"]
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["file_search_call", "message"]


async def test_a_choice_that_is_no_tool_of_the_request_is_refused(make: Make) -> None:
    with pytest.raises(InvalidRequest, match="Tool choice 'mcp' not found in 'tools' parameter"):
        await make(["x"]).call(
            "createResponse",
            {
                "input": "Hi",
                "tools": [SEARCH],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]},
            },
        )
    with pytest.raises(InvalidRequest, match=r"Hosted tool 'image_generation' is not supported with gpt-4\.1"):
        await make(["x"]).call("createResponse", {"input": "Hi", "tools": [{"type": "image_generation"}]})
    same = {**FUNCTION, "name": "file_search"}
    with pytest.raises(InvalidRequest, match="Tool names must be unique: 'file_search'"):
        await make(["x"]).call("createResponse", {"input": "Hi", "tools": [SEARCH, same]})


async def test_the_tokens_of_all_turns_are_limited_together(make: Make, bench: Bench) -> None:
    platform = make(["One ", "two ", calling("file_search", "a")], ["three ", "four ", "five "])
    told = await ask(platform, max_output_tokens=16)
    assert told[-1]["response"]["usage"]["output_tokens"] == 6
    platform = make(*[[calling("file_search", str(n))] for n in range(30)])
    told = await ask(platform, max_output_tokens=16)
    assert told[-1]["type"] == "response.incomplete"
    assert told[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert len(platform.engine.prompts) == 16


async def test_a_call_that_was_cut_is_not_run(make: Make, bench: Bench) -> None:
    platform = make([calling("file_search", "a")])
    platform.engine.reason = "length"
    told = await ask(platform)
    assert bench.ran == []
    assert told[-1]["type"] == "response.incomplete"


async def test_a_pause_ends_the_response(make: Make, bench: Bench) -> None:
    bench.pauses = True
    platform = make([calling("file_search", "a")], ["never"])
    told = await ask(platform)
    assert told[-1]["type"] == "response.completed"
    assert len(platform.engine.prompts) == 1


async def test_a_tool_that_breaks_ends_the_response_and_its_item(make: Make, bench: Bench) -> None:
    bench.fails = RuntimeError("wires")
    platform = make([calling("file_search", "a") + "\n" + calling("file_search", "b")])
    told = await ask(platform)
    assert told[-1]["type"] == "response.failed"
    assert "wires" not in str(told)
    assert [item["status"] for item in told[-1]["response"]["output"]] == ["incomplete"]
    assert (bench.running, bench.closed) == (0, 1)
    assert (await platform.settled())[0][1] == 500


async def test_what_fails_before_anything_was_told_is_an_error(make: Make, bench: Bench) -> None:
    bench.prepares = InvalidRequest("no such store")
    platform = make(["x"])
    with pytest.raises(InvalidRequest, match="no such store"):
        await ask(platform)
    assert bench.closed == 1


async def test_a_client_that_leaves_ends_the_running_tools(make: Make, bench: Bench) -> None:
    bench.holds = {"a": asyncio.Event(), "b": asyncio.Event()}
    platform = make([calling("file_search", "a") + "\n" + calling("file_search", "b")])
    stream = await platform.stream({"input": "Hi", "tools": [SEARCH]})
    seen: list[dict[str, Any]] = []
    async for event in events(stream):
        seen.append(event)
        if event["type"] == "response.file_search_call.in_progress":
            break
    await stream.batches.aclose()
    assert (bench.running, bench.closed, platform.engine.open) == (0, 1, 0)
    stored = await platform.call("getResponse", response_id=seen[0]["response"]["id"])
    assert stored["status"] == "cancelled"
    assert [item["status"] for item in stored["output"]] == ["incomplete"]


SCRIPT = (["Let me see. ", calling("file_search", "a")], ["It says ", "found."])


@pytest.mark.parametrize("background", [False, True])
async def test_a_client_that_leaves_after_each_event(make: Make, bench: Bench, background: bool) -> None:
    """Before the call, in the middle of it, while the model reads of it, after the last event: a response that is
    answered at once ends there, one in the background goes on."""
    whole = make(*SCRIPT)
    await whole.runner.start()
    body = {"input": "Hi", "tools": [SEARCH], "background": background}
    count = len(await ask(whole, background=background))
    assert count > 15
    await whole.runner.stop()
    for stage in range(1, count + 1):
        platform = make(*SCRIPT)
        await platform.runner.start()
        stream = await platform.stream(body)
        seen: list[dict[str, Any]] = []
        async for event in events(stream):
            seen.append(event)
            if len(seen) == stage:
                break
        await stream.batches.aclose()
        id = seen[0]["response"]["id"]
        async with asyncio.timeout(120):
            while (kept := await platform.call("getResponse", response_id=id))["status"] in ("queued", "in_progress"):
                assert background, f"event {stage} left it {kept['status']}"
                await asyncio.sleep(0.01)
        await platform.runner.stop()
        ended = "completed" if background or seen[-1]["type"] == "response.completed" else "cancelled"
        # What was told in one piece with the last event was complete when the client left.
        assert kept["status"] in (ended, "completed"), f"event {stage}, {seen[-1]['type']}"
        assert all(item["status"] in ("completed", "incomplete") for item in kept["output"])
        assert (bench.running, platform.engine.open) == (0, 0), f"event {stage}, {seen[-1]['type']}"


@pytest.mark.parametrize("place", range(4))
async def test_an_engine_that_fails_at_each_piece(make: Make, bench: Bench, place: int) -> None:
    pieces: list[list[str | Exception]] = [[*turn] for turn in SCRIPT]
    pieces[place // 2][place % 2] = EngineFailed("out of memory")
    platform = make(*pieces)
    if place == 0:
        with pytest.raises(Exception, match="The server had an error"):
            await ask(platform)
    else:
        told = await ask(platform)
        assert told[-1]["type"] == "response.failed"
        kept = await platform.call("getResponse", response_id=told[0]["response"]["id"])
        assert kept["status"] == "failed"
        assert all(item["status"] in ("completed", "incomplete") for item in kept["output"])
    assert (bench.running, bench.closed, platform.engine.open) == (0, 1, 0)
    assert [state for state, _ in await platform.settled()] == ["settled"]


async def test_a_background_response_runs_tools_and_is_cancelled_in_one(make: Make, bench: Bench) -> None:
    platform = make([calling("file_search", "a")], ["Done."], [calling("file_search", "b")])
    await platform.runner.start()
    told = await ask(platform, background=True)
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["file_search_call", "message"]
    bench.holds["b"] = asyncio.Event()
    queued = await platform.call("createResponse", {"input": "Hi", "tools": [SEARCH], "background": True})
    while "b" not in bench.ran:
        await asyncio.sleep(0.01)
    response = await platform.call("cancelResponse", response_id=queued["id"])
    assert response["status"] == "cancelled"
    assert [item["status"] for item in response["output"]] == ["incomplete"]
    assert (bench.running, bench.closed) == (0, 2)


async def test_tokens_of_hosted_tools_are_counted(make: Make, bench: Bench) -> None:
    platform = make(["x"])
    bare = await platform.call("Getinputtokencounts", {"model": "gpt-4.1", "input": "Hi"})
    counted = await platform.call("Getinputtokencounts", {"model": "gpt-4.1", "input": "Hi", "tools": [SEARCH]})
    assert counted["input_tokens"] > bare["input_tokens"]
    assert bench.closed == 1


async def test_an_engine_that_fails_after_a_call(make: Make, bench: Bench) -> None:
    platform = make([calling("file_search", "a")], ["It ", EngineFailed("out of memory")])
    told = await ask(platform)
    assert told[-1]["type"] == "response.failed"
    response = told[-1]["response"]
    assert [(item["type"], item["status"]) for item in response["output"]] == [
        ("file_search_call", "completed"),
        ("message", "incomplete"),
    ]
    assert response["usage"]["input_tokens"] == sum(len(prompt) for prompt in platform.engine.prompts)
    assert (bench.closed, platform.engine.open) == (1, 0)


async def test_what_a_killed_process_left_open_is_ended(make: Make, bench: Bench) -> None:
    bench.holds["a"] = asyncio.Event()
    killed = make([calling("file_search", "a")], ["Done."])
    await killed.runner.start()
    queued = await killed.call("createResponse", {"input": "Hi", "tools": [SEARCH], "background": True})
    read: list[dict[str, Any]] = []
    while not any("file_search_call" in event["type"] for event in read):
        pieces = await killed.database.read(lambda c: store.events_after(c, queued["id"], -1))
        read = [event for piece in pieces for event in msgspec.json.decode(piece)]
        await asyncio.sleep(0.02)
    ends = endings(read)
    assert [end.__struct_config__.tag for end in ends] == ["response.output_item.done"]
    assert msgspec.to_builtins(ends[-1])["item"]["status"] == "incomplete"
    # The process stops in the call; another one makes the response anew.
    await killed.runner.stop()
    bench.holds.clear()
    other = make([calling("file_search", "a")], ["Done."])
    await other.runner.start()
    told = await other.call("getResponse", response_id=queued["id"], query="stream=true")
    check_order(told)
    assert types(told).count("in_progress") == 2
    assert [item["type"] for item in told[-1]["response"]["output"]] == ["file_search_call", "message"]
