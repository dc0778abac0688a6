"""Which addresses may be reached, and the names under which tools are seen."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import httpx2
import pytest
from tests.mcp_servers import MCPServer

from inhouse.tools.mcp import Approval, Reach, ServerTool, ToolFilter, seen_name
from inhouse.tools.mcp.guard import AddressRefused, GuardedTransport, may_reach


@pytest.mark.parametrize(
    ("address", "least"),
    [
        ("93.184.215.14", "public"),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", "public"),
        ("127.0.0.1", "loopback"),
        ("127.8.8.8", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("10.0.0.1", "private"),
        ("172.16.4.4", "private"),
        ("192.168.1.1", "private"),
        ("fd00::1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("2002:0a00:0001::1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("169.254.169.254", None),
        ("::ffff:169.254.169.254", None),
        ("fe80::1", None),
        ("0.0.0.0", None),
        ("::", None),
        ("224.0.0.1", None),
        ("ff02::1", None),
    ],
)
def test_addresses(address: str, least: Reach | None) -> None:
    levels: list[Reach] = ["public", "loopback", "private"]
    for place, reach in enumerate(levels):
        expected = least is not None and place >= levels.index(least)
        assert may_reach(ipaddress.ip_address(address), reach) == expected, reach


async def test_a_name_is_checked_when_it_is_connected_to(
    streamable: MCPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that led elsewhere when it was looked at gains nothing, nor does one that leads to both."""
    loop = asyncio.get_running_loop()
    port = int(streamable.base.rsplit(":", 1)[1])
    answers: list[list[str]] = [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]]

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "rebinding.example"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers.pop(0)]

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{port}/seen"
    async with httpx2.AsyncClient(transport=GuardedTransport("public", 100_000)) as client:
        for _ in range(2):
            with pytest.raises(AddressRefused):
                await client.get(url)
    async with httpx2.AsyncClient(transport=GuardedTransport("loopback", 100_000)) as client:
        answer = await client.get(url)
        with pytest.raises(AddressRefused):
            await client.get(streamable.base)
    assert answer.status_code == 200
    assert answer.request.headers["host"] == f"rebinding.example:{port}"


async def test_an_answer_is_bounded(streamable: MCPServer) -> None:
    async with httpx2.AsyncClient(transport=GuardedTransport("loopback", 10)) as client:
        with pytest.raises(httpx2.StreamError):
            await client.get(f"{streamable.base}/seen")


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
