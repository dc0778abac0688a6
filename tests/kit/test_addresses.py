"""Which addresses may be reached."""

from __future__ import annotations

import pytest

from inhouse.kit.addresses import PRIVATE, AddressRefused, Reach, networks_of


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
