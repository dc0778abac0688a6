"""A worker on a node of the cluster: the platform without its HTTP faces, with engines of its own on that node."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from inhouse.app import Platform
from inhouse.engines.deployments import weights_of
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.logs import configure_logs
from inhouse.settings import Settings, restored


class PartWorker:
    """A callable class for Ray Data, called from several threads at once. Blocks until it has begun to work.

    Args:
        settings: of the servers, see ``settings.portable``.
        environment: variables that deployments read.
        model: whose weights are to be here.
    """

    def __init__(self, settings: dict[str, Any], environment: dict[str, str], model: str) -> None:
        os.environ.update(environment)
        own = restored(settings)
        configure_logs(own.log)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="worker", daemon=True).start()
        self._platform = self._wait(self._start(own, model))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Do the part that a row names, unless it is done."""
        self._wait(self._platform.jobs.perform(row["part"]))
        return row

    def _wait(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @staticmethod
    async def _start(settings: Settings, model: str) -> Platform:
        platform = Platform(settings)
        await platform.start_worker()
        found = platform.catalog.find(model)
        if found is not None and settings.engines.pull:
            cache = WeightsCache(settings.cache_dir)
            for name in weights_of(found.deployment):
                await asyncio.to_thread(cache.pull, find_manifest(name))
        return platform
