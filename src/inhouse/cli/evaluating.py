"""``inhouse models evaluate``: what answers for a model is given tasks, as a batch, and its answers are graded."""

from __future__ import annotations

import io
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import msgspec
from sqlalchemy import select

from inhouse.api.completing import fingerprint
from inhouse.catalog import Resolved
from inhouse.catalog.evaluation import results
from inhouse.catalog.evaluation.grading import Reply
from inhouse.catalog.evaluation.results import Evaluation, grade
from inhouse.catalog.evaluation.tasks import Tasks, basic_tasks, load_tasks
from inhouse.cli.batches import Batch, ask, asked, connected, followed, started
from inhouse.cli.common import Refused, err, out
from inhouse.cli.deployments import catalog_of, describe
from inhouse.cli.installation import with_database
from inhouse.cli.listing import print_rows
from inhouse.settings import Settings
from inhouse.storage.database import Database
from inhouse.storage.schema import batches

ENDPOINT = "/v1/chat/completions"


class _Choice(msgspec.Struct):
    message: Reply


class _Error(msgspec.Struct):
    message: str


class _Body(msgspec.Struct):
    choices: list[_Choice] = []
    system_fingerprint: str = ""
    error: _Error | None = None


class _Response(msgspec.Struct):
    body: _Body


class _Line(msgspec.Struct):
    """Of a batch's output or error file."""

    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


def evaluated(settings: Settings, model: str, tasks: Path | None, base_url: str, api_key: str | None) -> None:
    """``inhouse models evaluate``."""
    given = _tasks(tasks)
    found = _find(settings, model)
    served_by = describe(found.deployment)
    err.print(f"{len(given.tasks)} tasks ({given.name}) for {found.snapshot.id}, {served_by}", soft_wrap=True)
    with connected(base_url, api_key) as api:
        lines = b"".join(task.line(found.snapshot.id) for task in given.tasks)
        batch_id = started(api, f"{given.name}.jsonl", io.BytesIO(lines), ENDPOINT)
        try:
            project_id = _project(settings, batch_id)
            batch = followed(api, batch_id)
        except (Refused, KeyboardInterrupt):
            with suppress(Refused):  # nobody will look at its answers
                ask(api, "POST", f"/batches/{batch_id}/cancel")
            raise
        replies = _replies(api, batch, found)
    evaluation = Evaluation(
        model=found.snapshot.id,
        deployment=found.deployment.id,
        served_by=served_by,
        tasks=given.name,
        groups=grade(given.tasks, replies),
        batch_id=batch_id,
        project_id=project_id,
        created_at=time.time_ns() // 1000,
    )
    with_database(settings, lambda database: database.write(lambda connection: results.add(connection, evaluation)))
    _show(evaluation, unanswered=len(given.tasks) - len(replies))


def _tasks(source: Path | None) -> Tasks:
    try:
        return basic_tasks() if source is None else load_tasks(source)
    except ValueError as error:
        raise Refused(f"{source}: {error}") from error
    except OSError as error:
        raise Refused(f"{source}: {error.strerror}") from error


def _find(settings: Settings, model: str) -> Resolved:
    """Raises: APIError: nothing here answers chat completions for the model."""

    async def work(database: Database) -> Resolved:
        return (await catalog_of(database)).resolve(model, "chat_completions")

    return with_database(settings, work)


def _project(settings: Settings, batch_id: str) -> str:
    """Whose batch it is, as the database says that the result goes into.

    Raises:
        Refused: it is not the server's database.
    """
    query = select(batches.c.project_id).where(batches.c.id == batch_id)

    async def work(database: Database) -> Any:
        return await database.read(lambda connection: connection.execute(query).scalar())

    project_id = with_database(settings, work)
    if project_id is None:
        raise Refused(f"the server keeps its data elsewhere than in {settings.data_dir}: pass its --data-dir")
    return str(project_id)


def _replies(api: httpx.Client, batch: Batch, found: Resolved) -> dict[str, Reply]:
    """The answers, by the ids of their tasks.

    Raises:
        Refused: the batch did not come to its end, nothing was answered, or something else answered.
    """
    if batch.status != "completed":
        why = (
            batch.errors.data[0].message if batch.errors and batch.errors.data else f"inhouse batches watch {batch.id}"
        )
        raise Refused(f"the batch is {batch.status}: {why}")
    answered = _lines(api, batch.output_file_id)
    if not answered:
        told = [line.response.body.error if line.response else line.error for line in _lines(api, batch.error_file_id)]
        raise Refused(f"no task was answered: {next((each.message for each in told if each), 'no reason is known')}")
    wanted = fingerprint(found.deployment.id)
    replies = {}
    for line in answered:
        if line.response is None or not line.response.body.choices:
            continue
        if line.response.body.system_fingerprint != wanted:
            raise Refused(f"what serves {found.snapshot.id} has changed meanwhile; evaluate it again")
        replies[line.custom_id] = line.response.body.choices[0].message
    return replies


def _lines(api: httpx.Client, file_id: str | None) -> list[_Line]:
    if file_id is None:
        return []
    content = asked(api, "GET", f"/files/{file_id}/content").content
    return msgspec.json.Decoder(_Line).decode_lines(content)


def _show(evaluation: Evaluation, unanswered: int) -> None:
    groups = [{"group": group.name, "passed": group.passed, "of": group.total} for group in evaluation.groups]
    print_rows(groups, json=False)
    told = f", {unanswered} of them not answered" if unanswered else ""
    out.print(f"{evaluation.passed} of {evaluation.total} tasks ({evaluation.tasks}){told}", soft_wrap=True)
