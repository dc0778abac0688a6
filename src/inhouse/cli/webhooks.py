"""``inhouse webhooks``."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from inhouse.access import store as access
from inhouse.cli.common import DataDir, Refused, id_column, out, settings_of, told, with_database
from inhouse.settings import Settings
from inhouse.storage.database import Database
from inhouse.webhooks import EVENT_TYPES, Webhooks

app = typer.Typer(no_args_is_help=True, help="Receivers of events: background responses that ended, spend alerts.")

Id = Annotated[str, typer.Argument(help="As `inhouse webhooks list` shows it.")]
Project = Annotated[str | None, typer.Option(help="Id of the project; the default one otherwise.")]


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="What is told, e.g. https://example.com/hook or http://localhost:8000.")],
    event: Annotated[
        list[str] | None, typer.Option(help="An event to tell of; repeat it for several. All of the project otherwise.")
    ] = None,
    name: Annotated[str, typer.Option(help="For people.")] = "Made on the command line",
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Make a receiver. Its signing secret is shown once. It may be on this machine or in a private network."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        organization_id, project_id = await _project(database, project)
        made = await webhooks.create(
            organization_id, project_id, name=name, url=url, event_types=event or EVENT_TYPES, operators=True
        )
        out.print(made.endpoint.id, soft_wrap=True)
        out.print(made.secret, soft_wrap=True)

    _run(data_dir, work)


@app.command("list")
def list_endpoints(data_dir: DataDir = None) -> None:
    """All receivers of all projects, newest first."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        table = Table(id_column(), "project", "name", "url", "events", "state")
        for each in (await webhooks.endpoints(None, limit=10_000))[0]:
            state = f"disabled: {each.disabled_because}" if each.disabled_at is not None else "enabled"
            events = "all" if set(each.event_types) >= set(EVENT_TYPES) else ", ".join(each.event_types)
            table.add_row(each.id, each.project_id, escape(each.name), escape(each.url), events, state)
        out.print(table)

    _run(data_dir, work)


@app.command()
def delete(id: Id, data_dir: DataDir = None) -> None:
    """Delete a receiver. What waits for it is not told any more."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        await webhooks.delete(await _project_of(webhooks, id), id)
        out.print(f"{id} is deleted")

    _run(data_dir, work)


@app.command()
def enable(id: Id, data_dir: DataDir = None) -> None:
    """Tell a receiver again that was disabled because it answered 410, or that is waited for."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        await webhooks.update(await _project_of(webhooks, id), id)
        out.print(f"{id} is enabled")

    _run(data_dir, work)


@app.command("test")
def send_test(
    id: Id,
    event: Annotated[str, typer.Option(help="Type of the sample event.")] = "response.completed",
    data_dir: DataDir = None,
) -> None:
    """Send a sample event now, and say what the receiver answered."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        attempt = await webhooks.test(await _project_of(webhooks, id), id, event)
        if not attempt.delivered:
            raise Refused(f"not delivered: {attempt.error}")
        out.print(f"delivered: it answered {attempt.status}")

    _run(data_dir, work)


@app.command()
def deliveries(
    id: Annotated[str | None, typer.Argument(help="Of this receiver only.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest ones.")] = 50,
    data_dir: DataDir = None,
) -> None:
    """What was told in the last 30 days, and what waits."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        project_id = None if id is None else await _project_of(webhooks, id)
        found, more = await webhooks.deliveries(project_id, id, limit=limit)
        table = Table(id_column(), "receiver", "event", "at", "state", "attempts", "last answer", "next attempt")
        for each in found:
            answer = each.last_error or (str(each.last_status) if each.last_status is not None else "")
            next_at = _moment(each.next_at) if each.state == "pending" else ""
            table.add_row(
                each.id,
                each.endpoint_id,
                each.event_type,
                _moment(each.created_at),
                each.state,
                str(each.attempts),
                escape(answer),
                next_at,
            )
        out.print(table)
        if more:
            out.print(f"and older ones; ask for more with --limit {limit * 10}")

    _run(data_dir, work)


def _run(data_dir: Any, work: Any) -> None:
    with told():
        settings: Settings = settings_of(data_dir)

        async def with_webhooks(database: Database) -> None:
            webhooks = Webhooks(database, networks=settings.webhooks.networks)
            try:
                running: Coroutine[Any, Any, None] = work(database, webhooks)
                await running
            finally:
                await webhooks.close()

        with_database(settings, with_webhooks)


async def _project(database: Database, id: str | None) -> tuple[str, str]:
    """Organization and project."""

    def look(connection: Connection) -> tuple[str, str] | None:
        found = access.project(connection, id)
        return None if found is None else (found.organization_id, found.id)

    found = await database.read(look)
    if found is None:
        raise Refused("there is no project yet; the first start makes one" if id is None else f"there is no {id}")
    return found


async def _project_of(webhooks: Webhooks, id: str) -> str:
    for each in (await webhooks.endpoints(None, limit=10_000))[0]:
        if each.id == id:
            return each.project_id
    raise Refused(f"there is no webhook endpoint {id}")


def _moment(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d %H:%M:%S}"
