"""What is promised when something breaks: a client leaves, an engine dies, the server is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from openai import APIConnectionError, APIError, APIStatusError, OpenAI

from .running import CHAT_PATH, FAST, Server, until, user

LONG: dict[str, Any] = {
    "model": FAST,
    "messages": user("Tell me a very long story about the sea."),
    "max_completion_tokens": 2000,
    # No way to end before that.
    "logit_bias": {"2": -100, "0": -100},
    "stream": True,
    "temperature": 0.8,
}
SMALL = "smollm2"
CONNECTION_BROKE = (APIConnectionError, httpx2.TransportError)


@pytest.fixture(scope="module")
def shaky(start_server: Any) -> Server:
    """A server to hurt: one slot, and comments on silent streams soon."""
    server: Server = start_server(
        engines__preload=FAST, engines__slots="1", engines__max_queue="1", server__keepalive_s="0.3"
    )
    return server


@pytest.fixture(scope="module")
def _mortal(start_server: Any) -> Server:
    server: Server = start_server(engines__preload=FAST)
    return server


@pytest.fixture
def mortal(_mortal: Server) -> Server:
    """A server to kill; it runs when a test begins."""
    return _mortal if _mortal.running else _mortal.start()


def begin(client: OpenAI, chunks: int = 5) -> Any:
    """A long stream of which some is read."""
    stream = client.chat.completions.create(**LONG)
    for _ in range(chunks):
        next(stream)
    return stream


def request_id(stream: Any) -> str:
    return str(stream.response.headers["x-request-id"])


def answers(client: OpenAI) -> Any:
    return client.chat.completions.create(model=FAST, messages=user("Hi"), max_completion_tokens=2)


def alive(pid: int) -> bool:
    """Whether a process is there and not only waiting to be buried."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not os.path.isdir("/proc/self")  # elsewhere than on Linux


def test_a_client_that_leaves_stops_the_engine(shaky: Server) -> None:
    """There is one slot: the next request is answered only if the long one has really ended."""
    with shaky.client() as client:
        stream = begin(client)
        id = request_id(stream)
        stream.close()
        answers(client)
    row = shaky.settled(id)
    assert (row["status"], row["error_code"]) == (499, "client_disconnected")
    assert 4 <= row["output_tokens"] < 500
    assert row["input_tokens"] > 0
    assert row["cost_nanos"] == row["input_tokens"] * 100 + row["output_tokens"] * 400


def test_a_client_that_leaves_before_the_first_byte(shaky: Server) -> None:
    with shaky.client(timeout=0.4) as hasty, pytest.raises(openai.APITimeoutError):
        hasty.chat.completions.create(**{**LONG, "stream": False})
    with shaky.client() as client:
        assert answers(client).choices
    until(lambda: not shaky.rows("SELECT id FROM calls WHERE state = 'open'"), "a call stays open")
    last = "SELECT status FROM calls ORDER BY created_at DESC LIMIT 2"
    until(lambda: shaky.rows(last) == [(200,), (499,)], "the call of the client that left is not settled as such")


def test_a_queued_stream_is_kept_alive_by_comments(shaky: Server) -> None:
    with shaky.client() as client:
        first = begin(client)
        queued = shaky.client()
        with queued.chat.completions.with_streaming_response.create(**{**LONG, "max_completion_tokens": 3}) as waiting:
            lines = waiting.iter_lines()
            early = [next(lines) for _ in range(4)]
            assert [line for line in early if line] == [line for line in early if line.startswith(":")] != []
            first.close()
            rest = [line for line in lines if line]
        data = [line for line in rest if line.startswith("data: ")]
        assert data[-1] == "data: [DONE]"
        assert len(data) >= 4
        queued.close()


def test_the_sdk_reads_over_the_comments(shaky: Server) -> None:
    with shaky.client() as client, ThreadPoolExecutor(1) as pool:
        first = begin(client)
        queued = pool.submit(lambda: list(client.chat.completions.create(**{**LONG, "max_completion_tokens": 3})))
        time.sleep(1)
        assert not queued.done()
        first.close()
        assert queued.result(30)[-1].choices[0].finish_reason == "length"


def test_an_engine_killed_in_the_middle_of_a_stream(shaky: Server) -> None:
    with shaky.client() as client:
        stream = begin(client)
        id = request_id(stream)
        killed = shaky.engine(SMALL)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(APIError) as failed:
            list(stream)
        assert failed.value.type == "server_error"
        assert id in failed.value.message
        row = shaky.settled(id)
        assert (row["state"], row["status"]) == ("settled", 500)
        assert row["output_tokens"] >= 4
        with shaky.client(max_retries=2) as patient:
            assert answers(patient).choices
        assert shaky.engine(SMALL) != killed


def test_an_engine_killed_before_the_first_byte(shaky: Server) -> None:
    with shaky.client() as client, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(lambda: client.chat.completions.create(**{**LONG, "stream": False}))
        until(lambda: bool(shaky.rows("SELECT id FROM calls WHERE state = 'open'")) or asked.done(), "not begun")
        time.sleep(0.3)
        os.kill(shaky.engine(SMALL), signal.SIGKILL)
        with pytest.raises(APIStatusError) as failed:
            asked.result(30)
        assert failed.value.status_code == 500
        assert failed.value.type == "server_error"
        with shaky.client(max_retries=2) as patient:
            assert answers(patient).choices


async def test_many_streams_and_reads_at_once(server: Server) -> None:
    """SQLite is under every one of them; none may find it locked."""
    async with server.async_client() as client:

        async def stream(number: int) -> str:
            chunks = await client.chat.completions.create(
                model=FAST,
                messages=user(f"Say {number}"),
                max_completion_tokens=3,
                stream=True,
                store=True,
                metadata={"crowd": str(number)},
            )
            return [chunk async for chunk in chunks][-1].choices[0].finish_reason or ""

        async def reads(done: asyncio.Event) -> int:
            count = 0
            while not done.is_set():
                await client.chat.completions.list(limit=5)
                count += 1
            return count

        done = asyncio.Event()
        reader = asyncio.create_task(reads(done))
        reasons = await asyncio.gather(*(stream(number) for number in range(30)))
        done.set()
        assert await reader > 0
        assert set(reasons) <= {"length", "stop"}
        kept = [each async for each in await client.chat.completions.list(limit=100)]
    assert {each.metadata["crowd"] for each in kept if each.metadata and "crowd" in each.metadata} == {
        str(number) for number in range(30)
    }
    assert "database is locked" not in server.log


async def test_a_full_queue_says_so(shaky: Server) -> None:
    async with shaky.async_client() as client:
        asked = {**LONG, "stream": False, "max_completion_tokens": 60}
        answers = await asyncio.gather(
            *(client.chat.completions.create(**asked) for _ in range(5)), return_exceptions=True
        )
    refused = [answer for answer in answers if isinstance(answer, APIStatusError)]
    assert len(refused) == 3
    for error in refused:
        assert (error.status_code, error.type, error.code) == (
            503,
            "service_unavailable_error",
            "server_is_overloaded",
        )
        assert int(error.response.headers["retry-after"]) > 0


def test_a_server_killed_in_the_middle_of_a_stream(mortal: Server) -> None:
    server = mortal
    engine = server.engine(SMALL)
    with server.client() as client:
        finished = answers(client)._request_id
        stream = begin(client)
        id = request_id(stream)
        assert server.call(id)["state"] == "open"  # on the books before its first byte left
        assert server.process is not None
        told = client.responses.create(model=FAST, input="Say hi", max_output_tokens=16)
        os.kill(server.process.pid, signal.SIGKILL)
        with pytest.raises(CONNECTION_BROKE):
            list(stream)
    server.process.wait(10)
    until(lambda: not alive(engine), "the engine outlives its server", 10)
    server.start()
    row = server.call(id)
    assert (row["state"], row["status"], row["error_code"]) == ("interrupted", 500, "interrupted")
    assert server.call(finished)["state"] == "settled"
    assert server.rows("SELECT count(*) FROM calls WHERE state = 'open'") == [(0,)]
    with server.client() as client:
        assert client.responses.retrieve(told.id).output == told.output  # kept before its last byte left
        assert answers(client).choices


def test_sigterm_ends_what_goes_on_and_then_the_server(mortal: Server) -> None:
    server = mortal
    engine = server.engine(SMALL)
    with server.client() as client, ThreadPoolExecutor(1) as pool:
        stream = client.chat.completions.create(**{**LONG, "max_completion_tokens": 60})
        next(stream)
        ended = pool.submit(server.terminate)
        chunks = list(stream)
        assert chunks[-1].choices[0].finish_reason == "length"
        assert ended.result() == 0
    assert not alive(engine)
    assert server.rows("SELECT count(*) FROM calls WHERE state = 'open'") == [(0,)]
    assert not server.tracebacks


def test_a_second_server_on_the_same_folder_or_port_is_refused(server: Server, tmp_path: Any) -> None:
    for folder, port, why in (
        (server.data_dir, 0, "another server runs on"),
        (tmp_path / "data", server.port, "cannot listen on"),
    ):
        second = subprocess.run(
            [sys.executable, "-m", "inhouse.cli", "serve", "--data-dir", str(folder), "--port", str(port)],
            env=server.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert second.returncode == 1
        assert why in second.stderr


def test_an_api_error_never_tells_of_the_inside(server: Server) -> None:
    for body in ({"model": FAST, "messages": user("x"), "logit_bias": {"999999": 1}}, {"model": []}, {"messages": 0}):
        answer = server.http("POST", CHAT_PATH, body)
        assert answer.status == 400
        assert b"Traceback" not in answer.body
        assert b'File "' not in answer.body
