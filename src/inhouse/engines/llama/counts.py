"""What llama.cpp itself has counted, process by process: to be held against the books, see ``metering.engines``."""

from __future__ import annotations

import asyncio
import re
import secrets
import time

import aiohttp
import msgspec

from inhouse.engines.llama.client import Client
from inhouse.engines.supervisor import Endpoint, Supervisor

READ_WITHIN_S = 2.0
_COUNTER = re.compile(r"^llamacpp:(\w+) ([0-9.e+]+)$", re.MULTILINE)


class ProcessCounts(msgspec.Struct):
    """The last reading of one engine process. Times in Unix microseconds."""

    process: str
    """Made up here: numbers of processes come again."""
    started_at: int
    counted_at: int = 0
    """Whatever was answered before is in the numbers."""
    ended: bool = False
    """Whether the process was told to end after this reading, so that there is no later one."""
    input_tokens: int = 0
    """Of prompts, reused ones too."""
    output_tokens: int = 0
    own_tokens: int = 0
    """Of the output, what no call on the books asked for, or what may be written there later: trials of constraints,
    scoring, what was lost with a place in the cache or not read any more, lines of batches."""


class Counting:
    """Reads the counters of one engine's processes, one after the other."""

    def __init__(self, supervisor: Supervisor, client: Client) -> None:
        self._supervisor = supervisor
        self._client = client
        self._lock = asyncio.Lock()
        self._endpoint: Endpoint | None = None
        self._own_before = 0
        self.processes: list[ProcessCounts] = []
        """The latest process last. Those before it are kept until they are forgotten."""

    async def read(self) -> None:
        """Read the counters of the process that is ready. Without one, or an answer, the last reading stays."""
        async with self._lock:
            if (ready := self._supervisor.ready) is not None:
                await self._read(*ready, last=False)

    async def read_last(self, endpoint: Endpoint, started_at: float) -> None:
        """Read the counters of a process that is going to be ended."""
        async with self._lock:
            await self._read(endpoint, started_at, last=True)

    def forget(self) -> None:
        """Forget the processes before the latest: their readings are kept elsewhere."""
        del self.processes[:-1]

    async def _read(self, endpoint: Endpoint, started_at: float, *, last: bool) -> None:
        at = time.time_ns() // 1000
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(READ_WITHIN_S)) as session:
                headers = {"Authorization": f"Bearer {endpoint.key}"}
                async with session.get(f"{endpoint.url}/metrics", headers=headers, raise_for_status=True) as answer:
                    told = {name: int(float(number)) for name, number in _COUNTER.findall(await answer.text())}
        except (aiohttp.ClientError, TimeoutError):
            return
        if endpoint is not self._endpoint:
            self._endpoint = endpoint
            self._own_before += self.processes[-1].own_tokens if self.processes else 0
            self.processes.append(ProcessCounts(f"eng_{secrets.token_hex(12)}", int(started_at * 1e6)))
        counts = self.processes[-1]
        counts.counted_at, counts.ended = at, last
        counts.input_tokens = told["prompt_tokens_total"] + told["prompt_tokens_cached_total"]
        counts.output_tokens = told["tokens_predicted_total"]
        counts.own_tokens = self._client.own_tokens - self._own_before
