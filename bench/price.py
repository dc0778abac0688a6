"""What limits and metering cost a request: the same server without the ledger, with it, and with limits as well.

    python -m bench.price [--rounds 5] [--seconds 2] [--write]

Three servers run before the same mock upstream, on SQLite as it comes, and are loaded one after the other in an order
that alternates from round to round. CPU is of the server's processes for one answer; differences and shares are taken
within a round, and their medians told. The server without a ledger is one of this benchmark: there is no such setting.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.contenders import start_inhouse, start_mock
from bench.gateway import CASES, Case, measure
from bench.processes import Server, stop
from bench.report import table, write_section

WAYS = {"neither": "off", "metering": "off", "metering and limits": "tier_5"}
"""And the tier of each."""
PLENTY = 10**9


def serve() -> None:
    """``inhouse serve``, changed as the first argument says; the others are its own."""
    import inhouse.app
    from inhouse.cli import main as command
    from inhouse.limits import plans
    from inhouse.limits.buckets import bucket
    from inhouse.metering.ledger import Ledger

    class NoLedger(Ledger):
        """Takes part, but writes no call."""

        def open(self, opening: Any, usage: Any = None) -> asyncio.Future[None]:
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

        def open_lazily(self, opening: Any, usage: Any = None) -> None:
            pass

        async def settle(self, settlement: Any) -> None:
            pass

    way = sys.argv.pop(2)
    sys.argv[:2] = ["inhouse"]
    if way == "neither":
        vars(inhouse.app)["Ledger"] = NoLedger
    # What a tier allows would end the run; how much that is does not change what a check costs.
    vars(plans)["bucket"] = lambda key, limit, dimension, **more: bucket(key, PLENTY, dimension, **more)
    command()


def report(rounds: dict[tuple[str, Case], list[tuple[float, float]]]) -> str:
    rows = []
    for case in CASES:
        base = rounds["neither", case]
        for way in WAYS:
            runs = rounds[way, case]
            added = median(cpu - before for (_, cpu), (_, before) in zip(runs, base, strict=True))
            slower = median(1 - rate / before for (rate, _), (before, _) in zip(runs, base, strict=True))
            rows.append(
                [
                    f"{case.title}: {way}",
                    f"{median(rate for rate, _ in runs):,.0f}",
                    f"{median(cpu for _, cpu in runs):,.0f}",
                    *(["", ""] if way == "neither" else [f"{added:+,.0f}", f"{-slower:+.1%}"]),
                ]
            )
    return table(["", "a second", "CPU µs each", "CPU µs more", "throughput"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    given = parser.parse_args()
    rounds: dict[tuple[str, Case], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="inhouse-bench-") as home, contextlib.ExitStack() as stack:
        mock = start_mock(Path(home))
        stack.callback(stop, mock.process)
        servers: dict[str, Server] = {}
        for number, (way, tier) in enumerate(WAYS.items()):
            folder = Path(home) / str(number)
            folder.mkdir()
            program = [sys.executable, "-m", "bench.price", "serve", way]
            servers[way] = start_inhouse(mock.url, folder, program=program, tier=tier)
            stack.callback(stop, servers[way].process)
        for turn in range(given.rounds):
            for case in CASES:
                for way in list(WAYS) if turn % 2 == 0 else list(reversed(WAYS)):
                    run = measure(servers[way], case, given.seconds)
                    rounds.setdefault((way, case), []).append((run.result.per_second, run.cpu_us))
            print(f"round {turn + 1} of {given.rounds}", file=sys.stderr, flush=True)
    text = f"{given.rounds} rounds of {given.seconds:g} s a case.\n\n{report(rounds)}"
    print(text)
    if given.write:
        write_section("price", text)


if __name__ == "__main__":
    serve() if sys.argv[1:2] == ["serve"] else main()
