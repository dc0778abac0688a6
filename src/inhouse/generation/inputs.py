"""Input files: documents become text of the prompt, with their names; images of uploaded files become data URLs.

Where the deployment sees, the first pages of a PDF are images, too: each follows its page's text.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import PurePath
from typing import Literal
from urllib.parse import unquote

import msgspec

from inhouse.calls import Call
from inhouse.documents import ACCEPTED, Document, DocumentError, Images, is_accepted
from inhouse.engines.deployments import Remote
from inhouse.files.fetching import FetchError
from inhouse.generation.items import File, GenerationRequest, Image, Item, Message, Part, Text
from inhouse.kit.errors import InvalidRequest

MOST_BYTES = 50 * 1024 * 1024
"""Of all files of one request together."""
MOST_IMAGES = 50
"""Pages that are looked at in one request."""
_SIDES = {"low": 512, "auto": 768, "high": 1536}
"""Pixels of the shorter side of a page's image. 768 is what a model sees of an image by the vendor's vision guide."""
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}


async def with_inputs(call: Call, request: GenerationRequest) -> GenerationRequest:
    """The request with every file read.

    Raises:
        InvalidRequest: a file cannot be had or read, is of no known kind, or is too large.
        NotFound: no such file in the project.
    """
    if call.materials is None or not any(
        _is_file(part) for item in request.items if isinstance(item, Message) for part in item.parts
    ):
        return request
    reading = _Reading(call, request.items_param)
    return msgspec.structs.replace(request, items=tuple([await reading.item(item) for item in request.items]))


def _is_file(part: Part) -> bool:
    return isinstance(part, File) or (isinstance(part, Image) and part.file_id is not None)


class _Source(msgspec.Struct):
    data: bytes
    filename: str
    media_type: str


class _Reading:
    """The files of one request."""

    def __init__(self, call: Call, items_param: str) -> None:
        assert call.materials is not None
        self._call = call
        self._materials = call.materials
        self._inner = ".file" if items_param == "messages" else ""
        self._left = MOST_BYTES
        sees = isinstance(call.deployment, Remote) and call.deployment.vision
        self._images_left = MOST_IMAGES if sees else 0

    async def item(self, item: Item) -> Item:
        if not isinstance(item, Message):
            return item
        parts: list[Part] = []
        for index, part in enumerate(item.parts):
            parts += await self._part(part, f"{item.path}.content[{index}]")
        return msgspec.structs.replace(item, parts=tuple(parts))

    async def _part(self, part: Part, path: str) -> list[Part]:
        if isinstance(part, File):
            return await self._file(part, path + self._inner)
        if isinstance(part, Image) and part.file_id is not None:
            stored = await self._stored(part.file_id, f"{path}.file_id")
            data = base64.b64encode(stored.data).decode()
            return [Image(f"data:{_image_type(stored.data, path)};base64,{data}", part.detail)]
        return [part]

    async def _file(self, file: File, path: str) -> list[Part]:
        source = await self._source(file, path)
        if not is_accepted(source.filename, source.media_type):
            got = PurePath(source.filename).suffix or source.media_type or "none"
            raise InvalidRequest(
                "Invalid input: Expected context stuffing file type to be a supported format: "
                f"{', '.join(f'.{each}' for each in ACCEPTED)} but got {got[:100]}.",
                param=path,
                code="unsupported_file",
            )
        name = " ".join("".join(each if each.isprintable() else " " for each in source.filename).split())
        images = Images(self._images_left, _SIDES[file.detail]) if self._images_left else None
        try:
            document = await self._materials.documents.read_again(
                self._call.project_id, source.data, source.filename, source.media_type, images=images
            )
        except DocumentError as error:
            raise InvalidRequest(
                f"The file '{name}' cannot be read: {error.message}", param=path, code=error.code
            ) from None
        self._images_left -= len(document.images)
        return _told(f"File: {name or 'unnamed'}\n\n", document, "high" if file.detail == "high" else "auto")

    async def _source(self, file: File, path: str) -> _Source:
        if file.file_id is not None:
            return await self._stored(file.file_id, f"{path}.file_id")
        if file.file_data is not None:
            return self._given(file.file_data, file.filename or "", f"{path}.file_data")
        if file.url is not None:
            try:
                found = await self._materials.fetcher.fetch(file.url, self._left)
            except FetchError as error:
                raise InvalidRequest(str(error), param=f"{path}.file_url", code="invalid_value") from None
            self._count(len(found.data), path)
            return _Source(found.data, file.filename or found.filename, found.media_type)
        raise InvalidRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")

    async def _stored(self, file_id: str, path: str) -> _Source:
        files = self._materials.files
        stored = await files.get(self._call.project_id, file_id, path)
        self._count(stored.bytes, path)
        return _Source(await files.read(stored), stored.filename, stored.media_type)

    def _given(self, text: str, filename: str, path: str) -> _Source:
        match = _DATA_URL.match(text)
        self._count((len(text) - (match.end() if match else 0)) * 3 // 4, path)
        try:
            if match is not None and ";base64" not in match[2].lower():
                return _Source(unquote(text[match.end() :]).encode(), filename, match[1])
            data = base64.b64decode(text[match.end() if match else 0 :], validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest(
                f"Invalid '{path}': expected a base64-encoded data URL (e.g. "
                "'data:application/pdf;base64,JVBERi0xLjQ...').",
                param=path,
                code="invalid_value",
            ) from None
        return _Source(data, filename, match[1] if match else "application/pdf" if not filename else "")

    def _count(self, size: int, path: str) -> None:
        self._left -= size
        if self._left < 0:
            raise InvalidRequest(
                f"The files of one request may have {MOST_BYTES} bytes together.",
                param=path,
                code="file_too_large",
            )


def _told(head: str, document: Document, detail: Literal["auto", "high"]) -> list[Part]:
    """The text, with the numbers of pages where it has more than one; each page that has an image before it."""
    many = len(document.pages) > 1
    texts = [f"[Page {page.number}]\n{page.text}" if many else page.text for page in document.pages]
    parts: list[Part] = []
    for text, image in zip(texts, document.images, strict=False):
        url = f"data:image/jpeg;base64,{base64.b64encode(image).decode()}"
        parts += [Text(f"{head}{text}\n"), Image(url, detail)]
        head = ""
    if rest := texts[len(document.images) :]:
        separator = "\n\n"
        parts.append(Text(f"{head}{separator.join(rest)}\n"))
    return parts


def _image_type(data: bytes, path: str) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for start, media_type in _IMAGES.items():
        if data.startswith(start):
            return media_type
    raise InvalidRequest(
        "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
        "['png', 'jpeg', 'gif', 'webp'].",
        param=path,
        code="invalid_image_format",
    )
