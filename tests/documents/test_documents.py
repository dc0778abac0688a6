from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from inhouse.documents import ACCEPTED, Document, DocumentError, Documents, is_accepted, reading

from . import making


@pytest.fixture
def documents() -> Documents:
    return Documents(timeout_s=60)


async def read(documents: Documents, folder: Path, name: str, data: bytes, media_type: str = "") -> Document:
    path = folder / "stored-under-another-name"
    path.write_bytes(data)
    return await documents.read(path, name, media_type)


@pytest.mark.parametrize("name", making.GOOD)
async def test_every_kind(documents: Documents, tmp_path: Path, name: str) -> None:
    make, expected = making.GOOD[name]
    found = await read(documents, tmp_path, name, make())
    assert expected in found.text
    assert "evil" not in found.text


async def test_pages_are_numbered(documents: Documents, tmp_path: Path) -> None:
    found = await read(documents, tmp_path, "a.pdf", making.pdf("first page of it", "second page of it"))
    assert [(page.number, page.text) for page in found.pages] == [(1, "first page of it"), (2, "second page of it")]
    assert found.media_type == "application/pdf"
    found = await read(documents, tmp_path, "a.pptx", making.slides())
    assert [page.number for page in found.pages] == [1, 2]
    assert "Slide 1" in found.pages[0].text
    assert "Slide 2" in found.pages[1].text


async def test_scans_are_read_by_ocr(documents: Documents, tmp_path: Path) -> None:
    found = await read(documents, tmp_path, "a.pdf", making.scan("Invoice 4711 of 99 EUR", "typed on page two"))
    assert [page.number for page in found.pages] == [1, 2]
    assert "4711" in found.pages[0].text
    assert found.pages[1].text == "typed on page two"


async def test_the_media_type_helps_where_the_name_does_not(documents: Documents, tmp_path: Path) -> None:
    found = await read(documents, tmp_path, "upload", making.pdf("some words in a pdf"), "application/pdf")
    assert found.pages[0].number == 1
    found = await read(documents, tmp_path, "upload", b"words", "text/x-unheard-of; charset=utf-8")
    assert found.text == "words"


@pytest.mark.parametrize("name", ["a.png", "a.exe", "noname", "a.zip", "a.mp3"])
async def test_other_kinds(documents: Documents, tmp_path: Path, name: str) -> None:
    assert not is_accepted(name)
    with pytest.raises(DocumentError) as refused:
        await read(documents, tmp_path, name, b"x", "application/octet-stream")
    assert refused.value.code == "unsupported_file"


def test_the_official_list_is_accepted() -> None:
    official = "c cpp cs css doc docx go html java js json md pdf php pptx py rb sh tex ts txt"
    assert set(official.split()) <= set(ACCEPTED)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pdf", b""),
        ("a.pdf", making.pdf("words")[:300]),
        ("a.pdf", making.pdf("")),
        ("a.docx", b"PK\x03\x04nonsense"),
        ("a.xlsx", os.urandom(5000)),
        ("a.epub", making.zipped({"mimetype": "application/epub+zip"})),
        ("a.txt", b""),
        ("a.txt", b" \n\t "),
        ("a.txt", b"\x80\x81\xff"),
        ("a.txt", b"a\0b"),
        ("a.html", b"<html></html>"),
    ],
)
async def test_damaged_and_empty_files(documents: Documents, tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(DocumentError) as refused:
        await read(documents, tmp_path, name, data)
    assert refused.value.code == "invalid_file"


async def test_bombs(documents: Documents, tmp_path: Path) -> None:
    for bomb in (making.zip_bomb(), making.xml_bomb()):
        assert len(bomb) < 1_000_000
        with pytest.raises(DocumentError) as refused:
            await read(documents, tmp_path, "a.docx", bomb)
        assert refused.value.code == "invalid_file"
    # Nested so deeply that a parser may run out of stack.
    with pytest.raises(DocumentError):
        await read(documents, tmp_path, "a.html", b"<div>" * 200_000 + b"x")


async def test_files_of_the_server_are_not_read(documents: Documents, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the password")
    try:
        found = await read(documents, tmp_path, "a.docx", making.xml_that_asks_for_files(secret))
    except DocumentError:
        return
    assert "password" not in found.text


async def test_ten_thousand_pages(documents: Documents, tmp_path: Path) -> None:
    found = await read(documents, tmp_path, "a.pdf", making.many_pages(10_000))
    assert len(found.pages) == 10_000
    assert found.pages[-1].number == 10_000


async def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="too long"):
        await read(Documents(timeout_s=0.05), tmp_path, "a.pdf", making.pdf("words"))
    assert not _workers()


async def test_what_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as refused:
        await read(Documents(memory=16 * 1024 * 1024), tmp_path, "a.pdf", making.pdf("words"))
    assert refused.value.code == "invalid_file"


async def test_too_much_text(documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_TEXT", 100)
    for name, data in (("a.pdf", making.pdf("words " * 30)), ("a.txt", b"x" * 101)):
        with pytest.raises(DocumentError, match="too much text"):
            await read(documents, tmp_path, name, data)
    assert not _workers()


async def test_a_reader_that_leaves_takes_the_child_along(documents: Documents, tmp_path: Path) -> None:
    task = asyncio.ensure_future(read(documents, tmp_path, "a.pdf", making.scan("some words to be read slowly")))
    for _ in range(500):
        if _workers():
            break
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _workers()


async def test_the_child_sees_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHOUSE_API_KEY", "sk-secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert not any("secret" in value for value in reading._environment("/tmp").values())


def _workers() -> list[int]:
    """Children of this process that read documents."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"documents.worker" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, IndexError):
            continue
    return found
