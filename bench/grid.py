"""The grid of lengths and depths, in parts: each cell is kept as soon as it is known, and not measured again.

    python -m bench.grid --seconds 300                       # what the search finds; goes on where it was left
    python -m bench.grid --url http://127.0.0.1:8080/v1 --key sk-... --kinds one two --lengths 8192 32768
    python -m bench.grid --charts                            # draws docs/images/window-*.svg from what is known

A cell of the search tells whether all that the answer needs stands in the passages that are read (``--read`` tokens);
``words`` is the search without word vectors, ``last`` is plain truncation, at its best: whether all of it stands in the
last 32,768 tokens. A cell of a server tells whether the answer says it; ``last`` there is ``truncation: auto``, and
``all`` a text that the model reads whole, where it fits.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bench.haystack import haystack, hide
from bench.needles import KINDS
from inhouse.engines.deployments import READ_TOKENS, WORD_VECTORS
from inhouse.engines.weights import WeightsCache, find_manifest
from inhouse.generation.items import Message, Text
from inhouse.generation.reading.plan import plan
from inhouse.generation.reading.ranking import Index
from inhouse.generation.reading.search import Job, search
from inhouse.generation.reading.segments import segments

CHARACTERS_PER_TOKEN = 4.06
"""Of the made text, by Qwen's tokenizer."""
LENGTHS = [8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_047_000]
DEPTHS = [(n + 0.5) / 10 for n in range(10)]
WINDOW = 32_768
KEPT = Path(__file__).parent / "window.json"
"""Cells by ``way of measuring/what is read/kind/length/depth``: 1 where the answer, or all that it needs, is there."""

Cells = dict[str, float]


def cells(kept: Path) -> Cells:
    return json.loads(kept.read_text("utf-8")) if kept.exists() else {}


def keep(known: Cells, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = kept.with_suffix(".new")
    fresh.write_text(json.dumps(dict(sorted(known.items())), indent=0) + "\n", "utf-8")
    fresh.replace(kept)


class Searches:
    """The search with everything of a text indexed that an earlier cell had, too."""

    def __init__(self, read: int, vectors: str | None) -> None:
        self._characters = int(read * CHARACTERS_PER_TOKEN)
        self._vectors = vectors
        self._indexes: dict[bytes, Index] = {}

    def read(self, text: str, question: str) -> str:
        """The passages that would be read."""
        made = plan((Message("user", (Text(f"{text}\n\nQuestion: {question}"),)),), 20_000)
        (source,) = made.sources
        texts = segments(source.searched)
        keys = [blake2b(each.encode(), digest_size=16).digest() for each in texts]
        given = [self._indexes.get(key) for key in keys]
        edges = [(0, source.text[: source.first]), (len(texts), source.text[source.last :])]
        found = search(Job(texts, given, made.question, 2 * self._characters, self._vectors, [], edges))
        for key, new in zip(keys, found.indexes, strict=True):
            if new is not None:
                self._indexes[key] = new
        out, left = [source.text[: source.first], source.text[source.last :]], self._characters
        for number, first, last in found.passages:
            left -= last - first
            if left < 0:
                break
            out.append(texts[number][first:last])
        return "\n".join(out)


def by_search(known: Cells, kept: Path, lengths: list[int], kinds: list[str], read: int, until: float) -> None:
    folder = WeightsCache().folder(find_manifest(WORD_VECTORS))
    ways = {"read": Searches(read, str(folder)), "words": Searches(read, None)}
    for length in lengths:
        blocks = haystack(int(length * CHARACTERS_PER_TOKEN))
        for kind, depth in itertools.product(kinds, DEPTHS):
            asked = KINDS[kind](random.Random(round(depth * 100)), depth)
            text = None
            for way in ("read", "words", "last"):
                name = f"search/{way}/{kind}/{length}/{depth:.2f}"
                if name in known or (way == "words" and kind not in ("one", "two", "paraphrase")):
                    continue
                if time.monotonic() > until:
                    return
                text = text or hide(blocks, asked.hidden)
                seen = text[-int((WINDOW - 1_024) * CHARACTERS_PER_TOKEN) :]
                if way in ways:
                    seen = ways[way].read(text, asked.question)
                known[name] = float(all(each in seen for each in asked.wanted))
        keep(known, kept)


def by_server(
    known: Cells, args: argparse.Namespace, lengths: list[int], kinds: list[str], depths: list[float], until: float
) -> None:
    from openai import OpenAI

    client = OpenAI(base_url=args.url, api_key=args.key, max_retries=0, timeout=600)
    for length, kind, depth in itertools.product(lengths, kinds, depths):
        asked = KINDS[kind](random.Random(round(depth * 100)), depth)
        text = hide(haystack(int(length * CHARACTERS_PER_TOKEN)), asked.hidden)
        for way in args.ways:
            name = f"{args.model}/{way}/{kind}/{length}/{depth:.2f}"
            if name in known:
                continue
            if time.monotonic() > until:
                return
            more: dict[str, Any] = {"truncation": "auto"} if way == "last" else {}
            started = time.perf_counter()
            answer = client.responses.create(
                model=args.model,
                input=f"{text}\n\nQuestion: {asked.question} Answer in one sentence.",
                max_output_tokens=16 + 24 * len(asked.wanted),
                temperature=0,
                store=False,
                **more,
            )
            wanted = [asked.wanted[-1]] if kind in ("two", "chain", "paraphrase") else asked.wanted
            known[name] = float(all(each in answer.output_text for each in wanted))
            used = answer.usage.input_tokens if answer.usage else 0
            print(f"{name}: {known[name]:.0f}, {used:,} tokens, {time.perf_counter() - started:.1f} s", flush=True)
            keep(known, args.kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3_600, help="after which no further cell is begun")
    parser.add_argument("--lengths", type=int, nargs="*", default=LENGTHS)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--depths", type=float, nargs="*", default=DEPTHS)
    parser.add_argument("--read", type=int, default=READ_TOKENS, help="tokens of passages, for the search alone")
    parser.add_argument("--ways", nargs="*", default=["read"], choices=["read", "last", "all"], help="of a server")
    parser.add_argument("--url")
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="gpt-4.1")
    parser.add_argument("--kept", type=Path, default=KEPT, help="the file of the cells")
    parser.add_argument("--charts", action="store_true")
    args = parser.parse_args()
    known = cells(args.kept)
    if args.charts:
        from bench.charts import draw, table

        draw(known)
        for source in sorted({name.rsplit("/", 4)[0] for name in known}):
            print(f"{source}\n\n{table(known, source)}\n")
        return
    until = time.monotonic() + args.seconds
    if args.url:
        by_server(known, args, args.lengths, args.kinds, args.depths, until)
    else:
        by_search(known, args.kept, args.lengths, args.kinds, args.read, until)
    keep(known, args.kept)


if __name__ == "__main__":
    main()
