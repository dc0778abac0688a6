"""Which deployment serves which model, and since when. Every change is a row; nothing is overwritten."""

from __future__ import annotations

import asyncio
import time
import tomllib
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection, insert, select

from inhouse.engines.deployments import Deployment, deployment_of
from inhouse.engines.weights import find_manifest
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import bindings

REFRESH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment bound to a model. ``bound_at`` is None for what the package ships as default."""

    model: str
    deployment: Deployment | None
    """None: unbound on purpose; the model answers 404 here."""
    bound_at: datetime | None = None
    actor: str = "default"


def default_bindings() -> dict[str, Binding]:
    """What the package binds until a user says otherwise (``catalog/deployments.toml``)."""
    data = tomllib.loads(resources.files(__package__).joinpath("deployments.toml").read_text("utf-8"))
    return {model: Binding(model=model, deployment=_shipped(weights)) for model, weights in data.items()}


def _shipped(weights: str | list[str]) -> Deployment:
    return deployment_of([find_manifest(each) for each in ([weights] if isinstance(weights, str) else weights)])


class Bindings:
    """The current binding of each model, kept in memory; changes by other processes are seen within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._defaults = default_bindings()
        self._current = dict(self._defaults)
        self._newest = 0
        self._checked = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    def current(self, model: str) -> Binding | None:
        """The binding of a card's id, or None. Never waits: a refresh runs beside it."""
        now = time.monotonic()
        if now - self._checked > REFRESH_SECONDS and self._refreshing is None:
            self._checked = now
            self._refreshing = asyncio.create_task(self._refresh_beside())
        binding = self._current.get(model)
        return binding if binding is not None and binding.deployment is not None else None

    async def refresh(self) -> None:
        """Read what changed since the last time."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                select(bindings).where(bindings.c.id > self._newest).order_by(bindings.c.id)
            ).all()
        )
        for row in rows:
            if row.id > self._newest:  # another refresh may have overtaken this one
                self._newest = row.id
                self._current[row.model] = _binding(row)
        self._checked = time.monotonic()

    async def bind(self, model: str, deployment: Deployment | None, actor: str) -> Binding:
        """Bind a model; earlier bindings stay in the history."""
        row = {
            "created_at": time.time_ns() // 1000,
            "model": model,
            "deployment": msgspec.json.encode(deployment).decode(),
            "actor": actor,
        }

        def work(connection: Connection) -> None:
            # One after the other: a row that is committed after one with a higher id would never be noticed.
            lock(connection, "bindings")
            connection.execute(insert(bindings), row)

        await self._database.write(work)
        await self.refresh()
        return self._current[model]

    async def history(self, model: str) -> list[Binding]:
        """All bindings of a model, newest first, the shipped default last."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                select(bindings).where(bindings.c.model == model).order_by(bindings.c.id.desc())
            ).all()
        )
        default = self._defaults.get(model)
        return [*map(_binding, rows), *([default] if default else [])]

    async def _refresh_beside(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            log.warning("bindings could not be read again", error=str(error))
        finally:
            self._refreshing = None


def _binding(row: Any) -> Binding:
    return Binding(
        model=row.model,
        deployment=msgspec.json.decode(row.deployment, type=Deployment | None),
        bound_at=datetime.fromtimestamp(row.created_at / 1_000_000, UTC),
        actor=row.actor,
    )
