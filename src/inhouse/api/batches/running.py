"""Who does the jobs that batches are made of."""

from __future__ import annotations

from inhouse.access import Access
from inhouse.api.batches import steps
from inhouse.api.batches.clustering import Cluster, Clustering
from inhouse.api.batches.finishing import Finishing
from inhouse.api.batches.validating import Validation
from inhouse.api.batches.working import MOST_ATTEMPTS, SLOTS, Worker
from inhouse.api.inside import Inside
from inhouse.calls import Calls
from inhouse.files import Files
from inhouse.jobs.runner import Runner
from inhouse.limits.batch_queue import BatchQueue
from inhouse.metering.held import HeldLedger
from inhouse.storage.database import Database

FEW = 2
"""Input files that are checked, and output files that are written, at once."""


def work_on_batches(
    database: Database,
    files: Files,
    runner: Runner,
    access: Access,
    calls: Calls,
    ledger: HeldLedger,
    inside: Inside,
    limit: BatchQueue,
    cluster: Cluster | None,
) -> None:
    """Have this process take part in all batches. Before the runner starts.

    Args:
        calls: of batches, on ``ledger``.
        inside: asks the operations whose calls these are.
        cluster: that does the requests of batches in place of the servers.
    """
    validation = Validation(database, files, runner, calls, limit, cluster=cluster is not None)
    clustering = Clustering(database, runner, cluster)
    worker = Worker(database, files, runner, access, calls, ledger, inside)
    finishing = Finishing(database, files, runner)
    runner.handle(steps.VALIDATE, validation, validation.give_up, slots=FEW, attempts=MOST_ATTEMPTS)
    # Beside a cluster, no request waits for a server's slot; one that has been asked to do a part does it all the same.
    slots = 0 if cluster is not None else SLOTS
    runner.handle(steps.REQUESTS, worker, worker.give_up, slots=slots, attempts=MOST_ATTEMPTS)
    runner.handle(steps.CLUSTER, clustering, clustering.give_up, slots=FEW, attempts=MOST_ATTEMPTS)
    runner.handle(steps.FINISH, finishing, finishing.give_up, slots=FEW, attempts=MOST_ATTEMPTS)
    runner.handle(steps.EXPIRE, finishing.expire, finishing.forget, slots=FEW, attempts=MOST_ATTEMPTS)
