"""Responses beside Chat Completions, and what a turn costs as a conversation grows.

    python -m bench.responses --write                    and with --url for PostgreSQL

Both APIs stream the same answer of the same upstream, which does no work, through the same server; they take turns, and
a ratio is that within a round. Then a conversation is filled, and turns are measured at each length: with
``conversation``, and along a chain with ``previous_response_id``. What the upstream has to be sent, all of the
conversation, grows with it, so a request that sends the same messages through Chat Completions is beside it, and what
is written in the columns is CPU time of the server's process, which other work on the machine changes less than time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import uvloop

from bench.contenders import start_inhouse, start_mock
from bench.processes import Server, cpu_seconds, stop
from bench.report import table, write_section

CLIENTS = 8
LENGTHS = (10, 100, 1000)
AROUND = 20
"""Turns measured at each length."""
SETTLE_S = 0.12
"""Until the database has what the journals hold, so that all of a case's work counts as its own."""
WORDS = "The river carries the stone a little further every year, and neither of them counts the years. "
CHAT = "/chat/completions"
RESPONSES = "/responses"
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "Chat Completions": (CHAT, {}),
    "Responses, `store: false`": (RESPONSES, {"store": False}),
    "Responses, stored": (RESPONSES, {}),
}


async def streams(http: aiohttp.ClientSession, server: Server, case: str, seconds: float) -> tuple[float, float]:
    """Whole streams a second, and CPU seconds of the server for each."""
    path, more = CASES[case]
    said = [{"role": "user", "content": WORDS}]
    body = {"model": server.model, "stream": True, "messages" if path == CHAT else "input": said, **more}
    last = b"data: [DONE]" if path == CHAT else b"event: response.completed"
    ended = 0
    spent = cpu_seconds(server.process.pid)
    began = time.perf_counter()

    async def client() -> None:
        nonlocal ended
        while time.perf_counter() < began + seconds:
            async with http.post(server.url + path, json=body) as answer:
                told = await answer.read()
            if answer.status != 200 or last not in told:
                raise RuntimeError(told[-500:].decode(errors="replace"))
            ended += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    taken = time.perf_counter() - began
    await asyncio.sleep(SETTLE_S)
    return ended / taken, (cpu_seconds(server.process.pid) - spent) / ended


async def compare(http: aiohttp.ClientSession, server: Server, rounds: int, seconds: float) -> list[list[str]]:
    found: dict[str, list[tuple[float, float]]] = {case: [] for case in CASES}
    for case in CASES:
        await streams(http, server, case, 0.5)
    for turn in range(rounds):
        for case in sorted(found, reverse=bool(turn % 2)):
            found[case].append(await streams(http, server, case, seconds))
    chat, *_ = CASES
    rows = []
    for case, each in found.items():
        ratios = [ours / theirs for (ours, _), (theirs, _) in zip(each, found[chat], strict=True)]
        rows.append(
            [
                case,
                f"{median(rate for rate, _ in each):,.0f}",
                f"{median(ratios):.2f}×",
                f"{median(cpu for _, cpu in each) * 1e6:,.0f}",
            ]
        )
    return rows


async def asked(http: aiohttp.ClientSession, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a POST answers; without a body, a GET."""
    async with http.get(url) if body is None else http.post(url, json=body) as answer:
        told: dict[str, Any] = await answer.json()
    if answer.status != 200:
        raise RuntimeError(str(told)[:500])
    return told


async def grow(http: aiohttp.ClientSession, server: Server, lengths: list[int]) -> list[list[str]]:
    """A row for each length: what a turn takes each way, and what belongs to it."""
    url, model = server.url, server.model
    conversation = (await asked(http, f"{url}/conversations", {}))["id"]
    items_url = f"{url}/conversations/{conversation}/items"
    previous: dict[str, Any] = {}
    turn = {"model": model, "input": WORDS}
    rows = []
    length = chain = 0

    async def answer_along_the_chain() -> None:
        nonlocal previous
        previous = {"previous_response_id": (await asked(http, url + RESPONSES, {**turn, **previous}))["id"]}

    async def spent(work: Callable[[], Awaitable[Any]]) -> str:
        await work()
        await asyncio.sleep(SETTLE_S)
        before = cpu_seconds(server.process.pid)
        for _ in range(AROUND):
            await work()
        await asyncio.sleep(SETTLE_S)
        return f"{(cpu_seconds(server.process.pid) - before) / AROUND * 1e3:.2f}"

    for wanted in lengths:
        while length < wanted:
            count = min(20, wanted - length)
            await asked(http, items_url, {"items": _said(count)})
            length += count
        while chain < wanted:
            await answer_along_the_chain()
            chain += 2
        said = {"model": model, "messages": _said(wanted + 1)}
        cases: list[Callable[[], Awaitable[Any]]] = [
            partial(asked, http, url + RESPONSES, {**turn, "conversation": conversation}),
            answer_along_the_chain,
            partial(asked, http, url + CHAT, said),
            partial(asked, http, items_url, {"items": _said(1)}),
            partial(asked, http, f"{items_url}?limit=100"),
        ]
        rows.append([f"{wanted:,}", *[await spent(case) for case in cases]])
        length += 2 * (AROUND + 1) + AROUND + 1
        chain += 2 * (AROUND + 1)
    return rows


def _said(count: int) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[number % 2], "content": WORDS} for number in range(count)]


def bytes_of_a_turn(database: Path) -> float:
    """Of the items that a turn of the chain stored, on average."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        query = (
            "SELECT sum(length(body)) * 1.0 / count(DISTINCT response_id) FROM response_items "
            "WHERE response_id IN (SELECT id FROM responses WHERE previous_response_id IS NOT NULL)"
        )
        return float(connection.execute(query).fetchone()[0] or 0)


@contextlib.asynccontextmanager
async def serving(folder: Path, database_url: str | None) -> AsyncIterator[tuple[Server, aiohttp.ClientSession]]:
    mock = start_mock(folder)
    try:
        server = await asyncio.to_thread(start_inhouse, mock.url, folder, database_url=database_url)
        try:
            async with aiohttp.ClientSession(headers={"authorization": f"Bearer {server.key}"}) as http:
                yield server, http
        finally:
            stop(server.process)
    finally:
        stop(mock.process)


async def measure(
    rounds: int, seconds: float, lengths: list[int], database_url: str | None
) -> tuple[list[list[str]], list[list[str]], float | None]:
    with tempfile.TemporaryDirectory() as made:
        async with serving(Path(made), database_url) as (server, http):
            beside = await compare(http, server, rounds, seconds)
            grown = await grow(http, server, lengths)
            stored = bytes_of_a_turn(Path(made) / "inhouse" / "inhouse.db") if database_url is None else None
        return beside, grown, stored


async def main(rounds: int, seconds: float, lengths: list[int], url: str | None, write: bool, note: str) -> None:
    parts = [note] if note else []
    for name, database_url in {"SQLite": None, **({"PostgreSQL": url} if url else {})}.items():
        beside, grown, stored = await measure(rounds, seconds, lengths, database_url)
        head = ["", "streams a second", "beside Chat Completions", "CPU µs each"]
        parts += [
            f"**{name}**: streams of the same answer, {CLIENTS} clients, {rounds} rounds of {seconds:g} s.",
            table(head, beside),
            f"**{name}**: a turn of a conversation, CPU milliseconds of the server's process, means of {AROUND}."
            + (f" A turn of the chain stores {stored:,.0f} bytes of items, however long it is." if stored else ""),
            table(
                [
                    "items before it",
                    "turn with `conversation`",
                    "turn with `previous_response_id`",
                    "the same messages through Chat Completions",
                    "append an item",
                    "list 100 items",
                ],
                grown,
            ),
        ]
    text = "\n\n".join(parts)
    print(text)
    if write:
        write_section("responses", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case in each round")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS), help="items, in rising order")
    parser.add_argument("--url", help="of an empty PostgreSQL database, to measure that, too")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--note", default="", help="said above the tables, for instance what else the machine did")
    given = parser.parse_args()
    uvloop.run(main(given.rounds, given.seconds, given.lengths, given.url, given.write, given.note))
