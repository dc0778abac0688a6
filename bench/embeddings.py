"""Embeddings: texts a second through the host against the library driven directly, and what `dimensions` costs.

    python -m bench.embeddings [--texts 256] [--rounds 3]

Speed: the same texts, in the same run, in turns: ONNX Runtime called in this process (a text at a time on as many
threads as there are cores, and in padded batches sorted by length), and the child process behind `HostedEngine`, in
the parts that `/v1/embeddings` sends.

Retrieval: summaries of the standard library's docstrings look for the rest of their docstrings. Told for the model's
whole vectors, for those filled up with zeros, and for those cut to fewer dimensions.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import os
import pkgutil
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from inhouse.api.embeddings.service import turns
from inhouse.engines.deployments import Hosted
from inhouse.engines.embedding.shapes import EMBED, Inputs, Vectors
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.pool import EnginePool
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.settings import Engines

WEIGHTS = "all-minilm-l6-v2-int8"
MODULES = ("asyncio", "collections", "concurrent.futures", "email", "http", "json", "logging", "os", "pathlib",
           "shutil", "socket", "sqlite3", "statistics", "string", "subprocess", "tarfile", "threading", "typing",
           "unittest.mock", "urllib.parse", "xml.etree.ElementTree", "zipfile", "datetime", "decimal", "functools",
           "itertools", "random", "re", "tempfile", "textwrap")  # fmt: skip


class Direct:
    """The library itself, without anything of this project."""

    def __init__(self, folder: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(256)
        self._tokenizer.no_padding()

    def alone(self, texts: list[str], workers: int) -> None:
        tokens = [found.ids for found in self._tokenizer.encode_batch(texts)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda ids: self._run([ids]), tokens))

    def batched(self, texts: list[str], size: int = 32) -> None:
        tokens = sorted((found.ids for found in self._tokenizer.encode_batch(texts)), key=len)
        for start in range(0, len(tokens), size):
            self._run(tokens[start : start + size])

    def _run(self, rows: list[list[int]]) -> Any:
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states: Any = self._session.run(None, feeds)[0]
        vectors = (states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def docstrings() -> list[tuple[str, str]]:
    """Summary and rest of the docstrings of the standard library, each once."""
    found: dict[str, str] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        names = [name]
        if hasattr(module, "__path__"):
            names += [f"{name}.{each.name}" for each in pkgutil.iter_modules(module.__path__) if each.name[0] != "_"]
        for each in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    members = inspect.getmembers(importlib.import_module(each))
                except ImportError:
                    continue
            for _, member in members:
                text = inspect.getdoc(member) or ""
                summary, _, rest = text.partition("\n\n")
                if 20 < len(summary) < 200 and 80 < len(rest) < 4000 and callable(member):
                    found.setdefault(summary, rest)
    return sorted(found.items())


async def embed(engine: HostedEngine, texts: list[str]) -> Any:
    parts = []
    for turn in turns(list(texts)):
        answer = await engine.call(EMBED, Inputs(turn), Vectors)
        parts.append(np.frombuffer(answer.data, "<f4").reshape(-1, answer.width))
    return np.vstack(parts)


def retrieval(queries: Any, documents: Any) -> tuple[float, float]:
    """Mean reciprocal rank, and recall among the first ten."""
    scores = queries @ documents.T
    ranks = (scores > np.diag(scores)[:, None]).sum(1) + 1
    return float((1 / ranks).mean()), float((ranks <= 10).mean())


def cut(vectors: Any, dimensions: int) -> Any:
    kept = vectors[:, :dimensions]
    return kept / np.linalg.norm(kept, axis=1, keepdims=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cache = WeightsCache()
    for name in (WEIGHTS, "cl100k-base"):
        cache.pull(find_manifest(name))
    pairs = docstrings()
    texts = [rest for _, rest in pairs][: options.texts]
    cores = len(os.sched_getaffinity(0))
    folder = cache.folder(find_manifest(WEIGHTS))
    with tempfile.TemporaryDirectory() as logs:
        pool = EnginePool(cache, Engines(), Path(logs))
        engine = pool.get(Hosted.of([find_manifest(WEIGHTS)]))
        assert isinstance(engine, HostedEngine)
        try:
            await engine.start()
            one, many = Direct(folder, 1), Direct(folder, cores)
            seconds: dict[str, list[float]] = {"direct, alone": [], "direct, batches": [], "host": []}
            # Direct truncates at the model's window where the host embeds the whole; so no text is longer here.
            texts = [text[:800] for text in texts]
            for number in range(options.rounds + 1):
                taken: list[tuple[str, float]] = []
                start = time.perf_counter()
                await asyncio.to_thread(one.alone, texts, cores)
                taken.append(("direct, alone", time.perf_counter() - start))
                start = time.perf_counter()
                await asyncio.to_thread(many.batched, texts)
                taken.append(("direct, batches", time.perf_counter() - start))
                start = time.perf_counter()
                await embed(engine, texts)
                taken.append(("host", time.perf_counter() - start))
                if number:  # the first warms up
                    for name, value in taken:
                        seconds[name].append(value)
            print(f"{len(texts)} texts, median of {options.rounds} rounds, {cores} cores")
            rates = {name: len(texts) / statistics.median(values) for name, values in seconds.items()}
            for name, rate in rates.items():
                print(f"  {name:16} {rate:7.1f} texts/s")
            best = max(rates["direct, alone"], rates["direct, batches"])
            print(f"  host against the better of both: {rates['host'] / best:.2f}")
            pairs = pairs[:600]
            queries = await embed(engine, [summary for summary, _ in pairs])
            documents = await embed(engine, [rest for _, rest in pairs])
            print(f"retrieval over {len(pairs)} docstrings: mean reciprocal rank, recall@10")
            print("  {:>5}  {:.3f}  {:.3f}".format(queries.shape[1], *retrieval(queries, documents)))
            for dimensions in (256, 128, 64, 32):
                print("  {:>5}  {:.3f}  {:.3f}".format(
                    dimensions, *retrieval(cut(queries, dimensions), cut(documents, dimensions))))  # fmt: skip
        finally:
            await pool.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
