"""The child process that parses one document: ``python -m inhouse.documents.worker``.

    parent → stdin   ``Limits``, as JSON
    child  → stdout  ``Result``, as JSON

Nothing that is parsed here is trusted. The limits are set before the first byte of the document is read.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from inhouse.documents.kinds import PARSED

_PR_SET_PDEATHSIG = 1
_SPARSE = 16
"""A page of a PDF with fewer letters than this is looked at as an image."""
_DPI = 150
_MOST_PIXELS = 2400
"""Of the longer side of a page's image."""
_SHOWN_PIXELS = 2048
"""Of the longer side of an image that a model looks at, as the vendor's vision guide bounds it."""
_SHOWN_BYTES = 24 * 1024 * 1024
"""Of all images of a document that a model looks at."""
_JPEG_QUALITY = 80


class Limits(msgspec.Struct):
    """What to read, and what it may take."""

    path: str
    extension: str
    seconds: float
    memory: int
    """Bytes of address space."""
    images: int = 0
    """How many of the first pages of a PDF are wanted as images, too."""
    image_side: int = 768
    """Pixels of the shorter side of such an image."""


class Result(msgspec.Struct):
    """Numbers and texts of pages, or why there are none."""

    pages: list[tuple[int | None, str]] = []
    images: list[bytes] = []
    """JPEG, of the first pages."""
    error: str | None = None


def main() -> None:
    limits = msgspec.json.decode(sys.stdin.buffer.read(), type=Limits)
    out = os.dup(1)
    os.dup2(2, 1)  # whatever libraries print is no result
    _restrict(limits)
    try:
        path = Path(limits.path)
        result = _read_pdf(path, limits) if limits.extension == ".pdf" else Result(_read(path, limits.extension))
    except MemoryError:
        result = Result(error="The file needs too much memory.")
    except Exception as error:
        print(repr(error), file=sys.stderr)  # noqa: T201
        result = Result(error="The file is damaged or not of the kind that its name says.")
    with os.fdopen(out, "wb") as stream:
        stream.write(msgspec.json.encode(result))
        stream.flush()
    os._exit(0)  # without waiting for threads of parsers


def _restrict(limits: Limits) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    seconds = int(limits.seconds * 2) + 1  # of several threads together
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 64 * 1024 * 1024),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    os.nice(5)


def _read(path: Path, extension: str) -> list[tuple[int | None, str]]:
    import xberg

    config = xberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        enable_quality_processing=False,
        output_format="markdown",
        html_options=xberg.ConversionOptions(extract_metadata=False),
        pages=xberg.PageConfig(extract_pages=True),
    )
    source = xberg.ExtractInput(kind="bytes", bytes=path.read_bytes(), mime_type=PARSED[extension])
    extracted: Any = asyncio.run(xberg.extract(source, config))
    if not extracted.results:
        raise ValueError(str(extracted.errors))
    found = extracted.results[0]
    if extension == ".pptx" and found.pages:
        return [(page.page_number, page.content.strip()) for page in found.pages]
    return [(None, found.content)]


def _read_pdf(path: Path, limits: Limits) -> Result:
    """Pages of a PDF; those that are images are read by OCR. Linear in the number of pages, and one page at a time."""
    import pypdfium2

    engine: Any = None
    pages: list[tuple[int | None, str]] = []
    shown: list[bytes] = []
    room = _SHOWN_BYTES
    document = pypdfium2.PdfDocument(path)
    for index in range(len(document)):
        page = document[index]
        textpage = page.get_textpage()
        text = textpage.get_text_bounded().replace("\r\n", "\n").strip()
        textpage.close()
        images = page.get_objects(filter=[pypdfium2.raw.FPDF_PAGEOBJ_IMAGE], max_depth=3)
        if len(text) < _SPARSE and any(True for _ in images):
            engine = engine or _ocr()
            scale = min(_DPI / 72, _MOST_PIXELS / max(*page.get_size(), 1))
            lines = engine(page.render(scale=scale).to_numpy()).txts
            text = "\n".join(lines) if lines else text
        pages.append((index + 1, text))
        if index == len(shown) < limits.images and room:
            image = _shown(page, limits.image_side)
            room = max(0, room - len(image))
            if room:
                shown.append(image)
        page.close()
    return Result(pages, shown)


def _shown(page: Any, side: int) -> bytes:
    """A page as a model looks at it, as JPEG."""
    width, height = sorted(max(length, 1) for length in page.get_size())
    out = io.BytesIO()
    image = page.render(scale=min(side / width, _SHOWN_PIXELS / height), optimize_mode="lcd").to_pil()
    image.convert("RGB").save(out, "JPEG", quality=_JPEG_QUALITY)
    return out.getvalue()


def _ocr() -> Any:
    from rapidocr import RapidOCR

    threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 2, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
    return RapidOCR(params={"Global.log_level": "error", **threads})


if __name__ == "__main__":
    main()
