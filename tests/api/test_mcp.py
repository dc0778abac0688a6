"""MCP servers as tools of responses: real servers, an engine that writes what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.mcp_servers import MCPServer, each_server, serve_guarded, serve_old_sse, serve_streamable
from tests.walking import migrated

from inhouse.api.responses.hosting import HostedTools
from inhouse.api.responses.mcp import mcp_maker
from inhouse.kit.addresses import LOOPBACK, Reach
from inhouse.kit.errors import FailedDependency, InvalidRequest
from inhouse.storage.database import Database
from inhouse.tools.mcp import Bounds
from scripted import Platform, ScriptedEngine, check_order, events

__all__ = ["each_server", "serve_guarded", "serve_old_sse", "serve_streamable"]

Make = Callable[..., Platform]


def calling(name: str, **arguments: Any) -> str:
    return f'<tool_call>\n{{"name": "numbers__{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'


ADD = calling("add", a=20, b=22)


def tool(server: MCPServer, **fields: Any) -> dict[str, Any]:
    return {
        "type": "mcp",
        "server_label": "numbers",
        "server_url": server.url,
        "require_approval": "never",
        **fields,
    }


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    database = Database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    made: list[Platform] = []

    def make(*script: Sequence[str | Exception], bounds: Bounds | None = None) -> Platform:
        hosts = HostedTools({"mcp": mcp_maker(Reach(LOOPBACK), bounds or Bounds(list_s=10, call_s=10))})
        made.append(Platform(database, ScriptedEngine(*script), hosts))
        return made[-1]

    yield make
    for platform in made:
        await platform.close()
    await database.close()
    # Whatever happened, no connection is left behind.
    assert not [task for task in asyncio.all_tasks() if "Connection" in repr(task.get_coro())]


async def ask(platform: Platform, server: MCPServer, **body: Any) -> list[dict[str, Any]]:
    fields = body.pop("fields", {})
    told: list[dict[str, Any]] = await platform.call(
        "createResponse", {"input": "Hi", "tools": [tool(server, **fields)], "stream": True, **body}
    )
    check_order(told)
    return told


async def respond(platform: Platform, server: MCPServer, **body: Any) -> dict[str, Any]:
    fields = body.pop("fields", {})
    answer: dict[str, Any] = await platform.call(
        "createResponse", {"input": "Hi", "tools": [tool(server, **fields)], **body}
    )
    return answer


def types(told: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in told]


def kinds(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"]]


async def test_every_event_of_a_call(make: Make, server: MCPServer) -> None:
    platform = make([ADD], ["It is 42."])
    told = await ask(platform, server)
    assert [kind for kind in types(told) if not kind.endswith("text.delta")] == [
        "created",
        "in_progress",
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done",
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    listed, called, message = told[-1]["response"]["output"]
    assert (listed["server_label"], listed["error"]) == ("numbers", None)
    assert [each["name"] for each in listed["tools"]] == ["add", "remember", "fail", "wait", "flood"]
    assert listed["tools"][0]["annotations"]["readOnlyHint"] is True
    assert called == {
        "id": called["id"],
        "type": "mcp_call",
        "server_label": "numbers",
        "name": "add",
        "arguments": '{"a": 20, "b": 22}',
        "output": "42",
        "error": None,
        "status": "completed",
        "approval_request_id": None,
    }
    assert listed["id"].startswith("mcpl_")
    assert called["id"].startswith("mcp_")
    begun = next(e["item"] for e in told if e["type"] == "response.output_item.added" and e["output_index"] == 1)
    assert (begun["arguments"], begun["status"]) == ("", "in_progress")
    assert message["content"][0]["text"] == "It is 42."
    assert "numbers__add" in platform.engine.prompts[0]
    assert "tool: 42" in platform.engine.prompts[1]


async def test_the_list_is_told_once_in_a_chain_and_in_a_conversation(make: Make, streamable: MCPServer) -> None:
    platform = make([ADD], ["42."], ["Again."], ["Once more."])
    first = await respond(platform, streamable)
    lists = streamable.seen()["methods"].count("tools/list")
    second = await respond(platform, streamable, previous_response_id=first["id"])
    assert kinds(second) == ["message"]
    assert streamable.seen()["methods"].count("tools/list") == lists
    assert "numbers__add" in platform.engine.prompts[-1]
    assert "call numbers__add" in platform.engine.prompts[-1]
    # What is given back by hand is as good as what is stored.
    given = [{"role": "user", "content": "Hi"}, *first["output"], {"role": "user", "content": "And?"}]
    third = await respond(platform, streamable, input=given, store=False)
    assert kinds(third) == ["message"]
    conversation = await platform.call("createConversation", {})
    await respond(platform, streamable, conversation=conversation["id"])
    lists = streamable.seen()["methods"].count("tools/list")
    last = await respond(platform, streamable, conversation=conversation["id"])
    assert kinds(last) == ["message"]
    assert streamable.seen()["methods"].count("tools/list") == lists


async def test_tools_that_are_not_allowed_are_not_there(make: Make, streamable: MCPServer) -> None:
    platform = make(["Hello."])
    listed = (await respond(platform, streamable, fields={"allowed_tools": ["add", "nothing"]}))["output"][0]
    assert [each["name"] for each in listed["tools"]] == ["add"]
    listed = (await respond(platform, streamable, fields={"allowed_tools": {"read_only": True}}))["output"][0]
    assert [each["name"] for each in listed["tools"]] == ["add"]
    listed = (await respond(platform, streamable, fields={"allowed_tools": {"tool_names": ["remember", "add"]}}))[
        "output"
    ][0]
    assert [each["name"] for each in listed["tools"]] == ["add", "remember"]
    platform = make([ADD])
    before = len(streamable.seen()["calls"])
    answer = await respond(platform, streamable, fields={"allowed_tools": ["remember"]})
    assert kinds(answer) == ["mcp_list_tools", "message"]
    assert len(streamable.seen()["calls"]) == before


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_waits_for_approval_and_is_made_with_it(make: Make, streamable: MCPServer, stream: bool) -> None:
    platform = make([ADD], ["It is 42."])
    before = streamable.seen()["calls"].count("add")
    first = await respond(platform, streamable, fields={"require_approval": "always"})
    assert kinds(first) == ["mcp_list_tools", "mcp_approval_request"]
    asked = first["output"][1]
    assert asked == {
        "id": asked["id"],
        "type": "mcp_approval_request",
        "server_label": "numbers",
        "name": "add",
        "arguments": '{"a": 20, "b": 22}',
    }
    assert asked["id"].startswith("mcpr_")
    assert first["status"] == "completed"
    assert streamable.seen()["calls"].count("add") == before
    approval = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
    body = {"input": [approval], "previous_response_id": first["id"], "fields": {"require_approval": "always"}}
    if stream:
        told = await ask(platform, streamable, **body)
        assert types(told)[2:8] == [
            "output_item.added",
            "mcp_call.in_progress",
            "mcp_call_arguments.delta",
            "mcp_call_arguments.done",
            "mcp_call.completed",
            "output_item.done",
        ]
        second = told[-1]["response"]
    else:
        second = await respond(platform, streamable, **body)
    assert kinds(second) == ["mcp_call", "message"]
    assert second["output"][0]["approval_request_id"] == asked["id"]
    assert second["output"][0]["output"] == "42"
    assert streamable.seen()["calls"].count("add") == before + 1
    assert "tool: 42" in platform.engine.prompts[-1]
    # It is made once: the next response does not make it again.
    await respond(platform, streamable, previous_response_id=second["id"])
    assert streamable.seen()["calls"].count("add") == before + 1
    assert platform.engine.prompts[-1].count("call numbers__add") == 1


async def test_an_allowed_call_needs_its_server_again(make: Make, streamable: MCPServer) -> None:
    platform = make([ADD], ["Well."])
    before = streamable.seen()["calls"].count("add")
    first = await respond(platform, streamable, fields={"require_approval": "always"})
    asked = first["output"][1]["id"]
    approval = {"type": "mcp_approval_response", "approval_request_id": asked, "approve": True}
    body = {"input": [approval], "previous_response_id": first["id"]}
    for tools in ([], [tool(streamable, server_label="others")]):
        with pytest.raises(InvalidRequest, match=f"'{asked}' allows cannot be made: MCP server 'numbers'") as refused:
            await platform.call("createResponse", {**body, "tools": tools})
        assert refused.value.param == "tools"
    # Not to allow it needs no server.
    refusal = {**approval, "approve": False}
    answer = await platform.call("createResponse", {**body, "input": [refusal]})
    assert answer["status"] == "completed"
    assert streamable.seen()["calls"].count("add") == before


async def test_what_is_not_approved_is_not_done(make: Make, streamable: MCPServer) -> None:
    platform = make([ADD], ["As you wish."])
    before = streamable.seen()["calls"].count("add")
    first = await respond(platform, streamable, fields={"require_approval": "always"})
    denial = {
        "type": "mcp_approval_response",
        "approval_request_id": first["output"][1]["id"],
        "approve": False,
        "reason": "too dear",
    }
    second = await respond(platform, streamable, input=[denial], previous_response_id=first["id"])
    assert kinds(second) == ["message"]
    assert "The user did not allow this call. The reason: too dear" in platform.engine.prompts[-1]
    assert streamable.seen()["calls"].count("add") == before
    with pytest.raises(InvalidRequest, match="No approval request found"):
        await respond(platform, streamable, input=[{**denial, "approval_request_id": "mcpr_none"}])


async def test_approval_by_tool(make: Make, streamable: MCPServer) -> None:
    remember = calling("remember", word="tea")
    never = {"require_approval": {"never": {"tool_names": ["add"]}}}
    assert kinds(await respond(make([ADD], ["."]), streamable, fields=never)) == [
        "mcp_list_tools",
        "mcp_call",
        "message",
    ]
    assert kinds(await respond(make([remember]), streamable, fields=never)) == [
        "mcp_list_tools",
        "mcp_approval_request",
    ]
    reading = {"require_approval": {"never": {"read_only": True}}}
    assert kinds(await respond(make([ADD], ["."]), streamable, fields=reading))[1] == "mcp_call"
    assert kinds(await respond(make([remember]), streamable, fields=reading))[1] == "mcp_approval_request"
    default = {"require_approval": None}
    assert kinds(await respond(make([ADD]), streamable, fields=default))[1] == "mcp_approval_request"


async def test_a_tool_that_fails_is_an_item_and_the_model_goes_on(make: Make, server: MCPServer) -> None:
    platform = make([calling("fail")], ["It did not work."])
    told = await ask(platform, server)
    call = told[-1]["response"]["output"][1]
    assert (call["status"], call["output"]) == ("failed", None)
    assert call["error"]["type"] == "mcp_tool_execution_error"
    assert "the pump is broken" in call["error"]["content"][0]["text"]
    assert "mcp_call.failed" in types(told)
    assert told[-1]["type"] == "response.completed"
    assert "the pump is broken" in platform.engine.prompts[1]


async def test_a_slow_tool_is_given_up(make: Make, server: MCPServer) -> None:
    platform = make([calling("wait", seconds=60)], ["Too slow."], bounds=Bounds(call_s=0.5))
    told = await ask(platform, server)
    error = told[-1]["response"]["output"][1]["error"]
    assert error == {
        "type": "mcp_protocol_error",
        "code": -32001,
        "message": "The MCP server did not answer within 0.5 seconds.",
    }
    assert told[-1]["type"] == "response.completed"


async def test_arguments_that_are_no_object_are_not_sent(make: Make, streamable: MCPServer) -> None:
    before = len(streamable.seen()["calls"])
    first = await respond(make([ADD]), streamable, fields={"require_approval": "always"})
    listed, asked = first["output"]
    forged = {**asked, "arguments": "[1"}
    approval = {"type": "mcp_approval_response", "approval_request_id": asked["id"], "approve": True}
    second = await respond(make(["Hm."]), streamable, input=[listed, forged, approval])
    assert second["output"][0]["error"] == {
        "type": "mcp_protocol_error",
        "code": -32602,
        "message": "The arguments are not a JSON object.",
    }
    other = {**asked, "name": "drop_everything"}
    third = await respond(make(["Hm."]), streamable, input=[listed, other, approval])
    assert "not among those that may be used" in third["output"][0]["error"]["message"]
    assert len(streamable.seen()["calls"]) == before


async def test_a_list_that_cannot_be_had(make: Make, guarded: MCPServer) -> None:
    platform = make(["Hello."])
    with pytest.raises(FailedDependency) as failed:
        await respond(platform, guarded, fields={"authorization": "wrong-secret"})
    assert failed.value.status == 424
    assert (failed.value.type, failed.value.param, failed.value.code) == (
        "external_connector_error",
        "tools",
        "http_error",
    )
    assert failed.value.message == (
        "Error retrieving tool list from MCP server: 'numbers'. Http status code: 401 (Unauthorized)"
    )
    told = await ask(platform, guarded)
    assert types(told) == [
        "created",
        "in_progress",
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.failed",
        "output_item.done",
        "failed",
    ]
    assert told[-1]["response"]["error"]["message"] == failed.value.message
    assert told[-2]["item"]["error"] == failed.value.message
    stored = await platform.call("getResponse", response_id=told[0]["response"]["id"])
    assert stored["status"] == "failed"
    assert platform.engine.prompts == []
    assert [status for _, status in await platform.settled()] == [424, 424]


async def test_secrets_are_used_and_never_kept(make: Make, guarded: MCPServer, tmp_path: Path) -> None:
    platform = make([ADD], ["42."], [ADD], ["42."])
    fields = {
        "authorization": "open-sesame",
        "headers": {"x-key": "hush-hush"},
        "server_url": guarded.url + "?key=sssh",
    }
    answer = await respond(platform, guarded, fields=fields)
    assert answer["output"][1]["output"] == "42"
    told = answer["tools"][0]
    assert told["server_url"] == guarded.base + "/<redacted>"
    assert told["headers"] is None
    assert "authorization" not in told
    await platform.runner.start()
    body = {"input": "Hi", "tools": [tool(guarded, **fields)], "background": True}
    queued = await platform.call("createResponse", body)
    while (done := await platform.call("getResponse", response_id=queued["id"]))["status"] in ("queued", "in_progress"):
        await asyncio.sleep(0.02)
    assert done["status"] == "completed"
    assert done["output"][1]["output"] == "42"
    added = {"type": "additional_tools", "role": "developer", "tools": [tool(guarded, **fields)]}
    answer = await platform.call("createResponse", {"input": [added, {"role": "user", "content": "Hi"}]})
    assert answer["output"][-1]["type"] == "message"
    tables = await platform.database.read(
        lambda c: [
            str(c.execute(text(f'select * from "{name}"')).all())
            for (name,) in c.execute(text("select name from sqlite_master where type='table'")).all()
        ]
    )
    kept = str([answer, done, *tables])
    assert "open-sesame" not in kept
    assert "hush-hush" not in kept


async def test_a_background_response_whose_secrets_are_gone_says_so(make: Make, guarded: MCPServer) -> None:
    taken = make(["never"])
    queued = await taken.call(
        "createResponse", {"input": "Hi", "tools": [tool(guarded, authorization="open-sesame")], "background": True}
    )
    other = make(["never"])
    await other.runner.start()  # on SQLite, a start takes over what another process held
    while (done := await other.call("getResponse", response_id=queued["id"]))["status"] in ("queued", "in_progress"):
        await asyncio.sleep(0.02)
    assert done["status"] == "failed"
    assert "never stored: send the request again" in done["error"]["message"]


async def test_a_client_that_leaves_ends_the_call_at_the_server(make: Make, server: MCPServer) -> None:
    platform = make([calling("wait", seconds=60)])
    before = server.seen()
    stream = await platform.stream({"input": "Hi", "tools": [tool(server)]})
    told: list[dict[str, Any]] = []
    async for event in events(stream):
        told.append(event)
        if event["type"] == "response.mcp_call_arguments.done":
            # The loop is asked to go on, and is left while the server works.
            reading = asyncio.ensure_future(anext(aiter(stream.batches)))
            while server.seen()["open"] == before["open"]:
                await asyncio.sleep(0.05)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            break
    await stream.batches.aclose()
    for _ in range(200):
        if server.seen()["cancelled"] > before["cancelled"]:
            break
        await asyncio.sleep(0.05)
    assert server.seen()["cancelled"] > before["cancelled"]
    stored = await platform.call("getResponse", response_id=told[0]["response"]["id"])
    assert (stored["status"], stored["output"][1]["status"]) == ("cancelled", "incomplete")


async def test_a_background_response_is_cancelled_in_a_call(make: Make, streamable: MCPServer) -> None:
    platform = make([calling("wait", seconds=60)])
    await platform.runner.start()
    before = streamable.seen()
    body = {"input": "Hi", "tools": [tool(streamable)], "background": True}
    queued = await platform.call("createResponse", body)
    while streamable.seen()["open"] == before["open"]:
        await asyncio.sleep(0.05)
    response = await platform.call("cancelResponse", response_id=queued["id"])
    assert (response["status"], response["output"][1]["status"]) == ("cancelled", "incomplete")
    told = await platform.call("getResponse", response_id=queued["id"], query="stream=true")
    check_order(told)
    assert types(told)[-4:] == ["mcp_call_arguments.done", "mcp_call.failed", "output_item.done", "incomplete"]


async def test_two_servers_with_the_same_tools(make: Make, streamable: MCPServer, old_sse: MCPServer) -> None:
    script = ADD + "\n" + ADD.replace("numbers__", "others__").replace("22", "23")
    platform = make([script], ["42 and 43."])
    answer = await platform.call(
        "createResponse", {"input": "Hi", "tools": [tool(streamable), tool(old_sse, server_label="others")]}
    )
    assert kinds(answer) == ["mcp_list_tools", "mcp_list_tools", "mcp_call", "mcp_call", "message"]
    assert [(each["server_label"], each["output"]) for each in answer["output"][2:4]] == [
        ("numbers", "42"),
        ("others", "43"),
    ]


async def test_the_choice_of_a_server_or_of_its_tool(make: Make, streamable: MCPServer) -> None:
    written = '{"name": "numbers__add", "arguments": {"a": 1, "b": 1}}'
    for choice in (
        {"type": "mcp", "server_label": "numbers"},
        {"type": "mcp", "server_label": "numbers", "name": "add"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "mcp", "server_label": "numbers"}]},
    ):
        answer = await respond(make([written], ["2."]), streamable, tool_choice=choice)
        assert kinds(answer) == ["mcp_list_tools", "mcp_call", "message"]
        assert answer["tool_choice"] == choice
    for choice in (
        {"type": "mcp", "server_label": "letters"},
        {"type": "mcp", "server_label": "numbers", "name": "nothing"},
    ):
        with pytest.raises(InvalidRequest, match="not found in 'tools' parameter"):
            await respond(make([written]), streamable, tool_choice=choice)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"connector_id": "connector_gmail", "server_url": None}, "tools[0].connector_id"),
        ({"tunnel_id": "tunnel_" + "a" * 32}, "tools[0].tunnel_id"),
        ({"server_url": None}, "tools[0].server_url"),
        ({"server_url": "file:///etc/passwd"}, "tools[0].server_url"),
        ({"server_url": "http://"}, "tools[0].server_url"),
        ({"server_url": "http://[::1"}, "tools[0].server_url"),
        ({"server_label": "my numbers"}, "tools[0].server_label"),
        ({"server_label": ""}, "tools[0].server_label"),
        ({"headers": {"x-key": "a\r\nhost: b"}}, "tools[0].headers"),
        ({"headers": {"Host": "elsewhere"}}, "tools[0].headers"),
        ({"authorization": "a\nb"}, "tools[0].authorization"),
    ],
)
async def test_what_cannot_be_a_server_is_refused(
    make: Make, streamable: MCPServer, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await respond(make(["x"]), streamable, fields=fields)
    assert refused.value.param == param


async def test_a_label_is_given_once(make: Make, streamable: MCPServer) -> None:
    with pytest.raises(InvalidRequest, match="Duplicate server_label 'numbers'"):
        await make(["x"]).call("createResponse", {"input": "Hi", "tools": [tool(streamable), tool(streamable)]})


async def test_tokens_are_counted_and_nothing_is_done(make: Make, streamable: MCPServer) -> None:
    platform = make(["x"])
    before = len(streamable.seen()["calls"])
    counted = await platform.call(
        "Getinputtokencounts", {"model": "gpt-4.1", "input": "Hi", "tools": [tool(streamable)]}
    )
    bare = await platform.call("Getinputtokencounts", {"model": "gpt-4.1", "input": "Hi"})
    assert counted["input_tokens"] > bare["input_tokens"]
    assert len(streamable.seen()["calls"]) == before


async def test_a_server_that_dies_in_a_call(make: Make) -> None:
    server = MCPServer("streamable")
    try:
        platform = make([calling("wait", seconds=60)], [ADD], ["It is gone."])
        asking = asyncio.create_task(ask(platform, server))
        while not server.seen()["open"]:
            await asyncio.sleep(0.05)
        server.stop()
        told = await asking
        calls = [item for item in told[-1]["response"]["output"] if item["type"] == "mcp_call"]
        assert [call["status"] for call in calls] == ["failed", "failed"]
        assert calls[1]["error"] == {
            "type": "http_error",
            "code": 424,
            "message": "The MCP server could not be reached.",
        }
        assert told[-1]["type"] == "response.completed"
        assert told[-1]["response"]["output"][-1]["content"][0]["text"] == "It is gone."
    finally:
        server.stop()
