"""Reads documents: text files here, everything that needs a parser in a child process.

Each document gets a child of its own, with limits on its time, memory, files and output, without this process's
environment. So a file that breaks a parser, or was made to, costs one child, and nothing of one project's document
stays where another's is read.
"""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import os
import signal
import sys
import tempfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from inhouse.documents.kinds import PARSED, extension_of
from inhouse.documents.worker import Limits, Result

MOST_TEXT = 64 * 1024 * 1024
"""Bytes of text that one document may have."""
_PIECE = 256 * 1024
_MOST_REMEMBERED = 16 * 1024 * 1024
"""Characters of documents, and bytes of images of pages, that are kept for the next turn of a conversation."""


class Page(msgspec.Struct, frozen=True):
    """A page, slide or sheet."""

    number: int | None
    """From 1; None where the format has no pages."""
    text: str


class Images(msgspec.Struct, frozen=True):
    """How pages are looked at: how many of the first ones, and the pixels of the shorter side."""

    most: int
    side: int = 768


class Document(msgspec.Struct, frozen=True):
    """The text of a file."""

    media_type: str
    pages: tuple[Page, ...]
    images: tuple[bytes, ...] = ()
    """Of the first pages, as JPEG, where they were asked for."""

    @property
    def text(self) -> str:
        return "\n\n".join(page.text for page in self.pages if page.text)


class DocumentError(Exception):
    """A file has no text that can be read. ``code`` is as vector stores tell it; the message is for clients."""

    def __init__(self, code: Literal["unsupported_file", "invalid_file"], message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Documents:
    """Reads documents, some at a time.

    Args:
        timeout_s: that one may take, OCR included.
        memory: bytes of address space that reading one may take.
        at_once: documents that are read at the same time.
    """

    def __init__(self, *, timeout_s: float = 300.0, memory: int = 3 * 1024**3, at_once: int = 2) -> None:
        self._timeout_s = timeout_s
        self._memory = memory
        self._turns = asyncio.Semaphore(at_once)
        self._recent: OrderedDict[tuple[str, str, str, str, Images | None], Document] = OrderedDict()
        self._recent_size = 0

    async def read(self, path: Path, filename: str, media_type: str = "", *, images: Images | None = None) -> Document:
        """The text of the file at ``path``.

        Args:
            filename: as its owner calls it; its extension says what it is.
            media_type: says what it is where the name does not.
            images: of pages of a PDF. If there are some, it need not have text.

        Raises:
            DocumentError: it is of no known kind (``unsupported_file``), or it is damaged, empty, or takes too long or
                too much memory to read (``invalid_file``).
        """
        extension = extension_of(filename, media_type)
        if extension is None:
            raise DocumentError("unsupported_file", "The file type is not supported.")
        async with self._turns:
            if extension == ".txt":
                found = Document("text/plain", (Page(None, await asyncio.to_thread(_read_text, path)),))
            else:
                result = await self._parse(path, extension, images or Images(0))
                pages = tuple(Page(number, text) for number, text in result.pages)
                found = Document(PARSED[extension], pages, tuple(result.images))
        if not found.images and not any(page.text.strip() for page in found.pages):
            raise DocumentError("invalid_file", "The file has no text that can be read.")
        return found

    async def read_again(
        self, project_id: str, data: bytes, filename: str, media_type: str = "", *, images: Images | None = None
    ) -> Document:
        """As ``read``, for files that a project's conversations read over and over: the last ones are remembered.

        What is remembered is found only by the project whose file it was. Raises as ``read``.
        """
        key = (project_id, hashlib.sha256(data).hexdigest(), filename, media_type, images)
        found = self._recent.get(key)
        if found is not None:
            self._recent.move_to_end(key)
            return found
        with tempfile.NamedTemporaryFile(prefix="inhouse-document-") as file:
            await asyncio.to_thread(file.write, data)
            file.flush()
            found = await self.read(Path(file.name), filename, media_type, images=images)
        size = _size(found)
        if size <= _MOST_REMEMBERED and key not in self._recent:
            self._recent[key] = found
            self._recent_size += size
            while self._recent_size > _MOST_REMEMBERED:
                self._recent_size -= _size(self._recent.popitem(last=False)[1])
        return found

    async def _parse(self, path: Path, extension: str, images: Images) -> Result:
        where = str(path if path.is_absolute() else Path(os.getcwd()) / path)
        limits = Limits(where, extension, self._timeout_s, self._memory, images.most, images.side)
        with tempfile.TemporaryDirectory(prefix="inhouse-document-") as folder:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "inhouse.documents.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(self._timeout_s):
                    output = await _talk(child, msgspec.json.encode(limits))
                    status = await child.wait()
            except TimeoutError:
                raise DocumentError("invalid_file", "The file takes too long to read.") from None
            finally:
                await _end(child)
        if output is None:
            raise DocumentError("invalid_file", "The file has too much text.")
        try:
            result = msgspec.json.decode(output, type=Result)
        except msgspec.DecodeError:
            reason = "needs too much memory or time" if status < 0 else "could not be read"
            raise DocumentError("invalid_file", f"The file {reason}.") from None
        if result.error is not None:
            raise DocumentError("invalid_file", result.error)
        return result


async def _talk(child: asyncio.subprocess.Process, request: bytes) -> bytes | None:
    """All that the child says; None if it is too much."""
    assert child.stdin is not None
    assert child.stdout is not None
    with suppress(ConnectionError):
        child.stdin.write(request)
        await child.stdin.drain()
        child.stdin.close()
    pieces, size = [], 0
    while piece := await child.stdout.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_TEXT:
            return None
    return b"".join(pieces)


async def _end(child: asyncio.subprocess.Process) -> None:
    """The child and what it may have started are gone when this returns."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await asyncio.shield(child.wait())


def _size(document: Document) -> int:
    return sum(len(page.text) for page in document.pages) + sum(map(len, document.images))


def _environment(folder: str) -> dict[str, str]:
    """No secret of this process, and as few threads as can be."""
    return {
        "PATH": os.defpath,
        "HOME": folder,
        "TMPDIR": folder,
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(each for each in sys.path if each),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "2",
        "RAYON_NUM_THREADS": "2",
        "TOKIO_WORKER_THREADS": "2",
    }


def _read_text(path: Path) -> str:
    if path.stat().st_size > MOST_TEXT:
        raise DocumentError("invalid_file", "The file has too much text.")
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise DocumentError("invalid_file", "The text of the file is neither UTF-8 nor UTF-16.") from None
    if "\0" in text:
        raise DocumentError("invalid_file", "The file is not text.")
    return text
