from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Upstream, UpstreamError

CHAT = "/chat/completions"


async def collect(upstream: Upstream, into: list[bytes] | None = None) -> list[bytes]:
    payloads = [] if into is None else into
    async with aclosing(upstream.stream(CHAT, {"stream": True})) as batches:
        async for batch in batches:
            assert batch
            payloads += batch
    return payloads


async def test_payloads_in_order_and_the_connection_reused(serve, connect, say) -> None:
    server = await serve(say.stream(b'{"id":1}', b'{"id":2}', b'{"id":3}'))
    upstream = connect(server)
    for _ in range(3):
        assert await collect(upstream) == [b'{"id":1}', b'{"id":2}', b'{"id":3}']
        await asyncio.sleep(0.05)  # the last chunk may come after the last event
    assert server.connections == 1


async def test_what_comes_together_is_one_batch(serve, connect, say) -> None:
    together = say.SSE + b"".join(say.chunk(b"data: %d\n\n" % number) for number in range(100))
    server = await serve(say.bytes(together + say.chunk(b"data: [DONE]\n\n") + say.END))
    upstream = connect(server)
    async with aclosing(upstream.stream(CHAT, b"{}")) as stream:
        batches = [batch async for batch in stream]
    assert [payload for batch in batches for payload in batch] == [b"%d" % number for number in range(100)]
    assert len(batches) < 5


async def test_cut_at_every_byte(serve, connect, say) -> None:
    events = b': hi\r\n\r\ndata: {"id":1}\r\n\r\ndata: {"id":2}\n\ndata: [DONE]\r\n\r\n'
    pieces = [say.chunk(events[place : place + 1]) for place in range(len(events))]
    server = await serve(say.bytes(say.SSE, *pieces, say.END))
    assert await collect(connect(server)) == [b'{"id":1}', b'{"id":2}']


async def test_the_end_may_come_after_the_last_event(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        writer.write(say.SSE + say.chunk(b"data: 1\n\n") + say.chunk(b"data: [DONE]\n\n"))
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(say.END)

    server = await serve(handler)
    upstream = connect(server)
    assert await collect(upstream) == [b"1"]
    await asyncio.sleep(0.3)
    assert await collect(upstream) == [b"1"]
    assert server.connections == 1


async def test_a_stream_that_never_ends_after_its_last_event(serve, connect, say, monkeypatch) -> None:
    monkeypatch.setattr("inhouse.engines.upstream.connection.DRAIN_SECONDS", 0.05)

    async def handler(request, reader, writer):
        writer.write(say.SSE + say.chunk(b"data: 1\n\n") + say.chunk(b"data: [DONE]\n\n"))
        await say.silence(request, reader, writer)

    server = await serve(handler)
    assert await collect(connect(server)) == [b"1"]
    await asyncio.wait_for(server.left.wait(), 120)


@pytest.mark.parametrize("close", [False, True], ids=["ended", "broken"])
async def test_ends_without_done(serve, connect, say, close) -> None:
    end = b"" if close else say.END
    server = await serve(say.bytes(say.SSE, say.chunk(b"data: 1\n\n"), say.chunk(b"data: 2"), end, close=close))
    upstream = connect(server)
    payloads: list[bytes] = []
    with pytest.raises(EngineFailed):
        await collect(upstream, payloads)
    assert payloads == [b"1"]
    assert len(server.requests) == 1
    assert upstream.targets()[0].failures == 1


async def test_an_error_in_the_stream(serve, connect, say) -> None:
    error = b'{"error":{"message":"out of memory","code":500}}'
    server = await serve(say.stream(b'{"id":1}', error))
    upstream = connect(server)
    payloads: list[bytes] = []
    with pytest.raises(UpstreamError) as caught:
        await collect(upstream, payloads)
    assert payloads == [b'{"id":1}']
    assert (caught.value.status, caught.value.body) == (500, error)
    assert len(server.requests) == 1


async def test_a_refusal_in_place_of_a_stream(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b'{"error":{}}', "422 Unprocessable")))
    with pytest.raises(UpstreamError) as caught:
        await collect(connect(server))
    assert (caught.value.status, caught.value.body) == (422, b'{"error":{}}')


async def test_an_answer_that_is_no_stream(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b"{}", content_type="application/json")))
    with pytest.raises(EngineFailed, match="application/json"):
        await collect(connect(server))


async def test_a_stream_that_stalls(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        writer.write(say.SSE + say.chunk(b"data: 1\n\n"))
        await say.silence(request, reader, writer)

    server = await serve(handler)
    payloads: list[bytes] = []
    with pytest.raises(EngineFailed, match=r"sent nothing for 0\.1 s"):
        await collect(connect(server, stall_timeout=0.1), payloads)
    assert payloads == [b"1"]
    await asyncio.wait_for(server.left.wait(), 120)


async def test_comments_keep_a_stream_alive(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        writer.write(say.SSE)
        for _ in range(11):
            writer.write(say.chunk(b": still here\n\n"))
            await writer.drain()
            await asyncio.sleep(0.1)
        writer.write(say.chunk(b"data: 1\n\ndata: [DONE]\n\n") + say.END)

    server = await serve(handler)
    assert await collect(connect(server, stall_timeout=1)) == [b"1"]


async def test_closing_the_generator_closes_the_connection(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        writer.write(say.SSE + say.chunk(b"data: 1\n\n"))
        await say.silence(request, reader, writer)

    server = await serve(handler)
    upstream = connect(server)
    stream = upstream.stream(CHAT, b"{}")
    assert await anext(stream) == [b"1"]
    assert upstream.targets()[0].in_flight == 1
    await stream.aclose()
    await asyncio.wait_for(server.left.wait(), 120)
    status = upstream.targets()[0]
    assert (status.in_flight, status.state) == (0, "closed")


async def test_cancelling_the_reader_closes_the_connection(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        writer.write(say.SSE + say.chunk(b"data: 1\n\n"))
        await say.silence(request, reader, writer)

    server = await serve(handler)
    upstream = connect(server)
    payloads: list[bytes] = []
    task = asyncio.create_task(collect(upstream, payloads))
    async with asyncio.timeout(120):
        while not payloads:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()
    assert upstream.targets()[0].in_flight == 0


async def test_a_slow_consumer_holds_the_server_back(serve, connect, say) -> None:
    """Memory stays flat, nothing is lost, and the server's silence is not mistaken for a stall."""
    total, size = 2000, 20_000
    written = 0

    async def handler(request, reader, writer):
        nonlocal written
        writer.write(say.SSE)
        for number in range(total):
            writer.write(say.chunk(b"data: %05d%b\n\n" % (number, b"x" * size)))
            await writer.drain()
            written += 1
        writer.write(say.chunk(b"data: [DONE]\n\n") + say.END)

    server = await serve(handler)
    upstream = connect(server, stall_timeout=0.15)
    stream = upstream.stream(CHAT, b"{}")
    seen = len(await anext(stream))
    await asyncio.sleep(0.6)
    assert written < total, "the server could send everything to a consumer that took almost nothing"
    async for batch in stream:
        for payload in batch:
            assert payload[:5] == b"%05d" % seen
            seen += 1
    assert seen == written == total
