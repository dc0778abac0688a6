"""``inhouse database``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import URL, Connection

from inhouse.cli.common import DataDir, Refused, err, out, settings_of, told
from inhouse.cli.installation import alone, with_database
from inhouse.cli.ledger import show
from inhouse.metering import instances
from inhouse.metering.ledger import Ledger
from inhouse.metering.verify import Verdict, verify
from inhouse.settings import Settings
from inhouse.storage.connect import parse_url, shown
from inhouse.storage.database import Database
from inhouse.storage.journal import beside

app = typer.Typer(no_args_is_help=True, help="The database as a whole: carried over to another, or backed up.")


@app.command()
def copy(
    to: Annotated[str, typer.Option("--to", help="URL of an empty database: postgresql://… or sqlite:////path.")],
    data_dir: DataDir = None,
) -> None:
    """Copy everything to another, empty database, e.g. from SQLite to PostgreSQL.

    No server may run on this one meanwhile. The copy is there whole or not at all. Contents of files are not in the
    database: see docs/deployment.md.
    """
    from inhouse.storage.copying import CopyFailed, copy_database

    with told():
        settings = settings_of(data_dir)
        target = _parsed(to, "--to")
        with _unserved(settings):
            alive = with_database(settings, _settle)
            try:
                with _bar() as show_done:
                    counts = copy_database(
                        settings.database_url, to, show_done, lambda connection: _refuse_served(connection, alive)
                    )
            except CopyFailed as error:
                raise Refused(str(error)) from error
        rows = sum(counts.values())
        out.print(f"{rows:,} rows of {sum(map(bool, counts.values()))} tables, and as many in the copy", soft_wrap=True)
        verdict = asyncio.run(_books(to))
    show(verdict)
    if not verdict.clean:
        raise typer.Exit(1)
    out.print(f"now set database.url (INHOUSE_DATABASE__URL) to {shown(target)}", markup=False, soft_wrap=True)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to write the copy; it must not exist.")], data_dir: DataDir = None
) -> None:
    """Copy SQLite's file as it is at one moment, also while the server runs."""
    from inhouse.storage.backup import BackupFailed
    from inhouse.storage.backup import backup as write

    with told():
        source = _parsed(settings_of(data_dir).database_url, "database.url")
        if source.get_backend_name() != "sqlite" or source.database is None:
            raise Refused(
                "PostgreSQL has its own means, which also run beside servers: "
                f"pg_dump --format=custom --file={file} {source.database}"
            )
        try:
            with _bar() as show_done:
                size = write(Path(source.database), file, partial(show_done, "pages"))
        except BackupFailed as error:
            raise Refused(str(error)) from error
    out.print(f"{file}: {size / 1e6:,.1f} MB, checked", markup=False, soft_wrap=True)


async def _settle(database: Database) -> dict[str, int]:
    """Settle what killed servers left, in the database and in journals beside it.

    Returns:
        When servers last beat that may be alive, and did not while this looked.
    """
    from inhouse.api.responses.keeping import Keeping

    file = database.file
    ledger = Ledger(database, None if file is None else beside(file, "ledger"))
    known = await database.read(lambda connection: instances.beats(connection, ""))
    if running := await ledger.others():
        raise _served(running)
    await ledger.recover()
    keeping = Keeping(database, None if file is None else beside(file, "responses"))
    await keeping.start()
    await keeping.close()
    return known


def _refuse_served(connection: Connection, known: dict[str, int]) -> None:
    """Refuse if a server has begun since, or one that seemed dead has beaten."""
    found = instances.beats(connection, "")
    if running := sum(id not in known or at > known[id] for id, at in found.items()):
        raise _served(running)


def _served(running: int) -> Refused:
    return Refused(
        f"servers work on this database ({running}); stop them first, or what they write meanwhile would be missing in "
        "the copy"
    )


def _unserved(settings: Settings) -> IO[bytes]:
    """A lock that keeps a server from starting on the data folder."""
    try:
        return alone(settings)
    except Refused as error:
        raise Refused(
            f"a server runs on {settings.data_dir}; stop it first, or what it writes meanwhile would be missing in the "
            "copy"
        ) from error


async def _books(url: str) -> Verdict:
    database = Database(url)
    try:
        return await verify(database)
    finally:
        await database.close()


def _parsed(url: str, named: str) -> URL:
    try:
        return parse_url(url)
    except ValueError as error:
        raise Refused(f"{named}: {error}") from error


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Shows what is done of how much, from the first time that it is told."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=err)
    bar = progress.add_task("", total=None)

    def show(what: str, done: int, total: int) -> None:
        progress.start()
        progress.update(bar, description=what, completed=done, total=total)

    try:
        yield show
    finally:
        if progress.live.is_started:
            progress.stop()
