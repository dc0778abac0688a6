"""Which addresses may be reached."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest

from inhouse.kit.addresses import (
    ANYWHERE,
    LOOPBACK,
    PRIVATE,
    AddressRefused,
    Reach,
    addresses_of,
    networks_of,
)
from inhouse.kit.connecting import guarded_connector

PUBLIC, NEAR, FAR = range(3)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "no address",
        "",
    ],
)
def test_not_public(address: str) -> None:
    assert not Reach().allows(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public(address: str) -> None:
    assert Reach().allows(address)


def test_networks_that_are_allowed() -> None:
    reach = Reach(networks_of(["10.0.0.0/8", " ::1/128"]))
    assert reach.allows("10.9.9.9")
    assert reach.allows("::1")
    assert reach.allows("::ffff:10.0.0.1")
    assert not reach.allows("127.0.0.1")
    assert not Reach(PRIVATE).allows("169.254.169.254")


@pytest.mark.parametrize(
    ("address", "least"),
    [
        ("93.184.215.14", PUBLIC),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", PUBLIC),
        ("127.0.0.1", NEAR),
        ("127.8.8.8", NEAR),
        ("::1", NEAR),
        ("::ffff:127.0.0.1", NEAR),
        ("10.0.0.1", FAR),
        ("172.16.4.4", FAR),
        ("192.168.1.1", FAR),
        ("fd00::1", FAR),
        ("::ffff:10.0.0.1", FAR),
        ("2002:0a00:0001::1", FAR),
        ("64:ff9b::a00:1", FAR),
        ("169.254.169.254", None),
        ("::ffff:169.254.169.254", None),
        ("fe80::1", None),
        ("0.0.0.0", None),
        ("::", None),
        ("224.0.0.1", None),
        ("ff02::1", None),
    ],
)
def test_how_far_an_address_is(address: str, least: int | None) -> None:
    for place, networks in enumerate(((), LOOPBACK, PRIVATE)):
        assert Reach(networks).allows(address) == (least is not None and place >= least), networks


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "127.1", "::1", "1.2.3.4.5"])
def test_literal_hosts(host: str) -> None:
    with pytest.raises(AddressRefused):
        Reach().check_host(host)


def test_names_are_left_to_the_resolver() -> None:
    Reach().check_host("example.com")
    Reach().check_host("localhost")


def test_what_is_no_network() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        networks_of(["nonsense"])


async def test_a_name_leads_to_allowed_addresses_only_or_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[str]] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with ThreadPoolExecutor(1) as threads:
        for refused in (["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], []):
            answers.append(refused)
            with pytest.raises(AddressRefused):
                await addresses_of("example.com", 443, Reach(), threads)
        answers.append(["8.8.8.8", "9.9.9.9"])
        found = await addresses_of("example.com", 443, Reach(), threads)
        assert [each.address for each in found] == ["8.8.8.8", "9.9.9.9"]
        answers.append(["8.8.8.8", "10.0.0.1"])
        assert len(await addresses_of("example.com", 443, Reach(ANYWHERE), threads)) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127\u30020\u30020\u30021", "\uff11\uff12\uff17\u30020\uff610.1"])
async def test_a_host_that_becomes_an_address_on_its_way_is_refused_where_it_is_connected_to(host: str) -> None:
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://{host}:{server.sockets[0].getsockname()[1]}/"
    async with server:
        async with aiohttp.ClientSession(connector=guarded_connector(Reach())) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await session.get(url)
        assert isinstance(refused.value.os_error, AddressRefused)
        assert not heard
        async with aiohttp.ClientSession(connector=guarded_connector(Reach(LOOPBACK))) as session:
            assert (await session.get(url)).status == 204
