"""``inhouse doctor``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from sqlalchemy import text

from inhouse.cli.common import AsJson, DataDir, out, settings_of, told
from inhouse.cli.deployments import catalog_of
from inhouse.cli.installation import with_database
from inhouse.cli.listing import print_json
from inhouse.doctor import render, run_checks
from inhouse.engines.deployments import Hosted, Remote, weights_of
from inhouse.engines.hosts import HOSTS, Host
from inhouse.engines.weights import Manifest, WeightsCache, find_manifest
from inhouse.storage.database import Database

app = typer.Typer()


@app.command()
def doctor(
    deep: Annotated[bool, typer.Option(help="Hash the weights instead of looking at their sizes.")] = False,
    json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Say what this machine can run, what is missing, and what to do."""
    from inhouse.surroundings import check_surroundings  # and its clients, which a server may do without

    with told():
        settings = settings_of(data_dir)
        weights, hosts, remotes = with_database(settings, _needs, new=True)
        checks = run_checks(
            cache=WeightsCache(settings.cache_dir),
            weights=weights,
            hosts=hosts,
            data_dir=settings.data_dir,
            host=settings.server.host,
            port=settings.server.port,
            database=lambda: with_database(settings, _answer),
            deep=deep,
        )
        checks += asyncio.run(check_surroundings(settings, remotes))
    if json:
        print_json(checks)
    else:
        render(checks, out)
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(1)


async def _needs(database: Database) -> tuple[list[Manifest], list[Host], list[Remote]]:
    """The weights and the Python hosts that this installation's deployments use, and those that are elsewhere."""
    catalog = await catalog_of(database)
    deployments = [found.deployment for found in catalog.deployed()]
    ids = {name for deployment in deployments for name in weights_of(deployment)}
    kinds = {deployment.engine for deployment in deployments if isinstance(deployment, Hosted)}
    remotes = [deployment for deployment in deployments if isinstance(deployment, Remote)]
    return [find_manifest(name) for name in sorted(ids)], [HOSTS[kind] for kind in sorted(kinds)], remotes


async def _answer(database: Database) -> str:
    await database.read(lambda connection: connection.execute(text("SELECT 1")).scalar_one())
    return database.dialect
