"""Which addresses a server may have, checked where the connection is made.

The name is resolved here, every address is checked, and the connection goes to a checked address: a name that changes
its address in between gains nothing. Proxies of the environment are not used, for the check would then be theirs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator

import httpx2

from inhouse.tools.mcp.server import Reach

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(httpx2.ConnectError):
    """The server's address is not one that may be reached from here."""


class TooLarge(httpx2.StreamError):
    """An answer is larger than allowed."""


def may_reach(address: _Address, reach: Reach) -> bool:
    """Whether a server may have this address. Link-local ones, where clouds keep their secrets, never."""
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
        address = inner
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return reach != "public"
    if address.is_global:
        return True
    return reach == "private" and address.is_private and not address.is_reserved


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class GuardedTransport(httpx2.AsyncBaseTransport):
    """HTTP to one server, if its address may be reached, with answers of a bounded size.

    Args:
        reach: which addresses.
        most_bytes: of one answer. A stream of events is not bounded here but event by event.
    """

    def __init__(self, reach: Reach, most_bytes: int) -> None:
        self._reach = reach
        self._most = most_bytes
        self._host: str | None = None
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        # Connections are kept by address: another name must not get one whose certificate was for this name.
        if self._host not in (None, host):
            raise AddressRefused("The server sends elsewhere.")
        self._host = host
        address = await self._resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,  # with the name as "host"
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        response = await self._inner.handle_async_request(sent)
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, self._most)
        return response

    async def _resolve(self, host: str, port: int) -> _Address:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpx2.ConnectError("The name of the server could not be resolved.") from error
        addresses = [ipaddress.ip_address(each[4][0]) for each in found]
        allowed = [each for each in addresses if may_reach(each, self._reach)]
        # A name with addresses of both kinds is a trick, or a mistake.
        if not addresses or len(allowed) < len(addresses):
            raise AddressRefused("The address of the server may not be reached from here.")
        return allowed[0]

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"The server's answer is larger than {self._most} bytes.")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
