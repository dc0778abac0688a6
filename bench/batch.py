"""What a line of a batch costs, beside the same requests made of the engine directly.

    python -m bench.batch [--lines 50000] [--concurrency 64]

Both before the mock upstream, which does no work: the time of a line is the overhead. Told are the time to validate the
file, lines a second, CPU and memory of the server before and after, and what a client reaches that asks the mock, and
one that asks the gateway, with as many requests at once as the batch had at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import aiohttp
from openai import OpenAI

from bench.contenders import INHOUSE_MODEL, start_inhouse, start_mock
from bench.processes import Server, stop, usage

CHAT = "/v1/chat/completions"


def body(model: str, number: int) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": f"What is {number} times two?"}]}


def lines(count: int) -> bytes:
    requests = (
        {"custom_id": f"request-{number}", "method": "POST", "url": CHAT, "body": body(INHOUSE_MODEL, number)}
        for number in range(count)
    )
    return b"".join(json.dumps(request).encode() + b"\n" for request in requests)


async def directly(server: Server, count: int, concurrency: int) -> float:
    """Requests a second of a client that always has ``concurrency`` on their way."""
    numbers = iter(range(count))
    headers = {"authorization": f"Bearer {server.key}"}
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

        async def ask() -> None:
            for number in numbers:
                async with session.post(f"{server.url}/chat/completions", json=body(server.model, number)) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

        began = time.perf_counter()
        await asyncio.gather(*(ask() for _ in range(concurrency)))
    return count / (time.perf_counter() - began)


def batch(server: Server, count: int) -> None:
    before = usage(server.process.pid)
    with OpenAI(api_key=server.key, base_url=server.url) as client:
        file = client.files.create(file=("lines.jsonl", lines(count)), purpose="batch")
        began = time.perf_counter()
        made = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
        validated = done = most = 0.0
        while not done:
            time.sleep(0.05)
            now = client.batches.retrieve(made.id)
            elapsed = time.perf_counter() - began
            if not validated and now.status != "validating":
                validated = elapsed
            most = max(most, usage(server.process.pid).pss_mb)
            if now.status in ("completed", "failed"):
                done = elapsed
        assert now.request_counts is not None
        assert now.request_counts.completed == count, now
    after = usage(server.process.pid)
    worked = done - validated
    print(f"| validate {count:,} lines | {validated:.2f} s |")
    print(f"| answer and write them | {worked:.1f} s, {count / worked:,.0f} lines/s |")
    print(f"| time a line | {worked / count * 1e6:.0f} µs |")
    print(f"| CPU of the gateway a line | {(after.cpu_seconds - before.cpu_seconds) / count * 1e6:.0f} µs |")
    print(f"| memory before, most, after | {before.pss_mb:.0f}, {most:.0f}, {after.pss_mb:.0f} MB |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mock = start_mock(folder)
        server = None
        try:
            server = start_inhouse(mock.url, folder)
            print("| what | measured |\n|---|---|")
            count = min(options.lines, 5000)
            print(f"| mock directly | {asyncio.run(directly(mock, count, options.concurrency)):,.0f} requests/s |")
            print(
                f"| gateway over HTTP | {asyncio.run(directly(server, count, options.concurrency)):,.0f} requests/s |"
            )
            batch(server, options.lines)
        finally:
            if server is not None:
                stop(server.process)
            stop(mock.process)


if __name__ == "__main__":
    main()
