"""Takes files into vector stores: a job a file, which goes on where it was when its process died.

A file can be found once all of it is stored, never before, and ends exactly once: its end is written in the transaction
that removes its job. Whoever takes a file out of its store removes the job, too, and what is then still written
finds no file to belong to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import islice

import structlog
from sqlalchemy import Connection

from inhouse.documents import DocumentError, Documents
from inhouse.engines.protocol import EngineBusy
from inhouse.files import Files
from inhouse.jobs import queue
from inhouse.jobs.queue import Job
from inhouse.jobs.runner import Runner
from inhouse.kit.errors import NotFound
from inhouse.tools.file_search import store
from inhouse.tools.file_search.chunking import Chunk, Chunker
from inhouse.tools.file_search.embedding import INGESTION, Embedder
from inhouse.tools.file_search.index import Segment, packed
from inhouse.tools.file_search.store import StoreFile
from inhouse.tools.file_search.words import words

KIND = "vector_store_file"
AT_ONCE = 4
"""Files that one process takes in at the same time."""
STEP = 32
"""Chunks that are embedded, and stored, at once."""
MOST_CHUNKS = 50_000
"""Of one file: 5 million tokens of it at chunks of 100, as the contract allows of a file."""
BUSY_S = 2.0
"""How long to leave a busy engine alone, seconds."""

log = structlog.get_logger(__name__)


class Ingestion:
    def __init__(
        self, files: Files, documents: Documents, chunker: Chunker, embedder: Embedder, runner: Runner
    ) -> None:
        self._files = files
        self._database = files.database
        self._documents = documents
        self._chunker = chunker
        self._embedder = embedder
        self._runner = runner
        runner.handle(KIND, self._run, _give_up, slots=AT_ONCE)

    def wake(self) -> None:
        """There is something to take in."""
        self._runner.wake()

    def stop(self, runs: list[str]) -> None:
        """Stop work on what is gone."""
        for run in runs:
            self._runner.cancel(run)

    async def _run(self, job: Job) -> None:
        file = await self._database.read(partial(store.file_of_run, run=job.id))
        if file is None or file.status != "in_progress":
            await self._database.write(partial(queue.finish, id=job.id, owner=self._runner.owner))
            return
        try:
            text = await self._text(file)
        except DocumentError as error:
            log.info("a file cannot be searched", file=file.file_id, code=error.code)
            await self._end(file, error.code, error.message)
            return
        except NotFound:
            # Deleted just now, and its rows with it; or its contents are lost.
            await self._end(file, "server_error", "The contents of the file are gone.")
            return
        await self._chunker.load()
        embedder = self._embedder.name
        done = await self._database.write(partial(store.written, run=job.id, embedder=embedder))
        pieces = self._chunker.chunks(text, file.chunk_tokens, file.overlap_tokens)
        at = 0
        while some := await asyncio.to_thread(_next, pieces):
            if at + len(some) > done:
                if at + len(some) > MOST_CHUNKS:
                    await self._end(file, "invalid_file", "The file has too much text for a vector store.")
                    return
                # What is stored of a step is stored whole, so steps begin where they began.
                segment = await self._embedded(file, at, some)
                adding = partial(store.add_chunks, run=job.id, embedder=embedder, new=some, segment=segment)
                if not await self._database.write(adding):
                    return
            at += len(some)
        await self._end(file)

    async def _text(self, file: StoreFile) -> str:
        stored = await self._files.get(file.project_id, file.file_id)
        async with self._files.path(stored) as path:
            document = await self._documents.read(path, stored.filename, stored.media_type)
        # PostgreSQL stores no NUL.
        return document.text.replace("\0", "")

    async def _embedded(self, file: StoreFile, first: int, some: list[Chunk]) -> Segment:
        texts = [chunk.text for chunk in some]
        while True:
            try:
                vectors = await self._embedder.embed(texts, tenant=file.project_id, priority=INGESTION)
                break
            except EngineBusy:
                await asyncio.sleep(BUSY_S)
        found = await asyncio.to_thread(lambda: packed([words(text) for text in texts]))
        return Segment(file.run, first, len(some), vectors.astype("<f2").tobytes(), found)

    async def _end(self, file: StoreFile, code: store.ErrorCode | None = None, message: str | None = None) -> None:
        ending = partial(store.end, file=file, owner=self._runner.owner, code=code, message=message)
        await asyncio.shield(self._database.submit(ending))


def _next(pieces: Iterator[Chunk]) -> list[Chunk]:
    return list(islice(pieces, STEP))


def _give_up(connection: Connection, job: Job) -> None:
    file = store.file_of_run(connection, job.id)
    if file is not None:
        store.end(connection, file, None, "server_error", "The file could not be processed. Add it again later.")
