"""One run of Ray Data over parts of a batch: ``python -m inhouse.cluster.run``, started by ``api.batches.clustering``.

A row of the data set is a part. A pool of actors, each a ``worker.PartWorker``, does them; what comes back is only that
they were done. A part whose node dies is skipped here and left to the next run: Ray would keep it for the actor that
died, for as long as no node has room to start that again.
"""

from __future__ import annotations

import os
import sys
import warnings

import msgspec
import ray
import ray.data

from inhouse.api.batches.clustering import Run
from inhouse.api.batches.working import SLOTS
from inhouse.cluster.worker import PartWorker
from inhouse.engines.child import Parent
from inhouse.settings import restored


def main() -> None:
    run = msgspec.convert(Parent().handshake.config, Run)
    settings = restored(run.settings).batches
    warnings.simplefilter("ignore")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address=settings.ray_address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    parts = ray.data.from_items([{"part": id} for id in run.parts], override_num_blocks=len(run.parts))
    workers = ray.data.ActorPoolStrategy(
        min_size=1,
        max_size=settings.ray_workers,
        initial_size=min(settings.ray_workers, len(run.parts)),
        # What waits at one worker, another cannot take; and a worker that lacks parts fills its engine badly.
        max_tasks_in_flight_per_actor=SLOTS,
        max_concurrent_calls_per_actor=SLOTS,
        enable_true_multi_threading=True,
    )
    done = parts.map(
        PartWorker,
        fn_constructor_args=(run.settings, run.environment, run.model),
        compute=workers,
        num_cpus=settings.ray_worker_cpus,
        num_gpus=settings.ray_worker_gpus or None,
        max_restarts=0,
    )
    for _ in done.iter_rows():
        pass
    sys.stderr.flush()
    os._exit(0)  # Ray would take seconds to say goodbye; that the driver is gone is all it needs to know.


if __name__ == "__main__":
    main()
