"""Bodies of type ``multipart/form-data``: read as they arrive, files into scratch files, so memory stays flat.

A body Struct with a field of type ``UploadedFile`` (or a list of them, or ``| None``) makes its operation take a form.
Text fields become what the Struct says: numbers and booleans are read from their text, ``a[b]`` is a field of an
object, ``a[]`` one of a list.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import cache
from typing import Any

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from inhouse.kit.errors import InvalidRequest, PayloadTooLarge
from inhouse.kit.validation import convert, nested
from inhouse.storage.blobs import Spool

MOST_TEXT = 1024 * 1024
"""Bytes of all text fields and of all headers of parts together."""
MOST_PARTS = 1000


class UploadedFile:
    """A file of a form. Its scratch file lives until the request is answered, unless it is made a blob."""

    __slots__ = ("filename", "media_type", "spool")

    def __init__(self, filename: str, media_type: str, spool: Spool) -> None:
        self.filename = filename
        """As the client called it, without folders; maybe empty."""
        self.media_type = media_type
        self.spool = spool

    @property
    def size(self) -> int:
        return self.spool.size

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """Its bytes, some at a time."""
        return self.spool.pieces()

    async def read(self) -> bytes:
        """All of it. For what the operation's limit keeps small."""
        return await self.spool.read()


@cache
def file_fields(type: Any) -> frozenset[str]:
    """Names of the fields of a Struct that are files; empty if it is not the body of a form."""
    info = msgspec.inspect.type_info(type)
    if not isinstance(info, msgspec.inspect.StructType):
        return frozenset()
    return frozenset(field.encode_name for field in info.fields if _takes_file(field.type))


def _takes_file(type: msgspec.inspect.Type) -> bool:
    match type:
        case msgspec.inspect.CustomType(cls=cls):
            return cls is UploadedFile
        case msgspec.inspect.Metadata(type=inner) | msgspec.inspect.ListType(item_type=inner):
            return _takes_file(inner)
        case msgspec.inspect.UnionType(types=types):
            return any(_takes_file(each) for each in types)
        case _:
            return False


async def read_form(
    chunks: AsyncIterator[bytes],
    content_type: str,
    type: Any,
    spool: Callable[[], Spool],
    opened: list[Spool],
    most: int,
) -> Any:
    """The value of a form.

    Args:
        chunks: the body as it arrives.
        type: the Struct of the body.
        spool: makes scratch files; those made are added to ``opened``, to be closed by the caller.
        most: bytes that its files may have together.

    Raises:
        InvalidRequest: it is no form, or not one that ``type`` describes.
        PayloadTooLarge: its files, or its text, are too large.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 256:
        raise InvalidRequest(
            f"Invalid Content-Type header ({content_type[:100]}), expected multipart/form-data with a boundary. (HINT: "
            "If you're using curl, you can pass -F 'name=value', which sets the header.)",
        )
    reading = _Reading(spool, opened, most)
    parser = MultipartParser(boundary, reading.callbacks())  # type: ignore[arg-type]
    try:
        async for chunk in chunks:
            parser.write(chunk)
            await reading.store()
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest("We could not parse the multipart form of your request.") from error
    if not reading.ended:
        raise InvalidRequest("We could not parse the multipart form of your request: it ends too early.")
    for each in reading.opened_here:
        await each.finish()
    values = nested(reading.values)
    _check_files(values, type)
    for name in file_fields(type):
        values.update(_one_or_many(type, name, values[name]) if name in values else {})
    return convert(values, type)


class _Reading:
    """What the parser calls. It is not asynchronous: pieces of files wait here until ``store`` writes them."""

    def __init__(self, spool: Callable[[], Spool], opened: list[Spool], most: int) -> None:
        self._new_spool = spool
        self._opened = opened
        self.opened_here: list[Spool] = []
        self._most = most
        self._file_bytes = 0
        self._text_bytes = 0
        self._name = b""
        self._header = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._text: bytearray | None = None
        self._spool: Spool | None = None
        self._pieces: list[tuple[Spool, bytes]] = []
        self.values: list[tuple[str, Any]] = []
        self.ended = False

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._part_begins,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_ends,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_ends,
            "on_end": self._ends,
        }

    async def store(self) -> None:
        """Write what arrived of files."""
        pieces, self._pieces = self._pieces, []
        for spool, data in pieces:
            await spool.write(data)

    def _part_begins(self) -> None:
        self._headers = {}
        if len(self.values) >= MOST_PARTS:
            raise InvalidRequest(f"The form has more than {MOST_PARTS} fields.")

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_ends(self) -> None:
        self._count_text(len(self._header) + len(self._value))
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name")
        if name is None:
            raise InvalidRequest("We could not parse the multipart form of your request: a part has no name.")
        self._field = _decoded(name)
        self._text, self._spool = None, None
        filename = options.get(b"filename")
        if filename is None:
            self._text = bytearray()
            return
        self._spool = self._new_spool()
        self._opened.append(self._spool)
        self.opened_here.append(self._spool)
        media_type = self._headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
        # Browsers of old sent whole paths.
        plain = _decoded(filename).replace("\\", "/").rpartition("/")[2].replace("\0", "")
        self.values.append((self._field, UploadedFile(plain, media_type, self._spool)))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._spool is not None:
            self._file_bytes += end - start
            if self._file_bytes > self._most:
                raise PayloadTooLarge(
                    f"Maximum content size limit ({self._most}) exceeded ({self._file_bytes} bytes read)",
                    type="server_error",
                )
            self._pieces.append((self._spool, data[start:end]))
        elif self._text is not None:
            self._count_text(end - start)
            self._text += data[start:end]

    def _part_ends(self) -> None:
        if self._text is not None:
            self.values.append((self._field, _decoded(bytes(self._text))))
            self._text = None

    def _ends(self) -> None:
        self.ended = True

    def _count_text(self, count: int) -> None:
        self._text_bytes += count
        if self._text_bytes > MOST_TEXT:
            raise PayloadTooLarge(f"Maximum content size limit ({MOST_TEXT}) exceeded by the text fields of the form")


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The text of a form must be UTF-8.") from None


def _check_files(values: dict[str, Any], type: Any) -> None:
    """Files where files are taken, and text elsewhere; the rest is said by ``convert``."""
    fields = file_fields(type)
    for name, value in values.items():
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]:
            if name in fields and not isinstance(each, UploadedFile):
                raise InvalidRequest(
                    f"Invalid type for '{name[:100]}': expected a file, but got a string instead.",
                    param=name[:100],
                    code="invalid_type",
                )
            if name not in fields and isinstance(each, UploadedFile) and _has_field(type, name):
                raise InvalidRequest(
                    f"Invalid type for '{name[:100]}': expected text, but got a file instead.",
                    param=name[:100],
                    code="invalid_type",
                )


def _one_or_many(type: Any, name: str, value: Any) -> dict[str, Any]:
    """A single file stands for a list of one; several are refused where one is taken."""
    field = next(field for field in msgspec.inspect.type_info(type).fields if field.encode_name == name)  # type: ignore[attr-defined]
    many = any(isinstance(each, msgspec.inspect.ListType) for each in _members(field.type))
    if many or isinstance(value, UploadedFile):
        return {name: [value] if many and isinstance(value, UploadedFile) else value}
    raise InvalidRequest(
        f"Invalid type for '{name}': expected one file, but got several instead.", param=name, code="invalid_type"
    )


def _members(type: msgspec.inspect.Type) -> list[msgspec.inspect.Type]:
    match type:
        case msgspec.inspect.Metadata(type=inner):
            return _members(inner)
        case msgspec.inspect.UnionType(types=types):
            return [member for each in types for member in _members(each)]
        case _:
            return [type]


def _has_field(type: Any, name: str) -> bool:
    return any(field.encode_name == name for field in msgspec.structs.fields(type))
