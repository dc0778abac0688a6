"""The database of an installation, for commands that look or work in it."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy import select

from inhouse.access import store
from inhouse.cli.common import Refused, err
from inhouse.settings import Settings
from inhouse.storage.connect import parse_url
from inhouse.storage.database import Database
from inhouse.storage.schema import organizations

T = TypeVar("T")


def with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, T]], *, new: bool = False) -> T:
    """Run ``work`` on the migrated database, and close it.

    Args:
        new: make the database if there is none. What only looks would show an empty one to who is in the wrong folder.

    Raises:
        Refused: there is none, or the URL names none.
    """
    try:
        url = parse_url(settings.database_url)
    except ValueError as error:
        raise Refused(f"database.url: {error}") from error
    file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
    if file is not None and not file.exists():
        if not new:
            raise Refused(
                f"there is no database {file}; start the server once, or name its folder with --data-dir or "
                "INHOUSE_DATA_DIR"
            )
        make_data_dir(settings)
        err.print(f"a new database: {file}", style="dim", markup=False, soft_wrap=True)

    async def run() -> T:
        database = Database(settings.database_url)
        try:
            await asyncio.to_thread(database.migrate)
            return await work(database)
        finally:
            await database.close()

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
    file = open(settings.lock_file, "ab")  # noqa: SIM115 - the caller closes it
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
        raise Refused(
            "there is no organization yet; the first start makes one"
            if id is None
            else f"there is no organization {id}"
        )
    return str(found)


async def project_of(database: Database, id: str | None) -> store.Project:
    """The project with this id; without one, the default project.

    Raises:
        Refused: there is none.
    """
    found = await database.read(partial(store.project, id=id))
    if found is None:
        raise Refused(
            "there is no project yet; the first start makes one" if id is None else f"there is no project {id}"
        )
    return found
