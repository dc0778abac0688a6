"""Connections of aiohttp to none but the addresses that may be reached, see ``kit.addresses``."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from inhouse.kit.addresses import THREADS, Reach, addresses_of


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
    """Connections by name, each for one request. Literal addresses need ``Reach.check_host`` first."""
    return aiohttp.TCPConnector(resolver=GuardedResolver(reach), use_dns_cache=False, limit=0, force_close=True)
