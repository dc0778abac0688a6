"""``inhouse assistants``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from inhouse.access import Caller
from inhouse.api.assistants import wire
from inhouse.api.assistants.importing import take_up
from inhouse.api.assistants.migrating import Migrations
from inhouse.cli.common import DataDir, Project, Refused, out, settings_of, told
from inhouse.cli.installation import project_of, with_database
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="Assistants: take them up from elsewhere, move them off to Responses.")


@app.command()
def migrate(
    assistant_id: Annotated[str | None, typer.Argument(help="Id of the assistant.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every assistant and every thread of the project.")] = False,
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Make a saved prompt of an assistant and conversations of its threads. Nothing is taken away."""

    async def work(database: Database) -> None:
        owner = await project_of(database, project)
        migrations = Migrations(database)
        if assistant_id is None:
            moved = await migrations.migrate_all(owner.id)
        else:
            moved = [await migrations.migrate(Caller(owner.organization_id, owner.id, "cli"), assistant_id)]
        for each in moved:
            _report(each)

    with told():
        if (assistant_id is None) != everything:
            raise Refused("name an assistant, or say --all")
        with_database(settings_of(data_dir), work)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON or JSON Lines.")],
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Take up assistants, threads and messages as the vendor's API returned them, under their ids."""

    async def work(database: Database) -> None:
        owner = await project_of(database, project)
        taken = await take_up(database, owner.id, file.read_bytes())
        out.print(
            f"taken up: {taken.assistants} assistants, {taken.threads} threads, {taken.messages} messages; "
            f"there already: {taken.known}",
            soft_wrap=True,
        )
        _left_behind(taken.left_behind)

    with told():
        with_database(settings_of(data_dir), work)


def _report(moved: wire.Migration) -> None:
    if moved.assistant_id is not None:
        out.print(f"{moved.assistant_id} → {moved.prompt_id}", soft_wrap=True)
        _left_behind(moved.left_behind)
    for thread in moved.threads:
        out.print(f"{thread.thread_id} → {thread.conversation_id} ({thread.items} items)", soft_wrap=True)
        _left_behind(thread.left_behind)


def _left_behind(what: list[str]) -> None:
    for each in what:
        out.print(f"  [yellow]not carried over:[/] {escape(each)}", soft_wrap=True)
