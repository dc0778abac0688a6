from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from inhouse.jobs.runner import Runner
from inhouse.storage.database import Database
from inhouse.webhooks import Made, Webhooks

sys.path.append(str(Path(__file__).parent))


class Process:
    """What of a server delivers. Two on one database stand for two processes."""

    def __init__(self, database: Database, **options: Any) -> None:
        self.database = database
        self.runner = Runner(database, poll_s=0.03)
        self.webhooks = Webhooks(database, self.runner, **{"first_retry_s": 0.05, **options})

    async def endpoint(self, url: str, *events: str, project: str = "proj_one", **options: Any) -> Made:
        return await self.webhooks.create(
            "org-one",
            project,
            name="mine",
            url=url,
            event_types=events or ("response.completed",),
            **{"operators": True, **options},
        )

    async def close(self) -> None:
        await self.runner.stop()
        await self.webhooks.close()


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Callable[..., Process]]:
    made: list[Process] = []

    def make(**options: Any) -> Process:
        made.append(Process(database, **options))
        return made[-1]

    yield make
    for process in made:
        await process.close()
