"""Files on a database of each kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from inhouse.files import Files, StoredFile
from inhouse.files.sweeping import Sweeper
from inhouse.files.uploads import Uploads
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage import schema
from inhouse.storage.blobs import Blobs, Spool
from inhouse.storage.database import Database

MINE, THEIRS = "proj_one", "proj_two"


@pytest.fixture
def files(database: Database, tmp_path: Path) -> Files:
    return Files(database, Blobs(tmp_path / "blobs", tmp_path / "scratch"), quota=1000)


@pytest.fixture
def uploads(files: Files) -> Uploads:
    return Uploads(files)


@pytest.fixture
def sweeper(files: Files, uploads: Uploads) -> Sweeper:
    return Sweeper(files, uploads)


async def spooled(files: Files, data: bytes) -> Spool:
    spool = files.spool()
    await spool.write(data)
    return spool


async def add(files: Files, data: bytes = b"text", project_id: str = MINE, **more: Any) -> StoredFile:
    given: dict[str, Any] = {"filename": "a.txt", "purpose": "user_data", **more}
    return await files.add(project_id, await spooled(files, data), **given)


async def blobs_of(files: Files) -> set[str]:
    found = set()
    for prefix in ("files", "parts"):
        found |= {blob.key async for batch in files.blobs.listed(prefix) for blob in batch}
    return found


async def age(files: Files, table: Any, **where: str) -> None:
    """The time of what a table has is over."""
    (column, value) = next(iter(where.items()))
    past = time.time_ns() // 1000 - 1
    await files.database.write(
        lambda c: c.execute(update(table).where(table.c[column] == value).values(expires_at=past))
    )


async def test_a_file_is_added_read_and_deleted(files: Files) -> None:
    file = await add(files, b"some text")
    found = await files.get(MINE, file.id)
    assert found == file
    assert await files.read(found) == b"some text"
    assert b"".join([piece async for piece in files.content(found, 5, 9)]) == b"text"
    async with files.path(found) as path:
        assert path.read_bytes() == b"some text"
    await files.delete(MINE, file.id)
    assert await blobs_of(files) == set()
    for again in (files.get(MINE, file.id), files.delete(MINE, file.id), files.read(file)):
        with pytest.raises(NotFound, match=f"No such File object: {file.id}"):
            await again


async def test_another_projects_files_do_not_exist(files: Files) -> None:
    file = await add(files)
    for way in (files.get(THEIRS, file.id), files.delete(THEIRS, file.id)):
        with pytest.raises(NotFound):
            await way
    with pytest.raises(NotFound):
        await files.page(THEIRS, after=file.id, limit=1, order="asc", purpose=None)
    assert (await files.page(THEIRS, after=None, limit=10, order="asc", purpose=None))[0] == []
    assert await files.read(await files.get(MINE, file.id)) == b"text"


async def test_pages(files: Files) -> None:
    made = [await add(files, purpose="batch" if i % 2 else "vision") for i in range(5)]
    ids = [file.id for file in made]

    async def walk(order: Any, purpose: str | None) -> list[str]:
        seen: list[str] = []
        after = None
        while True:
            found, more = await files.page(MINE, after=after, limit=2, order=order, purpose=purpose)
            seen += [file.id for file in found]
            if not more:
                return seen
            after = seen[-1]

    assert await walk("asc", None) == ids
    assert await walk("desc", None) == ids[::-1]
    assert await walk("asc", "batch") == ids[1::2]
    assert await walk("asc", "evals") == []


async def test_an_expired_file_is_gone_and_then_removed(files: Files, sweeper: Sweeper) -> None:
    file, stays = await add(files, lifetime_s=3600), await add(files)
    assert file.expires_at == file.created_at + 3_600_000_000
    assert stays.expires_at is None
    await age(files, schema.files, id=file.id)
    with pytest.raises(NotFound):
        await files.get(MINE, file.id)
    assert await blobs_of(files) == {file.blob, stays.blob}
    await sweeper.remove_expired()
    assert await blobs_of(files) == {stays.blob}


async def test_input_of_batches_expires_by_itself(files: Files) -> None:
    file = await add(files, purpose="batch")
    assert file.expires_at == file.created_at + 30 * 86_400_000_000


async def test_what_refers_to_a_file_goes_in_the_same_transaction(files: Files) -> None:
    file = await add(files)
    seen: list[tuple[str, str]] = []

    def failing(connection: Connection, project_id: str, file_id: str) -> None:
        seen.append((project_id, file_id))
        if len(seen) == 1:
            raise RuntimeError("not yet")

    files.on_remove(failing)
    with pytest.raises(RuntimeError):
        await files.delete(MINE, file.id)
    assert await files.read(await files.get(MINE, file.id)) == b"text"
    await files.delete(MINE, file.id)
    assert seen == [(MINE, file.id)] * 2


async def test_the_quota_holds_and_counts_by_project(files: Files, uploads: Uploads) -> None:
    await add(files, b"x" * 600)
    await add(files, b"x" * 600, THEIRS)
    with pytest.raises(InvalidRequest) as refused:
        await add(files, b"x" * 401)
    assert refused.value.code == "storage_quota_exceeded"
    assert len(await blobs_of(files)) == 2
    upload = await begin(uploads, 400)
    await uploads.add_part(MINE, upload, await spooled(files, b"x" * 400))
    for way in (
        uploads.add_part(MINE, upload, await spooled(files, b"x")),
        add(files, b"x"),
        begin(uploads, 1),
    ):
        with pytest.raises(InvalidRequest):
            await way


async def test_a_blob_without_a_row_is_swept_and_others_are_not(files: Files, sweeper: Sweeper) -> None:
    """As a kill between the two leaves it."""
    file = await add(files)
    await files.blobs.keep(await spooled(files, b"lost"), "files/lost")
    await files.blobs.keep(await spooled(files, b"lost"), "parts/lost")
    assert await sweeper.remove_orphans() == 0
    assert len(await blobs_of(files)) == 3
    assert await sweeper.remove_orphans(age_s=-60) == 2
    assert await blobs_of(files) == {file.blob}


async def test_without_its_row_there_is_no_blob(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is last: a failure to write contents leaves no row."""

    async def fail(spool: Spool, key: str) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.blobs, "keep", fail)
    with pytest.raises(OSError, match="disk full"):
        await add(files)
    assert (await files.page(MINE, after=None, limit=10, order="asc", purpose=None))[0] == []


# Uploads


async def begin(uploads: Uploads, size: int) -> str:
    upload = await uploads.create(
        MINE, filename="b.txt", purpose="user_data", media_type="text/plain", size=size, lifetime_s=None
    )
    return upload.id


async def test_parts_become_a_file_in_the_order_given(files: Files, uploads: Uploads) -> None:
    upload = await begin(uploads, 6)
    second = await uploads.add_part(MINE, upload, await spooled(files, b"def"))
    first = await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    unused = await uploads.add_part(MINE, upload, await spooled(files, b"unused"))
    assert unused.upload_id == upload
    md5 = "E80B5017098950FC58AAD83C8C14978E"
    done, file = await uploads.complete(MINE, upload, [first.id, second.id], md5)
    assert (done.status, done.file_id) == ("completed", file.id)
    assert await files.read(file) == b"abcdef"
    assert await blobs_of(files) == {file.blob}
    assert await uploads.complete(MINE, upload, [first.id, second.id], md5) == (done, file)
    for late in (
        uploads.add_part(MINE, upload, await spooled(files, b"x")),
        uploads.cancel(MINE, upload),
    ):
        with pytest.raises(InvalidRequest, match="completed"):
            await late


async def test_what_does_not_fit_is_no_file(files: Files, uploads: Uploads) -> None:
    upload, other = await begin(uploads, 3), await begin(uploads, 3)
    part = await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    foreign = await uploads.add_part(MINE, other, await spooled(files, b"abc"))
    for part_ids, md5, param in (
        ([part.id], "0" * 32, "md5"),
        ([part.id, part.id], None, "part_ids"),
        ([foreign.id], None, "part_ids[0]"),
        (["part_x"], None, "part_ids[0]"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await uploads.complete(MINE, upload, part_ids, md5)
        assert refused.value.param == param
    short = await begin(uploads, 4)
    part = await uploads.add_part(MINE, short, await spooled(files, b"abc"))
    with pytest.raises(InvalidRequest, match="does not match"):
        await uploads.complete(MINE, short, [part.id], None)
    assert not any(key.startswith("files/") for key in await blobs_of(files))


async def test_cancelled_and_expired_uploads_keep_nothing(files: Files, uploads: Uploads, sweeper: Sweeper) -> None:
    given_up, late = await begin(uploads, 3), await begin(uploads, 3)
    for upload in (given_up, late):
        await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    assert (await uploads.cancel(MINE, given_up)).status == "cancelled"
    assert (await uploads.cancel(MINE, given_up)).status == "cancelled"
    await age(files, schema.uploads, id=late)
    for way in (uploads.cancel(MINE, late), uploads.complete(MINE, late, ["part_x"], None)):
        with pytest.raises(InvalidRequest, match="expired"):
            await way
    await sweeper.remove_expired()
    assert await blobs_of(files) == set()


async def test_parts_that_go_meanwhile_make_no_file(
    files: Files, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begin(uploads, 3)
    part = await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    spool: Callable[[], Spool] = files.spool

    def cancelled() -> Spool:
        (files.blobs._folder / "parts").rename(files.blobs._folder / "gone")
        return spool()

    monkeypatch.setattr(files, "spool", cancelled)
    with pytest.raises(InvalidRequest, match="meanwhile"):
        await uploads.complete(MINE, upload, [part.id], None)
    assert (await files.page(MINE, after=None, limit=10, order="asc", purpose=None))[0] == []


async def test_another_projects_uploads_do_not_exist(files: Files, uploads: Uploads) -> None:
    upload = await begin(uploads, 3)
    part = await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    for way in (
        uploads.add_part(THEIRS, upload, await spooled(files, b"x")),
        uploads.complete(THEIRS, upload, [part.id], None),
        uploads.cancel(THEIRS, upload),
    ):
        with pytest.raises(NotFound):
            await way
    await uploads.complete(MINE, upload, [part.id], None)


async def test_two_completions_at_once_make_one_file(
    files: Files, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begin(uploads, 3)
    part = await uploads.add_part(MINE, upload, await spooled(files, b"abc"))
    keep: Callable[..., Any] = files.blobs.keep
    made: list[StoredFile] = []

    async def overtaken(spool: Spool, key: str) -> None:
        monkeypatch.setattr(files.blobs, "keep", keep)
        made.append((await uploads.complete(MINE, upload, [part.id], None))[1])
        await keep(spool, key)

    monkeypatch.setattr(files.blobs, "keep", overtaken)
    _, file = await uploads.complete(MINE, upload, [part.id], None)
    assert made == [file]
    assert await blobs_of(files) == {file.blob}
