"""Tools of runs: what searches found is read again, and calls come at once or one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from assisted import WEATHER, Assisted, call, read

from inhouse.api.responses.hosting import HostedTools
from inhouse.engines.protocol import EngineFailed
from inhouse.storage.database import Database
from inhouse.tools.file_search import FileSearch, Found, Search
from scripted import ScriptedEngine

Make = Callable[..., Assisted]
TOOLS: list[Any] = [{"type": "file_search"}, WEATHER]
PARIS = call("get_weather", '{"city": "Paris"}')
ROME = call("get_weather", '{"city": "Rome"}')
SEARCHED = 'call file_search{"queries":["warm"]}'
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"


def searching(query: str, before: str = "") -> tuple[list[str], list[str]]:
    """A search, as the engine is asked for it: where it begins one, it writes the queries anew under their schema."""
    return [f'{before}<tool_call>\n{{"name": "file_search", "arguments": '], [f'{{"queries": ["{query}"]}}']


class Library:
    """Vector stores in which every query finds one chunk."""

    def __init__(self) -> None:
        self.looked_for: list[str] = []
        self.length = 0

    async def check(self, project_id: str, ids: Any) -> None:
        pass

    async def search(self, project_id: str, ids: Any, search: Search) -> list[Found]:
        self.looked_for += search.queries
        text = f"Of {search.queries[0]}: Paris is warm today."
        return [Found("file-1", f"{search.queries[0]}.txt", {}, 0.5, text.ljust(self.length, "."))]


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
async def make(database: Database, library: Library) -> AsyncIterator[Make]:
    made: list[Assisted] = []

    def search(tool: Any, circumstances: Any) -> FileSearch:
        stores: Any = library
        return FileSearch(stores, circumstances.call, ["vs_1"], Search(()), tells=True)

    async def maker(*script: Any) -> Assisted:
        made.append(Assisted(database, ScriptedEngine(*script), HostedTools({"file_search": search})))
        await made[-1].runner.start()
        return made[-1]

    yield maker
    for platform in made:
        await platform.close()


async def answered(platform: Assisted, thread: str, run: dict[str, Any], output: str) -> dict[str, Any]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    given = [{"tool_call_id": each["id"], "output": output} for each in calls]
    await platform.call("submitToolOuputsToRun", {"tool_outputs": given}, thread_id=thread, run_id=run["id"])
    return await platform.ended(thread, run["id"])


@pytest.mark.parametrize("script", [searching("warm", PARIS + "\n"), (*searching("warm"), [PARIS])])
async def test_what_was_found_is_read_again_with_the_outputs(make: Make, library: Library, script: Any) -> None:
    """Whether the function is called beside the search or after it."""
    platform = await make(*script, ["Warm【1】, 18 degrees."])
    assistant = await platform.assistant(tools=TOOLS)
    thread = await platform.thread("Is Paris warm?")
    run = await platform.ended(thread, (await platform.run(thread, assistant))["id"])
    assert run["status"] == "requires_action", run
    run = await answered(platform, thread, run, "18 degrees")
    assert run["status"] == "completed", run
    prompt = platform.engine.prompts[-1]
    assert SEARCHED in prompt
    assert "Result 【1】, from warm.txt:\nOf warm: Paris is warm today." in prompt
    assert "tool: 18 degrees" in prompt
    assert library.looked_for == ["warm"]
    (message, _) = (await platform.call("listMessages", thread_id=thread))["data"]
    text = message["content"][0]["text"]
    assert text["value"] == "Warm【0†source】, 18 degrees."
    assert [each["file_citation"] for each in text["annotations"]] == [{"file_id": "file-1"}]


async def test_a_later_run_reads_what_was_found(make: Make, library: Library) -> None:
    platform = await make(*searching("warm"), ["Yes."], ["As I said."], *searching("cold"), ["No【2】."], ["Bye."])
    assistant = await platform.assistant(tools=TOOLS)
    thread = await platform.thread("Is Paris warm?")

    async def ask(**body: Any) -> str:
        run = await platform.ended(thread, (await platform.run(thread, assistant, **body))["id"])
        assert run["status"] == "completed", run
        return platform.engine.prompts[-1]

    await ask()
    prompt = await ask()
    assert SEARCHED in prompt
    assert "Result 【1】, from warm.txt:" in prompt
    prompt = await ask()
    assert "Result 【1】, from warm.txt:" in prompt
    assert "Result 【2】, from cold.txt:" in prompt, "numbers go on"
    (message, *_) = (await platform.call("listMessages", thread_id=thread))["data"]
    assert message["content"][0]["text"]["annotations"][0]["file_citation"] == {"file_id": "file-1"}
    assert "from warm.txt" not in await ask(tools=[WEATHER]), "without the tool its results are not read"
    await platform.call("createMessage", {"role": "user", "content": "And now?"}, thread_id=thread)
    prompt = await ask(truncation_strategy={"type": "last_messages", "last_messages": 1})
    assert "from warm.txt" not in prompt
    assert library.looked_for == ["warm", "cold"]


async def test_of_earlier_runs_only_the_newest_results_are_read(make: Make, library: Library) -> None:
    library.length = 10_000
    platform = await make(*searching("a"), ["A."], *searching("b"), ["B."], *searching("c"), ["C."], ["D."])
    assistant = await platform.assistant(tools=TOOLS)
    thread = await platform.thread("Well?")
    for _ in range(4):
        run = await platform.ended(thread, (await platform.run(thread, assistant))["id"])
        assert run["status"] == "completed", run
    prompt = platform.engine.prompts[-1]
    assert [name for name in "abc" if f"from {name}.txt" in prompt] == ["b", "c"]
    assert prompt.count("call file_search") == 2


async def test_a_run_that_is_made_anew_does_not_search_again(make: Make, library: Library) -> None:
    platform = await make(*searching("warm"), ["It ", EngineFailed("out of memory")], ["Yes."])
    assistant = await platform.assistant(tools=TOOLS)
    thread = await platform.thread("Is Paris warm?")
    run = await platform.ended(thread, (await platform.run(thread, assistant))["id"])
    assert run["status"] == "failed", run
    run = await platform.ended(thread, (await platform.run(thread, assistant))["id"])
    assert run["status"] == "completed", run
    assert SEARCHED in platform.engine.prompts[-1]
    assert library.looked_for == ["warm"]


async def test_streams_tell_what_was_found_as_it_is_asked_for(make: Make) -> None:
    platform = await make(*searching("warm"), ["Yes."], *searching("warm"), ["Yes."])
    assistant = await platform.assistant(tools=TOOLS)
    result = {"file_id": "file-1", "file_name": "warm.txt", "score": 0.5}
    for query, content in (("", {}), (f"include[]={CONTENT}", {"content": [{"type": "text", "text": "…"}]})):
        thread = await platform.thread("Is Paris warm?")
        begun = await platform._result(
            "createRun", {"assistant_id": assistant, "stream": True}, "proj_one", query, {"thread_id": thread}
        )
        told = await read(begun)
        (step, _) = (each["data"] for each in told if each["event"] == "thread.run.step.completed")
        (found,) = step["step_details"]["tool_calls"][0]["file_search"]["results"]
        if content:
            found["content"][0]["text"] = "…"
        assert found == {**result, **content}


async def test_a_silent_turn_is_asked_again(make: Make) -> None:
    platform = await make(*searching("warm"), ["【1】"], ["Yes."])
    assistant = await platform.assistant(tools=TOOLS)
    thread = await platform.thread("Is Paris warm?")
    run = await platform.ended(thread, (await platform.run(thread, assistant))["id"])
    assert run["status"] == "completed", run
    assert (await platform.said(thread))[-1] == ("assistant", "Yes.")
    first, _, second, third = platform.engine.prompts
    assert run["usage"]["prompt_tokens"] == len(first) + len(second) + len(third)
    assert "From warm.txt:\nOf warm: Paris is warm today." in platform.engine.prompts[-1]
    assert "【" not in platform.engine.prompts[-1]
    steps = await platform.steps(thread, run["id"])
    assert [(each["type"], each["status"]) for each in steps] == [
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    assert sum(each["usage"]["total_tokens"] for each in steps) == run["usage"]["total_tokens"]


@pytest.mark.parametrize("parallel", [True, False, None])
async def test_parallel_calls(make: Make, parallel: bool | None) -> None:
    script = [[PARIS + "\n" + ROME], ["Both."]] if parallel is not False else [[PARIS + "\n" + ROME], [ROME], ["Both."]]
    platform = await make(*script)
    assistant = await platform.assistant(tools=[WEATHER])
    thread = await platform.thread("Weather in Paris and Rome?")
    begun = await platform.run(thread, assistant, parallel_tool_calls=parallel)
    assert begun["parallel_tool_calls"] is (parallel is not False)
    run = await platform.ended(thread, begun["id"])
    cities = []
    while run["status"] == "requires_action":
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        cities.append([each["function"]["arguments"].split('"')[3] for each in calls])
        run = await answered(platform, thread, run, "18")
    assert run["status"] == "completed", run
    assert cities == ([["Paris", "Rome"]] if parallel is not False else [["Paris"], ["Rome"]])
