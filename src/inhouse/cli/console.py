"""``inhouse console``."""

from __future__ import annotations

from typing import Annotated

import typer

from inhouse.access.accounts import Accounts
from inhouse.cli.common import DataDir, out, settings_of, told
from inhouse.cli.installation import with_database
from inhouse.settings import Settings
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="The pages that people see.")


@app.callback()
def console() -> None:
    """The pages that people see."""


@app.command()
def link(
    email: Annotated[
        str | None, typer.Option(help="Of a user, or of somebody invited. Without it: the link of the first account.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link to choose a password with: once, within a day; of an invite, as long as that is valid."""
    with told():
        settings = settings_of(data_dir)

        async def work(database: Database) -> None:
            accounts = Accounts(database)
            token = await (accounts.first_link() if email is None else accounts.link_of_address(email))
            out.print(welcome(settings, token), soft_wrap=True)

        with_database(settings, work)


def welcome(settings: Settings, token: str) -> str:
    """Where a link's token leads."""
    base = settings.console.url.rstrip("/") or f"http://{settings.server.host}:{settings.server.port}"
    return f"{base}/welcome?token={token}"
