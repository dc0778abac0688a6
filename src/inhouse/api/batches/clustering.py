"""Batches on a cluster: the server's half. A batch is one run of Ray Data over its parts; see ``inhouse.cluster``.

The run is a child process, for Ray is not to live inside a server. Nothing depends on what it tells: workers lease
parts and settle requests in the database as servers do. So when nodes or the run itself die, another run over what is
left follows, and finds done what was done.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from functools import partial
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Connection

from inhouse.api.batches import steps, store
from inhouse.api.batches.store import StoredBatch
from inhouse.api.batches.wire import BatchError
from inhouse.catalog import Catalog
from inhouse.engines.child import Handshake
from inhouse.engines.deployments import Remote
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.settings import Settings, SettingsError, portable
from inhouse.storage.database import Database

PAUSE_US = 30_000_000
"""Before another run, where one came to nothing."""
LOOK_S = 5.0
"""How often to look whether anything is left for a run."""
GRACE_S = 15.0
"""How long a run may take to see that nothing is."""
MOST_TOLD = 2000
"""Characters of what a run that failed said last."""

log = structlog.get_logger(__name__)


class Run(msgspec.Struct, frozen=True):
    """What a run is told. ``settings`` as ``portable`` makes them; ``environment`` holds the keys of upstreams."""

    settings: dict[str, object]
    environment: dict[str, str]
    parts: list[str]
    """Ids of jobs."""
    model: str


class Runs(Protocol):
    """Starts runs."""

    async def run(self, model: str, parts: list[str]) -> str | None:
        """Have workers try to do these parts. Cancelled, it ends the run.

        Returns:
            What the run said last, if it failed.
        """


class Cluster:
    """A Ray cluster.

    Args:
        catalog: knows whose keys the workers need.
    """

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = portable(settings)
        self._catalog = catalog

    async def run(self, model: str, parts: list[str]) -> str | None:
        """As ``Runs`` has it."""
        run = Run(self._settings, self._environment(model), parts, model)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "inhouse.cluster.run",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stderr is not None
        try:
            # Stdin stays open: its end tells the child that this process is gone.
            child.stdin.write(msgspec.json.encode(Handshake("", run)) + b"\n")
            last = b""
            while piece := await child.stderr.read(65536):
                last = (last + piece)[-4 * MOST_TOLD :]
            return last.decode(errors="replace")[-MOST_TOLD:] if await child.wait() else None
        finally:
            if child.returncode is None:
                child.kill()
                await asyncio.shield(child.wait())
            child.stdin.close()

    def _environment(self, model: str) -> dict[str, str]:
        found = self._catalog.find(model)
        if found is None or not isinstance(found.deployment, Remote):
            return {}
        names = (target.key_env for target in found.deployment.upstream.targets)
        return {name: os.environ[name] for name in names if name is not None and name in os.environ}


def cluster_of(settings: Settings, catalog: Catalog) -> Cluster | None:
    """What the settings name. Raises SettingsError if that cannot be."""
    if settings.batches.runner == "here":
        return None
    if not settings.database_url.startswith("postgresql"):
        raise SettingsError(
            "batches.runner: workers on a Ray cluster share the database, which must be PostgreSQL; set database.url"
        )
    if importlib.util.find_spec("ray") is None:
        raise SettingsError("batches.runner: Ray is not installed here: pip install 'inhouse[ray]', or `make ray`")
    return Cluster(settings, catalog)


async def adopt(database: Database) -> None:
    """Have the cluster do also the batches that were begun without it."""

    def work(connection: Connection) -> None:
        for batch in store.working(connection):
            queue.ask(connection, steps.job_id(batch, "cluster"), steps.CLUSTER, "{}")

    await database.write(work)


class Clustering:
    """Does jobs of the kind ``steps.CLUSTER``: runs, until no part of a batch is left."""

    def __init__(self, database: Database, runner: Runner, cluster: Runs | None) -> None:
        self._database = database
        self._runner = runner
        self._cluster = cluster

    async def __call__(self, job: Job) -> None:
        batch_id = steps.batch_id_of(job.id)
        left = None
        while True:
            batch = await self._database.read(lambda connection: store.get(connection, batch_id))
            if batch is None or self._cluster is None:
                break
            open = await self._database.read(partial(queue.open_ids, ids=steps.part_ids(batch)))
            if not open:
                break
            progress = (len(open), batch.completed + batch.failed)
            if progress == left:
                await self._postpone(job)
                return
            left = progress
            failure = await self._run(self._cluster, batch, open)
            if failure is not None:
                log.warning("a run of a batch on the cluster failed", batch=batch_id, said=failure)
        await self._database.write(lambda connection: queue.finish(connection, job.id, self._runner.owner))

    async def _run(self, cluster: Runs, batch: StoredBatch, parts: list[str]) -> str | None:
        """One run. It is ended when there is nothing to do any more: it may be waiting for a worker in vain."""
        run = asyncio.ensure_future(cluster.run(batch.model or "", parts))
        try:
            while not run.done():
                await asyncio.wait({run}, timeout=LOOK_S)
                if not run.done() and not await self._database.read(partial(queue.open_ids, ids=parts)):
                    await asyncio.wait({run}, timeout=GRACE_S)
                    break
            return run.result() if run.done() else None
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)

    async def _postpone(self, job: Job) -> None:
        log.warning("a run of a batch on the cluster came to nothing; there will be another", job=job.id)
        due_at = time.time_ns() // 1000 + PAUSE_US
        owner = self._runner.owner
        await self._database.write(lambda connection: queue.postpone(connection, job.id, owner, due_at))

    def give_up(self, connection: Connection, job: Job) -> None:
        """The process died each time that it began a run."""
        batch = store.locked(connection, steps.batch_id_of(job.id))
        if batch is not None and batch.status == "in_progress" and batch.ending is None:
            message = "The server failed several times while it started this batch on its cluster."
            steps.stop(connection, batch, "failed", [BatchError(code="server_error", message=message)])
