"""Vector stores of projects: what the API and the ``file_search`` tool do with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection

from inhouse.files import Files, file_not_found
from inhouse.files.store import get_file
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.tools.file_search import store
from inhouse.tools.file_search.chunking import MOST_TOKENS, OVERLAP_TOKENS
from inhouse.tools.file_search.embedding import INTERACTIVE, Embedder
from inhouse.tools.file_search.filters import Filter, Value
from inhouse.tools.file_search.index import Hit, Query, Weights
from inhouse.tools.file_search.indexes import Indexes, Loaded
from inhouse.tools.file_search.ingestion import KIND, Ingestion
from inhouse.tools.file_search.rewriting import rewritten
from inhouse.tools.file_search.store import Batch, Counts, FileStatus, Order, Searchable, Store, StoreFile
from inhouse.tools.file_search.words import words

T = TypeVar("T")
DAY_US = 86_400_000_000
TOUCH_US = 60_000_000
"""A store that is searched again so soon was as active as it will be."""
MOST_QUERY = 1 << 15
"""Characters of a query."""
HYBRID = Weights(0.7, 0.3)
"""Where the request says nothing; see ``docs/performance.md``."""
VECTORS_ONLY = Weights(1.0, 0.0)


class NewFile(msgspec.Struct, frozen=True):
    """A file to be taken in."""

    file_id: str
    attributes: Mapping[str, Value] = {}
    chunk_tokens: int = MOST_TOKENS
    overlap_tokens: int = OVERLAP_TOKENS


class Found(msgspec.Struct, frozen=True):
    """A chunk that fits; ``score`` from 0 to 1."""

    file_id: str
    filename: str
    attributes: dict[str, Value]
    score: float
    text: str


class Search(msgspec.Struct, frozen=True):
    """What to look for. ``least`` is the score that a result must have."""

    queries: tuple[str, ...]
    most: int = 10
    filter: Filter | None = None
    weights: Weights = HYBRID
    least: float = 0.0
    rewrite: bool = False

    @property
    def asked(self) -> list[str]:
        """The queries as they are looked for."""
        return [rewritten(query) if self.rewrite else query for query in self.queries]


def store_not_found(store_id: str) -> NotFound:
    return NotFound(f"No vector store found with id '{store_id}'.", param="vector_store_id")


class VectorStores:
    """Every method is bound to a project: stores of others are not there for it."""

    def __init__(self, files: Files, ingestion: Ingestion, embedder: Embedder, indexes: Indexes) -> None:
        self._database = files.database
        self._ingestion = ingestion
        self._embedder = embedder
        self._indexes = indexes
        files.on_remove(store.forget_file)

    # Stores

    async def create(
        self,
        project_id: str,
        *,
        name: str,
        description: str | None,
        metadata: Mapping[str, str],
        days: int | None,
        files: Sequence[NewFile],
    ) -> tuple[Store, Counts]:
        """
        Args:
            days: without use, until it expires; None for never.

        Raises:
            NotFound: one of the files is not there.
        """
        now = _now()
        made = Store(
            id=new_id("vs_"),
            project_id=project_id,
            created_at=now,
            name=name,
            description=description,
            metadata=_json(metadata),
            days=days,
            last_active_at=now,
            expires_at=None if days is None else now + days * DAY_US,
            revision=0,
        )

        def work(connection: Connection) -> Store:
            store.add(connection, made)
            self._put(connection, made, files, None, now)
            return made

        await self._database.write(work)
        self._ingestion.wake()
        return made, await self._counts(made.id)

    async def get(self, project_id: str, store_id: str) -> tuple[Store, Counts]:
        """Raises NotFound."""

        def read(connection: Connection) -> tuple[Store, Counts]:
            found = _store(connection, project_id, store_id)
            return found, store.counts(connection, "store_id", [store_id])[store_id]

        return await self._database.read(read)

    async def page(
        self, project_id: str, *, after: str | None, before: str | None, limit: int, order: Order
    ) -> tuple[list[tuple[Store, Counts]], bool]:
        """Some stores, and whether more follow. Raises NotFound."""

        def read(connection: Connection) -> tuple[list[tuple[Store, Counts]], bool]:
            found, more = _paged(
                partial(store.page, connection, project_id, after=after, before=before, limit=limit, order=order),
                store_not_found,
            )
            counts = store.counts(connection, "store_id", [each.id for each in found])
            return [(each, counts[each.id]) for each in found], more

        return await self._database.read(read)

    async def update(self, project_id: str, store_id: str, changes: Mapping[str, Any]) -> tuple[Store, Counts]:
        """
        Args:
            changes: any of ``name``, ``metadata`` (pairs) and ``days``; what is missing stays.

        Raises:
            NotFound
        """

        def work(connection: Connection) -> None:
            found = _store(connection, project_id, store_id, lock=True)
            values = dict(changes)
            if "metadata" in values:
                values["metadata"] = _json(values["metadata"])
            now = _now()
            if "days" in values:
                _check_alive(found, now)
                days = values["days"]
                values["expires_at"] = None if days is None else found.last_active_at + days * DAY_US
            if values:
                store.change(connection, store_id, **values)

        await self._database.write(work)
        return await self.get(project_id, store_id)

    async def delete(self, project_id: str, store_id: str) -> None:
        """Remove a store, not the files. Raises NotFound."""

        def work(connection: Connection) -> list[str]:
            _store(connection, project_id, store_id, lock=True)
            return store.remove(connection, store_id)

        self._ingestion.stop(await self._database.write(work))
        self._indexes.forget(store_id)

    async def remove_expired(self) -> int:
        """Empty the stores that are past their time; how many there were."""
        now = _now()
        found = await self._database.read(partial(store.expired, now=now, most=100))
        for each in found:

            def work(connection: Connection, each: Store = each) -> list[str]:
                fresh = store.get(connection, each.project_id, each.id, lock=True)
                return store.empty(connection, each.id) if fresh is not None and _expired(fresh, now) else []

            self._ingestion.stop(await self._database.write(work))
            self._indexes.forget(each.id)
        return len(found)

    # Files

    async def add_file(self, project_id: str, store_id: str, new: NewFile) -> StoreFile:
        """Take a file in, anew if it is there already. Raises NotFound, InvalidRequest."""
        await self._add(project_id, store_id, [new], None)
        return await self.file(project_id, store_id, new.file_id)

    async def file(self, project_id: str, store_id: str, file_id: str) -> StoreFile:
        """Raises NotFound."""

        def read(connection: Connection) -> StoreFile:
            _store(connection, project_id, store_id)
            return _file(connection, store_id, file_id)

        return await self._database.read(read)

    async def files(
        self,
        project_id: str,
        store_id: str,
        *,
        batch_id: str | None = None,
        status: FileStatus | None,
        after: str | None,
        before: str | None,
        limit: int,
        order: Order,
    ) -> tuple[list[StoreFile], bool]:
        """Some files of a store, or of one of its batches, and whether more follow. Raises NotFound."""

        def read(connection: Connection) -> tuple[list[StoreFile], bool]:
            _store(connection, project_id, store_id)
            if batch_id is not None:
                _batch(connection, store_id, batch_id)
            return _paged(
                partial(
                    store.page_files,
                    connection,
                    store_id,
                    batch_id=batch_id,
                    status=status,
                    after=after,
                    before=before,
                    limit=limit,
                    order=order,
                ),
                partial(_no_file, store_id),
            )

        return await self._database.read(read)

    async def set_attributes(
        self, project_id: str, store_id: str, file_id: str, attributes: Mapping[str, Value]
    ) -> StoreFile:
        """Raises NotFound."""

        def work(connection: Connection) -> StoreFile:
            _store(connection, project_id, store_id, lock=True)
            store.set_attributes(connection, store_id, file_id, _json(attributes))
            return _file(connection, store_id, file_id)

        return await self._database.write(work)

    async def remove_file(self, project_id: str, store_id: str, file_id: str) -> None:
        """Take a file out of a store; the file itself stays. Raises NotFound."""

        def work(connection: Connection) -> list[str]:
            _store(connection, project_id, store_id, lock=True)
            there, stopped = store.remove_file(connection, store_id, file_id)
            if not there:
                raise _no_file(store_id, file_id)
            return stopped

        self._ingestion.stop(await self._database.write(work))

    async def content(self, project_id: str, store_id: str, file_id: str) -> list[str]:
        """The text of a file as it is searched, in pieces that make it up. Raises NotFound."""

        def read(connection: Connection) -> list[str]:
            _store(connection, project_id, store_id)
            return store.whole(connection, _file(connection, store_id, file_id).run)

        return await self._database.read(read)

    # Batches

    async def add_batch(self, project_id: str, store_id: str, new: Sequence[NewFile]) -> tuple[Batch, Counts]:
        """Raises NotFound, InvalidRequest."""
        made = Batch(id=new_id("vsfb_"), store_id=store_id, created_at=_now(), cancelled=False)
        # Of a file that is named twice, what is said last counts.
        await self._add(project_id, store_id, list({each.file_id: each for each in new}.values()), made)
        return await self.batch(project_id, store_id, made.id)

    async def batch(self, project_id: str, store_id: str, batch_id: str) -> tuple[Batch, Counts]:
        """Raises NotFound."""

        def read(connection: Connection) -> tuple[Batch, Counts]:
            _store(connection, project_id, store_id)
            found = _batch(connection, store_id, batch_id)
            return found, store.counts(connection, "batch_id", [batch_id])[batch_id]

        return await self._database.read(read)

    async def cancel_batch(self, project_id: str, store_id: str, batch_id: str) -> tuple[Batch, Counts]:
        """Stop what is not done yet; what is done stays. Raises NotFound."""

        def work(connection: Connection) -> list[str]:
            _store(connection, project_id, store_id, lock=True)
            _batch(connection, store_id, batch_id)
            open_ = store.counts(connection, "batch_id", [batch_id])[batch_id].in_progress
            return store.cancel_batch(connection, batch_id) if open_ else []

        self._ingestion.stop(await self._database.write(work))
        return await self.batch(project_id, store_id, batch_id)

    # Searches

    async def check(self, project_id: str, store_ids: Sequence[str]) -> None:
        """
        Raises:
            NotFound: one of the stores is not there.
            InvalidRequest: one has expired.
        """

        def look(connection: Connection) -> None:
            for id in store_ids:
                found = store.get(connection, project_id, id)
                if found is None:
                    raise NotFound(f"Vector store with id [{id!r}] not found.", param="tools")
                _check_alive(found, _now())

        await self._database.read(look)

    async def search(self, project_id: str, store_ids: Sequence[str], search: Search) -> list[Found]:
        """What fits best in one or several stores, the best first.

        Raises:
            NotFound: one of the stores is not there.
            InvalidRequest: one has expired, or a query is too long.
            EngineBusy, EngineFailed: the queries cannot be embedded.
        """
        if any(len(query) > MOST_QUERY for query in search.queries):
            raise InvalidRequest(f"A query can have at most {MOST_QUERY} characters.", param="query")
        now = _now()

        def look(connection: Connection) -> list[Store]:
            found = [_store(connection, project_id, id) for id in dict.fromkeys(store_ids)]
            for each in found:
                _check_alive(each, now)
            return found

        stores = await self._database.read(look)
        for each in stores:
            if now - each.last_active_at > TOUCH_US:
                await self._database.write(partial(store.touch, store_id=each.id, now=now))
        embedder = self._embedder.name
        asked = search.asked
        loaded = [await self._indexes.get(each.id, each.revision, embedder) for each in stores]
        if not any(each.files for each in loaded):
            return []
        vectors: Sequence[Any] = [None] * len(asked)
        if search.weights.embedding:
            vectors = list(await self._embedder.embed(asked, tenant=project_id, priority=INTERACTIVE))
        queries = [Query(vector, words(query)) for vector, query in zip(vectors, asked, strict=True)]
        hits = await asyncio.to_thread(_ranked, loaded, queries, search)
        wanted = [(hit.run, hit.number) for hit, _ in hits]
        texts = await self._database.read(partial(store.texts, wanted=wanted))
        # What is not there any more was removed just now.
        return [
            Found(
                file.file_id,
                file.filename,
                msgspec.json.decode(file.attributes),
                min(1.0, round(hit.score, 6)),
                texts[hit.run, hit.number],
            )
            for hit, file in hits
            if (hit.run, hit.number) in texts
        ]

    # Inside

    async def _add(self, project_id: str, store_id: str, new: Sequence[NewFile], batch: Batch | None) -> None:
        now = _now()

        def work(connection: Connection) -> list[str]:
            found = _store(connection, project_id, store_id, lock=True)
            _check_alive(found, now)
            if batch is not None:
                store.add_batch(connection, batch)
            stopped = self._put(connection, found, new, batch, now)
            store.touch(connection, store_id, now)
            return stopped

        self._ingestion.stop(await self._database.write(work))
        self._ingestion.wake()

    def _put(
        self, connection: Connection, into: Store, new: Sequence[NewFile], batch: Batch | None, now: int
    ) -> list[str]:
        rows = []
        for at, each in enumerate({each.file_id: each for each in new}.values()):
            known = get_file(connection, into.project_id, each.file_id, now)
            if known is None:
                raise file_not_found(each.file_id, "file_id")
            rows.append(
                StoreFile(
                    store_id=into.id,
                    file_id=each.file_id,
                    project_id=into.project_id,
                    run=new_id("vsrun_"),
                    batch_id=None if batch is None else batch.id,
                    created_at=now + at,
                    filename=known.filename,
                    attributes=_json(each.attributes),
                    chunk_tokens=each.chunk_tokens,
                    overlap_tokens=each.overlap_tokens,
                    status="in_progress",
                    error_code=None,
                    error_message=None,
                    usage_bytes=0,
                )
            )
        return store.put_files(connection, rows, KIND) if rows else []

    async def _counts(self, store_id: str) -> Counts:
        counted = await self._database.read(partial(store.counts, column="store_id", ids=[store_id]))
        return counted[store_id]


def is_expired(found: Store) -> bool:
    return _expired(found, _now())


def _expired(found: Store, now: int) -> bool:
    return found.expires_at is not None and found.expires_at <= now


def _check_alive(found: Store, now: int) -> None:
    if _expired(found, now):
        raise InvalidRequest(f"Vector store '{found.id}' has expired.", param="vector_store_id")


def _ranked(loaded: Sequence[Loaded], queries: Sequence[Query], search: Search) -> list[tuple[Hit, Searchable]]:
    hits = []
    for each in loaded:
        among = None if search.filter is None else each.columns.passing(search.filter)
        found = each.index.search(queries, search.weights, search.most, least=search.least, among=among)
        hits += [(hit, each.file(hit.run)) for hit in found]
    hits.sort(key=lambda pair: (-pair[0].score, pair[0].run, pair[0].number))
    return hits[: search.most]


def _store(connection: Connection, project_id: str, store_id: str, *, lock: bool = False) -> Store:
    found = store.get(connection, project_id, store_id, lock=lock)
    if found is None:
        raise store_not_found(store_id)
    return found


def _no_file(store_id: str, file_id: str) -> NotFound:
    return NotFound(f"No file found with id '{file_id}' in vector store '{store_id}'.", param="file_id")


def _file(connection: Connection, store_id: str, file_id: str) -> StoreFile:
    found = store.get_file(connection, store_id, file_id)
    if found is None:
        raise _no_file(store_id, file_id)
    return found


def _batch(connection: Connection, store_id: str, batch_id: str) -> Batch:
    found = store.get_batch(connection, store_id, batch_id)
    if found is None:
        raise NotFound(f"No file batch found with id '{batch_id}' in vector store '{store_id}'.", param="batch_id")
    return found


def _paged(query: Callable[[], T], missing: Callable[[str], NotFound]) -> T:
    try:
        return query()
    except store.Edge as edge:
        raise missing(str(edge)) from None


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> int:
    return time.time_ns() // 1000
