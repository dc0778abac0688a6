"""Images of a request: their bytes, from ``data:`` URLs and from the web, within bounds."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import re
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from inhouse.api.moderations.verdicts import Image
from inhouse.kit.errors import InvalidRequest

MAX_BYTES = 20 << 20
"""Of one image, as the vendor's vision guide bounds it."""
MAX_IMAGES = 16
SECONDS = 10.0
REDIRECTS = 3

_DATA = re.compile(r"data:image/[a-z0-9.+-]+(?:;[a-z0-9=.+-]+)*;base64,", re.IGNORECASE)


class Pictures:
    """Loads images.

    Args:
        private: whether hosts of private networks and of this machine may be asked.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._private = private

    async def load(self, images: list[Image]) -> list[bytes]:
        """The bytes of each, in order.

        Raises:
            InvalidRequest: one is no image URL, too large, or cannot be had.
        """
        if len(images) > MAX_IMAGES:
            raise InvalidRequest(f"Too many images: {len(images)}. At most {MAX_IMAGES} are allowed.", param="input")
        inline = [image.url.startswith("data:") for image in images]
        if all(inline):
            return [_inline(image) for image in images]
        connector = aiohttp.TCPConnector(resolver=_Resolver(self._private), limit=4, force_close=True)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            loads = [
                _ready(image) if here else self._fetch(session, image)
                for image, here in zip(images, inline, strict=True)
            ]
            return list(await asyncio.gather(*loads))

    async def _fetch(self, session: aiohttp.ClientSession, image: Image) -> bytes:
        url = _address(image.url, image)
        try:
            for _ in range(REDIRECTS + 1):
                self._check(url, image)
                async with session.get(url, allow_redirects=False) as response:
                    if response.status in (301, 302, 303, 307, 308) and "location" in response.headers:
                        url = _address(str(url.join(URL(response.headers["location"]))), image)
                        continue
                    if response.status != 200:
                        raise _failed(image, f"it answered {response.status}")
                    return await _bounded(response, image)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _failed(image, "it cannot be reached") from error
        raise _failed(image, "too many redirects")

    def _check(self, url: URL, image: Image) -> None:
        """A host that is given as an address is never resolved, so it is looked at here."""
        if not self._private and _is_address(url.host or "") and not _public(url.host or ""):
            raise _failed(image, "its host is not public")


class _Resolver(AbstractResolver):
    """Gives only public addresses, so that what is checked is what is connected to."""

    def __init__(self, private: bool) -> None:
        self._private = private
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._private or _public(each["host"])]
        if not allowed:
            raise OSError(f"{host} has no public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


async def _ready(image: Image) -> bytes:
    return _inline(image)


def _inline(image: Image) -> bytes:
    match = _DATA.match(image.url)
    if match is None:
        raise _invalid(image)
    if (len(image.url) - match.end()) * 3 // 4 > MAX_BYTES:
        raise _too_large(image)
    try:
        return base64.b64decode(image.url[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("Invalid base64 image_url.", param=image.param, code="invalid_base64_image") from error


def _address(text: str, image: Image) -> URL:
    try:
        url = URL(text)
        if url.scheme not in ("http", "https") or not url.host or url.user is not None:
            raise _invalid(image)
    except ValueError as error:
        raise _invalid(image) from error
    return url


async def _bounded(response: aiohttp.ClientResponse, image: Image) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > MAX_BYTES:
            raise _too_large(image)
    return bytes(data)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _public(host: str) -> bool:
    address: Any = ipaddress.ip_address(host.split("%", 1)[0])
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return address.is_global and not address.is_multicast and (mapped is None or mapped.is_global)


def _invalid(image: Image) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{image.param}'. Expected a valid URL, but got a value with an invalid format.",
        param=image.param,
        code="invalid_image_url",
    )


def _too_large(image: Image) -> InvalidRequest:
    return InvalidRequest(
        f"The image is too large. At most {MAX_BYTES >> 20} MB are supported.",
        param=image.param,
        code="image_file_too_large",
    )


def _failed(image: Image, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"Failed to download image from {image.url[:200]}: {why}.", param=image.param, code="failed_to_download_image"
    )
