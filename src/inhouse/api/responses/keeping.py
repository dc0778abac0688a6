"""Keeps responses: a client that was told of one can have it again, whatever becomes of this process.

With a journal (``storage.journal``) a response is kept when its line is in the file, and the database is told of all
that came within ``GROUP_S`` in one transaction; so no stream waits for the database before its last event. A process
that was killed has its journal read by the next start. Without one, which is so on PostgreSQL, because other machines
read it, a response is kept when it is committed, together with all that ended meanwhile.

Whoever looks for a response in the database waits first until it is there (``stored``, ``written``): within a process
nobody can tell the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec
import structlog

from inhouse.api.responses import store
from inhouse.api.responses.store import Kept
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database, is_of_rows
from inhouse.storage.flushing import Flusher
from inhouse.storage.journal import Journal, abandoned

GROUP_S = 0.05
"""How long the database waits for what the journal has."""
RETRY_S = 1.0
"""How long after a failure of the database it is told again."""
MOST_CHARACTERS = 1 << 18
"""Of what the journal takes; a longer response goes to the database at once, rather than twice to the disk."""

log = structlog.get_logger(__name__)
_decoder: msgspec.json.Decoder[Kept] = msgspec.json.Decoder(Kept)


class Keeping:
    """Writes responses in groups. With a journal, ``start`` comes before the first one, ``close`` after the last.

    Args:
        journal: folder of the journals of the processes that share the database; None to do without.
    """

    def __init__(self, database: Database, journal: Path | None = None) -> None:
        self._database = database
        self._folder = journal
        self._journal: Journal | None = None
        self._waiting: dict[str, Kept] = {}
        """That the database is to be told of with the next group."""
        self._on_the_way: dict[str, Kept] = {}
        self._flusher = Flusher(self._write)
        self._failing = False

    async def start(self) -> None:
        """Store what killed processes had kept."""
        if self._folder is None:
            return
        for left in abandoned(self._folder, _decoder):
            if await self._store(list(left.entries()), ignore_known=True) is None:
                left.discard()
        self._journal = Journal(self._folder, new_id("keeping_"))

    async def keep(self, kept: Kept) -> None:
        """Returns when the response would survive this process."""
        self._waiting[kept.response.id] = kept
        if not self._enter(kept):
            await asyncio.shield(self._flusher.flush())

    async def stored(self, response_id: str | None) -> None:
        """Returns when the database has this response, if it was kept at all."""
        if response_id in self._waiting or response_id in self._on_the_way:
            await asyncio.shield(self._flusher.flush())

    async def written(self) -> None:
        """Returns when the database has all that was kept before."""
        if self._waiting or self._on_the_way:
            await asyncio.shield(self._flusher.flush())

    async def close(self) -> None:
        """Finish writing. What the database does not take now stays in the journal for the next start."""
        await asyncio.gather(self.written(), return_exceptions=True)
        self._flusher.stop()
        if self._journal is not None and not self._waiting:
            self._journal.close()

    def _enter(self, kept: Kept) -> bool:
        """Whether the journal has taken it, so that nobody need wait for the database."""
        if self._journal is None or self._failing or _length(kept) > MOST_CHARACTERS:
            return False
        try:
            self._journal.write([kept])
        except OSError:
            log.exception("the journal cannot take a response")
            return False
        self._flusher.flush_in(GROUP_S)
        return True

    async def _write(self) -> Exception | None:
        group, self._waiting = self._waiting, {}
        self._on_the_way = group
        parts = self._journal.turn() if self._journal is not None else []
        try:
            refused = await self._store(list(group.values()), ignore_known=self._failing)
        except Exception:
            self._failing = True
            # Of those whose client was told an error there is no line; that they are there later harms nobody.
            self._waiting = group | self._waiting if self._journal is not None else self._waiting
            if self._waiting:
                self._flusher.flush_in(RETRY_S)
            raise
        finally:
            self._on_the_way = {}
        self._failing = False
        for part in parts:
            part.empty()
        return refused

    async def _store(self, group: Sequence[Kept], *, ignore_known: bool = False) -> Exception | None:
        """Store a group; where the database refuses one of them for what it is, the others.

        Returns:
            Why one was refused.
        """
        if not group:
            return None
        try:
            await self._database.write(partial(store.add_responses, kept=group, ignore_known=ignore_known))
        except Exception as error:
            if not is_of_rows(error):
                raise
            if len(group) == 1:
                log.exception("the database refused a response", response=group[0].response.id)
                return error
            refused = [await self._store([each], ignore_known=ignore_known) for each in group]
            return next((error for error in refused if error is not None), None)
        return None


def _length(kept: Kept) -> int:
    items = (*kept.inputs, *kept.response.output)
    return len(kept.response.body) + sum(len(item.body) for item in items)
