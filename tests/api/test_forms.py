"""Multipart forms: what operations with files declare and get."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inhouse.api.forms import UploadedFile, file_fields, read_form
from inhouse.api.openapi import document
from inhouse.api.operation import Request, operation, operations_of
from inhouse.api.wire import RequestObject, ResponseObject
from inhouse.kit.errors import InvalidRequest, PayloadTooLarge
from inhouse.storage.blobs import Spool


class Options(RequestObject, kw_only=True):
    depth: int


class Body(RequestObject, kw_only=True):
    image: list[UploadedFile]
    mask: UploadedFile | None = None
    n: int | None = None
    stream: bool | None = None
    names: list[str] = []  # noqa: RUF012
    options: Options | None = None


class Pictures(RequestObject, kw_only=True):
    image: list[UploadedFile]


class Made(ResponseObject, kw_only=True):
    ok: bool


class Face:
    @operation("POST", "/pictures", id="createPicture", tag="Pictures")
    async def create(self, request: Request, body: Pictures) -> Made:
        """Make a picture."""
        return Made(ok=True)


def spool() -> Spool:
    return Spool(Path(tempfile.gettempdir()))


def encoded(data: dict[str, Any], files: Any) -> tuple[bytes, str]:
    request = httpx.Request("POST", "http://test", data=data, files=files)
    return request.read(), request.headers["content-type"]


async def read(body: bytes, content_type: str, type: Any = Body, *, step: int = 1000, most: int = 10_000) -> Any:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    opened: list[Spool] = []
    try:
        return await read_form(chunks(), content_type, type, spool, opened, most)
    finally:
        for each in opened:
            each.close()


async def test_lists_objects_numbers_and_booleans() -> None:
    form = await read(
        *encoded(
            {"n": "3", "stream": "true", "names[]": ["a", "b"], "options[depth]": "7"},
            [("image[]", ("one.png", b"1", "image/png")), ("image[]", ("two.png", b"22")), ("mask", ("m", b""))],
        )
    )
    assert [(each.filename, each.size) for each in form.image] == [("one.png", 1), ("two.png", 2)]
    assert form.image[0].media_type == "image/png"
    assert (form.mask.filename, form.n, form.stream, form.names, form.options.depth) == ("m", 3, True, ["a", "b"], 7)


async def test_one_file_stands_for_a_list_of_one() -> None:
    form = await read(*encoded({}, {"image": ("one.png", b"1")}), type=Pictures)
    assert [each.filename for each in form.image] == ["one.png"]


async def test_files_together_are_bounded() -> None:
    files = [("image[]", ("a", b"x" * 60)), ("image[]", ("b", b"x" * 60))]
    assert len((await read(*encoded({}, files), most=120)).image) == 2
    with pytest.raises(PayloadTooLarge, match=r"limit \(119\) exceeded"):
        await read(*encoded({}, files), most=119)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), step=st.integers(1, 90))
async def test_contents_survive_however_they_arrive(data: bytes, step: int) -> None:
    body, content_type = encoded({"n": "3"}, {"image": ("a.bin", data)})

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), step):
            yield body[start : start + step]

    opened: list[Spool] = []
    form = await read_form(chunks(), content_type, Body, spool, opened, 1000)
    assert await form.image[0].read() == data
    assert form.n == 3
    for each in opened:
        each.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
async def test_any_bytes_are_refused_politely(data: bytes) -> None:
    for body in (data, b"--x\r\n" + data, b'--x\r\nContent-Disposition: form-data; name="image"; ' + data):
        with pytest.raises((InvalidRequest, PayloadTooLarge)):
            await read(body, "multipart/form-data; boundary=x")


def test_which_fields_are_files() -> None:
    assert file_fields(Body) == {"image", "mask"}
    assert file_fields(Options) == frozenset()


def test_the_document_says_that_it_is_a_form() -> None:
    told = document(operations_of(Face))
    content = told["paths"]["/pictures"]["post"]["requestBody"]["content"]
    assert list(content) == ["multipart/form-data"]
    assert told["components"]["schemas"]["Pictures"]["properties"]["image"]["items"] == {
        "type": "string",
        "format": "binary",
    }
