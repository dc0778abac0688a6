"""What stands between a client and the embedded engine.

    python -m bench.engine --model PATH.gguf [--rounds 5] [--write]

The same weights with the same settings through Inhouse's API and through xllamacpp's own server, one after the other,
in alternating order. Prefill: a new prompt of some hundred tokens and one token of answer. Decode: the pace of one
stream after its first token. Together: all tokens of eight streams by the time that the last one ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, aclosing
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import uvloop

from bench.contenders import INHOUSE_MODEL
from bench.processes import Server, free_port, spawn, spawn_python, stop, wait_until_answers
from bench.report import table, write_section
from inhouse.engines.llama.spec import LlamaSpec, Plan, plan
from inhouse.engines.upstream import Target, Upstream, UpstreamSpec

CHAT = "/chat/completions"
KEY_VARIABLE = "INHOUSE_BENCH_KEY"
STREAMS = 8
DECODED = 96
WORDS = [
    "river",
    "stone",
    "winter",
    "harbour",
    "lantern",
    "copper",
    "meadow",
    "engine",
    "paper",
    "thunder",
    "orchard",
    "silver",
]
TASK = "Write a very long story, with many details, about a river, a stone and the old woman who lives there."


class Chunk(msgspec.Struct):
    choices: list[dict[str, Any]] = []
    usage: dict[str, Any] | None = None


class Pace(msgspec.Struct):
    """Tokens a second."""

    prefill: float
    decode: float
    together: float


_chunk = msgspec.json.Decoder(Chunk).decode


class Client:
    def __init__(self, server: Server) -> None:
        os.environ[f"{KEY_VARIABLE}_{server.process.pid}"] = server.key
        target = Target(server.url, server.model, f"{KEY_VARIABLE}_{server.process.pid}")
        self.upstream = Upstream(UpstreamSpec(targets=[target], retries=0))

    async def prefill(self) -> float:
        """Of a prompt that no cache has seen."""
        text = secrets.token_hex(8) + " " + " ".join(secrets.choice(WORDS) for _ in range(300))
        began = time.perf_counter()
        answer = await self.upstream.post(
            CHAT, {"messages": [{"role": "user", "content": text}], "max_tokens": 1, "temperature": 0}
        )
        took = time.perf_counter() - began
        return float(_chunk(answer.body).usage["prompt_tokens"]) / took  # type: ignore[index]

    async def decode(self, task: str = TASK) -> tuple[int, float]:
        """Tokens of one stream, and the seconds from its first to its last."""
        body = {
            "messages": [{"role": "user", "content": task}],
            "max_tokens": DECODED,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        first = last = 0.0
        tokens = 0
        async with aclosing(self.upstream.stream(CHAT, body)) as batches:
            async for batch in batches:
                for chunk in map(_chunk, batch):
                    if chunk.usage is not None:
                        tokens = chunk.usage["completion_tokens"]
                    if any(choice.get("delta", {}).get("content") for choice in chunk.choices):
                        last = time.perf_counter()
                        first = first or last
        if tokens < DECODED // 2:
            raise RuntimeError(f"the model stopped after {tokens} tokens; its pace would not be comparable")
        return tokens, last - first

    async def measure(self) -> Pace:
        prefill = await self.prefill()
        tokens, seconds = await self.decode()
        began = time.perf_counter()
        streams = await asyncio.gather(*(self.decode(f"{number}. {TASK}") for number in range(STREAMS)))
        together = sum(tokens for tokens, _ in streams) / (time.perf_counter() - began)
        return Pace(prefill, (tokens - 1) / seconds, together)


def start_direct(chosen: Plan, folder: Path) -> Server:
    key = secrets.token_hex(16)
    os.environ["GOMP_SPINCOUNT"] = str(chosen.spec.spin)
    process, port = spawn_python("bench.llama_direct", msgspec.json.encode(chosen).decode(), key, log=folder / "direct")
    return Server(f"http://127.0.0.1:{port}/v1", key, "direct", process)


def start_inhouse(chosen: Plan, folder: Path) -> Server:
    key = f"sk-{secrets.token_urlsafe(32)}"
    data = folder / "data"
    data.mkdir()
    env = {
        "INHOUSE_API_KEY": key,
        "INHOUSE_ENGINES__SLOTS": str(chosen.spec.slots),
        "INHOUSE_ENGINES__THREADS": str(chosen.threads),
        "INHOUSE_ENGINES__KV_TOKENS": str(chosen.kv_tokens),
        "INHOUSE_ENGINES__PULL": "false",
    }
    cli = [sys.executable, "-m", "inhouse.cli"]
    command = [*cli, "models", "use", INHOUSE_MODEL, chosen.spec.path, "--data-dir", str(data)]
    subprocess.run(command, env={**os.environ, **env}, check=True, stdout=subprocess.DEVNULL)
    port = free_port()
    process = spawn([*cli, "serve", "--port", str(port), "--data-dir", str(data)], folder / "inhouse", env)
    return Server(f"http://127.0.0.1:{port}/v1", key, INHOUSE_MODEL, process)


async def compare(servers: dict[str, Server], rounds: int) -> dict[str, list[Pace]]:
    clients = {name: Client(server) for name, server in servers.items()}
    paces: dict[str, list[Pace]] = {name: [] for name in servers}
    for client in clients.values():
        await client.measure()  # pages of the weights, threads, caches
    for turn in range(rounds):
        for name in list(clients) if turn % 2 == 0 else list(reversed(clients)):
            paces[name].append(await clients[name].measure())
        print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    for client in clients.values():
        await client.upstream.close()
    return paces


def report(paces: dict[str, list[Pace]], chosen: Plan) -> str:
    titles = {"prefill": "prefill", "decode": "decode, 1 stream", "together": f"decode, {STREAMS} streams"}
    rows = []
    for field, title in titles.items():
        direct = [getattr(pace, field) for pace in paces["direct"]]
        ours = [getattr(pace, field) for pace in paces["inhouse"]]
        ratio = median(a / b for a, b in zip(ours, direct, strict=True))
        rows.append([title, f"{median(direct):.1f}", f"{median(ours):.1f}", f"{ratio:.3f}"])
    weights = Path(chosen.spec.path).name
    return (
        f"{weights}, {chosen.threads} threads, {chosen.spec.slots} slots, {len(paces['direct'])} rounds; "
        f"tokens a second, medians, and the median of the ratios within each round.\n\n"
        + table(["", "xllamacpp directly", "Inhouse", "ratio"], rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md")
    given = parser.parse_args()
    chosen = plan(LlamaSpec.for_machine(given.model.resolve()))
    with tempfile.TemporaryDirectory(prefix="inhouse-bench-") as home, ExitStack() as stack:
        servers: dict[str, Server] = {}
        for name, start in (("direct", start_direct), ("inhouse", start_inhouse)):
            servers[name] = start(chosen, Path(home))
            stack.callback(stop, servers[name].process)
            wait_until_answers(servers[name], Path(home) / name)
        text = report(uvloop.run(compare(servers, given.rounds)), chosen)
    print(text)
    if given.write:
        write_section("engine", text)


if __name__ == "__main__":
    main()
