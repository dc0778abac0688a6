"""What the commands share: settings, the database, and errors told as one line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from inhouse.access import UnusableKey, WeakKey
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import CardError, load_cards
from inhouse.engines.weights import WeightsError
from inhouse.kit.errors import APIError
from inhouse.settings import Settings, SettingsError, load
from inhouse.storage.database import Database, MigrationFailed

T = TypeVar("T")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the database, the logs and inhouse.toml.")]


class Refused(Exception):
    """What was asked cannot be done. The message says why and what to do."""


@contextmanager
def told() -> Iterator[None]:
    """Expected failures as one line and exit code 1; anything else is a defect and keeps its traceback."""
    try:
        yield
    except (Refused, SettingsError, MigrationFailed, WeightsError, CardError, UnusableKey, WeakKey, APIError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def settings_of(data_dir: Path | None, **flags: Any) -> Settings:
    """The settings, with what was said on the command line: ``server_port=8080`` is ``server.port``."""
    return load({"data_dir": data_dir, **{name.replace("_", ".", 1): value for name, value in flags.items()}})


def with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Run ``work`` on the migrated database, and close it."""

    async def run() -> T:
        database = Database(settings.database_url)
        try:
            await asyncio.to_thread(database.migrate)
            return await work(database)
        finally:
            await database.close()

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return asyncio.run(run())


async def catalog_of(database: Database) -> Catalog:
    """The catalog with the current bindings."""
    bindings = Bindings(database)
    await bindings.refresh()
    return Catalog(load_cards(), bindings)
