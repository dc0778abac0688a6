"""Files and uploads over ASGI, mostly through the official SDK."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError, NotFoundError
from openai.types import FileObject
from tests.walking import Walk, walking

from inhouse.api.files import routes
from inhouse.api.files.ranges import RangeNotSatisfiable, wanted


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        yield walk


async def sdk(walk: Walk, key: str) -> AsyncOpenAI:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app=walk.platform))
    return AsyncOpenAI(api_key=key, base_url="http://test/v1", http_client=http, max_retries=0)


@pytest.fixture
async def client(walk: Walk) -> AsyncOpenAI:
    return await sdk(walk, (await walk.platform.access.create_key("test")).secret)


@pytest.fixture
async def raw(walk: Walk) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {(await walk.platform.access.create_key('raw')).secret}"}
    transport = httpx.ASGITransport(app=walk.platform)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as http:
        yield http


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Any:
    yield
    scratch = tmp_path / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []


async def test_every_operation(client: AsyncOpenAI) -> None:
    data = os.urandom(3_000_000)
    file = await client.files.create(
        file=("träumen.bin", data), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file == FileObject.model_validate(file.model_dump(), strict=True)
    assert (file.bytes, file.filename, file.purpose, file.status) == (
        len(data),
        "träumen.bin",
        "user_data",
        "processed",
    )
    assert file.expires_at == file.created_at + 3600
    assert await client.files.retrieve(file.id) == file
    content = await client.files.content(file.id)
    assert content.content == data
    assert content.response.headers["content-length"] == str(len(data))
    assert content.response.headers["content-disposition"] == (
        "attachment; filename=\"tr_umen.bin\"; filename*=UTF-8''tr%C3%A4umen.bin"
    )
    assert content.response.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    others = [await client.files.create(file=(f"{i}.jsonl", b"{}"), purpose="batch") for i in range(2)]
    assert [each.id async for each in client.files.list(limit=2, order="asc")] == [file.id, *(o.id for o in others)]
    assert [each.id async for each in client.files.list(purpose="batch")] == [o.id for o in reversed(others)]
    deleted = await client.files.delete(file.id)
    assert (deleted.id, deleted.object, deleted.deleted) == (file.id, "file", True)
    with pytest.raises(NotFoundError) as refused:
        await client.files.retrieve(file.id)
    assert refused.value.body == {
        "message": f"No such File object: {file.id}",
        "type": "invalid_request_error",
        "param": "id",
        "code": None,
    }


@pytest.mark.parametrize("purpose", ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"])
async def test_every_purpose(client: AsyncOpenAI, purpose: Any) -> None:
    assert (await client.files.create(file=("a.jsonl", b""), purpose=purpose)).purpose == purpose


async def test_anonymous(walk: Walk) -> None:
    client = await sdk(walk, "sk-none")
    with pytest.raises(APIStatusError) as refused:
        await client.files.create(file=b"x", purpose="user_data")
    assert refused.value.status_code == 401


async def test_another_project_reaches_nothing(walk: Walk, client: AsyncOpenAI) -> None:
    from sqlalchemy import Connection

    from inhouse.access import store

    def project(connection: Connection) -> str:
        default = store.project(connection, None)
        assert default is not None
        return store.insert_project(connection, default.organization_id, "theirs").id

    project_id = await walk.platform.database.write(project)
    stranger = await sdk(walk, (await walk.platform.access.create_key("theirs", project_id=project_id)).secret)
    file = await client.files.create(file=("a.txt", b"mine"), purpose="user_data")
    upload = await client.uploads.create(filename="a", bytes=1, mime_type="text/plain", purpose="assistants")
    for way in (
        stranger.files.retrieve(file.id),
        stranger.files.content(file.id),
        stranger.files.delete(file.id),
        stranger.uploads.parts.create(upload.id, data=b"x"),
        stranger.uploads.complete(upload.id, part_ids=["part_x"]),
        stranger.uploads.cancel(upload.id),
    ):
        with pytest.raises(NotFoundError):
            await way
    assert [each async for each in stranger.files.list()] == []
    assert (await client.files.content(file.id)).content == b"mine"


async def test_the_purpose_may_follow_the_file(raw: httpx.AsyncClient) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="C:\\folder\\a.txt"\r\n\r\nabc\r\n--x\r\n'
        b'Content-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--x\r\n'
        b'Content-Disposition: form-data; name="expires_after[anchor]"\r\n\r\ncreated_at\r\n--x\r\n'
        b'Content-Disposition: form-data; name="expires_after[seconds]"\r\n\r\n7200\r\n--x--\r\n'
    )

    async def trickle() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    answer = await raw.post("/v1/files", content=trickle(), headers={"content-type": "multipart/form-data; boundary=x"})
    told = answer.json()
    assert (told["filename"], told["bytes"], told["purpose"]) == ("a.txt", 3, "user_data")
    assert told["expires_at"] - told["created_at"] == 7200


PURPOSE: dict[str, Any] = {"purpose": "user_data"}
FILE = {"file": ("a.txt", b"abc")}
BAD: list[tuple[dict[str, Any], str | None, str]] = [
    ({"data": PURPOSE, "files": {"other": ("a", b"")}}, "file", "Missing required parameter: 'file'."),
    ({"files": FILE}, "purpose", "Missing required parameter: 'purpose'."),
    ({"data": {"purpose": "nonsense"}, "files": FILE}, "purpose", "Invalid value: 'nonsense'."),
    ({"data": {**PURPOSE, "x": "y"}, "files": FILE}, "x", "Unknown parameter: 'x'."),
    ({"data": {"file": "abc", **PURPOSE}, "files": {"x": ("x", b"")}}, "file", "expected a file"),
    ({"files": {**FILE, "purpose": ("p", b"user_data")}}, "purpose", "expected text"),
    ({"data": PURPOSE, "files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, "file", "expected one file"),
    (
        {"data": {**PURPOSE, "expires_after[anchor]": "created_at", "expires_after[seconds]": "5"}, "files": FILE},
        "expires_after.seconds",
        "below minimum value",
    ),
    ({"data": {"purpose": "batch"}, "files": FILE}, None, "Invalid file format for Batch API. Must be .jsonl"),
    ({"data": {"purpose": "fine-tune"}, "files": FILE}, None, "Invalid file format for Fine-Tuning API."),
    ({"json": PURPOSE}, None, "expected multipart/form-data"),
    (
        {"content": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        None,
        "could not parse",
    ),
    ({"content": b"", "headers": {"content-type": "multipart/form-data; boundary=x"}}, None, "ends too early"),
    (
        {
            "content": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        None,
        "ends too early",
    ),
    ({"data": {"purpose": b"\xff"}, "files": FILE}, None, "must be UTF-8"),
    ({"data": {"purpose": "x" * 2_000_000}, "files": FILE}, None, "text fields"),
    ({"data": {"purpose": ["user_data"] * 1500}, "files": FILE}, None, "more than 1000"),
]


@pytest.mark.parametrize(("sent", "param", "message"), BAD)
async def test_bad_forms(raw: httpx.AsyncClient, sent: dict[str, Any], param: str | None, message: str) -> None:
    answer = await raw.post("/v1/files", **sent)
    assert answer.status_code in (400, 413), answer.text
    error = answer.json()["error"]
    assert error["param"] == param
    assert message in error["message"]
    assert (await raw.get("/v1/files")).json()["data"] == []


async def test_a_file_that_is_too_large(walk: Walk, raw: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = walk.platform._v1.router._plain["/files"]["POST"].operation
    assert operation.max_bytes == routes.MOST_BYTES == 536_870_912
    object.__setattr__(operation, "max_bytes", 1000)
    answer = await raw.post("/v1/files", files={"file": ("a", b"x" * 1001)}, data=PURPOSE)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "Maximum content size limit (1000) exceeded (1001 bytes read)"
    assert (await raw.post("/v1/files", files={"file": ("a", b"x" * 1000)}, data=PURPOSE)).status_code == 200
    declared = await raw.post("/v1/files", files={"file": ("a", b"x" * 5_000_000)}, data=PURPOSE)
    assert declared.status_code == 413


@pytest.mark.parametrize(
    ("header", "status", "content"),
    [
        ("bytes=2-4", 206, b"cde"),
        ("bytes=7-", 206, b"hij"),
        ("bytes=-2", 206, b"ij"),
        ("bytes=-200", 206, b"abcdefghij"),
        ("bytes=8-100", 206, b"ij"),
        ("bytes=4-2", 200, b"abcdefghij"),
        ("bytes=1-2,4-5", 200, b"abcdefghij"),
        ("lines=1-2", 200, b"abcdefghij"),
        ("bytes=10-", 416, None),
        ("bytes=-0", 416, None),
    ],
)
async def test_ranges(raw: httpx.AsyncClient, header: str, status: int, content: bytes | None) -> None:
    file = (await raw.post("/v1/files", files={"file": ("a", b"abcdefghij")}, data=PURPOSE)).json()
    path = f"/v1/files/{file['id']}/content"
    answer = await raw.get(path, headers={"range": header})
    assert answer.status_code == status
    if content is not None:
        assert answer.content == content
        assert answer.headers["content-length"] == str(len(content))
    else:
        assert answer.headers["content-range"] == "bytes */10"
    if status == 206:
        start = b"abcdefghij".index(content or b"")
        assert answer.headers["content-range"] == f"bytes {start}-{start + len(content or b'') - 1}/10"
    assert (await raw.get(path, headers={"range": header, "if-range": '"other"'})).status_code == 200


def test_ranges_of_nothing() -> None:
    assert wanted(None, 0) is None
    with pytest.raises(RangeNotSatisfiable):
        wanted("bytes=0-", 0)


async def test_an_upload_in_parts(client: AsyncOpenAI) -> None:
    data = [os.urandom(1_500_000), os.urandom(400_000)]
    upload = await client.uploads.create(
        filename="a.pdf", bytes=1_900_000, mime_type="application/pdf", purpose="assistants"
    )
    assert upload.status == "pending"
    assert upload.expires_at == upload.created_at + 3600
    late, early = [await client.uploads.parts.create(upload.id, data=part) for part in reversed(data)]
    assert (late.object, late.upload_id) == ("upload.part", upload.id)
    md5 = hashlib.md5(b"".join(data)).hexdigest()
    done = await client.uploads.complete(upload.id, part_ids=[early.id, late.id], md5=md5)
    assert done.status == "completed"
    assert done.file is not None
    assert await client.files.retrieve(done.file.id) == done.file
    assert (await client.files.content(done.file.id)).content == b"".join(data)


async def test_the_sdks_chunked_upload(client: AsyncOpenAI, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_bytes(os.urandom(700_000))
    done = await client.uploads.upload_file_chunked(
        file=path, mime_type="text/plain", purpose="assistants", part_size=300_000
    )
    assert done.file is not None
    assert (await client.files.content(done.file.id)).content == path.read_bytes()


async def test_uploads_that_are_refused(client: AsyncOpenAI) -> None:
    begin: dict[str, Any] = {"filename": "a", "mime_type": "text/plain", "purpose": "assistants"}
    with pytest.raises(BadRequestError, match="above maximum value"):
        await client.uploads.create(**begin, bytes=9 * 1024**3)
    upload = await client.uploads.create(**begin, bytes=3)
    part = await client.uploads.parts.create(upload.id, data=b"abc")
    with pytest.raises(BadRequestError, match="MD5"):
        await client.uploads.complete(upload.id, part_ids=[part.id], md5="0" * 32)
    assert (await client.uploads.cancel(upload.id)).status == "cancelled"
    with pytest.raises(BadRequestError, match="has status 'cancelled'"):
        await client.uploads.complete(upload.id, part_ids=[part.id])
    with pytest.raises(NotFoundError):
        await client.uploads.cancel("upload_none")
