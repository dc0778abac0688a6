"""``inhouse credits``."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer

from inhouse.cli.common import AsJson, DataDir, Organization, Refused, out, settings_of, told
from inhouse.cli.installation import organization_of, with_database
from inhouse.cli.listing import print_rows
from inhouse.kit.money import format_dollars, nano_dollars
from inhouse.metering.budgets import Budgets
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="Prepaid credits and monthly limits of an organization.")


@app.command()
def grant(
    dollars: Annotated[str, typer.Argument(help="How much, e.g. 25.00.")],
    take_back: Annotated[bool, typer.Option("--take-back", help="Take it back instead.")] = False,
    note: Annotated[str, typer.Option(help="What for.")] = "",
    organization: Organization = None,
    data_dir: DataDir = None,
) -> None:
    """Add prepaid credits. From the first grant on, nothing is served beyond them."""

    async def work(database: Database) -> None:
        id = await organization_of(database, organization)
        granted = await Budgets(database).grant(id, -nanos if take_back else nanos, actor=getuser(), note=note)
        out.print(f"{id} has {format_dollars(granted.left_nanos)} left")

    with told():
        try:
            nanos = nano_dollars(dollars)
        except ValueError as error:
            raise Refused(str(error)) from error
        with_database(settings_of(data_dir), work)


@app.command()
def show(organization: Organization = None, json: AsJson = False, data_dir: DataDir = None) -> None:
    """What is spent, and what of it is limited."""

    async def work(database: Database) -> None:
        accounts = [
            {
                "account": account.kind,
                "limit_nanos": account.limit_nanos,
                "spent_nanos": account.spent_nanos,
                "reserved_nanos": account.reserved_nanos,
            }
            for account in await Budgets(database).standing(await organization_of(database, organization))
        ]
        print_rows(accounts, json=json)

    with told():
        with_database(settings_of(data_dir), work)


@app.command()
def end(organization: Organization = None, data_dir: DataDir = None) -> None:
    """Ask for credits no longer. The grants stay on record."""

    async def work(database: Database) -> None:
        id = await organization_of(database, organization)
        await Budgets(database).end_credits(id)
        out.print(f"{id} needs no credits")

    with told():
        with_database(settings_of(data_dir), work)
