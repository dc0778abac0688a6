"""What the commands share: settings, the database, and errors told as one line."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column
from sqlalchemy import select

from inhouse.access import UnusableKey
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import CardError, load_cards
from inhouse.engines.weights import WeightsError
from inhouse.kit.errors import APIError
from inhouse.settings import Settings, SettingsError, load
from inhouse.storage.database import Database, MigrationFailed
from inhouse.storage.schema import organizations

T = TypeVar("T")

# A table in a pipe or a journal has lines as long as its rows: ids that are cut name nothing.
out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 1000)
err = Console(stderr=True, highlight=False)

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the database, the logs and inhouse.toml.")]


class Refused(Exception):
    """What was asked cannot be done. The message says why and what to do."""


def id_column() -> Column:
    """Of a table: the other columns give way on a narrow terminal."""
    return Column("id", no_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """Expected failures as one line and exit code 1; anything else is a defect and keeps its traceback."""
    try:
        yield
    except (Refused, SettingsError, MigrationFailed, WeightsError, CardError, UnusableKey, APIError) as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        raise typer.Exit(1) from error


def settings_of(data_dir: Path | None, **flags: Any) -> Settings:
    """The settings, with what was said on the command line: ``server_port=8080`` is ``server.port``."""
    return load({"data_dir": data_dir, **{name.replace("_", ".", 1): value for name, value in flags.items()}})


def with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Run ``work`` on the migrated database, and close it."""

    async def run() -> T:
        try:
            database = Database(settings.database_url)
        except ValueError as error:
            raise Refused(f"database.url: {error}") from error
        try:
            await asyncio.to_thread(database.migrate)
            return await work(database)
        finally:
            await database.close()

    make_data_dir(settings)
    return asyncio.run(run())


def make_data_dir(settings: Settings) -> None:
    """The data folder, made if it is not there, for nobody else to look into: it holds what people say, and secrets."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Refused(f"the data folder {settings.data_dir} cannot be made: {error.strerror}") from error


def alone(settings: Settings) -> IO[bytes]:
    """A lock that one server holds on a data folder as long as it runs; the system lets go of it if it is killed."""
    make_data_dir(settings)
    file = open(settings.data_dir / "server.lock", "ab")  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise Refused(
            f"another server runs on {settings.data_dir}; stop it, or give this one its own folder with --data-dir"
        ) from None
    return file


async def organization_of(database: Database, id: str | None) -> str:
    """The organization with this id; without one, the first that there is.

    Raises:
        Refused: there is none.
    """
    query = select(organizations.c.id).order_by(organizations.c.created_at, organizations.c.id)
    if id is not None:
        query = query.where(organizations.c.id == id)
    found = await database.read(lambda connection: connection.execute(query.limit(1)).scalar())
    if found is None:
        raise Refused("there is no organization yet; the first start makes one" if id is None else f"there is no {id}")
    return str(found)


async def catalog_of(database: Database) -> Catalog:
    """The catalog with the current bindings."""
    bindings = Bindings(database)
    await bindings.refresh()
    return Catalog(load_cards(), bindings)
