"""Only checked addresses are connected to, and the names under which tools are seen."""

from __future__ import annotations

import asyncio
import gzip
import socket
from typing import Any

import httpx2
import pytest
from tests.mcp_servers import MCPServer

from inhouse.kit.addresses import LOOPBACK, Reach
from inhouse.tools.mcp import Approval, ServerTool, ToolFilter, seen_name
from inhouse.tools.mcp.transport import AddressRefused, GuardedTransport, TooLarge


async def test_a_name_is_checked_when_it_is_connected_to(
    streamable: MCPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that led elsewhere when it was looked at gains nothing, nor does one that leads to both."""
    port = int(streamable.base.rsplit(":", 1)[1])
    real = socket.getaddrinfo
    answers: list[list[str]] = [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]]

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if host != "rebinding.example":
            return real(host, port, **_)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{port}/seen"
    async with httpx2.AsyncClient(transport=GuardedTransport(Reach(), 100_000)) as client:
        for _ in range(2):
            with pytest.raises(AddressRefused):
                await client.get(url)
    async with httpx2.AsyncClient(transport=GuardedTransport(Reach(LOOPBACK), 100_000)) as client:
        answer = await client.get(url)
        with pytest.raises(AddressRefused):
            await client.get(streamable.base)
    assert answer.status_code == 200
    assert answer.request.headers["host"] == f"rebinding.example:{port}"


async def test_an_answer_is_bounded(streamable: MCPServer) -> None:
    async with httpx2.AsyncClient(transport=GuardedTransport(Reach(LOOPBACK), 10)) as client:
        with pytest.raises(httpx2.StreamError):
            await client.get(f"{streamable.base}/seen")


async def test_a_small_answer_never_unpacks_into_a_large_one() -> None:
    """What is bounded is what arrives, so nothing may be packed in it."""
    bomb = gzip.compress(bytes(50_000_000))
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).lower())
        head = f"content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode() + bomb)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, httpx2.AsyncClient(transport=GuardedTransport(Reach(LOOPBACK), 100_000)) as client:
        with pytest.raises(TooLarge):
            await client.get(url)
    assert b"accept-encoding: identity" in asked[0]


def test_seen_names_are_short_plain_and_all_different() -> None:
    assert seen_name("numbers", "add") == "numbers__add"
    names = ["a.b", "a/b", "a b", "ä" * 80, "x" * 80, "x" * 81]
    seen = [seen_name("label", name) for name in names]
    assert len(set(seen)) == len(names)
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in seen)
    assert all(name.isascii() for name in seen)


def test_filters_keep_every_condition() -> None:
    read = ServerTool("read", {}, annotations={"readOnlyHint": True})
    write = ServerTool("write", {})
    assert ToolFilter().takes(read)
    assert not ToolFilter(frozenset()).takes(read)
    assert [ToolFilter(read_only=True).takes(each) for each in (read, write)] == [True, False]
    assert [ToolFilter(frozenset({"read"}), read_only=False).takes(each) for each in (read, write)] == [False, False]


def test_a_call_that_no_filter_takes_needs_approval() -> None:
    read = ServerTool("read", {}, annotations={"readOnlyHint": True})
    write = ServerTool("write", {})
    assert Approval().needed(read)
    assert not Approval(everything=False).needed(write)
    by_name = Approval(ToolFilter(frozenset({"write"})), ToolFilter(read_only=True), everything=None)
    assert [by_name.needed(each) for each in (read, write)] == [False, True]
    assert Approval(everything=None).needed(read)
    # Both take it: the careful one wins.
    assert Approval(ToolFilter(), ToolFilter(), everything=None).needed(read)
