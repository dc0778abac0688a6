"""Bodies and answers that are not JSON."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import UpstreamError

SPEECH = "/audio/speech"


async def test_bytes_come_as_they_are(serve, connect, say) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"
    server = await serve(say.bytes(head, say.chunk(b"\x00\xff"), say.chunk(b"\n\n"), say.END))
    async with aclosing(connect(server).stream_bytes(SPEECH, {"input": "x"})) as pieces:
        assert b"".join([piece async for piece in pieces]) == b"\x00\xff\n\n"
    assert server.requests[0].headers["content-type"] == "application/json"


async def test_a_body_is_made_for_each_target_and_says_what_it_is(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b"hi")))
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = await connect(server).post("/audio/transcriptions", lambda model: f"--x {model}".encode(), kind)
    assert answer.body == b"hi"
    (request,) = server.requests
    assert (request.body, request.headers["content-type"]) == (b"--x m", kind["content-type"])


async def test_the_next_target_is_asked_until_something_was_given(serve, connect, say) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 9\r\n\r\n"
    broken, whole = await serve(say.bytes(head)), await serve(say.bytes(head + b"123456789"))

    async def closes(request, reader, writer):
        writer.close()

    dead = await serve(closes)
    upstream = connect(dead, whole)
    assert [piece async for piece in upstream.stream_bytes(SPEECH, b"{}")] == [b"123456789"]

    async def half(request, reader, writer):
        writer.write(head + b"1234")
        await writer.drain()
        writer.close()

    pieces = connect(await serve(half), broken).stream_bytes(SPEECH, b"{}")
    assert await anext(pieces) == b"1234"
    with pytest.raises(EngineFailed, match="in the middle"):
        await anext(pieces)


async def test_a_refusal_is_told(serve, connect, say) -> None:
    server = await serve(say.bytes(say.answer(b"{}", "400 Bad Request")))
    with pytest.raises(UpstreamError) as refused:
        await anext(connect(server).stream_bytes(SPEECH, b"{}"))
    assert refused.value.status == 400
