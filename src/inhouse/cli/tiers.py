"""``inhouse tiers``."""

from __future__ import annotations

from typing import Annotated

import typer

from inhouse.catalog.cards import TIERS, Tier
from inhouse.cli.common import AsJson, DataDir, Organization, out, settings_of, told
from inhouse.cli.installation import organization_of, with_database
from inhouse.cli.listing import print_json, print_rows
from inhouse.kit.money import format_dollars
from inhouse.limits import Limits
from inhouse.settings import Settings
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="Usage tiers: which rate limits an organization has.")


@app.command()
def show(organization: Organization = None, json: AsJson = False, data_dir: DataDir = None) -> None:
    """The tier of an organization, and what the next one takes."""

    async def work(database: Database) -> None:
        id = await organization_of(database, organization)
        standing = await _limits(settings, database).standing(id)
        if json:
            print_json({"organization": id, "limited": standing is not None, "standing": standing})
            return
        if standing is None:
            out.print("nobody is limited: limits.tier is off")
            return
        ahead = []
        if standing.pinned:
            ahead.append("pinned, does not rise")
        elif standing.next is not None:
            ahead.append(f"{_name(standing.next.tier)}:")
            if standing.next.missing_nanos:
                ahead.append(f"{format_dollars(standing.next.missing_nanos)} more")
            if standing.next.missing_days:
                ahead.append(f"{standing.next.missing_days} more days")
        month = format_dollars(standing.month_nanos)
        if standing.usage_limit_nanos is not None:
            month += f" of {format_dollars(standing.usage_limit_nanos)}"
        row = {"organization": id, "tier": _name(standing.tier), "spent_nanos": standing.spend.nanos}
        print_rows([{**row, "this_month": month, "next": " ".join(ahead)}], json=False)

    with told():
        settings = settings_of(data_dir)
        with_database(settings, work)


@app.command()
def pin(
    tier: Annotated[int, typer.Argument(min=0, max=5, help="The usage tier; 0 is Free.")],
    organization: Organization = None,
    data_dir: DataDir = None,
) -> None:
    """Fix an organization's tier, whatever it spends. Servers that run know it a second or two later."""

    async def work(database: Database) -> None:
        id = await organization_of(database, organization)
        await _limits(settings, database).accounts.pin(id, TIERS[tier])
        out.print(f"{id} is in {_name(TIERS[tier])}")

    with told():
        settings = settings_of(data_dir)
        with_database(settings, work)


@app.command()
def release(organization: Organization = None, data_dir: DataDir = None) -> None:
    """Let an organization's tier go again by the setting, or by what it spends."""

    async def work(database: Database) -> None:
        id = await organization_of(database, organization)
        accounts = _limits(settings, database).accounts
        await accounts.pin(id, None)
        out.print(f"{id} is in {_name(await accounts.tier(id))}")

    with told():
        settings = settings_of(data_dir)
        with_database(settings, work)


def _limits(settings: Settings, database: Database) -> Limits:
    # Who has which tier is in the database, so no store of buckets is opened for it.
    return Limits.of(settings.limits, database)


def _name(tier: Tier) -> str:
    return tier.replace("_", " ").title()
