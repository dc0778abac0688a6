"""The whole platform on an empty database, without models: engines are what a test puts in their place."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
from openai import AsyncOpenAI
from sqlalchemy import select

from inhouse.access import Caller
from inhouse.app import Platform
from inhouse.calls import Call
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.kit.ids import request_id
from inhouse.limits import Demand
from inhouse.settings import load
from inhouse.storage.database import Database
from inhouse.storage.schema import calls

CALLER = Caller("org-one", "proj_one", "key_one")


class Answer(msgspec.Struct):
    """What came back. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    parts: list[bytes]
    """The body in the pieces it was sent in."""
    whole: bool
    """Whether the body was ended."""

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        """Data of the server-sent events; ``[DONE]`` as it is."""
        data = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [each if each == "[DONE]" else json.loads(each) for each in data]


class Client:
    """Speaks ASGI to an application, without a socket between."""

    def __init__(self, app: Any, headers: dict[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def get(self, target: str) -> Answer:
        return await self.request("GET", target)

    async def post(self, target: str, body: Any = None) -> Answer:
        return await self.request("POST", target, body)

    async def request(self, method: str, target: str, body: Any = None, *, leave_after: int | None = None) -> Answer:
        """Args: leave_after: pieces of the body after which the client closes the connection."""
        path, _, query = target.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {"host": "test", "content-type": "application/json", **self._headers}
        headers["content-length"] = str(len(content))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": urllib.parse.unquote(path),
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": ("127.0.0.1", 5),
            "server": ("test", 80),
        }
        answer = Answer(0, {}, [], False)
        left = asyncio.Event()
        given = False

        async def receive() -> dict[str, Any]:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": content, "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
                return
            if left.is_set():
                raise OSError("the client is gone")
            if part := message.get("body", b""):
                answer.parts.append(part)
            answer.whole = not message.get("more_body", False)
            if answer.whole or len(answer.parts) == leave_after:
                left.set()

        await self._app(scope, receive, send)
        return answer


class Walk:
    """A platform that was started, and what its tests ask of it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def engine(self, engine: Any) -> Any:
        """Every model is run by ``engine`` from now on."""
        self.platform.engines.get = lambda deployment: engine  # type: ignore[method-assign]
        return engine

    async def upstream(self, url: str, model: str = "gpt-4.1", *, vision: bool = False, **spec: Any) -> None:
        """A model is served by another server."""
        target = UpstreamSpec(targets=[Target(url, "theirs")], **{"retries": 0, **spec})
        await self.platform.catalog.bindings.bind(model, Remote(upstream=target, vision=vision), "test")

    async def client(self, **headers: str) -> Client:
        """A client with a key of the default project, or with other headers."""
        if not headers:
            made = await self.platform.access.create_key("test")
            headers = {"authorization": f"Bearer {made.secret}"}
        return Client(self.platform, headers)

    def call(self, model: str = "gpt-4.1", endpoint: str = "chat_completions", **more: Any) -> Call:
        return self.platform.calls.open(
            more.pop("caller", CALLER),
            more.pop("operation", "createChatCompletion"),
            model,
            request_id=more.pop("request_id", request_id()),
            endpoint=endpoint,
            demand=Demand(input_tokens=1),
            respond={},
            **more,
        )

    async def line_of_a_batch(self, body: dict[str, Any]) -> Any:
        """What a batch of this one chat completion writes of it, as an answer or as an error."""
        key = await self.platform.access.create_key("test")
        http = httpx.AsyncClient(transport=httpx.ASGITransport(self.platform))
        line = {"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": body}
        async with AsyncOpenAI(
            api_key=key.secret, base_url="http://test/v1", http_client=http, max_retries=0
        ) as client:
            file = await client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            async with asyncio.timeout(60):
                while batch.status not in ("completed", "failed"):
                    await asyncio.sleep(0.05)
                    batch = await client.batches.retrieve(batch.id)
            written = batch.output_file_id or batch.error_file_id
            assert written is not None, batch
            return json.loads((await client.files.content(written)).text)

    async def rows(self, *, at_once: bool = False) -> list[Any]:
        """The ledger's rows, oldest first.

        Args:
            at_once: what the database has now, without what is on the books and on its way.
        """
        if not at_once:
            await self.platform.ledger.written()
        query = select(calls).order_by(calls.c.created_at)
        return list(await self.platform.database.read(lambda connection: connection.execute(query).all()))


@functools.cache
def migrated() -> bytes:
    """A migrated, empty SQLite database, made once: a copy of it costs less than to migrate for each test."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inhouse.db"
        Database(f"sqlite:///{file}").migrate()
        return file.read_bytes()


@asynccontextmanager
async def walking(folder: Path, **settings: Any) -> AsyncIterator[Walk]:
    """A platform on what is in ``folder``, else on an empty database.

    Args:
        settings: by their paths, with ``__`` for a dot.
    """
    given = {"data_dir": folder, "engines.preload": [], **{name.replace("__", "."): v for name, v in settings.items()}}
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "inhouse.db").exists():
        (folder / "inhouse.db").write_bytes(await asyncio.to_thread(migrated))
    platform = Platform(load(given, {}))
    await platform.access.bootstrap()
    await platform.start()
    try:
        yield Walk(platform)
    finally:
        await platform.stop()


async def batches(stream: Any) -> list[Any]:
    return [batch async for batch in stream]


async def events(stream: Any) -> list[Any]:
    """All events of a stream of batches, as plain values."""
    return [msgspec.to_builtins(event) async for batch in stream for event in batch]
