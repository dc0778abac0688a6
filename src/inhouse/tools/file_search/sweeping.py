"""Empties vector stores that are past their time, while the server runs."""

from __future__ import annotations

import asyncio

import structlog

from inhouse.tools.file_search.service import VectorStores

PERIOD_S = 60.0

log = structlog.get_logger(__name__)


class StoreSweeper:
    def __init__(self, stores: VectorStores) -> None:
        self._stores = stores
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                while await self._stores.remove_expired():
                    pass
            except Exception:
                log.exception("emptying expired vector stores failed")
            await asyncio.sleep(PERIOD_S)
