"""Connections to real servers, and to what is none."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from tests.mcp_servers import MCPServer

from inhouse.kit.addresses import LOOPBACK, Reach
from inhouse.tools.mcp import Bounds, Server
from inhouse.tools.mcp.connection import Connection, Failed
from inhouse.tools.mcp.items import ExecutionError, HTTPError, ProtocolError

NEAR = Reach(LOOPBACK)
Connect = Callable[..., Connection]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    made: list[Connection] = []

    def connect(url: str, *, reach: Reach = NEAR, bounds: Bounds | None = None, **server: Any) -> Connection:
        made.append(Connection(Server("numbers", url, **server), reach, bounds or Bounds(list_s=10, call_s=10)))
        return made[-1]

    yield connect
    for connection in made:
        await connection.close()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def failure(connection: Connection) -> HTTPError | ProtocolError:
    with pytest.raises(Failed) as failed:
        await connection.open()
    return failed.value.error


async def test_tools_are_listed_and_called(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url)
    await connection.open()
    tools = {tool.name: tool for tool in await connection.tools()}
    assert tools.keys() == {"add", "remember", "fail", "wait", "flood"}
    assert tools["add"].description == "Add two whole numbers."
    assert tools["add"].input_schema["required"] == ["a", "b"]
    assert (tools["add"].read_only, tools["remember"].read_only) == (True, False)
    assert (await connection.call("add", {"a": 20, "b": 22})).output == "42"
    assert connection.alive


async def test_calls_at_the_same_time(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url)
    await connection.open()
    asked = [connection.call("add", {"a": number, "b": number}) for number in range(8)]
    assert [result.output for result in await asyncio.gather(*asked)] == [str(2 * number) for number in range(8)]


async def test_a_tool_that_fails_says_so(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url)
    await connection.open()
    result = await connection.call("fail", {})
    assert result.output is None
    assert isinstance(result.error, ExecutionError)
    assert "the pump is broken" in result.error.content[0]["text"]
    # Wrong arguments and unknown tools are the server's to refuse.
    assert (await connection.call("add", {"a": "x"})).error is not None


async def test_an_unknown_tool_is_an_error(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url)
    await connection.open()
    error = (await connection.call("nothing", {})).error
    assert isinstance(error, ExecutionError)
    assert "nothing" in error.content[0]["text"]


async def test_a_slow_call_ends_in_time_and_the_server_hears_of_it(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url, bounds=Bounds(call_s=0.5))
    await connection.open()
    before = server.seen()["cancelled"]
    with pytest.raises(Failed, match=r"did not answer within 0\.5 seconds"):
        await connection.call("wait", {"seconds": 60})
    give_up = time.monotonic() + 10
    while server.seen()["cancelled"] == before and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    assert server.seen()["cancelled"] > before
    assert (await connection.call("add", {"a": 1, "b": 1})).output == "2"


async def test_a_cancelled_call_is_cancelled_at_the_server(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url)
    await connection.open()
    before = server.seen()
    call = asyncio.create_task(connection.call("wait", {"seconds": 60}))
    while server.seen()["open"] == before["open"]:
        await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    give_up = time.monotonic() + 10
    while server.seen()["cancelled"] == before["cancelled"] and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    assert server.seen()["cancelled"] > before["cancelled"]


async def test_long_results_are_cut_and_say_so(server: MCPServer, connect: Connect) -> None:
    connection = connect(server.url, bounds=Bounds(output_chars=1000))
    await connection.open()
    output = (await connection.call("flood", {"characters": 5000})).output
    assert output is not None
    assert output.startswith("x" * 1000 + "\n[Cut here: the result has 5000 characters, 1000 are allowed.]")


async def test_answers_without_measure_are_refused(streamable: MCPServer, connect: Connect) -> None:
    connection = connect(streamable.url, bounds=Bounds(result_bytes=20_000, call_s=10))
    await connection.open()
    with pytest.raises(Failed):
        await connection.call("flood", {"characters": 200_000})


async def test_the_token_is_sent_and_not_told(guarded: MCPServer, connect: Connect) -> None:
    error = await failure(connect(guarded.url))
    assert error == HTTPError(401, "Unauthorized")
    wrong = connect(guarded.url, authorization="wrong-token")
    assert "wrong-token" not in str(await failure(wrong))
    await connect(guarded.url, authorization="open-sesame").open()
    await connect(guarded.url, headers={"authorization": "Bearer open-sesame"}).open()
    server = Server("numbers", guarded.url, headers={"x-key": "hush"}, authorization="open-sesame")
    assert "hush" not in repr(server)
    assert "sesame" not in repr(server)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/nowhere", HTTPError(404, "Not Found")),
        ("/broken", HTTPError(500, "Internal Server Error")),
    ],
)
async def test_what_is_no_mcp_server(streamable: MCPServer, connect: Connect, path: str, error: HTTPError) -> None:
    assert await failure(connect(f"{streamable.base}{path}")) == error


async def test_what_answers_nonsense_or_sends_elsewhere(streamable: MCPServer, connect: Connect) -> None:
    assert isinstance(await failure(connect(f"{streamable.base}/nonsense")), ProtocolError)
    away = await failure(connect(f"{streamable.base}/away"))
    assert "127.0.0.1:1" not in msgspec.json.encode(away).decode()


async def test_a_silent_server_is_given_up(streamable: MCPServer, connect: Connect) -> None:
    error = await failure(connect(f"{streamable.base}/silent", bounds=Bounds(list_s=0.5)))
    assert error == ProtocolError(-32001, "The MCP server did not answer within 0.5 seconds.")


async def test_a_closed_port_is_unreachable(connect: Connect) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/mcp?key=hush"
        error = await failure(connect(url))
    assert error == HTTPError(424, "The MCP server could not be reached.")
    unknown = await failure(connect("http://no-such-host.invalid/mcp"))
    assert unknown == HTTPError(424, "The MCP server could not be reached.")


async def test_private_addresses_are_refused(streamable: MCPServer, connect: Connect) -> None:
    before = len(streamable.seen()["methods"])
    for url in (streamable.url, streamable.url.replace("127.0.0.1", "localhost"), "http://[::1]:9/mcp"):
        error = await failure(connect(url, reach=Reach()))
        assert error == HTTPError(403, "The address of the server may not be reached from here.")
    assert len(streamable.seen()["methods"]) == before


async def test_a_server_that_dies_in_a_call(connect: Connect) -> None:

    server = MCPServer("streamable")
    try:
        connection = connect(server.url)
        await connection.open()
        call = asyncio.create_task(connection.call("wait", {"seconds": 60}))
        while not server.seen()["open"]:
            await asyncio.sleep(0.05)
        server.stop()
        with pytest.raises(Failed):
            await call
        with pytest.raises(Failed):
            await connection.call("add", {"a": 1, "b": 1})
    finally:
        server.stop()
