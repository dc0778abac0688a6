"""``inhouse credits``."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer
from rich.table import Table

from inhouse.cli.common import DataDir, Refused, organization_of, out, settings_of, told, with_database
from inhouse.kit.money import format_dollars, nano_dollars
from inhouse.metering.budgets import Budgets
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="Prepaid credits and monthly limits of an organization.")

Organization = Annotated[str | None, typer.Option(help="Id of the organization; the default one otherwise.")]


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
def show(organization: Organization = None, data_dir: DataDir = None) -> None:
    """What is spent, and what of it is limited."""

    async def work(database: Database) -> None:
        table = Table("account", "limit", "spent", "reserved")
        for account in await Budgets(database).standing(await organization_of(database, organization)):
            limit = "" if account.limit_nanos is None else format_dollars(account.limit_nanos)
            spent, reserved = format_dollars(account.spent_nanos), format_dollars(account.reserved_nanos)
            table.add_row(account.kind, limit, spent, reserved)
        out.print(table)

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
