"""Images of a request: their bytes, from ``data:`` URLs and from the web, within bounds."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from urllib.parse import urlsplit

from inhouse.engines.moderation.verdicts import Image
from inhouse.files.fetching import Fetcher, FetchError, TooLarge
from inhouse.kit.errors import InvalidRequest

MAX_BYTES = 20 << 20
"""Of one image, as the vendor's vision guide bounds it."""
MAX_IMAGES = 16
_AT_ONCE = 4

_DATA = re.compile(r"data:image/[a-z0-9.+-]+(?:;[a-z0-9=.+-]+)*;base64,", re.IGNORECASE)


class Pictures:
    """Loads images.

    Args:
        fetcher: for those that are on the web.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def load(self, images: list[Image]) -> list[bytes]:
        """The bytes of each, in order.

        Raises:
            InvalidRequest: one is no image URL, too large, or cannot be had.
        """
        if len(images) > MAX_IMAGES:
            raise InvalidRequest(f"Too many images: {len(images)}. At most {MAX_IMAGES} are allowed.", param="input")
        turns = asyncio.Semaphore(_AT_ONCE)
        loads = [asyncio.create_task(self._load(image, turns)) for image in images]
        try:
            return list(await asyncio.gather(*loads))
        finally:
            for load in loads:
                load.cancel()

    async def _load(self, image: Image, turns: asyncio.Semaphore) -> bytes:
        if image.url.startswith("data:"):
            return _inline(image)
        _check(image)
        try:
            async with turns:
                return (await self._fetcher.fetch(image.url, MAX_BYTES)).data
        except TooLarge as error:
            raise _too_large(image) from error
        except FetchError as error:
            raise InvalidRequest(str(error), param=image.param, code="failed_to_download_image") from error


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


def _check(image: Image) -> None:
    try:
        parts = urlsplit(image.url)
    except ValueError as error:
        raise _invalid(image) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise _invalid(image)


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
