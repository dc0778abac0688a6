"""Runs: their lifecycle, their streams, and what happens when processes die; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from assisted import WEATHER, Assisted, call, names, read

from inhouse.api.assistants import store
from inhouse.engines.protocol import EngineFailed
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.sse import EventStream
from inhouse.storage.database import Database
from scripted import ScriptedEngine

Make = Callable[..., Assisted]
PARIS = call("get_weather", '{"city": "Paris"}')


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    made: list[Assisted] = []

    def make(*script: Any, **options: Any) -> Assisted:
        made.append(Assisted(database, ScriptedEngine(*script), **options))
        return made[-1]

    yield make
    for platform in made:
        if platform.engine.gate is not None:
            platform.engine.gate.set()
        await platform.close()


async def waiting(platform: Assisted, **body: Any) -> tuple[str, dict[str, Any]]:
    """A thread, and its run that waits for outputs."""
    assistant = await platform.assistant(tools=[WEATHER])
    thread = await platform.thread("Weather in Paris?")
    begun = await platform.run(thread, assistant, **body)
    run = await platform.ended(thread, begun["id"])
    assert run["status"] == "requires_action", run
    return thread, run


def outputs(run: dict[str, Any], *texts: str) -> dict[str, Any]:
    calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return {
        "tool_outputs": [{"tool_call_id": each["id"], "output": text} for each, text in zip(calls, texts, strict=True)]
    }


async def test_a_run_answers_its_thread(make: Make) -> None:
    platform = make(["Hel", "lo"])
    assistant = await platform.assistant(instructions="Be brief.", metadata={"a": "b"})
    thread = await platform.thread("Hi")
    begun = await platform.run(
        thread,
        assistant,
        additional_instructions="Be kind.",
        additional_messages=[{"role": "user", "content": "Are you there?"}],
        metadata={"c": "d"},
    )
    assert (begun["status"], begun["instructions"]) == ("queued", "Be brief.\nBe kind.")
    assert begun["expires_at"] == begun["created_at"] + 600
    await platform.runner.start()
    run = await platform.ended(thread, begun["id"])
    assert (run["status"], run["expires_at"], run["last_error"]) == ("completed", None, None)
    assert run["started_at"] <= run["completed_at"]
    assert run["usage"]["completion_tokens"] == 2
    assert run["usage"]["total_tokens"] == 2 + run["usage"]["prompt_tokens"]
    assert run["metadata"] == {"c": "d"}
    assert platform.engine.prompts == ["system: Be brief.\nBe kind.\nuser: Hi\nuser: Are you there?"]
    assert await platform.said(thread) == [("user", "Hi"), ("user", "Are you there?"), ("assistant", "Hello")]
    (step,) = await platform.steps(thread, run["id"])
    assert (step["type"], step["status"], step["usage"]) == ("message_creation", "completed", run["usage"])
    messages = await platform.call("listMessages", thread_id=thread, query=f"run_id={run['id']}")
    assert [each["id"] for each in messages["data"]] == [step["step_details"]["message_creation"]["message_id"]]
    assert await platform.settled() == [("settled", 200)]


async def test_the_stream_tells_every_stage(make: Make) -> None:
    platform = make(["Hel", "lo"])
    await platform.runner.start()
    assistant = await platform.assistant()
    asked = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "Hi"}]}}
    told = await platform.told("createThreadAndRun", asked)
    assert names(told) == [
        "created",
        "run.created",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.completed",
    ]
    deltas = [each["data"]["delta"]["content"][0]["text"] for each in told if each["event"].endswith("message.delta")]
    assert deltas == [{"value": "Hel", "annotations": []}, {"value": "lo"}]
    assert [each["data"]["status"] for each in told if each["event"].startswith("thread.run.c")] == [
        "queued",
        "completed",
    ]
    whole = next(each for each in told if each["event"] == "thread.message.completed")["data"]
    assert whole["content"] == [{"type": "text", "text": {"value": "Hello", "annotations": []}}]


async def test_functions_of_the_client(make: Make) -> None:
    platform = make([PARIS], ["It is ", "18."])
    await platform.runner.start()
    assistant = await platform.assistant(tools=[WEATHER])
    thread = await platform.thread("Weather in Paris?")
    told = await platform.told("createRun", {"assistant_id": assistant}, thread_id=thread)
    assert names(told)[3:] == [
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.requires_action",
    ]
    run = told[-1]["data"]
    (wanted,) = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert wanted["function"] == {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    calls = [
        each["data"]["delta"]["step_details"]["tool_calls"][0]
        for each in told
        if each["event"] == "thread.run.step.delta"
    ]
    assert calls[0] == {
        "index": 0,
        "id": wanted["id"],
        "type": "function",
        "function": {"name": "get_weather", "arguments": "", "output": None},
    }
    assert "".join(each["function"]["arguments"] for each in calls) == '{"city": "Paris"}'
    (step,) = await platform.steps(thread, run["id"])
    assert (step["status"], step["usage"]) == ("in_progress", None)

    told = await platform.told("submitToolOuputsToRun", outputs(run, "18 degrees"), thread_id=thread, run_id=run["id"])
    assert names(told) == [
        "run.step.completed",
        "run.queued",
        "run.in_progress",
        "run.step.created",
        "run.step.in_progress",
        "message.created",
        "message.in_progress",
        "message.delta",
        "message.completed",
        "run.step.completed",
        "run.completed",
    ]
    assert told[0]["data"]["step_details"]["tool_calls"][0]["function"]["output"] == "18 degrees"
    ended = told[-1]["data"]
    first, second = await platform.steps(thread, run["id"])
    assert ended["required_action"] is None
    assert first["usage"]["total_tokens"] + second["usage"]["total_tokens"] == ended["usage"]["total_tokens"]
    assert "18 degrees" in platform.engine.prompts[1]
    # A later run still reads what was called, and what it gave.
    await platform.call("createMessage", {"role": "user", "content": "And now?"}, thread_id=thread)
    await platform.ended(thread, (await platform.run(thread, assistant))["id"])
    assert "call get_weather" in platform.engine.prompts[2]
    assert "18 degrees" in platform.engine.prompts[2]


async def test_several_calls_want_all_outputs(make: Make) -> None:
    platform = make([PARIS + "\n" + call("get_weather", '{"city": "Rome"}')], ["Warm."])
    await platform.runner.start()
    thread, run = await waiting(platform)
    first, second = (each["id"] for each in run["required_action"]["submit_tool_outputs"]["tool_calls"])
    path = {"thread_id": thread, "run_id": run["id"]}
    with pytest.raises(InvalidRequest) as refused:
        await platform.call("submitToolOuputsToRun", {"tool_outputs": [{"tool_call_id": first, "output": ""}]}, **path)
    assert refused.value.message == f"Expected tool outputs for call_ids ['{first}', '{second}'], got ['{first}']"
    queued = await platform.call("submitToolOuputsToRun", outputs(run, "18", "24"), **path)
    assert queued["status"] == "queued"
    assert (await platform.ended(thread, run["id"]))["status"] == "completed"
    with pytest.raises(InvalidRequest, match=r'Runs in status "completed" do not accept tool outputs.'):
        await platform.call("submitToolOuputsToRun", outputs(run, "18", "24"), **path)


async def test_a_thread_is_locked_while_a_run_is_active(make: Make) -> None:
    platform = make(["Hello"])
    assistant = await platform.assistant()
    thread = await platform.thread("Hi")
    run = await platform.run(thread, assistant)
    with pytest.raises(InvalidRequest) as refused:
        await platform.call("createMessage", {"role": "user", "content": "More"}, thread_id=thread)
    assert refused.value.message == f"Can't add messages to {thread} while a run {run['id']} is active."
    with pytest.raises(InvalidRequest) as refused:
        await platform.run(thread, assistant, additional_messages=[{"role": "user", "content": "More"}])
    assert refused.value.message == f"Thread {thread} already has an active run {run['id']}."
    await platform.runner.start()
    await platform.ended(thread, run["id"])
    await platform.call("createMessage", {"role": "user", "content": "More"}, thread_id=thread)
    assert [text for _, text in await platform.said(thread)] == ["Hi", "Hello", "More"]


async def test_cancelled_while_it_writes(make: Make) -> None:
    platform = make(["Hel", "lo"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    thread, assistant = await platform.thread("Hi"), await platform.assistant()
    begun = await platform._result(
        "createRun", {"assistant_id": assistant, "stream": True}, "proj_one", "", {"thread_id": thread}
    )
    assert isinstance(begun, EventStream)
    reading = asyncio.create_task(read(begun))
    async with asyncio.timeout(120):
        while len(await platform.said(thread)) < 2:
            await asyncio.sleep(0.02)
    (run,) = (await platform.call("listRuns", thread_id=thread))["data"]
    cancelling = await platform.call("cancelRun", thread_id=thread, run_id=run["id"])
    assert cancelling["status"] == "cancelling"
    told = await reading
    assert names(told)[-4:] == ["run.cancelling", "message.incomplete", "run.step.cancelled", "run.cancelled"]
    ended = await platform.ended(thread, run["id"])
    assert ended["cancelled_at"] is not None
    assert (await platform.said(thread))[1] == ("assistant", "Hel")
    (message, _) = (await platform.call("listMessages", thread_id=thread))["data"]
    assert (message["status"], message["incomplete_details"]) == ("incomplete", {"reason": "run_cancelled"})
    assert platform.engine.open == 0
    with pytest.raises(InvalidRequest, match=r"Cannot cancel run with status 'cancelled'."):
        await platform.call("cancelRun", thread_id=thread, run_id=run["id"])


async def test_cancelled_while_it_waits_or_is_queued(make: Make) -> None:
    platform = make([PARIS])
    assistant, thread = await platform.assistant(), await platform.thread("Hi")
    queued = await platform.run(thread, assistant)
    await platform.call("cancelRun", thread_id=thread, run_id=queued["id"])
    await platform.runner.start()
    assert (await platform.ended(thread, queued["id"]))["status"] == "cancelled"
    assert platform.engine.prompts == []
    thread, run = await waiting(platform)
    await platform.call("cancelRun", thread_id=thread, run_id=run["id"])
    ended = await platform.ended(thread, run["id"])
    assert (ended["status"], ended["required_action"]) == ("cancelled", None)
    (step,) = await platform.steps(thread, run["id"])
    assert step["status"] == "cancelled"


async def test_another_process_cancels_and_tells(make: Make) -> None:
    worker, other = make(["Hel", "lo"]), make(["never"])
    worker.engine.gate = asyncio.Event()
    await worker.runner.start()
    thread, assistant = await worker.thread("Hi"), await worker.assistant()
    run = await worker.run(thread, assistant)
    async with asyncio.timeout(120):
        while len(await worker.said(thread)) < 2:
            await asyncio.sleep(0.02)
    await other.call("cancelRun", thread_id=thread, run_id=run["id"])
    assert (await other.ended(thread, run["id"]))["status"] == "cancelled"


async def test_it_expires(make: Make) -> None:
    platform = make([PARIS], expires_s=2)
    await platform.runner.start()
    thread, run = await waiting(platform)
    async with asyncio.timeout(120):
        while (ended := await platform.call("getRun", thread_id=thread, run_id=run["id"]))["status"] != "expired":
            await asyncio.sleep(0.05)
    assert ended["required_action"] is None
    (step,) = await platform.steps(thread, run["id"])
    assert (step["status"], step["expired_at"] is not None) == ("expired", True)
    with pytest.raises(InvalidRequest, match=r'Runs in status "expired" do not accept tool outputs.'):
        await platform.call("submitToolOuputsToRun", outputs(run, "18"), thread_id=thread, run_id=run["id"])
    await platform.call("createMessage", {"role": "user", "content": "Still there?"}, thread_id=thread)


async def test_it_expires_while_it_writes(make: Make) -> None:
    platform = make(["Hel", "lo"], expires_s=2)
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    told = await platform.told("createThreadAndRun", {"assistant_id": await platform.assistant()})
    assert names(told)[-3:] == ["message.incomplete", "run.step.expired", "run.expired"]
    assert told[-3]["data"]["incomplete_details"] == {"reason": "run_expired"}


async def test_failures(make: Make) -> None:
    platform = make(["Hel", EngineFailed("it broke")])
    await platform.runner.start()
    told = await platform.told("createThreadAndRun", {"assistant_id": await platform.assistant()})
    assert names(told)[-3:] == ["message.incomplete", "run.step.failed", "run.failed"]
    run = told[-1]["data"]
    assert (run["last_error"]["code"], run["failed_at"] is not None) == ("server_error", True)
    assert told[-2]["data"]["last_error"]["code"] == "server_error"
    thread = await platform.thread()
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    await platform.call("createMessage", {"role": "user", "content": [image]}, thread_id=thread)
    run = await platform.ended(thread, (await platform.run(thread, await platform.assistant()))["id"])
    assert (run["status"], run["last_error"]["code"]) == ("failed", "invalid_prompt")


async def test_bounds(make: Make) -> None:
    platform = make(["Hello"])
    platform.engine.reason = "length"
    await platform.runner.start()
    assistant = await platform.assistant()
    told = await platform.told("createThreadAndRun", {"assistant_id": assistant, "max_completion_tokens": 256})
    assert names(told)[-3:] == ["message.incomplete", "run.step.completed", "run.incomplete"]
    assert told[-3]["data"]["incomplete_details"] == {"reason": "max_tokens"}
    assert told[-1]["data"]["incomplete_details"] == {"reason": "max_completion_tokens"}

    platform.engine.reason = "stop"
    thread = await platform.thread("old " * 100, "new")
    run = await platform.ended(thread, (await platform.run(thread, assistant, max_prompt_tokens=256))["id"])
    assert run["status"] == "completed"
    assert platform.engine.prompts[-1] == "user: new"
    thread = await platform.thread("long " * 100)
    run = await platform.ended(thread, (await platform.run(thread, assistant, max_prompt_tokens=256))["id"])
    assert (run["status"], run["incomplete_details"]) == ("incomplete", {"reason": "max_prompt_tokens"})


async def test_last_messages(make: Make) -> None:
    platform = make(["Hello"])
    await platform.runner.start()
    thread = await platform.thread("one", "two", "three")
    run = await platform.run(
        thread, await platform.assistant(), truncation_strategy={"type": "last_messages", "last_messages": 2}
    )
    assert (await platform.ended(thread, run["id"]))["truncation_strategy"]["last_messages"] == 2
    assert platform.engine.prompts == ["user: two\nuser: three"]


async def test_a_choice_holds_until_it_was_answered(make: Make) -> None:
    platform = make(['{"name": "get_weather", "arguments": {"city": "Paris"}}'], ["Warm."])
    await platform.runner.start()
    thread, run = await waiting(platform, tool_choice={"type": "function", "function": {"name": "get_weather"}})
    assert run["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    await platform.call("submitToolOuputsToRun", outputs(run, "18"), thread_id=thread, run_id=run["id"])
    assert (await platform.ended(thread, run["id"]))["status"] == "completed"


async def test_the_process_dies_in_mid_stream(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inhouse.api.assistants.running.PIECE_S", 0)
    first, second = make(["Hel", "lo"]), make(["Hello"])
    first.engine.gate = asyncio.Event()
    first.runner._lease_us = 600_000
    await first.runner.start()
    thread = await first.thread("Hi")
    run = await first.run(thread, await first.assistant())
    async with asyncio.timeout(120):
        while len(await first.said(thread)) < 2:
            await asyncio.sleep(0.02)
    # As when it is killed: nothing more is written, and the lease runs out.
    assert first.runner._loop is not None
    first.runner._loop.cancel()
    following = asyncio.create_task(read(EventStream(second_stream(second, run["id"]), style="named")))
    await second.runner.start()
    ended = await second.ended(thread, run["id"])
    assert ended["status"] == "completed"
    told = await following
    assert "message.incomplete" in names(told)
    assert names(told)[-1] == "run.completed"
    messages = (await second.call("listMessages", thread_id=thread, query="order=asc"))["data"]
    assert [each["status"] for each in messages] == ["completed", "incomplete", "completed"]
    assert messages[1]["content"][0]["text"]["value"] == "Hel"
    steps = await second.steps(thread, run["id"])
    assert (steps[0]["status"], steps[-1]["status"]) == ("failed", "completed")
    assert "Hel" not in second.engine.prompts[0]

    # It only stood still, and wakes up: another has had the run.
    pieces = await second.database.read(lambda connection: store.events_from(connection, run["id"], 0))
    first.engine.gate.set()
    async with asyncio.timeout(120):
        while first.runner._running:
            await asyncio.sleep(0.02)
    assert pieces == await second.database.read(lambda connection: store.events_from(connection, run["id"], 0))


def second_stream(platform: Assisted, run_id: str) -> Any:
    return platform.operations["createRun"].handler.__self__._service._maker.follow(run_id, 0)  # type: ignore[attr-defined]


async def test_the_process_dies_while_the_run_waits(make: Make) -> None:
    first, second = make([PARIS]), make(["Warm."])
    await first.runner.start()
    thread, run = await waiting(first)
    await first.runner.stop()
    await second.runner.start()
    await second.call("submitToolOuputsToRun", outputs(run, "18"), thread_id=thread, run_id=run["id"])
    assert (await second.ended(thread, run["id"]))["status"] == "completed"
    assert (await second.said(thread))[-1] == ("assistant", "Warm.")


async def test_a_deleted_thread_ends_its_run_and_its_stream(make: Make) -> None:
    platform = make(["Hel", "lo"])
    platform.engine.gate = asyncio.Event()
    await platform.runner.start()
    thread, assistant = await platform.thread("Hi"), await platform.assistant()
    reading = asyncio.create_task(platform.told("createRun", {"assistant_id": assistant}, thread_id=thread))
    async with asyncio.timeout(120):
        while not platform.engine.open:
            await asyncio.sleep(0.02)
    await platform.call("deleteThread", thread_id=thread)
    await reading
    async with asyncio.timeout(120):
        while platform.engine.open:
            await asyncio.sleep(0.02)
    with pytest.raises(NotFound, match=f"No thread found with id '{thread}'."):
        await platform.call("getThread", thread_id=thread)
