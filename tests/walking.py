"""The whole platform on an empty database, without models: engines are what a test puts in their place."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
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


class Walk:
    """A platform that was started, and what its tests ask of it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def engine(self, engine: Any) -> Any:
        """Every model is run by ``engine`` from now on."""
        self.platform.engines.get = lambda deployment: engine  # type: ignore[method-assign]
        return engine

    async def upstream(self, url: str, model: str = "gpt-4.1", **spec: Any) -> None:
        """A model is served by another server."""
        target = UpstreamSpec(targets=[Target(url, "theirs")], **{"retries": 0, **spec})
        await self.platform.catalog.bindings.bind(model, Remote(upstream=target), "test")

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

    async def rows(self) -> list[Any]:
        """The ledger's rows, oldest first."""
        query = select(calls).order_by(calls.c.created_at)
        return list(await self.platform.database.read(lambda connection: connection.execute(query).all()))


@functools.cache
def _migrated() -> bytes:
    """A migrated, empty database, made once: a copy of it costs less than to migrate for each test."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inhouse.db"
        database = Database(f"sqlite:///{file}")
        database.migrate()
        asyncio.run(database.close())
        return file.read_bytes()


@asynccontextmanager
async def walking(folder: Path, **settings: Any) -> AsyncIterator[Walk]:
    """Args: settings by their paths, with ``__`` for a dot."""
    given = {"data_dir": folder, "engines.preload": [], **{name.replace("__", "."): v for name, v in settings.items()}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inhouse.db").write_bytes(await asyncio.to_thread(_migrated))
    platform = Platform(load(given, {}))
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
