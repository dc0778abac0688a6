from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import UpstreamError, circuit, client

CHAT = "/chat/completions"


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(client, "SAME_TARGET_PAUSE", 0.01)


def refuse(say, status: str, **headers: str):
    return say.bytes(say.answer(status.encode(), status, **headers))


@pytest.mark.parametrize("status", ["500 No", "502 No", "503 No", "429 Slow", "408 Late"])
async def test_the_next_target_is_asked(serve, connect, say, status, monkeypatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_BACKOFF", 60)
    bad, good = await serve(refuse(say, status)), await serve(say.bytes(say.answer(b"good")))
    upstream = connect(bad, good)
    for _ in range(3):
        assert (await upstream.post(CHAT, b"{}")).body == b"good"
    assert (len(bad.requests), len(good.requests)) == (1, 3)
    assert [target.state for target in upstream.targets()] == ["open", "closed"]


@pytest.mark.parametrize("status", ["400 Bad", "401 Who", "404 What", "501 Never"])
async def test_refusals_are_answers(serve, connect, say, status) -> None:
    first, second = await serve(refuse(say, status)), await serve(say.bytes(say.answer()))
    with pytest.raises(UpstreamError):
        await connect(first, second).post(CHAT, b"{}")
    assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_targets_that_are_not_there_or_half_dead(serve, connect, say, nowhere) -> None:
    silent = await serve(say.silence)
    broken = await serve(say.bytes(b"HTTP/1.1 200 OK\r\ncontent-le", close=True))
    good = await serve(say.bytes(say.answer(b"good")))
    upstream = connect(nowhere, silent, broken, good, first_byte_timeout=1, retries=3)
    assert (await upstream.post(CHAT, b"{}")).body == b"good"
    assert [target.failures for target in upstream.targets()] == [1, 1, 1, 0]


async def test_a_host_without_a_name(connect) -> None:
    upstream = connect("http://no-such-host.invalid/v1", retries=0)
    with pytest.raises(EngineFailed, match="no connection"):
        await upstream.post(CHAT, b"{}")


async def test_when_all_fail_the_last_error_is_told(serve, connect, say) -> None:
    one, two = await serve(refuse(say, "500 First")), await serve(refuse(say, "503 Second"))
    with pytest.raises(UpstreamError) as caught:
        await connect(one, two, retries=1).post(CHAT, b"{}")
    assert (caught.value.status, caught.value.body) == (503, b"503 Second")


async def test_the_number_of_attempts(serve, connect, say) -> None:
    server = await serve(refuse(say, "503 No"))
    with pytest.raises(UpstreamError):
        await connect(server, retries=3).post(CHAT, b"{}")
    assert len(server.requests) == 4
    with pytest.raises(UpstreamError):
        await connect(server, retries=0).post(CHAT, b"{}")
    assert len(server.requests) == 5


async def test_least_busy_first(serve, connect, say) -> None:
    release = asyncio.Event()

    async def slow(request, reader, writer):
        await release.wait()
        writer.write(say.answer())

    servers = [await serve(slow) for _ in range(3)]
    upstream = connect(*servers)
    tasks = [asyncio.create_task(upstream.post(CHAT, b"{}")) for _ in range(7)]
    async with asyncio.timeout(120):
        while sum(len(server.requests) for server in servers) < 7:
            await asyncio.sleep(0.01)
    assert [len(server.requests) for server in servers] == [3, 2, 2]
    assert [target.in_flight for target in upstream.targets()] == [3, 2, 2]
    release.set()
    await asyncio.gather(*tasks)
    assert [target.in_flight for target in upstream.targets()] == [0, 0, 0]


async def test_retry_after_is_honoured(serve, connect, say) -> None:
    server = await serve(refuse(say, "429 Slow", retry_after="30"))
    upstream = connect(server)
    for _ in range(3):
        with pytest.raises(UpstreamError) as caught:
            await upstream.post(CHAT, b"{}")
        assert caught.value.status == 429
        assert 25 < (caught.value.retry_after or 0) <= 30
    assert len(server.requests) == 1
    status = upstream.targets()[0]
    assert status.state == "open"
    assert 25 < status.retry_in <= 30


async def test_the_shortest_wait_of_all_limited_targets_is_told(serve, connect, say) -> None:
    one = await serve(refuse(say, "429 Slow", retry_after="50"))
    two = await serve(refuse(say, "429 Slow", retry_after_ms="20000"))
    upstream = connect(one, two)
    for _ in range(2):
        with pytest.raises(UpstreamError) as caught:
            await upstream.post(CHAT, b"{}")
    assert 15 < (caught.value.retry_after or 0) <= 20
    assert (len(one.requests), len(two.requests)) == (1, 1)


async def test_failing_targets_are_tried_when_there_is_nothing_else(serve, connect, say) -> None:
    """A deployment of one server must not refuse requests that it could answer by now."""
    answers = iter([say.answer(b"", "500 Hiccup"), say.answer(b"good"), say.answer(b"good")])

    async def handler(request, reader, writer):
        writer.write(next(answers))

    upstream = connect(await serve(handler), retries=0)
    with pytest.raises(UpstreamError):
        await upstream.post(CHAT, b"{}")
    assert upstream.targets()[0].state == "open"
    assert (await upstream.post(CHAT, b"{}")).body == b"good"
    assert upstream.targets()[0].state == "closed"


async def test_a_server_that_comes_back(serve, connect, say, monkeypatch) -> None:
    monkeypatch.setattr(client, "SAME_TARGET_PAUSE", 0.2)
    server = await serve(say.bytes(say.answer(b"good")))
    await server.stop()
    task = asyncio.create_task(connect(server).post(CHAT, b"{}"))
    await asyncio.sleep(0.05)
    await server.start()
    assert (await task).body == b"good"


async def test_open_half_open_closed(serve, connect, say, monkeypatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_BACKOFF", 0.5)
    failing = True

    async def handler(request, reader, writer):
        if not failing:
            await asyncio.sleep(0.1)
        writer.write(say.answer(b"", "500 No") if failing else say.answer(b"first"))

    first, second = await serve(handler), await serve(say.bytes(say.answer(b"second")))
    upstream = connect(first, second)
    assert (await upstream.post(CHAT, b"{}")).body == b"second"
    assert upstream.targets()[0].state == "open"
    failing = False
    while upstream.targets()[0].state == "open":
        await asyncio.sleep(0.05)
    assert upstream.targets()[0].state == "half_open"
    answers = await asyncio.gather(*(upstream.post(CHAT, b"{}") for _ in range(5)))
    assert [answer.body for answer in answers].count(b"first") == 1, (
        "one request tries it, the others do not wait for it"
    )
    assert upstream.targets()[0].state == "closed"
    assert (await upstream.post(CHAT, b"{}")).body == b"first"


async def test_backoff_doubles_up_to_a_minute(serve, connect, say) -> None:
    server = await serve(refuse(say, "500 No"))
    upstream = connect(server, retries=0)
    waits = []
    for _ in range(9):
        with pytest.raises(UpstreamError):
            await upstream.post(CHAT, b"{}")
        waits.append(round(upstream.targets()[0].retry_in))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_a_cancelled_trial_leaves_room_for_the_next(serve, connect, say, monkeypatch) -> None:
    monkeypatch.setattr(circuit, "FIRST_BACKOFF", 0.05)
    answers = iter([refuse(say, "500 No"), say.silence, say.bytes(say.answer(b"good"))])

    async def handler(request, reader, writer):
        await next(answers)(request, reader, writer)

    first, second = await serve(handler), await serve(say.bytes(say.answer(b"second")))
    upstream = connect(first, second)
    await upstream.post(CHAT, b"{}")
    await asyncio.sleep(0.1)
    trial = asyncio.create_task(upstream.post(CHAT, b"{}"))
    async with asyncio.timeout(120):
        while len(first.requests) < 2:
            await asyncio.sleep(0.01)
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
    assert (await upstream.post(CHAT, b"{}")).body == b"good"


async def test_streams_move_on_before_the_first_payload(serve, connect, say, nowhere) -> None:
    error = await serve(say.stream(b'{"error":{"message":"loading","code":503}}'))
    empty = await serve(say.bytes(say.SSE, say.END))
    late = await serve(say.bytes(say.SSE, say.chunk(b": hello\n\n"), close=True))
    good = await serve(say.stream(b"1", b"2"))
    upstream = connect(nowhere, error, empty, late, good, retries=4)
    payloads: list[bytes] = []
    async with aclosing(upstream.stream(CHAT, b"{}")) as batches:
        async for batch in batches:
            payloads += batch
    assert payloads == [b"1", b"2"]
    assert [target.failures for target in upstream.targets()] == [1, 1, 1, 1, 0]


async def test_streams_do_not_move_on_after_it(serve, connect, say) -> None:
    broken, good = await serve(say.bytes(say.SSE, say.chunk(b"data: 1\n\n"), close=True)), await serve(say.stream(b"1"))
    upstream = connect(broken, good)
    stream = upstream.stream(CHAT, b"{}")
    assert await anext(stream) == [b"1"]
    with pytest.raises(EngineFailed):
        await anext(stream)
    assert good.requests == []


async def test_an_error_in_a_stream_that_is_the_request_s_fault(serve, connect, say) -> None:
    one, two = await serve(say.stream(b'{"error":{"message":"bad","code":400}}')), await serve(say.stream(b"1"))
    with pytest.raises(UpstreamError) as caught:
        await anext(connect(one, two).stream(CHAT, b"{}"))
    assert caught.value.status == 400
    assert two.requests == []
