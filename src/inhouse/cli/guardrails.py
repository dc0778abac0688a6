"""``inhouse guardrails``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from inhouse.access import Access, Caller
from inhouse.access.policies import MODERATION_MODEL
from inhouse.api.organization.policies import wire
from inhouse.api.organization.policies.service import PolicyService
from inhouse.cli.common import DataDir, Project, Refused, settings_of, told
from inhouse.cli.deployments import catalog_of
from inhouse.cli.installation import project_of, with_database
from inhouse.cli.listing import print_json
from inhouse.kit.validation import convert
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="What of a project's generations is moderated.")

Mode = Annotated[str, typer.Option(help="off, annotate or block.")]


@app.command()
def show(project: Project = None, data_dir: DataDir = None) -> None:
    """What is moderated, as JSON."""

    async def work(database: Database) -> None:
        service, caller = await _office(database, project)
        print_json(await service.guardrails(caller, caller.project_id))

    with told():
        with_database(settings_of(data_dir), work)


@app.command("set")
def set_guardrails(
    input: Mode = "off",
    output: Mode = "off",
    model: Annotated[str, typer.Option(help="The moderation model.")] = MODERATION_MODEL,
    category: Annotated[list[str] | None, typer.Option(help="A category that flags; all, if none is given.")] = None,
    threshold: Annotated[
        list[str] | None, typer.Option(help="Score from which a category flags: violence=0.8.")
    ] = None,
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Change what is moderated: annotate tells verdicts, block also refuses input and ends answers. Servers that run
    know it a second later."""

    async def work(database: Database) -> None:
        service, caller = await _office(database, project)
        print_json(await service.set_guardrails(caller, caller.project_id, body))

    with told():
        given: dict[str, Any] = {"input": input, "output": output, "model": model, "categories": category or None}
        given["thresholds"] = dict(map(_threshold, threshold or ()))
        body = convert(given, wire.UpdateGuardrails)
        with_database(settings_of(data_dir), work)


def _threshold(given: str) -> tuple[str, float]:
    category, _, score = given.partition("=")
    try:
        return category, float(score)
    except ValueError as error:
        raise Refused(f"a threshold is a category and a score, such as violence=0.8, not {given!r}") from error


async def _office(database: Database, project: str | None) -> tuple[PolicyService, Caller]:
    found = await project_of(database, project)
    service = PolicyService(database, Access(database), await catalog_of(database))
    return service, Caller(found.organization_id, found.id, "cli", admin=True)
