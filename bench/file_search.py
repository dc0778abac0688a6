"""What file search finds; ``bench.retrieval`` tells how fast, ``bench.documents`` how fast files are taken in.

    python -m bench.file_search [--set functions|docstrings] [--count 1500]

Two collections are made from Python packages that are installed here. Functions: a document is the source of a
function without its docstring, its query is the first sentence of the docstring. Docstrings of the standard library: a
document is a docstring without its summary, its query is the summary. It tells nDCG@10 and recall@10 of words alone,
vectors alone and both, with the vectors of the embedding model that is bound by default, run directly.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.embeddings import docstrings
from inhouse.engines.embedding.onnx import OnnxEncoder
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.tools.file_search.index import Index, Query, Segment, Weights, packed, part_of
from inhouse.tools.file_search.words import words

PACKAGES = ("sqlalchemy", "starlette", "numpy", "onnxruntime", "jinja2", "aiohttp", "PIL", "rich", "typer", "alembic")
SHARES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)


def functions() -> Iterator[tuple[str, str]]:
    """Docstring and source of functions of packages; the docstring is taken out of the source."""
    for name in PACKAGES:
        root = Path(importlib.import_module(name).__file__ or "").parent
        for path in sorted(root.rglob("*.py")):
            text = path.read_text(errors="replace")
            lines = text.splitlines()
            for node in ast.walk(ast.parse(text)):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not ast.get_docstring(node):
                    continue
                first = node.body[0]
                body = lines[node.lineno - 1 : first.lineno - 1] + lines[first.end_lineno or 0 : node.end_lineno]
                said = (ast.get_docstring(node) or "").split("\n\n")[0].split(". ")[0]
                if len(said.split()) >= 5 and len(body) >= 4:
                    yield " ".join(said.split()), "\n".join(body)[:4000]


def quality(name: str, count: int) -> None:
    found = list(dict(functions()).items()) if name == "functions" else docstrings()
    random.Random(1).shuffle(found)
    queries, documents = zip(*found[:count], strict=True)
    count = len(queries)
    encoder = OnnxEncoder(WeightsCache().folder(find_manifest("all-minilm-l6-v2-int8")), 2)
    vectors, asked = _embedded(encoder, documents), _embedded(encoder, queries)
    segment = Segment("r", 0, count, vectors.astype("<f2").tobytes(), packed([words(each) for each in documents]))
    index = Index().updated(part_of([segment], vectors.shape[1]), {"r"})
    print(f"{count} {name}")
    print("| share of vectors | nDCG@10 | recall@10 |\n|---|---|---|")
    for share in SHARES:
        gains, hits = 0.0, 0
        for at, (query, vector) in enumerate(zip(queries, asked, strict=True)):
            got = index.search([Query(vector, words(query))], Weights(share, 1 - share), 10)
            rank = next((place for place, hit in enumerate(got) if hit.number == at), None)
            if rank is not None:
                hits += 1
                gains += 1 / math.log2(rank + 2)
        print(f"| {share:.1f} | {gains / count:.3f} | {hits / count:.3f} |")
    gains, hits = _fused(index, queries, asked)
    print(f"| reciprocal ranks | {gains / count:.3f} | {hits / count:.3f} |")


def _fused(index: Index, queries: Sequence[str], asked: np.ndarray) -> tuple[float, int]:
    """Reciprocal rank fusion of the first 100 of each, with the usual constant of 60."""
    gains, hits = 0.0, 0
    for at, (query, vector) in enumerate(zip(queries, asked, strict=True)):
        ranks: dict[int, float] = {}
        for weights in (Weights(1, 0), Weights(0, 1)):
            for place, hit in enumerate(index.search([Query(vector, words(query))], weights, 100)):
                ranks[hit.number] = ranks.get(hit.number, 0.0) + 1 / (61 + place)
        best = sorted(ranks, key=lambda number: -ranks[number])[:10]
        if at in best:
            hits += 1
            gains += 1 / math.log2(best.index(at) + 2)
    return gains, hits


def _embedded(encoder: OnnxEncoder, texts: Sequence[str]) -> np.ndarray:
    class Never:
        def check(self) -> None: ...

    parts = [encoder.embed(list(texts[start : start + 64]), Never()) for start in range(0, len(texts), 64)]  # type: ignore[arg-type]
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=["functions", "docstrings"], default="functions", dest="name")
    parser.add_argument("--count", type=int, default=1500)
    given = parser.parse_args()
    quality(given.name, given.count)


if __name__ == "__main__":
    main()
