"""Responses over a WebSocket: the official SDK and hostile clients in front of a real server on a scripted engine."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from openai import AsyncOpenAI
from openai import NotFoundError as NoSuchResponse
from test_hosted_loop import SEARCH, Bench, Searching, calling
from tests.walking import migrated
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from inhouse.access import Caller
from inhouse.access.policies import NO_POLICY, Policy
from inhouse.api.dispatch import Dispatcher
from inhouse.api.responses.hosting import NO_HOSTED_TOOLS, HostedTools
from inhouse.api.responses.socket import MOST_LANES, MOST_WAITING, ResponsesSocket
from inhouse.api.socket import sockets_of
from inhouse.engines.protocol import EngineFailed
from inhouse.kit.errors import NotFound, Unauthenticated
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine, check_order

KEY = "sk-proj-mine"


class Doors:
    """Lets in who has the key, until it is revoked."""

    def __init__(self) -> None:
        self.revoked = False
        self.policy = NO_POLICY

    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Caller:
        if headers.get("authorization") != f"Bearer {KEY}" or self.revoked:
            raise Unauthenticated("Incorrect API key provided.", code="invalid_api_key")
        return Caller("org-one", "proj_one", "key_one", policy=self.policy)


class Served:
    def __init__(self, platform: Platform, doors: Doors, port: int, server: uvicorn.Server) -> None:
        self.platform, self.engine, self.doors, self.server = platform, platform.engine, doors, server
        self.url = f"ws://127.0.0.1:{port}/v1/responses"
        self.client = AsyncOpenAI(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1")

    def plain(self, **headers: str) -> connect:
        return connect(self.url, additional_headers={"authorization": f"Bearer {KEY}", **headers}, proxy=None)


Serve = Callable[..., Any]


@pytest.fixture
def database_url(tmp_path: Any) -> str:
    (tmp_path / "inhouse.db").write_bytes(migrated())
    return f"sqlite:///{tmp_path / 'inhouse.db'}"


@pytest.fixture
def serve(database: Database) -> Serve:
    @asynccontextmanager
    async def serving(*script: Any, hosts: HostedTools = NO_HOSTED_TOOLS, **options: Any) -> AsyncIterator[Served]:
        platform, doors = Platform(database, ScriptedEngine(*script), hosts), Doors()
        face = ResponsesSocket(platform.service, **options)
        app = Dispatcher(platform.operations.values(), doors, sockets=sockets_of(face))
        port = sockets.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, ws="websockets-sansio", ws_max_size=1 << 20, lifespan="off", log_config=None, ws_ping_interval=20
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server._serve([port]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield Served(platform, doors, port.getsockname()[1], server)
        finally:
            if platform.engine.gate is not None:
                platform.engine.gate.set()
            server.should_exit = True
            await running
            await platform.close()

    return serving


async def turn(connection: Any) -> list[dict[str, Any]]:
    """Events until the end of a response."""
    told = []
    async with asyncio.timeout(120):
        while True:
            event = json.loads(await connection.recv_bytes())
            told.append(event)
            if event["type"] in ("response.completed", "response.failed", "response.incomplete", "error"):
                return told


async def answer(connection: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(120):
        told: dict[str, Any] = json.loads(await connection.recv())
    return told


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


async def cancelled(served: Any, response_id: str) -> None:
    """Until a response is stored as cancelled."""
    async with asyncio.timeout(120):
        while True:
            try:
                stored = await served.platform.call("getResponse", response_id=response_id)
            except NotFound:
                await asyncio.sleep(0.01)
            else:
                assert stored["status"] == "cancelled"
                return


async def drain(connection: ClientConnection) -> None:
    """Read until the connection is closed."""
    while True:
        await answer(connection)


async def test_turns_go_on_from_each_other_without_being_stored(serve: Serve) -> None:
    async with serve(["Hel", "lo"], ["You said Hi"]) as served:
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="Hi", store=False)
            first = await turn(connection)
            check_order(first)
            assert first[-1]["response"]["output"][0]["content"][0]["text"] == "Hello"
            previous = first[-1]["response"]["id"]
            await connection.response.create(model="gpt-4.1", input="And?", store=False, previous_response_id=previous)
            second = await turn(connection)
            check_order(second)
            assert second[-1]["response"]["previous_response_id"] == previous
        assert served.engine.prompts[1] == "user: Hi\nassistant: Hello\nuser: And?"
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="?", store=False, previous_response_id=previous)
            (error,) = await turn(connection)
            assert (error["type"], error["status"]) == ("error", 400)
            assert error["error"]["code"] == "previous_response_not_found"
        assert await served.platform.settled() == [
            ("settled", 200),
            ("settled", 200),
            ("settled", 400),
        ]


async def test_a_stored_response_can_be_gone_on_from_anywhere(serve: Serve) -> None:
    async with serve(["Hello"]) as served:
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="Hi")
            stored = (await turn(connection))[-1]["response"]["id"]
        assert (await served.client.responses.retrieve(stored)).status == "completed"
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="More", previous_response_id=stored)
            assert (await turn(connection))[-1]["type"] == "response.completed"
        assert served.engine.prompts[1] == "user: Hi\nassistant: Hello\nuser: More"


async def test_a_hosted_tool_runs_and_what_it_found_is_gone_on_from(serve: Serve) -> None:
    bench = Bench()
    hosts = HostedTools({"file_search": lambda tool, circumstances: Searching(bench)})
    asked: dict[str, Any] = {"model": "gpt-4.1", "store": False, "tools": [SEARCH]}
    async with serve([calling("file_search", "a")], ["Found."], ["Well."], hosts=hosts) as served:
        async with served.client.responses.connect() as connection:
            await connection.response.create(input="Hi", **asked)
            told = await turn(connection)
            check_order(told)
            first = told[-1]["response"]
            assert [item["type"] for item in first["output"]] == ["file_search_call", "message"]
            await connection.response.create(input="And?", previous_response_id=first["id"], **asked)
            assert (await turn(connection))[-1]["type"] == "response.completed"
        assert "call file_search" in served.engine.prompts[-1]
        assert "tool: found a" in served.engine.prompts[1]
        assert (bench.ran, bench.running, bench.closed) == (["a"], 0, 2)


async def test_where_nothing_may_be_retained_nothing_is(serve: Serve) -> None:
    async with serve(["Hello"], ["Again"]) as served:
        served.doors.policy = Policy(zero_retention=True)
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="Hi", store=True)
            first = (await turn(connection))[-1]["response"]
            assert first["store"] is False
            await connection.response.create(model="gpt-4.1", input="More", previous_response_id=first["id"])
            assert (await turn(connection))[-1]["type"] == "response.completed"
        with pytest.raises(NoSuchResponse):
            await served.client.responses.retrieve(first["id"])


async def test_a_warm_up_generates_nothing_and_can_be_gone_on_from(serve: Serve) -> None:
    async with serve(["Hello"]) as served, served.client.responses.connect() as connection:
        await connection.response.create(model="gpt-4.1", input="Context", store=False, generate=False)
        told = await turn(connection)
        assert [event["type"] for event in told] == ["response.created", "response.in_progress", "response.completed"]
        assert told[-1]["response"]["output"] == []
        assert told[-1]["response"]["usage"]["total_tokens"] == 0
        assert served.engine.prompts == []
        await connection.response.create(
            model="gpt-4.1", input="Go", store=False, previous_response_id=told[-1]["response"]["id"]
        )
        assert (await turn(connection))[-1]["type"] == "response.completed"
        assert served.engine.prompts == ["user: Context\nuser: Go"]


async def test_turns_of_a_lane_are_made_in_order_and_lanes_side_by_side(serve: Serve) -> None:
    async with serve(["One", " more"]) as served, served.client.responses.connect() as connection:
        served.engine.gate = asyncio.Event()
        for lane in ("a", "a", "b"):
            await connection.response.create(model="gpt-4.1", input=lane, store=False, stream_id=lane)
        await until(lambda: served.engine.open == 2)
        assert sorted(served.engine.prompts) == ["user: a", "user: b"]
        served.engine.gate.set()
        told = [event for _ in range(3) for event in await turn(connection)]
        assert {event["stream_id"] for event in told} == {"a", "b"}
        assert len(served.engine.prompts) == 3
        check_order([event for event in told if event["stream_id"] == "b"])


async def test_a_client_that_leaves_stops_the_model(serve: Serve) -> None:
    async with serve(["One", " two", " three"]) as served:
        served.engine.gate = asyncio.Event()
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="Hi")
            created = json.loads(await connection.recv_bytes())
            await until(lambda: served.engine.open == 1)
        await until(lambda: served.engine.open == 0)
        await cancelled(served, created["response"]["id"])
        assert await served.platform.settled() == [("settled", 499)]


async def test_errors_are_events_and_the_connection_lives_on(serve: Serve) -> None:
    async with serve(["Hi"], ["It", EngineFailed("it broke")], ["Hi"]) as served, served.plain() as connection:
        for sent, param, code in (
            ("not json", None, None),
            ("[1]", None, None),
            ('"text"', None, None),
            ("{}", "type", "invalid_value"),
            ('{"type": "response.steer"}', "previous_response_id", "missing_required_parameter"),
            ('{"type": "response.stop", "input": "response.steer"}', "type", "invalid_value"),
            ('{"type": "response.create", "nonsense": 1}', "nonsense", "unknown_parameter"),
            ('{"type": "response.create", "stream_id": "no spaces"}', "stream_id", None),
            ('{"type": "response.create", "background": true}', "background", "unsupported_parameter"),
            ('{"type": "response.create", "input": "x"}', "model", "missing_required_parameter"),
            ("[" * 100_000, None, None),
            (b"\xff\xfe", None, None),
        ):
            await connection.send(sent)
            told = await answer(connection)
            assert (told["type"], told["status"]) == ("error", 400), told
            assert told["error"]["param"] == param, told
            assert code is None or told["error"]["code"] == code
        await connection.send('{"type": "response.create", "model": "no-such-model", "input": "x"}')
        assert (await answer(connection))["status"] == 404
        for expected in ("response.completed", "response.failed", "response.completed"):
            await connection.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "x"}))
            while (told := await answer(connection))["type"] not in ("response.completed", "response.failed", "error"):
                pass
            assert told["type"] == expected, told


async def test_what_a_response_cannot_be_told_any_more_comes_back(serve: Serve) -> None:
    async with serve(["Hi"]) as served:
        served.engine.gate = asyncio.Event()
        async with served.client.responses.connect() as connection:
            await connection.response.create(model="gpt-4.1", input="Hi")
            created = (await connection.recv()).response
            told = [{"type": "message", "role": "user", "content": "Shorter"}]
            await connection.response.steer(previous_response_id=created.id, input=told)
            kinds = []
            async for event in connection:
                kinds.append(event.type)
                if event.type == "response.steer.failed":
                    assert (event.error.code, event.error.type) == ("steering_not_supported", "invalid_request_error")
                    assert event.steer.previous_response_id == created.id
                    assert [item.to_dict() for item in event.steer.input] == told
                    served.engine.gate.set()
                if event.type == "response.completed":
                    break
            assert kinds.count("response.steer.failed") == 1, "what is being made goes on"


async def test_the_handshake_is_authenticated(serve: Serve) -> None:
    async with serve(["Hi"]) as served:
        with pytest.raises(InvalidStatus) as refused:
            async with served.plain(authorization="Bearer wrong"):
                pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["error"]["code"] == "invalid_api_key"
        with pytest.raises(InvalidStatus) as unknown:
            async with connect(served.url + "/x", additional_headers={"authorization": f"Bearer {KEY}"}, proxy=None):
                pass
        assert unknown.value.response.status_code == 404
        async with served.plain() as connection:
            served.doors.revoked = True
            await connection.send('{"type": "response.create", "model": "gpt-4.1", "input": "x"}')
            assert (await answer(connection))["status"] == 401
        assert served.engine.prompts == []


async def test_bounds_of_a_connection(serve: Serve) -> None:
    async with serve(["One", " more"]) as served, served.plain() as connection:
        served.engine.gate = asyncio.Event()
        create = {"type": "response.create", "model": "gpt-4.1", "input": "x", "store": False}
        for lane in range(MOST_LANES + 1):
            await connection.send(json.dumps({**create, "stream_id": f"lane{lane}"}))
        while (told := await answer(connection))["type"] != "error":
            pass
        assert (told["error"]["code"], told["stream_id"]) == ("websocket_stream_limit_reached", f"lane{MOST_LANES}")
        for _ in range(MOST_WAITING + 1):
            await connection.send(json.dumps({**create, "stream_id": "lane0"}))
        while (told := await answer(connection))["type"] != "error":
            pass
        assert told["error"]["code"] == "websocket_queue_limit_reached"
        await connection.send("x" * (2 << 20))
        with pytest.raises(ConnectionClosed) as closed:
            await drain(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
        await until(lambda: served.engine.open == 0)


async def test_a_connection_ends_after_its_time(serve: Serve) -> None:
    async with serve(["Hi"], longest_s=0.3) as served, served.plain() as connection:
        told = await answer(connection)
        assert told["error"]["code"] == "websocket_connection_limit_reached"
        with pytest.raises(ConnectionClosed) as closed:
            await answer(connection)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


async def test_a_server_that_stops_says_so_and_settles(serve: Serve) -> None:
    async with serve(["One", " two"]) as served:
        served.engine.gate = asyncio.Event()
        async with served.plain() as connection:
            await connection.send('{"type": "response.create", "model": "gpt-4.1", "input": "x"}')
            created = await answer(connection)
            await until(lambda: served.engine.open == 1)
            served.server.should_exit = True
            with pytest.raises(ConnectionClosed) as closed:
                await drain(connection)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        await until(lambda: served.engine.open == 0)
        await cancelled(served, created["response"]["id"])


async def test_many_connections(serve: Serve) -> None:
    async with serve(["Hello"]) as served:

        async def one() -> str:
            async with served.plain() as connection:
                await connection.send('{"type": "response.create", "model": "gpt-4.1", "input": "x", "store": false}')
                while (told := await answer(connection))["type"] != "response.completed":
                    assert told["type"] != "error", told
                text: str = told["response"]["output"][0]["content"][0]["text"]
                return text

        assert set(await asyncio.gather(*(one() for _ in range(50)))) == {"Hello"}
        await until(lambda: served.engine.open == 0)
