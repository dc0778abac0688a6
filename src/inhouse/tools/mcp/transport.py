"""HTTP to a server, of which nothing is known but its URL, by somebody who is not to be trusted with our network.

The name is resolved here, every address is checked (``kit.addresses``), and the connection goes to a checked address: a
name that changes its address in between gains nothing. Proxies of the environment are not used, for the check would
then be theirs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import httpx2

from inhouse.kit import addresses
from inhouse.kit.addresses import Reach, addresses_of

_threads = ThreadPoolExecutor(addresses.THREADS, thread_name_prefix="inhouse-mcp-resolver")


class AddressRefused(httpx2.ConnectError):
    """The server's address is not one that may be reached from here."""


class TooLarge(httpx2.StreamError):
    """An answer is larger than allowed."""


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
            request.url.copy_with(host=address),
            headers=request.headers,  # with the name as "host"
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        # A small answer could be packed so that it is a very large one, and what is counted is what arrives.
        sent.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(sent)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            await response.aclose()
            raise TooLarge("The server's answer is compressed, which was not asked for.")
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = _Bounded(response.stream, self._most)
        return response

    async def _resolve(self, host: str, port: int) -> str:
        try:
            self._reach.check_host(host)
            return (await addresses_of(host, port, self._reach, _threads))[0].address
        except addresses.AddressRefused as error:
            raise AddressRefused("The address of the server may not be reached from here.") from error
        except OSError as error:
            raise httpx2.ConnectError("The name of the server could not be resolved.") from error

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
