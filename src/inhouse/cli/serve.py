"""``inhouse serve``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from inhouse.access import Access, Bootstrapped
from inhouse.access.accounts import Accounts
from inhouse.cli.common import DataDir, Refused, out, settings_of, told
from inhouse.cli.console import welcome
from inhouse.cli.deployments import catalog_of, pull_deployments
from inhouse.cli.installation import alone, with_database
from inhouse.settings import Secret, Settings
from inhouse.storage.database import Database

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Pull missing weights, migrate the database, and serve."""
    from inhouse.logs import configure_logs
    from inhouse.server import own_port
    from inhouse.server import serve as run

    with told():
        settings = settings_of(data_dir, server_host=host, server_port=port)
        configure_logs(settings.log)
        listen = settings.server
        with alone(settings):
            try:
                owned = own_port(listen.host, listen.port)
            except OSError as error:
                raise Refused(f"cannot listen on {listen.host}:{listen.port}: {error.strerror}") from error
            listen = msgspec.structs.replace(listen, port=owned.getsockname()[1])
            settings = msgspec.structs.replace(settings, server=listen)
            made, token = with_database(settings, lambda database: _prepare(settings, database), new=True)
            _greet(settings, made, token)
            run(settings, owned)


async def _prepare(settings: Settings, database: Database) -> tuple[Bootstrapped, str]:
    """Everything before the port opens: the keys are there, and the weights of every deployment.

    Returns:
        What the start made, and while there is no account the token of the link that makes the first.
    """
    made = await Access(database).bootstrap(_clear(settings.api_key), _clear(settings.admin_key))
    catalog = await catalog_of(database)
    if settings.engines.pull:
        await asyncio.to_thread(pull_deployments, settings, [found.deployment for found in catalog.deployed()])
    accounts = Accounts(database)
    return made, await accounts.first_link() if await accounts.nobody() else ""


def _greet(settings: Settings, made: Bootstrapped, token: str) -> None:
    base = f"http://{settings.server.host}:{settings.server.port}"
    out.print(f"[bold]Inhouse[/]\n  base URL  {base}/v1\n  console   {base}/", soft_wrap=True)
    if made.api_key is not None:
        out.print(f"  API key   {made.api_key}   shown this once; `inhouse keys create` makes more", soft_wrap=True)
    if token:
        out.print(f"  account   {welcome(settings, token)}   makes the first one, within a day", soft_wrap=True)
    out.print(f"  data      {settings.data_dir}", markup=False, soft_wrap=True)


def _clear(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
