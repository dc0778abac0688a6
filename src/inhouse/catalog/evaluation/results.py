"""Results of evaluations: what was graded, and the queries. A result belongs to the deployment that it was measured
on; once a model is bound to another, it is history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from sqlalchemy import Connection, insert, select

from inhouse.catalog.evaluation.grading import Reply
from inhouse.catalog.evaluation.tasks import Task
from inhouse.storage.schema import evaluations


class Group(msgspec.Struct, frozen=True):
    """Tasks of one group: how many were passed, of how many."""

    name: str
    passed: int
    total: int


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run."""

    model: str
    """Snapshot."""
    deployment: str
    """Id of the deployment that answered."""
    served_by: str
    """What that was, in words."""
    tasks: str
    """Name of the tasks, such as ``basic-1``."""
    groups: list[Group]
    batch_id: str
    """The run."""
    project_id: str
    """Whose run it was."""
    created_at: int
    """Unix microseconds."""

    @property
    def passed(self) -> int:
        return sum(group.passed for group in self.groups)

    @property
    def total(self) -> int:
        return sum(group.total for group in self.groups)

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.created_at / 1_000_000, UTC)


def grade(tasks: Sequence[Task], replies: Mapping[str, Reply]) -> list[Group]:
    """Tasks passed by group, in the order of the tasks. A task without a reply is not passed."""
    passed: dict[str, list[bool]] = {}
    for task in tasks:
        reply = replies.get(task.id)
        passed.setdefault(task.group, []).append(reply is not None and task.grade.passes(reply))
    return [Group(name, sum(each), len(each)) for name, each in passed.items()]


def add(connection: Connection, evaluation: Evaluation) -> None:
    groups = msgspec.json.encode(evaluation.groups).decode()
    row = {**msgspec.structs.asdict(evaluation), "groups": groups}
    connection.execute(insert(evaluations).values(**row, passed=evaluation.passed, total=evaluation.total))


def newest(connection: Connection, model: str, deployment: str) -> Evaluation | None:
    """The last result of a snapshot on a deployment."""
    query = (
        select(evaluations)
        .where(evaluations.c.model == model, evaluations.c.deployment == deployment)
        .order_by(evaluations.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    fields = {name: getattr(row, name) for name in Evaluation.__struct_fields__}
    return Evaluation(**{**fields, "groups": msgspec.json.decode(row.groups, type=list[Group])})
