"""Removes what is past its time, and what crashes left: every minute, and every few hours, while the server runs."""

from __future__ import annotations

import asyncio
import time

import structlog

from inhouse.files import store
from inhouse.files.service import FILES, PARTS, Files
from inhouse.files.uploads import Uploads

PERIOD_S = 60.0
ORPHANS_EVERY = 360
"""Rounds between two searches for orphans, which list the whole blob store."""
ORPHAN_AGE_S = 24 * 3600.0
"""A blob is written just before its row, so one that has been without a row for a day never gets one."""

log = structlog.get_logger(__name__)


class Sweeper:
    def __init__(self, files: Files, uploads: Uploads) -> None:
        self._files = files
        self._uploads = uploads
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def remove_expired(self) -> None:
        """Files and uploads that are past their time."""
        while await self._files.remove_expired() or await self._uploads.remove_expired():
            pass

    async def remove_orphans(self, age_s: float = ORPHAN_AGE_S) -> int:
        """Remove blobs without a row that are older than ``age_s``, and old scratch files. Returns how many blobs."""
        before = time.time() - age_s
        removed = 0
        for prefix in (FILES, PARTS):
            async for batch in self._files.blobs.listed(prefix):
                old = [blob.key for blob in batch if blob.modified < before]
                if not old:
                    continue
                known = await self._files.database.read(lambda connection, old=old: store.known_blobs(connection, old))  # type: ignore[misc]
                orphans = [key for key in old if key not in known]
                await self._files.blobs.delete(orphans)
                removed += len(orphans)
        await self._files.blobs.sweep()
        return removed

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                await self.remove_expired()
                if rounds % ORPHANS_EVERY == 0 and (removed := await self.remove_orphans()):
                    log.info("blobs that belong to nothing were removed", blobs=removed)
            except Exception:
                log.exception("sweeping files failed")
            rounds += 1
            await asyncio.sleep(PERIOD_S)
