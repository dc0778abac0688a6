"""Connections of aiohttp to none but the addresses that may be reached, see ``kit.addresses``."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from inhouse.kit.addresses import THREADS, AddressRefused, Reach, addresses_of


class GuardedResolver(AbstractResolver):
    """Resolves names for aiohttp, see ``addresses_of``."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="inhouse-resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=found.address,
                port=port,
                family=found.family,
                proto=found.protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found in await addresses_of(host, port, self._reach, self._threads, family)
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded_connector(reach: Reach) -> aiohttp.TCPConnector:
    """Connections by name, each for one request.

    Every address is checked once more where its socket is made: what aiohttp takes for a literal address is never
    resolved, and some hosts only become one on their way there, such as 127 with ideographic full stops behind it.
    """

    def make(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, (host, *_) = address
        if not reach.allows(host):
            raise AddressRefused(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(reach), use_dns_cache=False, limit=0, force_close=True, socket_factory=make
    )
