"""Real documents of every kind, and hostile ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont


def pdf(*pages: str) -> bytes:
    document = FPDF()
    document.set_font("helvetica", size=14)
    for text in pages:
        document.add_page()
        document.cell(text=text or " ")
    return bytes(document.output())


def scan(text: str, after: str = "") -> bytes:
    """A page that is an image, and one that is not."""
    image = Image.new("RGB", (900, 300), "white")
    ImageDraw.Draw(image).text((40, 100), text, fill="black", font=ImageFont.load_default(48))
    document = FPDF()
    document.set_font("helvetica", size=14)
    document.add_page()
    document.image(image, 0, 0, 200)
    document.add_page()
    document.cell(text=after or " ")
    return bytes(document.output())


def many_pages(count: int) -> bytes:
    """A PDF of ``count`` pages, all of one content."""
    text = "BT /F1 4 Tf 1 1 Td (The same words on every page) Tj ET"
    kids = " ".join(f"{index + 4} 0 R" for index in range(count))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *[f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {count + 4} 0 R/Resources<</Font<</F1 3 0 R>>>>>>"]
        * count,
        f"<</Length {len(text)}>>stream\n{text}\nendstream",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{each}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def _saved(document: object) -> bytes:
    stream = io.BytesIO()
    document.save(stream)  # type: ignore[attr-defined]
    return stream.getvalue()


def word() -> bytes:
    document = docx.Document()
    document.add_heading("The plan")
    document.add_paragraph("Buy the quick brown fox.")
    document.add_table(1, 2).cell(0, 1).text = "in a cell"
    return _saved(document)


def slides() -> bytes:
    document = pptx.Presentation()
    for number in (1, 2):
        slide = document.slides.add_slide(document.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = f"Bullet {number}"
    return _saved(document)


def sheets() -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["B1"] = "apples", 42
    book.create_sheet("Second")["A1"] = "pears"
    return _saved(book)


def zipped(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def epub() -> bytes:
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" '
            'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="c.opf" '
            'media-type="application/oebps-package+xml"/></rootfiles></container>',
            "c.opf": '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest><item '
            'id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine>'
            "</package>",
            "a.xhtml": '<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Call me Ishmael.</p></body></html>',
        }
    )


_WORD = (
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>{}'
    "</w:t></w:r></w:p></w:body></w:document>"
)


def zip_bomb() -> bytes:
    """300 MB in 300 KB."""
    return zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": _WORD.format("A" * (300 * 1024 * 1024))})


def xml_bomb() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    return zipped({"word/document.xml": f'<!DOCTYPE d [<!ENTITY l0 "lol">{entities}]>' + _WORD.format("&l11;")})


def xml_that_asks_for_files(path: Path) -> bytes:
    return zipped({"word/document.xml": f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{path}">]>' + _WORD.format("&x;")})


GOOD: dict[str, tuple[Callable[[], bytes], str]] = {
    "a.pdf": (lambda: pdf("The quick brown fox jumps"), "The quick brown fox jumps"),
    "a.docx": (word, "Buy the quick brown fox."),
    "a.pptx": (slides, "Bullet 2"),
    "a.xlsx": (sheets, "pears"),
    "a.epub": (epub, "Call me Ishmael."),
    "a.html": (lambda: b"<html><script>evil()</script><h1>Head</h1><p>Para &amp; more</p></html>", "Para & more"),
    "a.rtf": (lambda: rb"{\rtf1\ansi Hello rtf}", "Hello rtf"),
    "a.md": (lambda: b"# Title\n\ntext", "# Title"),
    "a.txt": (lambda: "träumen".encode(), "träumen"),
    "wide.txt": (lambda: "träumen".encode("utf-16"), "träumen"),
    "a.csv": (lambda: b"a,b\n1,2\n", "1,2"),
    "a.json": (lambda: b'{"a": 1}', '"a"'),
    "A.PY": (lambda: b"print('hi')", "print"),
    "Makefile": (lambda: b"all:\n\techo", "echo"),
}
