from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import obstore.exceptions
import pytest
from moto.server import ThreadedMotoServer

from inhouse.storage.blobs import PART, PIECE, Blobs

LARGE = os.urandom(PART + PIECE + 17)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Endpoint of an S3 of our own."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Blobs:
    if request.param == "folder":
        return Blobs(tmp_path / "blobs", tmp_path / "scratch")
    endpoint: str = request.getfixturevalue("s3")
    bucket = f"bucket-{os.urandom(4).hex()}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket=bucket)
    return Blobs(tmp_path / "blobs", tmp_path / "scratch", f"s3://{bucket}/some/prefix")


async def keep(blobs: Blobs, key: str, data: bytes) -> None:
    spool = blobs.spool()
    for start in range(0, len(data), 70_000):
        await spool.write(data[start : start + 70_000])
    await blobs.keep(spool, key)
    spool.close()


@pytest.mark.parametrize("data", [b"", b"some text", LARGE], ids=["empty", "small", "large"])
async def test_what_is_kept_is_read(blobs: Blobs, data: bytes) -> None:
    await keep(blobs, "files/one", data)
    assert await blobs.read("files/one") == data
    async with blobs.path("files/one") as path:
        assert path.read_bytes() == data


async def test_parts_and_pieces(blobs: Blobs) -> None:
    await keep(blobs, "files/one", LARGE)
    assert await blobs.read("files/one", 5, 9) == LARGE[5:9]
    assert await blobs.read("files/one", PART) == LARGE[PART:]
    assert await blobs.read("files/one", 7, 7) == b""
    pieces = [piece async for piece in blobs.pieces("files/one")]
    assert len(pieces) > 2
    assert max(map(len, pieces)) <= 4 * PIECE


async def test_deleting_is_idempotent(blobs: Blobs) -> None:
    await keep(blobs, "files/one", b"1")
    await keep(blobs, "files/two", b"2")
    await blobs.delete(["files/one", "files/never"])
    await blobs.delete(["files/one"])
    with pytest.raises(FileNotFoundError):
        await blobs.read("files/one")
    with pytest.raises(FileNotFoundError):
        async with blobs.path("files/one"):
            pass
    assert await blobs.read("files/two") == b"2"


async def test_listing_knows_size_and_age(blobs: Blobs) -> None:
    await keep(blobs, "files/one", b"1")
    await keep(blobs, "parts/two", b"22")
    (blob,) = [blob async for batch in blobs.listed("files") for blob in batch]
    assert (blob.key, blob.size) == ("files/one", 1)
    assert abs(blob.modified - time.time()) < 60


async def test_hashes(blobs: Blobs) -> None:
    spool = blobs.spool()
    await spool.write(LARGE[:10])
    await spool.write(LARGE[10:])
    await spool.finish()
    assert spool.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert spool.md5 == hashlib.md5(LARGE).hexdigest()
    assert spool.size == len(LARGE)
    assert await spool.read() == LARGE
    spool.close()


async def test_nothing_is_visible_before_it_is_kept_and_nothing_is_left_of_what_was_not(
    blobs: Blobs, tmp_path: Path
) -> None:
    spool = blobs.spool()
    await spool.write(LARGE)
    assert [blob async for batch in blobs.listed("files") for blob in batch] == []
    spool.close()
    assert list((tmp_path / "scratch").iterdir()) == []
    with pytest.raises((ValueError, OSError)):
        await blobs.keep(spool, "files/one")


async def test_kept_spools_leave_no_scratch(blobs: Blobs, tmp_path: Path) -> None:
    await keep(blobs, "files/one", LARGE)
    async with blobs.path("files/one"):
        pass
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_old_scratch_files_are_swept(blobs: Blobs, tmp_path: Path) -> None:
    left = blobs.spool()
    assert await blobs.sweep() == 0
    assert left.path is not None
    assert left.path.exists()
    assert await blobs.sweep(now=lambda: time.time() + 2 * 86_400) == 1
    assert list((tmp_path / "scratch").iterdir()) == []
    left.close()


async def test_a_store_that_fails_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    blobs = Blobs(tmp_path / "blobs", tmp_path / "scratch", "s3://bucket", retries=0)
    spool = blobs.spool()
    await spool.write(b"1")
    with pytest.raises(obstore.exceptions.BaseError):
        await blobs.keep(spool, "files/one")
    spool.close()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_other_urls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="s3://"):
        Blobs(tmp_path, tmp_path, "ftp://host/folder")
