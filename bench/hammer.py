"""Processes that ask for as much as they can get from one bucket in Valkey, as fast as they can.

    python hammer.py URL KEY LIMIT WINDOW SECONDS

is one of them. It waits for a line on its input, so that all begin together, and prints JSON: how many were admitted
and refused, and the first and the last time by the store's own clock.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import NamedTuple

import inhouse
from inhouse.limits.buckets import REQUESTS, Bucket
from inhouse.limits.valkey import Valkey

CLIENTS = 16


class Outcome(NamedTuple):
    """Of all processes together. ``most``: the limit, and what refilled from the first question to the last."""

    admitted: int
    most: float
    refused: list[int]
    """By each process."""


async def hammer(url: str, processes: int, limit: int, window_s: float, seconds: float) -> Outcome:
    """So many processes at once ask for so long for one bucket of ``limit`` in ``window_s`` seconds."""
    key = f"{{{secrets.token_hex(8)}}}:hammered"
    environment = {**os.environ, "PYTHONPATH": str(Path(inhouse.__file__).parent.parent)}
    started = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, url, key, str(limit), str(window_s), str(seconds)),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(processes)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        answers = [json.loads(out) for out, _ in await asyncio.gather(*(each.communicate(b"go\n") for each in started))]
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
    took = max(answer["last"] for answer in answers) - min(answer["first"] for answer in answers)
    return Outcome(
        sum(answer["admitted"] for answer in answers),
        limit + limit * took / window_s,
        [answer["refused"] for answer in answers],
    )


async def main(url: str, key: str, limit: int, window: float, seconds: float) -> None:
    store = Valkey(url, timeout_s=20)
    buckets = (Bucket(key, limit, window, REQUESTS, window / limit, "requests"),)
    counts = {True: 0, False: 0}
    times: list[float] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        while time.monotonic() < end:
            taken = await store.take(buckets, (1, 0, 0))
            counts[taken.admitted] += 1
            times.append(taken.now)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await store.close()
    print(json.dumps({"admitted": counts[True], "refused": counts[False], "first": min(times), "last": max(times)}))


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])))
