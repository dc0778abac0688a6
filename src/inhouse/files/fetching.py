"""Fetches what clients name by URL, without becoming their way into the network that this server stands in."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from inhouse.kit.addresses import ANYWHERE, Reach
from inhouse.kit.connecting import guarded_connector

From = Literal["public", "any", "off"]
"""Whether URLs are fetched from public addresses only, from any, or not at all."""

_TIMEOUT_S = 30.0
_MOST_REDIRECTS = 5
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
        source: what may be fetched from.
    """

    def __init__(self, source: From = "public") -> None:
        self._off = source == "off"
        self._reach = Reach(ANYWHERE if source == "any" else ())

    async def fetch(self, url: str, most: int) -> Fetched:
        """
        Args:
            most: bytes that it may have.

        Raises:
            FetchError
        """
        if self._off:
            raise FetchError("This server does not download from URLs.")
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._follow(URL(url), most)
        except TimeoutError:
            raise FetchError(f"Timeout while downloading {url[:200]}.") from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise FetchError(f"Error while downloading {url[:200]}.") from None

    async def _follow(self, url: URL, most: int) -> Fetched:
        async with aiohttp.ClientSession(
            connector=guarded_connector(self._reach),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
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
        self._reach.check_host(url.host)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_chunked(256 * 1024):
        size += len(piece)
        if size > most:
            raise TooLarge(f"The file at this URL is larger than {most} bytes.")
        pieces.append(piece)
    return b"".join(pieces)
