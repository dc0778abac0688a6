"""One process that asks for as much as it can get from one bucket, as fast as it can.

    python hammer.py URL LIMIT WINDOW SECONDS

Waits for a line on its input, so that all begin together. Prints JSON: how many were admitted and refused, and the
first and the last time by the store's own clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from inhouse.limits.buckets import REQUESTS, Bucket
from inhouse.limits.valkey import Valkey

CLIENTS = 16


async def main(url: str, limit: int, window: float, seconds: float) -> None:
    store = Valkey(url, timeout_s=20)
    buckets = (Bucket("{org}:hammered", limit, window, REQUESTS, window / limit, "requests"),)
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
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
