"""The faces of Assistants, wired."""

from __future__ import annotations

from typing import Any

from inhouse.api.assistants.assistants import AssistantsService
from inhouse.api.assistants.migrating import Migrations
from inhouse.api.assistants.routes import Assistants, Runs, Threads
from inhouse.api.assistants.running import EXPIRES_S, RunMaker
from inhouse.api.assistants.runs import RunsService
from inhouse.api.assistants.stores import Stores
from inhouse.api.assistants.threads import ThreadsService
from inhouse.api.assistants.tools import Keeping
from inhouse.api.responses.hosting import HostedTools
from inhouse.calls import Calls
from inhouse.files import Files
from inhouse.jobs.runner import Runner
from inhouse.storage.database import Database


def assistants_faces(
    calls: Calls,
    database: Database,
    runner: Runner,
    hosts: HostedTools,
    files: Files | None = None,
    stores: Stores | None = None,
    *,
    expires_s: float = EXPIRES_S,
) -> tuple[Any, ...]:
    """Assistants, threads and runs.

    Args:
        hosts: hosted tools that are served here; runs use ``file_search`` and ``code_interpreter`` of them.
        files: who keeps files; None where ids of files are not looked up.
        stores: who keeps vector stores; None where there are none.
        expires_s: how long a run may take, seconds.
    """
    keeping = Keeping(files, stores)
    threads = ThreadsService(database, runner, keeping)
    maker = RunMaker(calls, database, runner, hosts, stores)
    runs = RunsService(calls, database, maker, threads, hosts, expires_s=expires_s)
    return (
        Assistants(AssistantsService(calls, database, hosts, keeping), Migrations(database)),
        Threads(threads),
        Runs(runs),
    )
