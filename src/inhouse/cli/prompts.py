"""``inhouse prompts``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from inhouse.api.prompts.rendering import variables_of
from inhouse.api.prompts.service import PromptsService
from inhouse.api.prompts.wire import PromptContent
from inhouse.api.responses.wire import InputMessage
from inhouse.cli.common import AsJson, DataDir, Project, Refused, err, out, settings_of, told
from inhouse.cli.installation import project_of, with_database
from inhouse.cli.listing import moment, print_json, print_rows
from inhouse.kit.validation import decode
from inhouse.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="Saved prompts, for `prompt` in Responses.")

Id = Annotated[str, typer.Argument(help="Id of the prompt.")]
Text = Annotated[str | None, typer.Option(help="What the developer says; `{{name}}` is a variable.")]
Model = Annotated[str | None, typer.Option(help="The model, where a request names none.")]
File = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="JSON instead: messages, and what a request may set: model, tools, tool_choice, text, temperature, ...",
    ),
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the prompt is for.")],
    text: Text = None,
    model: Model = None,
    file: File = None,
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Make a prompt, and publish its first version. Prints its id."""

    async def work(database: Database) -> None:
        service, project_id = await _of(database, project)
        out.print((await service.create(project_id, name, content)).id, soft_wrap=True)

    with told():
        content = _content(text, model, file)
        with_database(settings_of(data_dir), work)


@app.command()
def update(
    id: Id,
    text: Text = None,
    model: Model = None,
    file: File = None,
    publish: Annotated[bool, typer.Option("--publish", help="Use it where a request names none.")] = False,
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Add a version. Prints its number.

    With --text or --model, the rest stays as it is in the newest version; --file is all of it.
    """

    async def work(database: Database) -> None:
        service, project_id = await _of(database, project)
        newest = (await service.get(project_id, id)).versions
        before = (await service.version(project_id, id, newest)).content
        content = _content(text, model, file, before)
        out.print(await service.add_version(project_id, id, content, publish=publish))

    with told():
        with_database(settings_of(data_dir), work)


@app.command("list")
def list_prompts(project: Project = None, json: AsJson = False, data_dir: DataDir = None) -> None:
    """All prompts of a project."""

    async def work(database: Database) -> None:
        service, project_id = await _of(database, project)
        found = [
            {
                "id": prompt.id,
                "name": prompt.name,
                "published": prompt.published,
                "versions": prompt.versions,
                "created": moment(prompt.created_at),
            }
            for prompt in await service.list(project_id)
        ]
        print_rows(found, json=json)

    with told():
        with_database(settings_of(data_dir), work)


@app.command()
def show(
    id: Id,
    version: Annotated[int | None, typer.Option(min=1, help="By default the published one.")] = None,
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """A version as JSON, which `--file` takes; its number and variables on stderr."""

    async def work(database: Database) -> None:
        service, project_id = await _of(database, project)
        found = await service.version(project_id, id, version)
        print_json(found.content)
        names = ", ".join(variables_of(found.content)) or "none"
        err.print(f"version {found.version}, variables: {names}", style="dim", markup=False, soft_wrap=True)

    with told():
        with_database(settings_of(data_dir), work)


@app.command()
def publish(
    id: Id,
    version: Annotated[int, typer.Argument(min=1, help="Newer or older.")],
    project: Project = None,
    data_dir: DataDir = None,
) -> None:
    """Use a version where a request names none."""

    async def work(database: Database) -> None:
        service, project_id = await _of(database, project)
        await service.publish(project_id, id, version)

    with told():
        with_database(settings_of(data_dir), work)


async def _of(database: Database, project: str | None) -> tuple[PromptsService, str]:
    return PromptsService(database), (await project_of(database, project)).id


def _content(
    text: str | None, model: str | None, file: Path | None, before: PromptContent | None = None
) -> PromptContent:
    """What a version says.

    Args:
        before: what the version before it says.
    """
    if (text is not None and file is not None) or (text is None and file is None and (model is None or before is None)):
        raise Refused("give --text or --file")
    if file is not None:
        written = file.read_bytes()
        try:
            msgspec.json.decode(written)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Refused(f"{file}: {error}") from error
        content: PromptContent = decode(written, PromptContent)
    else:
        content = before or PromptContent(messages=[])
        if text is not None:
            messages: list[InputMessage] = [InputMessage(role="developer", content=text)]
            content = msgspec.structs.replace(content, messages=messages)
    return content if model is None else msgspec.structs.replace(content, model=model)
