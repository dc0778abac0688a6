from __future__ import annotations

import asyncio
import json

import pytest

from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.engines.upstream import Upstream, UpstreamError, connection

CHAT = "/chat/completions"


async def test_an_answer_with_its_headers(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b'{"id":1}', x_request_id="r1")))
    answer = await connect(server).post(CHAT, b'{"model":"as is"}', {"x-trace": "t"})
    assert (answer.status, answer.body) == (200, b'{"id":1}')
    assert answer.headers["x-request-id"] == "r1"
    request = server.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/v1/chat/completions", b'{"model":"as is"}')
    assert request.headers["x-trace"] == "t"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert "authorization" not in request.headers


async def test_a_dict_gets_the_name_that_the_target_knows(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer()))
    body = {"model": "gpt-4.1", "messages": []}
    await connect(server, model="qwen").post(CHAT, body)
    assert json.loads(server.requests[0].body) == {"model": "qwen", "messages": []}
    assert body["model"] == "gpt-4.1"


@pytest.mark.parametrize(
    ("listing", "asked"),
    [
        (b'{"data":[{"id":"only"}]}', "only"),
        (b'{"data":[{"id":"one"},{"id":"two"}]}', "gpt-4.1"),
        (None, "gpt-4.1"),
    ],
)
async def test_the_only_model_of_a_server_needs_no_name(serve, connect, say, listing, asked) -> None:
    async def handler(request, reader, writer):
        if request.method == "POST":
            writer.write(say.answer())
        else:
            writer.write(say.answer(listing) if listing else say.answer(status="404 Not Found"))

    server = await serve(handler)
    upstream = connect(server, model=None)
    for _ in range(2):
        await upstream.post(CHAT, {"model": "gpt-4.1"})
    assert [request.method for request in server.requests] == ["GET", "POST", "POST"]
    assert json.loads(server.requests[-1].body)["model"] == asked


async def test_the_key_is_read_when_used_and_shown_nowhere(serve, connect, say, monkeypatch) -> None:
    server = await serve(say.bytes(say.answer(b"{}", "401 Unauthorized")))
    upstream = connect(server, key_env="TEST_UPSTREAM_KEY", retries=0)
    monkeypatch.delenv("TEST_UPSTREAM_KEY", raising=False)
    with pytest.raises(EngineFailed, match="TEST_UPSTREAM_KEY"):
        await upstream.post(CHAT, b"{}")
    for key in ("first-key", "second-key"):
        monkeypatch.setenv("TEST_UPSTREAM_KEY", key)
        with pytest.raises(UpstreamError) as caught:
            await upstream.post(CHAT, b"{}")
        assert server.requests[-1].headers["authorization"] == f"Bearer {key}"
        assert key not in repr(caught.value) + repr(upstream.targets()) + repr(upstream.spec)
    monkeypatch.setenv("TEST_UPSTREAM_KEY", "evil\r\nx-injected: 1")
    with pytest.raises(EngineFailed, match="cannot be an API key"):
        await upstream.post(CHAT, b"{}")


async def test_connections_are_reused(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer()))
    upstream = connect(server)
    for _ in range(5):
        await upstream.post(CHAT, b"{}")
    assert server.connections == 1
    await asyncio.gather(*(upstream.post(CHAT, b"{}") for _ in range(4)))
    assert server.connections == 4
    assert upstream.targets()[0].connections == 4


async def test_idle_connections_close(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer()))
    upstream = connect(server, idle_timeout=0.05)
    await asyncio.gather(*(upstream.post(CHAT, b"{}") for _ in range(3)))
    async with asyncio.timeout(120):
        while upstream.targets()[0].connections:
            await asyncio.sleep(0.02)


async def test_a_connection_that_the_server_closed_meanwhile(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer()))
    upstream = connect(server, retries=0)
    await upstream.post(CHAT, b"{}")
    server.drop_connections()  # the client has not been told when it sends
    await upstream.post(CHAT, b"{}")
    assert server.connections == 2
    assert upstream.targets()[0].failures == 0


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 100 Continue\r\n\r\n", b'HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{"id":1}'],
        [
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b'3\r\n{"i\r',
            b'\n5\r\nd":1}\r\n0',
            b"\r\nx: y\r\n\r\n",
        ],
        [bytes([byte]) for byte in b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"id":1}'],
    ],
    ids=["continue", "chunked", "bytewise"],
)
async def test_shapes_of_answers(serve, connect, say, pieces) -> None:
    server = await serve(say.bytes(*pieces))
    upstream = connect(server)
    for _ in range(2):
        assert (await upstream.post(CHAT, b"{}")).body == b'{"id":1}'
    assert server.connections == 1


async def test_an_answer_that_ends_with_its_connection(serve, connect, say) -> None:
    server = await serve(say.bytes(b'HTTP/1.0 200 OK\r\n\r\n{"id', b'":1}', close=True))
    assert (await connect(server).post(CHAT, b"{}")).body == b'{"id":1}'


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\ncontent-"],
        [b'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"id":1}'],
        [b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"id"'],
        [b"SSH-2.0-OpenSSH_9.9\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b"],
        [b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000],
        [],
    ],
    ids=["mid-header", "mid-body", "mid-chunk", "not-http", "upgrade", "compressed", "huge-head", "nothing"],
)
async def test_broken_answers(serve, connect, say, pieces) -> None:
    server = await serve(say.bytes(*pieces, close=True))
    upstream = connect(server, retries=0)
    with pytest.raises(EngineFailed) as caught:
        await upstream.post(CHAT, b"{}")
    assert not isinstance(caught.value, UpstreamError)
    status = upstream.targets()[0]
    assert (status.state, status.failures, status.in_flight) == ("open", 1, 0)
    assert status.last_error == str(caught.value)


async def test_a_server_that_accepts_and_never_answers(serve, connect, say) -> None:
    server = await serve(say.silence)
    upstream = connect(server, first_byte_timeout=0.1)
    with pytest.raises(EngineFailed, match=r"sent nothing for 0\.1 s"):
        await upstream.post(CHAT, b"{}")
    assert len(server.requests) == 1
    await asyncio.wait_for(server.left.wait(), 120)


async def test_a_body_that_stalls(serve, connect, say) -> None:
    server = await serve(say.bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"))
    with pytest.raises(EngineFailed, match=r"sent nothing for 0\.1 s"):
        await connect(server, stall_timeout=0.1).post(CHAT, b"{}")


async def test_a_late_first_byte_is_waited_for(serve, connect, say) -> None:
    async def handler(request, reader, writer):
        await asyncio.sleep(0.3)
        writer.write(say.answer(b"late"))

    server = await serve(handler)
    assert (await connect(server, stall_timeout=0.05, first_byte_timeout=30).post(CHAT, b"{}")).body == b"late"


async def test_an_answer_over_the_limit(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b"x" * 5000)))
    with pytest.raises(EngineFailed, match="more than 1000 bytes"):
        await connect(server, max_answer_bytes=1000, retries=0).post(CHAT, b"{}")


async def test_a_second_answer_is_never_taken_for_the_next(serve, connect, say) -> None:
    """Neither one that comes with the first, nor one that comes while the connection is idle."""

    async def handler(request, reader, writer):
        if request.body == b"joined":
            writer.write(say.answer(b"one", x="1") + say.answer(b"smuggled", x="2"))
        elif request.body == b"late":
            writer.write(say.answer(b"one"))
            await writer.drain()
            await asyncio.sleep(0.05)
            writer.write(say.answer(b"smuggled"))
        else:
            writer.write(say.answer(b"right"))

    server = await serve(handler)
    upstream = connect(server, retries=0)
    answer = await upstream.post(CHAT, b"joined")
    assert (answer.body, answer.headers["x"]) == (b"one", "1")
    assert (await upstream.post(CHAT, b"plain")).body == b"right"
    assert (await upstream.post(CHAT, b"late")).body == b"one"
    await asyncio.sleep(0.15)
    assert (await upstream.post(CHAT, b"plain")).body == b"right"
    assert server.connections == 3


async def test_a_refusal_is_told_and_not_repeated(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b'{"error":{"message":"bad"}}', "400 Bad Request", x="y")))
    upstream = connect(server)
    with pytest.raises(UpstreamError) as caught:
        await upstream.post(CHAT, b"{}")
    assert (caught.value.status, caught.value.body) == (400, b'{"error":{"message":"bad"}}')
    assert caught.value.headers["x"] == "y"
    assert len(server.requests) == 1
    assert upstream.targets()[0].state == "closed"


async def test_redirects_are_not_followed(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b"", "307 Temporary Redirect", location="http://127.0.0.1:1/")))
    with pytest.raises(UpstreamError) as caught:
        await connect(server).post(CHAT, b"{}")
    assert caught.value.status == 307


async def test_cancelling_closes_the_connection(serve, connect, say) -> None:
    server = await serve(say.silence)
    upstream = connect(server)
    task = asyncio.create_task(upstream.post(CHAT, b"{}"))
    async with asyncio.timeout(120):
        while not server.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left.wait()
    status = upstream.targets()[0]
    assert (status.state, status.in_flight) == ("closed", 0)


async def test_all_connections_in_use(serve, connect, say) -> None:
    server = await serve(say.silence)
    upstream = connect(server, max_connections=2)
    busy = [asyncio.create_task(upstream.post(CHAT, b"{}")) for _ in range(2)]
    async with asyncio.timeout(120):
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
    with pytest.raises(EngineBusy):
        await upstream.post(CHAT, b"{}")
    assert upstream.targets()[0].failures == 0
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


async def test_closing_the_client_fails_what_is_under_way(serve, connect, say) -> None:
    server = await serve(say.silence)
    upstream: Upstream = connect(server)
    task = asyncio.create_task(upstream.post(CHAT, b"{}"))
    async with asyncio.timeout(120):
        while not server.requests:
            await asyncio.sleep(0.01)
        await upstream.close()
        with pytest.raises(EngineFailed):
            await task


async def test_a_large_body_arrives_whole(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer()))
    body = bytes(range(256)) * 8000
    await connect(server).post(CHAT, body)
    assert server.requests[0].body == body
    assert len(body) > connection.MAX_HEAD


@pytest.mark.parametrize(
    "headers", [{"x\r\ny": "1"}, {"x": "1\r\ny: 2"}, {"x": "1\0"}, {"content-length": "5"}, {"": "1"}, {"x": "\u20ac"}]
)
async def test_headers_that_would_break_the_request(serve, connect, say, headers) -> None:
    server = await serve(say.bytes(say.answer()))
    with pytest.raises(ValueError, match="header"):
        await connect(server).post(CHAT, b"{}", headers)
    assert server.requests == []
