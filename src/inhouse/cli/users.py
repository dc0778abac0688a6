"""``inhouse users``."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select

from inhouse.access import Access
from inhouse.access.audit import COMMAND_LINE
from inhouse.cli.common import AsJson, DataDir, Refused, out, settings_of, told
from inhouse.cli.installation import with_database
from inhouse.cli.listing import print_rows
from inhouse.storage.database import Database
from inhouse.storage.schema import invites, users

app = typer.Typer(no_args_is_help=True, help="People of the organizations.")


@app.command("list")
def list_users(json: AsJson = False, data_dir: DataDir = None) -> None:
    """All users."""

    async def work(database: Database) -> None:
        query = select(users).where(users.c.deleted_at.is_(None)).order_by(users.c.added_at, users.c.id)
        found = await database.read(lambda connection: connection.execute(query).all())
        people = [
            {"id": u.id, "name": u.name, "email": u.email, "role": u.role, "organization": u.organization_id}
            for u in found
        ]
        print_rows(people, json=json)

    with told():
        with_database(settings_of(data_dir), work)


@app.command()
def accept(
    invite: Annotated[str, typer.Argument(help="Id of the invite.")],
    name: Annotated[str, typer.Argument(help="Name of the person.")],
    data_dir: DataDir = None,
) -> None:
    """Make the user who was invited. `inhouse keys create --user ID` then makes a key for it."""

    from inhouse.api.organization.people.users import InviteService

    async def work(database: Database) -> None:
        query = select(invites.c.organization_id).where(invites.c.id == invite)
        organization = await database.read(lambda connection: connection.execute(query).scalar())
        if organization is None:
            raise Refused(f"there is no invite {invite}")
        service = InviteService(database, Access(database))
        out.print(await service.accept(organization, invite, name, COMMAND_LINE))

    with told():
        with_database(settings_of(data_dir), work)
