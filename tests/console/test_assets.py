from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from inhouse.console.assets import Assets

CSS = "body { color: red }\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.css").write_text(CSS)
    (tmp_path / "tiny.js").write_text("1")
    (tmp_path / "inner").mkdir()
    return tmp_path


@pytest.fixture
def browser(folder: Path) -> Iterator[TestClient]:
    with TestClient(Starlette(routes=[Assets(folder).route()])) as client:
        yield client


def test_urls_carry_a_hash_of_the_content(folder: Path) -> None:
    before = Assets(folder).url("page.css")
    assert re.fullmatch(r"/static/page\.[0-9a-f]{16}\.css", before)
    assert Assets(folder).url("page.css") == before
    (folder / "page.css").write_text(CSS + "p {}")
    assert Assets(folder).url("page.css") != before


def test_a_file_is_kept_forever_and_never_guessed_at(folder: Path, browser: TestClient) -> None:
    answer = browser.get(Assets(folder).url("page.css"))
    assert answer.status_code == 200
    assert answer.text == CSS
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip, deflate, br", True), ("GZIP;q=0.5", True), ("br", False), ("", False), ("gzip;q=0, br", False)],
)
def test_a_file_travels_compressed_where_that_is_wanted(
    folder: Path, browser: TestClient, accepted: str, compressed: bool
) -> None:
    answer = browser.get(Assets(folder).url("page.css"), headers={"accept-encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is compressed
    assert (int(answer.headers["content-length"]) < len(CSS)) is compressed
    assert answer.text == CSS
    assert answer.headers["vary"] == "accept-encoding"


def test_a_file_that_would_grow_is_sent_plain(folder: Path, browser: TestClient) -> None:
    assert "content-encoding" not in browser.get(Assets(folder).url("tiny.js")).headers


def test_entity_tags_spare_the_body(folder: Path, browser: TestClient) -> None:
    url = Assets(folder).url("page.css")
    tag = browser.get(url).headers["etag"]
    plain = browser.get(url, headers={"accept-encoding": "identity"}).headers["etag"]
    assert tag != plain
    for held in [tag, f'"other", {tag}', f"W/{tag}", "*"]:
        again = browser.get(url, headers={"if-none-match": held})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert "immutable" in again.headers["cache-control"]
    assert browser.get(url, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["page.css", "page.0000000000000000.css", "..%2fassets.py", "../assets.py", "%00", "inner", "page.css/", ""],
)
def test_nothing_else_is_there(browser: TestClient, path: str) -> None:
    assert browser.get(f"/static/{path}").status_code == 404


def test_an_unknown_name_fails_where_it_is_written(folder: Path) -> None:
    with pytest.raises(KeyError):
        Assets(folder).url("missing.css")
