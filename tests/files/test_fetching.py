from __future__ import annotations

import ipaddress

import pytest

from inhouse.files.fetching import Fetcher, FetchError, _is_public


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "ftp://example.com/",
        "nonsense",
        "http://",
    ],
)
async def test_only_public_addresses_are_reached(url: str) -> None:
    with pytest.raises(FetchError):
        await Fetcher().fetch(url, 1000)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert _is_public(ipaddress.ip_address(address)) is public


async def test_nothing_is_reached_when_it_is_off() -> None:
    with pytest.raises(FetchError, match="does not download"):
        await Fetcher("off").fetch("https://example.com", 1000)
