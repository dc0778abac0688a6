"""What a gateway costs: Inhouse, LiteLLM's proxy and a bare relay side by side before the same mock upstream.

    python -m bench.gateway [--rounds 5] [--seconds 2] [--only inhouse,relay] [--write]

All run at the same time and are loaded one after the other, in an order that alternates from round to round; ratios are
taken within a round and their median is told, because a shared machine is never the same twice. CPU time a request is
the steadiest of the figures. With ``--write`` the tables go into docs/performance.md.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import msgspec

from bench.contenders import CONTENDERS, Missing, litellm_version, start_mock
from bench.load import Result
from bench.processes import Server, stop, usage
from bench.report import table, write_section

CLIENTS = (1, 8)
NAMES = {"direct": "mock, direct", "relay": "bare relay", "inhouse": "Inhouse", "litellm": "LiteLLM proxy"}


class Case(msgspec.Struct, frozen=True):
    clients: int
    stream: bool

    @property
    def title(self) -> str:
        what = "streams of 51 chunks" if self.stream else "requests"
        return f"{what}, {self.clients} client{'s' if self.clients > 1 else ''}"


CASES = [Case(clients, stream) for stream in (False, True) for clients in CLIENTS]


class Run(msgspec.Struct):
    result: Result
    cpu_us: float
    """CPU time of the gateway's processes for one answer, microseconds."""


Runs = dict[tuple[str, Case], list[Run]]


def measure(server: Server, case: Case, seconds: float) -> Run:
    """One run of the load generator. Raises ``RuntimeError`` if an answer was wrong."""
    arguments = ["--url", server.url, "--key", server.key, "--model", server.model, "--clients", str(case.clients)]
    arguments += ["--seconds", str(seconds), "--warmup", "5"] + (["--stream"] if case.stream else [])
    before = usage(server.process.pid).cpu_seconds
    done = subprocess.run([sys.executable, "-m", "bench.load", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the load generator failed: {done.stderr[-1000:]}")
    result = msgspec.json.decode(done.stdout, type=Result)
    if result.errors or not result.answers:
        raise RuntimeError(f"{server.url}: {result.errors} wrong answers, the first: {result.first_error}")
    spent = usage(server.process.pid).cpu_seconds - before
    return Run(result, spent / (result.answers + 5 * case.clients) * 1e6)


@contextlib.contextmanager
def started(names: list[str]) -> Iterator[dict[str, Server]]:
    """The mock as ``direct`` and the contenders before it; one that cannot run is left out, and said."""
    with tempfile.TemporaryDirectory(prefix="inhouse-bench-") as home, contextlib.ExitStack() as stack:
        folder = Path(home)
        servers = {"direct": start_mock(folder)}
        stack.callback(stop, servers["direct"].process)
        for name in names:
            try:
                servers[name] = CONTENDERS[name](servers["direct"].url, folder)
            except Missing as error:
                print(f"left out: {NAMES[name]}: {error}", file=sys.stderr, flush=True)
                continue
            stack.callback(stop, servers[name].process)
        yield servers


def measure_all(servers: dict[str, Server], rounds: int, seconds: float) -> Runs:
    runs: Runs = {}
    for turn in range(rounds):
        for case in CASES:
            order = list(servers) if turn % 2 == 0 else list(reversed(servers))
            for name in order:
                runs.setdefault((name, case), []).append(measure(servers[name], case, seconds))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    return runs


def report(runs: Runs, servers: dict[str, Server], idle: dict[str, float], loaded: dict[str, float]) -> str:
    """Markdown."""
    names = list(servers)
    parts: list[str] = []
    for case in CASES:
        rows = []
        for name in names:
            results = [run.result for run in runs[name, case]]
            row = [
                NAMES[name],
                f"{median(result.per_second for result in results):,.0f}",
                *(
                    f"{median(getattr(result, field) for result in results):.2f}"
                    for field in (["first_p50"] if case.stream else []) + ["p50", "p95", "p99"]
                ),
                f"{median(run.cpu_us for run in runs[name, case]):,.0f}",
            ]
            rows.append(row)
        first = ["first chunk p50 ms"] if case.stream else []
        parts.append(
            f"**{case.title.capitalize()}**\n\n"
            + table(["", "a second", *first, "p50 ms", "p95 ms", "p99 ms", "CPU µs each"], rows)
        )
    parts.append("**Memory of the gateway, all its processes**\n\n" + _memory(names, idle, loaded))
    if "inhouse" in servers:
        parts.append("**Against Inhouse, medians of the ratios within each round**\n\n" + _ratios(runs, names))
    return "\n\n".join(parts)


def _memory(names: list[str], idle: dict[str, float], loaded: dict[str, float]) -> str:
    rows = [[NAMES[name], f"{idle[name]:.0f}", f"{loaded[name]:.0f}"] for name in names if name != "direct"]
    return table(["", "MB after start", "MB after the load"], rows)


def _ratios(runs: Runs, names: list[str]) -> str:
    rows = []
    for case in CASES:
        ours = runs["inhouse", case]
        row = [case.title]
        for name in names:
            if name != "inhouse":
                pairs = zip(ours, runs[name, case], strict=True)
                row.append(f"{median(a.result.per_second / b.result.per_second for a, b in pairs):.2f}×")
        added = median(a.result.p50 - b.result.p50 for a, b in zip(ours, runs["direct", case], strict=True))
        rows.append([*row, f"{added:.2f}"])
    others = [f"Inhouse / {NAMES[name]}" for name in names if name != "inhouse"]
    return table(["rate", *others, "added at p50, ms"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each run")
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, with commas")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    given = parser.parse_args()
    with started(given.only.split(",")) as servers:
        idle = {name: usage(server.process.pid).pss_mb for name, server in servers.items()}
        runs = measure_all(servers, given.rounds, given.seconds)
        loaded = {name: usage(server.process.pid).pss_mb for name, server in servers.items()}
        versions = f"LiteLLM {litellm_version()}, " if "litellm" in servers else ""
        text = (
            f"{versions}Python {platform.python_version()}, {given.rounds} rounds of {given.seconds:g} s a case.\n\n"
            + report(runs, servers, idle, loaded)
        )
    print(text)
    if given.write:
        write_section("gateway", text)


if __name__ == "__main__":
    main()
