"""Tasks of an evaluation: JSONL, one a line, named by their file. ``basic-1`` comes with the package.

A file that others have measured with is never changed; a better one gets the next number.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec

from inhouse.catalog.evaluation.grading import Grade

BASIC = "basic-1"
MAX_TOKENS = 48
"""Of an answer, unless its task says otherwise."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request of chat completions, and what its answer must be."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    group: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    messages: Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]
    grade: Grade
    tools: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    response_format: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = MAX_TOKENS

    def line(self, model: str) -> bytes:
        """The request as a line of a batch."""
        body = {
            "model": model,
            "messages": self.messages,
            "tools": self.tools,
            "response_format": self.response_format,
            "temperature": 0,
            "max_completion_tokens": self.max_tokens,
        }
        given = {name: value for name, value in body.items() if value is not msgspec.UNSET}
        request = {"custom_id": self.id, "method": "POST", "url": "/v1/chat/completions", "body": given}
        return msgspec.json.encode(request) + b"\n"


class Tasks(msgspec.Struct, frozen=True):
    name: str
    tasks: list[Task]


def basic_tasks() -> Tasks:
    """The tasks of the package."""
    return _read(BASIC, resources.files(__package__).joinpath(f"{BASIC}.jsonl").read_bytes())


def load_tasks(source: Path) -> Tasks:
    """The tasks of a file, named after it.

    Raises:
        ValueError: what is wrong, and in which line.
        OSError: the file cannot be read.
    """
    return _read(source.stem, source.read_bytes())


def _read(name: str, data: bytes) -> Tasks:
    tasks: dict[str, Task] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            task = msgspec.json.decode(line, type=Task)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"line {number}: {error}") from error
        if task.id in tasks:
            raise ValueError(f"line {number}: there is another task {task.id!r}")
        tasks[task.id] = task
    if not tasks:
        raise ValueError("there are no tasks")
    return Tasks(name, list(tasks.values()))
