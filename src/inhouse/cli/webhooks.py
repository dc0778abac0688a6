"""``inhouse webhooks``."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

from inhouse.cli.common import AsJson, DataDir, Project, Refused, err, out, settings_of, told
from inhouse.cli.installation import project_of, with_database
from inhouse.cli.listing import moment, print_json, print_rows
from inhouse.settings import Settings
from inhouse.storage.database import Database
from inhouse.webhooks import EVENT_TYPES, Webhooks

MOST = 1000
"""Deliveries that are told at once."""

app = typer.Typer(no_args_is_help=True, help="Receivers of events: background responses that ended, spend alerts.")

Id = Annotated[str, typer.Argument(help="As `inhouse webhooks list` shows it.")]


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="What is told, e.g. https://example.com/hook or http://localhost:8000.")],
    event: Annotated[
        list[str] | None, typer.Option(help="An event to tell of; repeat it for several. All of the project otherwise.")
    ] = None,
    name: Annotated[str, typer.Option(help="For people.")] = "Made on the command line",
    project: Project = None,
    json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a receiver. Its signing secret is shown once. It may be on this machine or in a private network."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        owner = await project_of(database, project)
        made = await webhooks.create(
            owner.organization_id, owner.id, name=name, url=url, event_types=event or EVENT_TYPES, operators=True
        )
        if json:
            print_json({"id": made.endpoint.id, "project": owner.id, "secret": made.secret})
        else:
            out.print(f"{made.endpoint.id}\n{made.secret}", soft_wrap=True)

    _run(data_dir, work)


@app.command("list")
def list_endpoints(json: AsJson = False, data_dir: DataDir = None) -> None:
    """All receivers of all projects, newest first."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        found = [
            {
                "id": each.id,
                "project": each.project_id,
                "name": each.name,
                "url": each.url,
                "events": ["all"] if set(each.event_types) >= set(EVENT_TYPES) else list(each.event_types),
                "state": "enabled" if each.disabled_at is None else f"disabled: {each.disabled_because}",
            }
            for each in (await webhooks.endpoints(None, limit=10_000))[0]
        ]
        print_rows(found, json=json)

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
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The newest ones.")] = 50,
    json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """What was told in the last 30 days, and what waits."""

    async def work(database: Database, webhooks: Webhooks) -> None:
        project_id = None if id is None else await _project_of(webhooks, id)
        found, more = await webhooks.deliveries(project_id, id, limit=limit)
        rows = [
            {
                "id": each.id,
                "receiver": each.endpoint_id,
                "event": each.event_type,
                "at": moment(each.created_at),
                "state": each.state,
                "attempts": each.attempts,
                "last_answer": each.last_error or each.last_status,
                "next_attempt": moment(each.next_at) if each.state == "pending" else None,
            }
            for each in found
        ]
        print_rows(rows, json=json)
        if more and limit < MOST:
            err.print(f"and older ones; ask for more with --limit {min(limit * 10, MOST)}")

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


async def _project_of(webhooks: Webhooks, id: str) -> str:
    for each in (await webhooks.endpoints(None, limit=10_000))[0]:
        if each.id == id:
            return each.project_id
    raise Refused(f"there is no webhook endpoint {id}")
