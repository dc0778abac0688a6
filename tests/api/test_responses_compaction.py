"""Conversations made shorter: what is sealed, what a later turn reads, what it costs, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.walking import migrated

from inhouse.kit.errors import APIError, InvalidRequest, ServerError
from inhouse.storage.database import Database
from inhouse.storage.schema import calls as calls_table
from scripted import Platform, ScriptedEngine, check_order

Make = Callable[..., Platform]
LONG = "The quick brown fox jumps over the lazy dog. " * 40
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "I am Ada, and I like green."},
    {"role": "assistant", "content": "Nice to meet you."},
    {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": '{"word": "a"}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "Found seven."},
]
SUMMARY = "Ada likes green; look_up gave seven."


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    made: list[Platform] = []

    def make(*script: Any, window: int = 100_000) -> Platform:
        made.append(Platform(database, ScriptedEngine(*script, window=window)))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()


async def compacted(platform: Platform, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = await platform.call("Compactconversation", {"model": "gpt-4.1", "input": TALK, **body})
    return told


async def test_the_users_words_stay_and_the_rest_becomes_a_summary(make: Make) -> None:
    platform = make([SUMMARY], ["Green."])
    told = await compacted(platform, instructions="Mind the colours.")
    assert (told["object"], told["id"][:5]) == ("response.compaction", "resp_")
    said, item = told["output"]
    assert said["content"] == [{"type": "input_text", "text": "I am Ada, and I like green."}]
    assert (said["role"], item["type"], item["id"][:4]) == ("user", "compaction", "cmp_")
    assert SUMMARY not in item["encrypted_content"]
    read = platform.engine.prompts[0]
    for part in ("Mind the colours.", "assistant: Nice to meet you.", 'calls look_up: {"word": "a"}', "Found seven."):
        assert part in read
    assert told["usage"]["input_tokens"] == len(read)
    assert told["usage"]["output_tokens"] == 1
    rows = await platform.database.read(lambda c: c.execute(select(calls_table)).all())
    assert [(row.operation, row.input_tokens, row.state) for row in rows] == [
        ("Compactconversation", len(read), "settled")
    ]

    answer = await platform.call(
        "createResponse", {"input": [*told["output"], {"role": "user", "content": "My colour?"}]}
    )
    read = platform.engine.prompts[1]
    assert SUMMARY in read
    assert read.count("I am Ada") == 1
    assert "Nice to meet you" not in read
    kept = await platform.call("listInputItems", response_id=answer["id"], query="order=asc")
    assert kept["data"][1] == item

    await platform.call("createResponse", {"input": "And then?", "previous_response_id": answer["id"]})
    assert SUMMARY in platform.engine.prompts[2]
    assert "Green." in platform.engine.prompts[2]


async def test_a_chain_is_compacted_and_a_call_that_waits_is_kept(make: Make) -> None:
    platform = make(["Hello Ada."], ["Once."], ["Twice."], ["Done."])
    first = await platform.call("createResponse", {"input": "I am Ada."})
    waiting = {"type": "function_call", "call_id": "call_9", "name": "look_up", "arguments": "{}"}
    told = await compacted(platform, previous_response_id=first["id"], input=[waiting])
    assert [item["type"] for item in told["output"]] == ["message", "compaction"]
    again = await compacted(platform, input=told["output"])
    assert "Once." in platform.engine.prompts[2]
    output = {"type": "function_call_output", "call_id": "call_9", "output": "Nine."}
    await platform.call("createResponse", {"input": [*again["output"], output]})
    assert "Twice." in platform.engine.prompts[3]
    assert "Once." not in platform.engine.prompts[3]
    assert "Nine." in platform.engine.prompts[3]


async def test_what_does_not_fit_the_window_is_read_in_pieces(make: Make) -> None:
    platform = make(["One."], ["Two."], ["Three."], window=4_000)
    told = await compacted(platform, input=[{"role": "user", "content": LONG}, {"role": "assistant", "content": LONG}])
    prompts = platform.engine.prompts
    assert len(prompts) > 2
    assert all(len(prompt) < 4_000 for prompt in prompts)
    assert "One." in prompts[1]
    assert sum(prompt.count("lazy dog") for prompt in prompts) >= 76
    assert told["usage"]["input_tokens"] == sum(map(len, prompts))


async def test_only_this_project_can_open_it_and_only_whole(make: Make, tmp_path: Path) -> None:
    platform = make([SUMMARY], ["Hi."])
    item = (await compacted(platform))["output"][-1]
    sealed = item["encrypted_content"]
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    other.migrate()
    elsewhere = Platform(other, ScriptedEngine(["Hi."]))
    try:
        for where, project, content in (
            (platform, "proj_one", changed),
            (platform, "proj_one", sealed[:-8]),
            (platform, "proj_one", "nonsense \u00e9"),
            (platform, "proj_two", sealed),
            (elsewhere, "proj_one", sealed),
        ):
            for operation in ("createResponse", "Compactconversation", "Getinputtokencounts"):
                body = {"model": "gpt-4.1", "input": [{**item, "encrypted_content": content}]}
                with pytest.raises(InvalidRequest, match="could not be verified") as refused:
                    await where.call(operation, body, project=project)
                assert refused.value.code == "invalid_encrypted_content"
    finally:
        await elsewhere.close()
        await other.close()
    assert platform.engine.prompts[1:] == []
    await platform.call("createResponse", {"input": [item]})


@pytest.mark.parametrize("how", ["answered", "streamed", "background"])
async def test_a_long_conversation_is_compacted_before_the_answer(make: Make, how: str) -> None:
    platform = make(["First."], [SUMMARY], ["Second."], ["Third."])
    first = await platform.call("createResponse", {"input": LONG})
    body = {
        "input": "And now?",
        "previous_response_id": first["id"],
        "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    }
    if how == "answered":
        response = await platform.call("createResponse", body)
    elif how == "streamed":
        told = await platform.call("createResponse", {**body, "stream": True})
        check_order(told)
        assert [event["type"] for event in told[1:4]] == [
            "response.in_progress",
            "response.output_item.added",
            "response.output_item.done",
        ]
        assert told[2]["item"]["type"] == told[3]["item"]["type"] == "compaction"
        response = told[-1]["response"]
    else:
        await platform.runner.start()
        queued = await platform.call("createResponse", {**body, "background": True})
        async with asyncio.timeout(120):
            while (response := await platform.call("getResponse", response_id=queued["id"]))["status"] != "completed":
                await asyncio.sleep(0.02)
    assert [item["type"] for item in response["output"]] == ["compaction", "message"]
    assert response["output"][1]["content"][0]["text"] == "Second."
    prompts = platform.engine.prompts
    assert "lazy dog" in prompts[1]
    assert "lazy dog" not in prompts[2]
    assert SUMMARY in prompts[2]
    assert "And now?" in prompts[2]
    # Both passes are paid for.
    assert response["usage"]["input_tokens"] == len(prompts[1]) + len(prompts[2])
    # What came before is not read again.
    await platform.call("createResponse", {"input": "Go on", "previous_response_id": response["id"]})
    assert "lazy dog" not in prompts[3]
    assert SUMMARY in prompts[3]
    assert prompts[3].index("And now?") < prompts[3].index("Second.")


async def test_a_turn_of_tools_is_never_torn_apart(make: Make) -> None:
    platform = make([SUMMARY], ["Done."])
    talk = [{"role": "user", "content": LONG}, *TALK, {"role": "user", "content": "Look up b."}]
    talk += [
        {"type": "function_call", "call_id": f"call_b{number}", "name": "look_up", "arguments": "{}"}
        for number in range(3)
    ]
    talk += [
        {"type": "function_call_output", "call_id": f"call_b{number}", "output": f"b is {number}."}
        for number in range(3)
    ]
    response = await platform.call(
        "createResponse",
        {"input": talk, "context_management": [{"type": "compaction", "compact_threshold": 1000}]},
    )
    assert [item["type"] for item in response["output"]] == ["compaction", "message"]
    assert all(f"b is {number}." in platform.engine.prompts[1] for number in range(3))
    assert "Look up b." in platform.engine.prompts[1]
    assert "Found seven." not in platform.engine.prompts[1]


async def test_what_is_short_or_all_of_one_turn_is_left(make: Make) -> None:
    platform = make(["Hello."])
    for text in ("Hi", LONG):
        response = await platform.call(
            "createResponse",
            {"input": text, "context_management": [{"type": "compaction", "compact_threshold": 1000}]},
        )
        assert [item["type"] for item in response["output"]] == ["message"]


async def test_a_trigger_compacts_and_answers_nothing(make: Make) -> None:
    platform = make([SUMMARY], ["Green."])
    told = await platform.call("createResponse", {"input": [*TALK, {"type": "compaction_trigger"}], "stream": True})
    check_order(told)
    response = told[-1]["response"]
    assert (response["status"], [item["type"] for item in response["output"]]) == ("completed", ["compaction"])
    await platform.call("createResponse", {"input": "My colour?", "previous_response_id": response["id"]})
    assert SUMMARY in platform.engine.prompts[1]
    kept = await platform.call("listInputItems", response_id=response["id"])
    assert "compaction_trigger" not in [item["type"] for item in kept["data"]]
    with pytest.raises(InvalidRequest, match="final"):
        await platform.call("createResponse", {"input": [{"type": "compaction_trigger"}, *TALK]})


@pytest.mark.parametrize(
    ("body", "error", "param"),
    [
        ({"model": None}, InvalidRequest, "model"),
        ({"input": None}, InvalidRequest, None),
        ({"previous_response_id": "resp_1"}, InvalidRequest, "previous_response_id"),
    ],
)
async def test_what_is_refused(make: Make, body: dict[str, Any], error: type[APIError], param: str | None) -> None:
    with pytest.raises(error) as refused:
        await compacted(make(["Hi"]), **body)
    assert refused.value.param == param


async def test_a_model_that_writes_nothing_is_told(make: Make) -> None:
    with pytest.raises(ServerError, match="no summary"):
        await compacted(make([" "]))
