"""Searches in a vector store of 100,000 chunks: how fast, and how much of what an exact search finds.

    python -m bench.retrieval [--chunks 100000] [--a-file 10 1] [--rounds 200] [--write]

The whole search as the API and the tool make it, on SQLite: the store is looked up, the filter is applied, the best ten
chunks are chosen and their texts are read. Only the embedding of the query is left out (some 10 ms for the default
model): vectors are random, of 384 components, of length 1, which makes neighbours as hard to tell apart as can be.
Chunks have 200 words drawn by Zipf's law, queries six. Recall is of the ten nearest by vectors alone, against those
that float64 gives for the vectors before they were stored with 16 bits.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import string
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from bench.report import table, write_section
from inhouse.documents import Documents
from inhouse.engines.weights import WeightsCache
from inhouse.files import Files
from inhouse.jobs.runner import Runner
from inhouse.storage.blobs import Blobs
from inhouse.storage.bulk import insert_rows
from inhouse.storage.database import Database
from inhouse.storage.schema import vector_store_chunks, vector_store_files, vector_store_segments
from inhouse.tools.file_search import (
    HYBRID,
    VECTORS_ONLY,
    Chunker,
    Embedder,
    Indexes,
    Ingestion,
    Search,
    VectorStores,
)
from inhouse.tools.file_search.filters import Comparison, Filter
from inhouse.tools.file_search.index import packed
from inhouse.tools.file_search.words import words

PROJECT = "proj_bench"
WIDTH = 384
VOCABULARY = 200_000
LENGTH = 200
GROUPS = 1000
FILTERS: tuple[tuple[str, Filter | None], ...] = (
    ("all", None),
    ("10%", Comparison("lt", "group", GROUPS // 10)),
    ("0.1%", Comparison("eq", "group", 7)),
)


class Known(Embedder):
    """Gives vectors that were made before."""

    def __init__(self) -> None:
        self.vectors: dict[str, Any] = {}

    @property
    def name(self) -> str:
        return "known"

    async def embed(self, texts: Sequence[str], *, tenant: str, priority: int) -> Any:
        return np.stack([self.vectors[text] for text in texts])


class Bench:
    def __init__(self, folder: Path, chunks: int, a_file: int) -> None:
        self.database = Database(f"sqlite:///{folder}/bench.db")
        files = Files(self.database, Blobs(folder / "blobs", folder / "scratch", None))
        self.embedder = Known()
        runner = Runner(self.database)
        ingestion = Ingestion(files, Documents(), Chunker(WeightsCache()), self.embedder, runner)
        self.indexes = Indexes(self.database, 1 << 40)
        self.stores = VectorStores(files, ingestion, self.embedder, self.indexes)
        self.random = np.random.default_rng(1)
        names = ("".join(each) for each in product(string.ascii_lowercase[:16], repeat=5))
        self.names = list(islice(names, VOCABULARY))
        self.hashes = np.array([words(name)[0] for name in self.names])
        self.chunks, self.a_file = chunks, a_file
        self.vectors = self.random.normal(size=(chunks, WIDTH)).astype(np.float32)
        self.vectors /= np.linalg.norm(self.vectors, axis=1, keepdims=True)

    async def fill(self) -> str:
        await asyncio.to_thread(self.database.migrate)
        made, _ = await self.stores.create(PROJECT, name="s", description=None, metadata={}, days=None, files=[])
        for first in range(0, self.chunks, 5000):
            rows = list(self._rows(made.id, first, min(first + 5000, self.chunks)))

            def put(connection: Connection, rows: list[Any] = rows) -> None:
                for where, column in zip(
                    (vector_store_files, vector_store_segments, vector_store_chunks),
                    zip(*rows, strict=True),
                    strict=True,
                ):
                    insert_rows(connection, where, [row for some in column for row in some])

            await self.database.write(put)
        return made.id

    def _rows(self, store: str, first: int, end: int) -> Iterator[tuple[list[dict[str, Any]], ...]]:
        for start in range(first, end, self.a_file):
            file = start // self.a_file
            count = min(self.a_file, end - start)
            run = f"run{file:06}"
            drawn = np.minimum(self.random.zipf(1.2, (count, LENGTH)), VOCABULARY) - 1
            of_file = {
                "store_id": store,
                "file_id": f"file-{file:022}",
                "project_id": PROJECT,
                "run": run,
                "batch_id": None,
                "created_at": file,
                "filename": f"document-{file}.txt",
                "attributes": f'{{"group":{file % GROUPS},"name":"document {file}","public":true}}',
                "chunk_tokens": 800,
                "overlap_tokens": 400,
                "status": "completed",
                "error_code": None,
                "error_message": None,
                "usage_bytes": 1,
            }
            segment = {
                "run": run,
                "first": 0,
                "chunks": count,
                "embedder": "known",
                "vectors": self.vectors[start : start + count].astype("<f2").tobytes(),
                "words": packed(self.hashes[drawn].tolist()),
            }
            texts = [{"run": run, "number": n, "text": f"{run} {n} " * 100, "repeated": 0} for n in range(count)]
            yield [of_file], [segment], texts

    def query(self) -> str:
        text = " ".join(self.names[at] for at in np.minimum(self.random.zipf(1.2, 6), VOCABULARY) - 1)
        vector = self.random.normal(size=WIDTH).astype(np.float32)
        self.embedder.vectors[text] = vector / np.linalg.norm(vector)
        return text

    async def time(self, store: str, wanted: Filter | None, rounds: int) -> tuple[list[float], list[float]]:
        """Milliseconds of each search, and of CPU."""
        took, cpu = [], []
        for _ in range(rounds):
            search = Search((self.query(),), filter=wanted, weights=HYBRID)
            start, before = time.perf_counter(), time.process_time()
            await self.stores.search(PROJECT, [store], search)
            took.append((time.perf_counter() - start) * 1000)
            cpu.append((time.process_time() - before) * 1000)
        return took, cpu

    async def recall(self, store: str, wanted: Filter | None, rounds: int) -> float:
        files = np.arange(self.chunks) // self.a_file
        counts = {"all": files >= 0, "10%": files % GROUPS < GROUPS // 10, "0.1%": files % GROUPS == 7}
        (name,) = [name for name, each in FILTERS if each == wanted]
        rows = np.flatnonzero(counts[name])
        exact = self.vectors[rows].astype(np.float64)
        shares = []
        for _ in range(rounds):
            query = self.query()
            near = rows[np.argsort(-(exact @ self.embedder.vectors[query].astype(np.float64)))[:10]]
            expected = {f"run{at // self.a_file:06} {at % self.a_file} " for at in near}
            found = await self.stores.search(PROJECT, [store], Search((query,), filter=wanted, weights=VECTORS_ONLY))
            shares.append(sum(any(each.text.startswith(own) for own in expected) for each in found) / len(expected))
        return float(np.mean(shares))


async def measure(chunks: int, a_file: int, rounds: int) -> list[list[str]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chunks, a_file)
        store = await bench.fill()
        start = time.perf_counter()
        await bench.time(store, None, 1)
        loaded = time.perf_counter() - start
        for name, wanted in FILTERS:
            await bench.time(store, wanted, 1)
            took, cpu = (np.percentile(each, [50, 95]) for each in await bench.time(store, wanted, rounds))
            recall = await bench.recall(store, wanted, min(rounds, 50))
            (memory,) = (each.bytes for each in bench.indexes._loaded.values())
            size = f"{chunks:,} in {chunks // a_file:,} files"
            times = [f"{each:.1f}" for each in (*cpu, *took)]
            rows.append([size, name, *times, f"{recall:.3f}", f"{memory / 1e6:.0f}", f"{loaded:.1f}"])
            print(rows[-1], flush=True)
        await bench.database.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, nargs="+", default=[100_000])
    parser.add_argument("--a-file", type=int, nargs="+", default=[10, 1], help="chunks in each file")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    given = parser.parse_args()
    rows: list[list[str]] = []
    for chunks in given.chunks:
        for a_file in given.a_file:
            rows += asyncio.run(measure(chunks, a_file, given.rounds))
    times = ["CPU ms, p50", "p95", "ms, p50", "p95"]
    head = ["chunks", "filter leaves", *times, "recall@10", "index MB", "first search s"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    text = table(head, rows) + f"\n\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}."
    print(text, f"\npeak of this process: {peak} MB")
    if given.write:
        write_section("retrieval", text)


if __name__ == "__main__":
    main()
