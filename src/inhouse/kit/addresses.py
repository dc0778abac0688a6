"""Which network addresses a request that somebody else directed may reach.

Whoever names a URL for the server to call could name the server's own machine, its neighbours or a cloud's metadata
service. A name is checked as what it resolves to, at the moment it is connected to, so that it cannot change between
check and use.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks written as ``10.0.0.0/8``. Raises ValueError, naming the one that is not."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


LOOPBACK = networks_of(("127.0.0.0/8", "::1/128"))
"""This machine."""
PRIVATE = (
    *LOOPBACK,
    *networks_of(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")),
)
"""This machine and private networks (RFC 1918, 4193, 6598). Link-local addresses, where clouds keep credentials, are
not among them."""
ANYWHERE = networks_of(("0.0.0.0/0", "::/0"))

THREADS = 32
"""Names that are looked up at once."""

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):
    """A name or address that may not be connected to."""


class Found(NamedTuple):
    """An address that a name has."""

    address: str
    family: socket.AddressFamily
    protocol: int


class Reach:
    """Public addresses and the networks given."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)

    def allows(self, address: str) -> bool:
        """Whether an address, as text, may be connected to."""
        try:
            parsed = _plain(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(parsed in network for network in self._networks if network.version == parsed.version):
            return True
        return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved

    def check_host(self, host: str) -> None:
        """Refuse a literal address in a URL; names are checked when they are resolved.

        Raises:
            AddressRefused
        """
        # Some forms that are no address in any standard ("2130706433", "127.1") are never resolved, but connected to.
        literal = ":" in host or host.replace(".", "").isdigit()
        if (literal or _is_address(host)) and not self.allows(host):
            raise AddressRefused(f"{host} is not a public address")


async def addresses_of(
    host: str, port: int, reach: Reach, threads: Executor, family: socket.AddressFamily = socket.AF_UNSPEC
) -> list[Found]:
    """What a name, or a literal address, leads to now: connect to one of these, not to the name.

    Args:
        threads: to look names up in. Of the caller's own: a name server that does not answer must not hold up what
            else waits for a thread.

    Raises:
        AddressRefused: any of its addresses may not be reached. A name with addresses of both kinds is a trick, or a
            mistake.
        OSError: there is no such name.
    """
    look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
    try:
        answers = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    except UnicodeError as error:
        raise OSError(f"{host[:80]} is not a name") from error
    found = [Found(str(address[0]), kind, protocol) for kind, _, protocol, _, address in answers]
    if not found or not all(reach.allows(each.address) for each in found):
        raise AddressRefused(f"{host} does not resolve to a public address")
    return found


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
