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
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(each)
    for each in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""This machine and private networks (RFC 1918, 4193, 6598). Link-local addresses, where clouds keep credentials, are
not among them."""

THREADS = 32
"""Names that are looked up at once."""

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(OSError):
    """A name or address that may not be connected to."""


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


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks written as ``10.0.0.0/8``. Raises ValueError, naming the one that is not."""
    return tuple(ipaddress.ip_network(text.strip()) for text in texts)


class GuardedResolver(AbstractResolver):
    """Resolves names to those of their addresses that may be reached.

    In threads of its own: a name server that does not answer must not hold up what else waits for a thread.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="inhouse-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        allowed = [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            if self._reach.allows(str(address[0]))
        ]
        if not allowed:
            raise AddressRefused(f"{host} does not resolve to a public address")
        return allowed

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded_connector(reach: Reach) -> aiohttp.TCPConnector:
    """Connections by name, each for one request. Literal addresses need ``Reach.check_host`` first."""
    return aiohttp.TCPConnector(resolver=GuardedResolver(reach), use_dns_cache=False, limit=0, force_close=True)


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
