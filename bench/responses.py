"""Responses beside Chat Completions, and what a turn costs as a conversation grows.

    python -m bench.responses --write

Both APIs stream the same answer of the same upstream, which does no work, through the same server; they take turns, and
the ratio is that within a round. The conversation is appended to a turn of two items at a time, with ``conversation``
and with ``previous_response_id``; a turn is measured around each length. What the upstream has to be sent, all of the
conversation, grows with it, so an empty turn that only sends the same messages through Chat Completions is beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop

from bench.contenders import start_inhouse, start_mock
from bench.processes import Server, stop
from bench.report import table, write_section

CLIENTS = 8
LENGTHS = (2, 250, 500, 1000)
AROUND = 15
"""Turns measured at each length."""
WORDS = "The river carries the stone a little further every year, and neither of them counts the years. "
CHAT = "/chat/completions"
RESPONSES = "/responses"


def body_of(path: str, model: str) -> dict[str, Any]:
    text = [{"role": "user", "content": WORDS}]
    return {"model": model, "stream": True, **({"messages": text} if path == CHAT else {"input": text})}


async def streams(http: aiohttp.ClientSession, server: Server, path: str, seconds: float) -> float:
    """Whole streams a second."""
    ended = 0
    until = time.perf_counter() + seconds
    last = b"data: [DONE]" if path == CHAT else b"event: response.completed"

    async def client() -> None:
        nonlocal ended
        while time.perf_counter() < until:
            async with http.post(server.url + path, json=body_of(path, server.model)) as answer:
                told = await answer.read()
            if answer.status != 200 or last not in told:
                raise RuntimeError(told[-500:].decode(errors="replace"))
            ended += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return ended / (time.perf_counter() - began)


async def compare(http: aiohttp.ClientSession, server: Server, rounds: int, seconds: float) -> list[list[str]]:
    found: dict[str, list[float]] = {CHAT: [], RESPONSES: []}
    for path in found:
        await streams(http, server, path, 0.5)
    for turn in range(rounds):
        for path in sorted(found, reverse=bool(turn % 2)):
            found[path].append(await streams(http, server, path, seconds))
    ratios = [ours / theirs for ours, theirs in zip(found[RESPONSES], found[CHAT], strict=True)]
    return [
        ["Chat Completions", f"{median(found[CHAT]):,.0f}", "1×"],
        ["Responses", f"{median(found[RESPONSES]):,.0f}", f"{median(ratios):.2f}×"],
    ]


async def post(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
    """The answer, and how long it took, in milliseconds."""
    began = time.perf_counter()
    async with http.post(url, json=body) as answer:
        told: dict[str, Any] = await answer.json()
    taken = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        raise RuntimeError(str(told)[:500])
    return told, taken


async def grow(http: aiohttp.ClientSession, server: Server, database: Path) -> list[list[str]]:
    """A row for each length: what a turn takes each way, what sending as much takes, what a turn adds to the file."""
    url, model = server.url, server.model
    conversation = (await post(http, f"{url}/conversations", {}))[0]["id"]
    previous: dict[str, Any] = {}
    rows = []
    length = 0
    for wanted in LENGTHS:
        while length < wanted:
            count = min(20, wanted - length)
            kinds = ["user", "assistant"] * count
            items = [{"role": kind, "content": WORDS} for kind in kinds[:count]]
            await post(http, f"{url}/conversations/{conversation}/items", {"items": items})
            told, _ = await post(http, url + RESPONSES, {"model": model, "input": items, **previous})
            previous = {"previous_response_id": told["id"]}
            length += count
        taken: dict[str, list[float]] = {"conversation": [], "chain": [], "chat": [], "append": [], "page": []}
        messages = [{"role": "user" if n % 2 == 0 else "assistant", "content": WORDS} for n in range(length + 1)]
        turn = {"model": model, "input": WORDS}
        before = stored(database)
        for _ in range(AROUND):
            taken["conversation"].append((await post(http, url + RESPONSES, {**turn, "conversation": conversation}))[1])
        added = (stored(database) - before) / AROUND
        for _ in range(AROUND):
            taken["chain"].append((await post(http, url + RESPONSES, {**turn, **previous}))[1])
            taken["chat"].append((await post(http, url + CHAT, {"model": model, "messages": messages}))[1])
            item = {"items": [{"role": "user", "content": WORDS}]}
            taken["append"].append((await post(http, f"{url}/conversations/{conversation}/items", item))[1])
            taken["page"].append(await page(http, f"{url}/conversations/{conversation}/items?limit=100"))
        rows.append([f"{wanted:,}", *(f"{median(each):.1f}" for each in taken.values()), f"{added:,.0f}"])
    return rows


async def page(http: aiohttp.ClientSession, url: str) -> float:
    began = time.perf_counter()
    async with http.get(url) as answer:
        await answer.read()
    return (time.perf_counter() - began) * 1000


def stored(database: Path) -> int:
    """Bytes of all items that the database holds."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT sum(length(body)) FROM response_items").fetchone()[0] or 0)


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Server]:
    mock = start_mock(folder)
    try:
        server = start_inhouse(mock.url, folder)
        try:
            yield server
        finally:
            stop(server.process)
    finally:
        stop(mock.process)


async def main(rounds: int, seconds: float, write: bool) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        async with serving(folder) as server:
            headers = {"authorization": f"Bearer {server.key}"}
            async with aiohttp.ClientSession(headers=headers) as http:
                beside = await compare(http, server, rounds, seconds)
                grown = await grow(http, server, folder / "inhouse" / "inhouse.db")
    text = "\n\n".join(
        (
            f"Streams of the same answer, {CLIENTS} clients, {rounds} rounds.",
            table(["", "streams a second", "beside Chat Completions"], beside),
            "A turn of a conversation, medians in milliseconds.",
            table(
                [
                    "items before it",
                    "turn with `conversation`",
                    "turn with `previous_response_id`",
                    "the same messages through Chat Completions",
                    "append an item",
                    "list 100 items",
                    "bytes of items that a turn stores",
                ],
                grown,
            ),
        )
    )
    print(text)
    if write:
        write_section("responses", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    given = parser.parse_args()
    uvloop.run(main(given.rounds, given.seconds, given.write))
