"""What a batch costs: before a mock upstream, before the embedded engine, and for those who ask beside it.

    python -m bench.batch --model PATH.gguf [--lines 50000] [--rounds 3] [--write]

*Overhead*: the mock does no work, so the time of a line is what a batch adds; beside it, what clients reach that ask
the mock, and the gateway, with many requests at once. *Engine*: the same requests as a batch, and of xllamacpp's own
server with as many at once, in alternating order. *Interactive*: the time to the first token of streams that are asked
one after the other, without a batch and beside one that takes all slots.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, aclosing
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import msgspec
import uvloop
from openai import AsyncOpenAI

from bench import contenders, engine
from bench.contenders import INHOUSE_MODEL
from bench.load import Load
from bench.load import run as load
from bench.processes import Server, stop, usage, wait_until_answers
from bench.report import table, write_section
from inhouse.engines.llama.spec import LlamaSpec, plan
from inhouse.engines.upstream import Upstream

CHAT: Final = "/v1/chat/completions"
CONCURRENCY = 64
WARM_UP = 500


def body(number: int, **more: Any) -> dict[str, Any]:
    text = f"{secrets.token_hex(4)} Tell me more about the number {number}."
    return {"model": INHOUSE_MODEL, "messages": [{"role": "user", "content": text}], **more}


def lines(bodies: Sequence[dict[str, Any]]) -> bytes:
    requests = (
        {"custom_id": f"request-{number}", "method": "POST", "url": CHAT, "body": body}
        for number, body in enumerate(bodies)
    )
    return b"".join(msgspec.json.encode(request) + b"\n" for request in requests)


class Done(msgspec.Struct):
    """Seconds since a batch was created."""

    validated: float
    answered: float
    completed: float
    most_mb: float
    """Memory of the server while it worked, MB."""


async def create(client: AsyncOpenAI, bodies: Sequence[dict[str, Any]]) -> str:
    file = await client.files.create(file=("lines.jsonl", lines(bodies)), purpose="batch")
    made = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    return made.id


async def run(server: Server, client: AsyncOpenAI, bodies: Sequence[dict[str, Any]], poll_s: float = 0.02) -> Done:
    file = await client.files.create(file=("lines.jsonl", lines(bodies)), purpose="batch")
    began = time.perf_counter()
    made = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    validated = answered = most = 0.0
    while True:
        now = await client.batches.retrieve(made.id)
        elapsed = time.perf_counter() - began
        assert now.request_counts is not None
        if not validated and now.status != "validating":
            validated = elapsed
        if not answered and now.status in ("finalizing", "completed"):
            answered = elapsed
        most = max(most, usage(server.process.pid).pss_mb)
        if now.status in ("completed", "failed"):
            assert now.request_counts.completed == len(bodies), now
            return Done(validated, answered, elapsed, most)
        await asyncio.sleep(poll_s)


async def overhead(count: int, folder: Path) -> str:
    """The mock, with a batch before it."""
    with ExitStack() as stack:
        mock = contenders.start_mock(folder)
        stack.callback(stop, mock.process)
        server = await asyncio.to_thread(contenders.start_inhouse, mock.url, folder)
        stack.callback(stop, server.process)
        rates = {}
        for name, each in (("mock", mock), ("gateway", server)):
            given = Load(url=each.url, key=each.key, model=each.model, clients=CONCURRENCY, seconds=5.0)
            rates[name] = (await load(given)).per_second
        async with AsyncOpenAI(api_key=server.key, base_url=server.url) as client:
            await run(server, client, [body(number) for number in range(WARM_UP)])
            bodies = [body(number) for number in range(count)]
            before = usage(server.process.pid)
            done = await run(server, client, bodies, 0.2)
            after = usage(server.process.pid)
    answering = done.answered - done.validated
    cpu = (after.cpu_seconds - before.cpu_seconds) / count
    rows = [
        [f"the mock, {CONCURRENCY} clients", f"{rates['mock']:,.0f} requests/s"],
        [f"the gateway, {CONCURRENCY} clients", f"{rates['gateway']:,.0f} requests/s"],
        ["the batch, answering", f"{count / answering:,.0f} lines/s"],
        ["validate the file", f"{done.validated:.2f} s"],
        ["answer", f"{answering:.1f} s"],
        ["write the files", f"{done.completed - done.answered:.2f} s"],
        ["time of a line, all together", f"{done.completed / count * 1e6:.0f} µs"],
        ["CPU of the server for a line, all together", f"{cpu * 1e6:.0f} µs"],
        ["memory before, most, after", f"{before.pss_mb:.0f}, {done.most_mb:.0f}, {after.pss_mb:.0f} MB"],
    ]
    return f"{count:,} lines before a mock upstream.\n\n" + table(["", "measured"], rows)


class Round(msgspec.Struct):
    """Tokens a second."""

    direct: float
    answered: float
    completed: float


async def side_by_side(direct: Server, server: Server, slots: int, given: argparse.Namespace) -> str:
    """The same requests of the engine, and as a batch; then streams beside a batch."""
    upstream = engine.Client(direct).upstream
    async with AsyncOpenAI(api_key=server.key, base_url=server.url, timeout=600) as client:
        fixed = {"max_tokens": given.tokens, "temperature": 0}
        rounds = []
        for turn in range(given.rounds + 1):
            bodies = [body(number, **fixed) for number in range(given.requests)]
            measured: dict[str, float] = {}
            for who in ("direct", "batch") if turn % 2 else ("batch", "direct"):
                if who == "direct":
                    tokens, seconds = await directly(upstream, bodies, slots + 1)
                    measured["direct"] = tokens / seconds
                else:
                    before = await spent(client)
                    # Seldom: whoever asks takes a core from an engine that has two.
                    done = await run(server, client, bodies, poll_s=0.5)
                    tokens = await spent(client) - before
                    measured["answered"] = tokens / (done.answered - done.validated)
                    measured["completed"] = tokens / done.completed
            print(f"round {turn} of {given.rounds}: {measured}", file=sys.stderr, flush=True)
            if turn:  # the first warms up
                rounds.append(Round(**measured))
        alone = await first_tokens(client, given.streams)
        busy = await create(client, [body(number, **{**fixed, "max_tokens": 400}) for number in range(2000)])
        while (await client.batches.retrieve(busy)).status == "validating":
            await asyncio.sleep(0.05)
        await asyncio.sleep(2.0)  # all slots are taken
        beside = await first_tokens(client, given.streams)
        await client.batches.cancel(busy)
    await upstream.close()
    engine_rows = [
        ["xllamacpp directly", f"{median(each.direct for each in rounds):.1f}", ""],
        ["a batch, while it is answered", *against(rounds, "answered")],
        ["a batch, from its creation to its files", *against(rounds, "completed")],
    ]
    interactive_rows = [
        [name, f"{median(of) * 1000:.0f}", f"{p95(of) * 1000:.0f}", ratio]
        for name, of, ratio in (
            ("without a batch", alone, ""),
            ("beside a batch", beside, f"{p95(beside) / p95(alone):.2f}"),
        )
    ]
    return (
        f"{given.model.name}, {slots} slots, {given.requests} requests of {given.tokens} tokens, {len(rounds)} rounds; "
        "tokens a second, medians, and the median of the ratios within each round.\n\n"
        + table(["", "tokens/s", "ratio"], engine_rows)
        + f"\n\nTime to the first token of {given.streams} streams, one after the other, milliseconds.\n\n"
        + table(["", "median", "p95", "ratio of p95"], interactive_rows)
    )


def against(rounds: Sequence[Round], field: str) -> tuple[str, str]:
    ours = [getattr(each, field) for each in rounds]
    ratio = median(a / each.direct for a, each in zip(ours, rounds, strict=True))
    return f"{median(ours):.1f}", f"{ratio:.3f}"


def p95(values: Sequence[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1]


async def directly(upstream: Upstream, bodies: Sequence[dict[str, Any]], concurrency: int) -> tuple[int, float]:
    """Tokens, and the seconds that they took, with always so many requests on their way."""
    waiting = iter(bodies)
    tokens = 0

    async def ask() -> None:
        nonlocal tokens
        for each in waiting:
            answer = await upstream.post(engine.CHAT, each)
            tokens += msgspec.json.decode(answer.body)["usage"]["completion_tokens"]

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return tokens, time.perf_counter() - began


async def spent(client: AsyncOpenAI) -> int:
    """Tokens that all batches gave."""
    return sum([batch.usage.output_tokens async for batch in client.batches.list() if batch.usage is not None])


async def first_tokens(client: AsyncOpenAI, count: int) -> list[float]:
    times = []
    for number in range(count):
        began = time.perf_counter()
        stream = await client.chat.completions.create(**body(number, max_tokens=8, stream=True))
        async with aclosing(aiter(stream)) as chunks:
            async for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    times.append(time.perf_counter() - began)
                    break
        await stream.close()
        await asyncio.sleep(0.05)
    return times


async def before_the_engine(given: argparse.Namespace, folder: Path) -> str:
    chosen = plan(LlamaSpec.for_machine(given.model.resolve()))
    with ExitStack() as stack:

        def started(start: Callable[[Any, Path], Server], log: str) -> Server:
            server = start(chosen, folder)
            stack.callback(stop, server.process)
            wait_until_answers(server, folder / log)
            return server

        direct = started(engine.start_direct, "direct")
        inhouse = started(engine.start_inhouse, "inhouse")
        return await side_by_side(direct, inhouse, chosen.spec.slots, given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=50_000, help="of the batch before the mock; 0 leaves it out")
    parser.add_argument("--model", type=Path, help="a GGUF file; without it, the engine is left out")
    parser.add_argument("--requests", type=int, default=96, help="of a batch before the engine")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=40, help="interactive requests, without and beside a batch")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    given = parser.parse_args()
    told = {}
    with tempfile.TemporaryDirectory(prefix="inhouse-bench-") as home:
        if given.lines:
            (folder := Path(home) / "mock").mkdir()
            told["batch"] = uvloop.run(overhead(given.lines, folder))
        if given.model is not None:
            (folder := Path(home) / "engine").mkdir()
            told["batch engine"] = uvloop.run(before_the_engine(given, folder))
    for name, text in told.items():
        print(text, end="\n\n")
        if given.write:
            write_section(name, text)


if __name__ == "__main__":
    main()
