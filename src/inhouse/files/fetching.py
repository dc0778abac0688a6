"""Fetches what clients name by URL, without becoming their way into the network that this server stands in."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import PurePosixPath
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

Reach = Literal["public", "any", "off"]
"""Whether URLs are fetched from public addresses only, from any, or not at all."""

_TIMEOUT_S = 30.0
_MOST_REDIRECTS = 5
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""Addresses that gateways translate to the IPv4 address in their last bits."""
_REDIRECTS = {301, 302, 303, 307, 308}


class FetchError(Exception):
    """It cannot be had. The message is for clients; it does not tell what is inside the server's own network."""


class TooLarge(FetchError):
    """It has more bytes than it may have."""


class Fetched(NamedTuple):
    data: bytes
    media_type: str
    filename: str
    """The last part of the URL's path; maybe empty."""


class Fetcher:
    """
    Args:
        reach: what may be fetched from.
    """

    def __init__(self, reach: Reach = "public") -> None:
        self._reach = reach

    async def fetch(self, url: str, most: int) -> Fetched:
        """
        Args:
            most: bytes that it may have.

        Raises:
            FetchError
        """
        if self._reach == "off":
            raise FetchError("This server does not download from URLs.")
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._follow(URL(url), most)
        except TimeoutError:
            raise FetchError(f"Timeout while downloading {url[:200]}.") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise FetchError(f"Error while downloading {url[:200]}.") from None

    async def _follow(self, url: URL, most: int) -> Fetched:
        resolver = ThreadedResolver() if self._reach == "any" else _PublicResolver()
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            for _ in range(_MOST_REDIRECTS + 1):
                self._check(url)
                async with session.get(url, allow_redirects=False, headers={"accept-encoding": "identity"}) as response:
                    if response.status in _REDIRECTS and "location" in response.headers:
                        url = url.join(URL(response.headers["location"]))
                        continue
                    if response.status != 200:
                        raise FetchError(
                            f"Error while downloading {str(url)[:200]}. Upstream status code: {response.status}."
                        )
                    return Fetched(
                        await _read(response, most),
                        response.headers.get("content-type", ""),
                        PurePosixPath(unquote(urlsplit(str(url)).path)).name,
                    )
        raise FetchError("Error while downloading: too many redirects.")

    def _check(self, url: URL) -> None:
        if url.scheme not in ("http", "https") or not url.host:
            raise FetchError("Only http and https URLs can be downloaded.")
        if self._reach == "any":
            return
        try:
            address = ipaddress.ip_address(url.host)
        except ValueError:
            return  # a name: the resolver looks at its addresses
        if not _is_public(address):
            raise FetchError(f"Error while downloading {str(url)[:200]}.")


class _PublicResolver(AbstractResolver):
    """Gives only public addresses, and the connection is made to exactly those: a name cannot change in between."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        public = [each for each in found if _is_public(ipaddress.ip_address(each["host"]))]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is None and address in _NAT64:
        mapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if mapped is not None:
        return _is_public(mapped)
    return address.is_global and not address.is_multicast


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(256 * 1024):
        size += len(piece)
        if size > most:
            raise TooLarge(f"The file at this URL is larger than {most} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
