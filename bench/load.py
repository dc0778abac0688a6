"""A closed-loop load generator for chat completions, lean enough that a gateway in Python is the bottleneck.

    python -m bench.load --url http://127.0.0.1:PORT/v1 --key K --model M --clients 8 [--stream] --seconds 5

Each client keeps one connection and sends the next request when the answer to the last has come whole. Every answer is
checked: status 200, and of a stream the number of chunks. Prints one line of JSON, see ``Result``.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

import msgspec
import uvloop

PROMPT = "Write one sentence about a river, a stone and the time that both of them have."


class Result(msgspec.Struct):
    """Latencies in milliseconds. ``per_second`` counts whole answers."""

    answers: int
    errors: int
    seconds: float
    per_second: float
    p50: float
    p95: float
    p99: float
    first_p50: float | None
    """Until the first chunk of a stream."""
    first_error: str | None = None


class Load(msgspec.Struct, kw_only=True):
    """What to send, and when to stop: after ``count`` answers or ``seconds``, whichever comes first."""

    url: str
    key: str
    model: str
    clients: int = 1
    stream: bool = False
    chunks: int = 51
    seconds: float = 5.0
    count: int = 1_000_000
    warmup: int = 20
    """Answers of each client that are not measured."""

    def request(self) -> bytes:
        parts = urlsplit(self.url)
        body = msgspec.json.encode(
            {
                "model": self.model,
                "messages": [
                    {"role": "system", "content": "You are a helpful assistant."},
                    {"role": "user", "content": PROMPT},
                ],
                "temperature": 0.7,
                "max_tokens": 64,
                **({"stream": True} if self.stream else {}),
            }
        )
        head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {self.key}"
            f"\r\ncontent-type: application/json\r\naccept: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


class Client(asyncio.Protocol):
    """One connection. An answer ends with its content-length or its last chunk; both are recognised cheaply, which
    holds for JSON and events of JSON: neither can contain the bytes that end a chunked body."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:

        self.transport = cast(asyncio.Transport, transport)
        self.next()

    def next(self) -> None:
        if self.run.over():
            self.closed = True
            self.transport.close()
            return
        self.parts: list[bytes] = []
        self.length = -1
        self.received = 0
        self.chunked = False
        self.first = 0.0
        self.started = time.perf_counter()
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        self.parts.append(data)
        self.received += len(data)
        if self.length < 0 and not self.chunked:
            whole = data if len(self.parts) == 1 else b"".join(self.parts)
            end = whole.find(b"\r\n\r\n")
            if end < 0:
                return
            head = whole[:end].lower()
            if b"transfer-encoding: chunked" in head:
                self.chunked = True
            else:
                self.length = end + 4 + int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or b"0")
        if not self.first and b"data:" in data:
            self.first = time.perf_counter()
        if self.chunked:
            tail = data if len(data) >= 7 else b"".join(self.parts[-7:])
            if tail.endswith(b"\r\n0\r\n\r\n"):
                self.done()
        elif self.received >= self.length:
            self.done()

    def done(self) -> None:
        now = time.perf_counter()
        whole = b"".join(self.parts)
        error = None
        if not whole.startswith(b"HTTP/1.1 200"):
            error = whole[:600].decode(errors="replace")
        elif self.run.load.stream and whole.count(b'"chat.completion.chunk"') < self.run.load.chunks:
            error = f"{whole.count(b'chat.completion.chunk')} chunks: {whole[-300:]!r}"
        elif not self.run.load.stream and b'"chat.completion"' not in whole:
            error = whole[-600:].decode(errors="replace")
        self.run.record(now, now - self.started, self.first - self.started if self.first else None, error)
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            self.run.record(time.perf_counter(), 0.0, None, f"connection lost: {exc}")
        self.run.left()


class Run:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.request = load.request()
        self.finished = asyncio.get_running_loop().create_future()
        self.alive = load.clients
        self.skip = load.warmup * load.clients
        self.begin = time.perf_counter()
        self.end = self.begin
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.errors = 0
        self.first_error: str | None = None

    def over(self) -> bool:
        measured = len(self.latencies) + self.errors
        return measured >= self.load.count or (self.skip <= 0 and time.perf_counter() - self.begin >= self.load.seconds)

    def record(self, now: float, latency: float, first: float | None, error: str | None) -> None:
        if error is not None:
            self.errors += 1
            self.first_error = self.first_error or error
        elif self.skip > 0:
            self.skip -= 1
            self.begin = now
        else:
            self.latencies.append(latency)
            self.end = now
            if first is not None:
                self.firsts.append(first)

    def left(self) -> None:
        self.alive -= 1
        if not self.alive and not self.finished.done():
            self.finished.set_result(None)


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile of sorted ``values``, in milliseconds."""
    return round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 3)


async def run(load: Load) -> Result:
    """Raises ``OSError`` if the server cannot be reached."""
    state = Run(load)
    loop = asyncio.get_running_loop()
    parts = urlsplit(load.url)
    await asyncio.gather(
        *(
            loop.create_connection(lambda: Client(state), parts.hostname or "", parts.port or 80)
            for _ in range(load.clients)
        )
    )
    try:
        await asyncio.wait_for(state.finished, load.seconds * 3 + 60)
    except TimeoutError:
        state.errors += state.alive
        state.first_error = state.first_error or "no answer"
    took = max(state.end - state.begin, 1e-9)
    values, firsts = sorted(state.latencies), sorted(state.firsts)
    if not values:
        return Result(0, state.errors, took, 0.0, 0.0, 0.0, 0.0, None, state.first_error)
    return Result(
        answers=len(values),
        errors=state.errors,
        seconds=round(took, 3),
        per_second=round(len(values) / took, 1),
        p50=percentile(values, 0.5),
        p95=percentile(values, 0.95),
        p99=percentile(values, 0.99),
        first_p50=percentile(firsts, 0.5) if firsts else None,
        first_error=state.first_error,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", default="mock")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--warmup", type=int, default=20)
    given = parser.parse_args()
    print(msgspec.json.encode(uvloop.run(run(Load(**vars(given))))).decode())
