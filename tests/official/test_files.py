"""Files and uploads with the official SDK, on a server that is a process of its own."""

from __future__ import annotations

import base64
import http.client
import io
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError, OpenAI

from .conftest import StartServer
from .running import FAST, Server, until

MB = 1024 * 1024


class Zeros(io.RawIOBase):
    """Reads as a large file without being one."""

    name = "large.bin"

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = {0: 0, 1: self._at, 2: self._size}[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._size - self._at)
        buffer[:count] = bytes(count)
        self._at += count
        return count


@pytest.fixture(scope="module")
def alone(start_server: StartServer) -> Server:
    """A server without models."""
    return start_server(engines__preload=",")


def peak(server: Server) -> int:
    """Bytes of memory that the server's process took at most."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def forget_peak(server: Server) -> None:
    assert server.process is not None
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


def contents(server: Server) -> list[Path]:
    """Everything that the folders of contents hold."""
    folders = (server.data_dir / "blobs", server.data_dir / "scratch")
    return [path for folder in folders if folder.exists() for path in folder.rglob("*") if path.is_file()]


def test_a_large_file_takes_no_memory(alone: Server) -> None:
    with alone.client() as client:
        client.files.create(file=("small", b"x"), purpose="user_data")
        forget_peak(alone)
        before = peak(alone)
        file = client.files.create(file=("large.bin", Zeros(300 * MB)), purpose="user_data")
        assert file.bytes == 300 * MB
        with client.files.with_streaming_response.content(file.id) as response:
            assert sum(len(piece) for piece in response.iter_bytes(MB)) == 300 * MB
        assert peak(alone) - before < 50 * MB
        client.files.delete(file.id)


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(alone: Server) -> None:
    kept = len(contents(alone))
    with alone.client() as client, pytest.raises(APIStatusError, match="Maximum content size limit") as refused:
        client.files.create(file=("large.bin", Zeros(513 * MB)), purpose="user_data")
    assert refused.value.status_code == 413
    assert len(contents(alone)) == kept


def test_a_client_that_leaves_in_the_middle_leaves_nothing(alone: Server) -> None:
    kept = len(contents(alone))
    _begin(alone).close()
    until(lambda: len(contents(alone)) == kept, "the scratch file stays")


def test_a_kill_in_the_middle_leaves_nothing_visible(alone: Server) -> None:
    with alone.client() as client:
        before = {file.id for file in client.files.list()}
        kept = client.files.create(file=("kept.txt", b"kept"), purpose="user_data")
    count = len(contents(alone))
    with closing(_begin(alone)):
        until(lambda: len(contents(alone)) > count, "no scratch file appears")
        alone.kill()
    alone.start()
    with alone.client() as client:
        assert {file.id for file in client.files.list()} == {*before, kept.id}
        assert client.files.content(kept.id).content == b"kept"


def _begin(server: Server) -> http.client.HTTPConnection:
    """An upload of which a part is sent."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.putrequest("POST", "/v1/files")
    connection.putheader("authorization", f"Bearer {server.key}")
    connection.putheader("content-type", "multipart/form-data; boundary=x")
    connection.putheader("content-length", str(10 * MB))
    connection.endheaders()
    connection.send(b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + bytes(3 * MB))
    time.sleep(0.2)
    return connection


def test_files_and_uploads(client: OpenAI, stranger: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(bytes(range(256)) * 2000)
    file = client.files.create(file=path, purpose="user_data")
    assert (file.filename, file.bytes) == ("notes.txt", 512_000)
    assert client.files.content(file.id).content == path.read_bytes()
    done = client.uploads.upload_file_chunked(
        file=path, mime_type="text/plain", purpose="assistants", part_size=100_000
    )
    assert done.file is not None
    assert client.files.content(done.file.id).content == path.read_bytes()
    assert [each.id for each in client.files.list(order="asc", limit=1, purpose="assistants")] == [done.file.id]
    for way in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
        with pytest.raises(NotFoundError):
            way(file.id)
    assert list(stranger.files.list()) == []
    for each in (file, done.file):
        assert client.files.delete(each.id).deleted


def test_a_document_is_read(client: OpenAI, stranger: OpenAI) -> None:
    file = client.files.create(file=("facts.md", b"The capital of Atlantis is Poseidonis."), purpose="user_data")
    content: list[Any] = [
        {"type": "file", "file": {"file_id": file.id}},
        {"type": "text", "text": "What is the capital of Atlantis?"},
    ]
    asked: dict[str, Any] = {"model": FAST, "messages": [{"role": "user", "content": content}]}
    answer = client.chat.completions.create(**asked, max_completion_tokens=24, temperature=0)
    assert answer.usage is not None
    assert "Poseidonis" in (answer.choices[0].message.content or "")
    with pytest.raises(NotFoundError):
        stranger.chat.completions.create(**asked, max_completion_tokens=2)
    counted = client.responses.input_tokens.count(
        model=FAST,
        input=[
            {
                "role": "user",
                "content": [
                    {
                        "type": "input_file",
                        "filename": "a.txt",
                        "file_data": "data:text/plain;base64," + base64.b64encode(b"many words " * 100).decode(),
                    }
                ],
            }
        ],
    )
    assert counted.input_tokens > 200


def test_addresses_of_this_machine_are_not_fetched(server: Server, client: OpenAI) -> None:
    inside = server.base_url.removesuffix("/v1") + "/healthz"
    with pytest.raises(BadRequestError, match="Error while downloading"):
        client.responses.create(
            model=FAST,
            input=[{"role": "user", "content": [{"type": "input_file", "file_url": inside}]}],
            max_output_tokens=16,
        )
