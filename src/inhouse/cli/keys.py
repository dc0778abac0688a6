"""``inhouse keys``."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.markup import escape

from inhouse.access import Access
from inhouse.access.roles import granted
from inhouse.access.scopes import Permission
from inhouse.cli.common import AsJson, DataDir, Refused, err, out, settings_of, told
from inhouse.cli.installation import with_database
from inhouse.cli.listing import moment, print_json, print_rows
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="API keys.")

DAY_US = 86_400 * 1_000_000


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")] = "Key made on the command line",
    admin: Annotated[bool, typer.Option(help="A key that manages the organization.")] = False,
    project: Annotated[str | None, typer.Option(help="Id of the project; the default one otherwise.")] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it expires; never otherwise.")] = None,
    user: Annotated[str | None, typer.Option(help="Id of the user it belongs to; nobody otherwise.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="It may only read.")] = False,
    scope: Annotated[
        list[str] | None, typer.Option(help="It may only do this, e.g. `model.request`; repeat it for several.")
    ] = None,
    json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a key. It is shown once."""
    permission: Permission = "restricted" if scope else "read_only" if read_only else "all"

    async def work(database: Database) -> None:
        access = Access(database)
        made_for = (await access.bootstrap()).organization_id
        if user is not None:
            from inhouse.api.organization.people.users import user_of  # the API, which most keys need not load

            await database.read(lambda connection: user_of(connection, made_for, user))
        expires_at = None if days is None else time.time_ns() // 1000 + days * DAY_US
        made = await access.create_key(
            name,
            kind="admin" if admin else "project",
            project_id=project,
            expires_at=expires_at,
            user_id=user,
            permission=permission,
            scopes=tuple(scope or ()),
        )
        key = made.key
        if json:
            print_json({"id": key.id, "kind": key.kind, "project": key.project_id, "key": made.secret})
        else:
            out.print(made.secret, soft_wrap=True)
        if await database.read(lambda connection: granted(connection, user, key.project_id)) == frozenset():
            err.print(
                f"[yellow]warning:[/] the key allows nothing until {escape(user or '')} is a member of "
                f"{key.project_id or 'the organization'}, or has a role there",
                soft_wrap=True,
            )
        for unknown in _unknown(scope or []):
            err.print(f"[yellow]warning:[/] nothing needs the scope {escape(unknown)}", soft_wrap=True)

    with told():
        if scope and read_only:
            raise Refused("give --scope or --read-only, not both")
        with_database(settings_of(data_dir), work, new=True)


def _unknown(scopes: list[str]) -> list[str]:
    if not scopes:
        return []
    from inhouse.api.operation import operations_of
    from inhouse.api.surface import FACES

    needed = {operation.scope for operation in operations_of(*FACES)}
    return [scope for scope in scopes if scope not in needed]


@app.command("list")
def list_keys(json: AsJson = False, data_dir: DataDir = None) -> None:
    """All keys, newest first, revoked ones too."""

    async def work(database: Database) -> None:
        rows = []
        now = time.time_ns() // 1000
        for key in await Access(database).list_keys():
            if key.revoked_at is not None:
                state = "revoked"
            elif key.expires_at is not None and key.expires_at <= now:
                state = "expired"
            else:
                state = "valid"
            rows.append(
                {
                    "id": key.id,
                    "kind": key.kind,
                    "name": key.name,
                    "key": key.hint,
                    "project": key.project_id,
                    "may": list(key.scopes) or [key.permission],
                    "created": moment(key.created_at),
                    "last_used": moment(key.last_used_at),
                    "state": state,
                }
            )
        print_rows(rows, json=json)

    with told():
        with_database(settings_of(data_dir), work)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `inhouse keys list` shows it.")], data_dir: DataDir = None
) -> None:
    """End a key for good. A running server refuses it within a second."""

    async def work(database: Database) -> None:
        key = await Access(database).revoke_key(id)
        out.print(f"{key.id} ({key.name}) is revoked", markup=False, soft_wrap=True)

    with told():
        with_database(settings_of(data_dir), work)
