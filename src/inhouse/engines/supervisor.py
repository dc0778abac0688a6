"""Keeps one engine's child process: starts it on demand, watches it, restarts it, unloads it when idle.

    stopped ──use──► starting ──health ok──► ready ──idle, stop──► stopped
                        │                      │
                        ▼                      ▼ died
                     failed ◄──start failed── backoff ──delay over──► starting

The child's half of the handshake is ``engines.child``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import os
import secrets
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec
import structlog

from inhouse.engines.child import Announcement, Handshake
from inhouse.engines.machine import resident_memory
from inhouse.engines.protocol import EngineFailed

State = Literal["stopped", "starting", "ready", "failed", "backoff"]
log = structlog.get_logger(__name__)

KEPT_LINES = 400
TOLD_LINES = 12
LOG_BYTES = 4 << 20
HEALTHY_AFTER = 60.0
"""Seconds of life after which a crash counts as the first one again."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where a ready child listens, and the key it asks for."""

    url: str
    key: str


class Settings(msgspec.Struct, kw_only=True, frozen=True):
    """Times are in seconds."""

    idle: float = 0.0
    """Unload after this long without a use; 0 keeps the child for ever."""
    start_timeout: float = 600.0
    """Loading large weights from a slow disk takes minutes."""
    stop_timeout: float = 5.0
    first_delay: float = 0.5
    longest_delay: float = 60.0


class Status(msgspec.Struct, kw_only=True):
    """What an operator sees of a child."""

    name: str
    state: State
    pid: int | None = None
    memory: int | None = None
    """Resident bytes."""
    started_at: float | None = None
    """Unix time of the last start."""
    restarts: int = 0
    """Starts after a crash."""
    active: int = 0
    """Uses going on now."""
    last_error: str | None = None


class Supervisor:
    """One engine in one child process.

    Args:
        name: what logs and errors call it.
        command: the program, which speaks the handshake of ``engines.child``.
        config: handed to the child over stdin, as JSON.
        environment: added to this process's own for the child.
        log_folder: its log goes to ``<name>.log`` there, rotated; without it only the last lines are kept, in memory.
        farewell: awaited before a child that was ready is told to end; not before one that dies. It must not fail.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        config: Any = None,
        environment: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        log_folder: Path | None = None,
        farewell: Callable[[Endpoint, float], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self._farewell = farewell
        self._command = list(command)
        self._config = config
        self._environment = dict(environment or {})
        self._settings = settings or Settings()
        self._log = _ChildLog(log_folder / f"{name}.log" if log_folder else None)
        self._state: State = "stopped"
        self._process: asyncio.subprocess.Process | None = None
        self._endpoint: Endpoint | None = None
        self._starting: asyncio.Task[Endpoint] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._active = 0
        self._started_at: float | None = None
        self._restarts = 0
        self._failures = 0
        self._not_before = 0.0
        self._last_error: str | None = None
        self._end_reason = ""
        self._closed = False

    @property
    def status(self) -> Status:
        process = self._process
        return Status(
            name=self.name,
            state=self._state,
            pid=process.pid if process else None,
            memory=resident_memory(process.pid) if process else None,
            started_at=self._started_at,
            restarts=self._restarts,
            active=self._active,
            last_error=self._last_error,
        )

    @property
    def log_lines(self) -> list[str]:
        """The last lines of the child's log, oldest first."""
        return list(self._log.lines)

    @property
    def log_count(self) -> int:
        """Lines that the log ever had: tells which of ``log_lines`` are new."""
        return self._log.count

    @property
    def ready(self) -> tuple[Endpoint, float] | None:
        """The child that is ready now, and the Unix time of its start."""
        return None if self._endpoint is None else (self._endpoint, self._started_at or 0.0)

    @contextlib.asynccontextmanager
    async def use(self) -> AsyncIterator[Endpoint]:
        """The ready child, started if it must be, and not unloaded as idle meanwhile.

        Raises:
            EngineFailed: it does not start; the message ends with the last lines of its log.
        """
        self._active += 1
        self._cancel_idle_timer()
        try:
            yield await self._ready()
        finally:
            self._active -= 1
            self._arm_idle_timer()

    async def stop(self) -> None:
        """Stop the child: SIGTERM, then SIGKILL. The next use starts it again."""
        if self._starting:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if (left := self._detach()) is not None:
            await self._dismiss(*left)

    async def close(self) -> None:
        """Stop for good; a later use raises EngineFailed."""
        self._closed = True
        await self.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._log.close()

    async def why_dead(self, endpoint: Endpoint) -> str | None:
        """Why the child behind ``endpoint`` is gone, or None while it lives: what to tell when a connection broke."""
        for _ in range(50):  # The broken connection is often seen before the exit of the process.
            if self._endpoint is not endpoint:
                return self._end_reason
            await asyncio.sleep(0.01)
        return None

    async def _ready(self) -> Endpoint:
        if self._closed:
            raise EngineFailed(f"{self.name} is closed")
        if self._endpoint:
            return self._endpoint
        if self._starting is None:
            if self._state == "failed" and time.monotonic() < self._not_before:
                wait = self._not_before - time.monotonic()
                raise EngineFailed(f"{self._last_error} (next try in {wait:.0f} s)")
            self._starting = asyncio.create_task(self._start(), name=f"start-{self.name}")
            self._starting.add_done_callback(self._started)
        # Shielded: one caller's going away must not undo the start that others wait for.
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            if starting.cancelled():
                raise EngineFailed(f"{self.name} was stopped while it started") from None
            raise

    def _started(self, task: asyncio.Task[Endpoint]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # Told to every caller; retrieved here for a start that nobody waits for any more.

    async def _start(self) -> Endpoint:
        if self._state == "backoff":
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._state = "starting"
        self._started_at = time.time()
        key = secrets.token_urlsafe(32)
        process: asyncio.subprocess.Process | None = None
        try:
            async with asyncio.timeout(self._settings.start_timeout):
                process = await self._spawn()
                assert process.stdin is not None
                process.stdin.write(msgspec.json.encode(Handshake(key, self._config)) + b"\n")
                endpoint = Endpoint(await self._announced(process), key)
                await self._healthy(endpoint)
        except asyncio.CancelledError:
            self._state = "stopped"
            if process:
                await self._end(process)
            raise
        except (OSError, TimeoutError, EngineFailed, aiohttp.ClientError, msgspec.DecodeError) as error:
            if process:
                await self._end(process)
                await self._last_words()
            reason = str(error) or f"not ready after {self._settings.start_timeout:.0f} s"
            self._failed("failed", f"{self.name} did not start: {reason}", tail=process is not None)
            raise EngineFailed(self._last_error) from error
        self._process, self._endpoint, self._state = process, endpoint, "ready"
        self._spawn_task(self._watch(process))
        self._arm_idle_timer()
        log.info("engine_ready", engine=self.name, pid=process.pid, seconds=round(time.time() - self._started_at, 2))
        return endpoint

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._log.clear()
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **self._environment},
            start_new_session=True,  # Ctrl-C in a terminal stops the gateway, which stops its engines in order.
        )
        assert process.stderr is not None
        self._following = self._spawn_task(self._log.follow(process.stderr))
        return process

    async def _announced(self, process: asyncio.subprocess.Process) -> str:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            status = await process.wait()
            raise EngineFailed(_exit(status))
        return msgspec.json.decode(line, type=Announcement).url

    async def _healthy(self, endpoint: Endpoint) -> None:
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            while True:
                async with session.get(f"{endpoint.url}/health") as answer:
                    if answer.status == 200:
                        return
                await asyncio.sleep(0.05)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        if process is not self._process:
            return  # Stopped on purpose.
        await self._last_words()
        if process is not self._process:
            return
        self._process, self._endpoint = None, None
        if time.time() - (self._started_at or 0.0) > HEALTHY_AFTER:
            self._failures = 0
        self._restarts += 1
        self._failed("backoff", f"{self.name} died: {_exit(status)}", tail=True)
        self._end_reason = self._last_error or ""
        # It was loaded, so it is wanted: come back before the next caller asks.
        if not self._closed:
            with contextlib.suppress(EngineFailed):
                await self._ready()

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), self._settings.stop_timeout)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.stdin:
            process.stdin.close()

    def _failed(self, state: State, message: str, *, tail: bool) -> None:
        self._state = state
        lines = [line for line in list(self._log.lines)[-TOLD_LINES:] if line.strip()] if tail else []
        self._last_error = "\n".join([message, *lines])
        settings = self._settings
        delay = min(settings.longest_delay, settings.first_delay * 2.0 ** min(self._failures, 32))
        self._failures += 1
        self._not_before = time.monotonic() + delay
        log.error("engine_failed", engine=self.name, state=state, error=self._last_error, retry_in=round(delay, 2))

    def _arm_idle_timer(self) -> None:
        if self._settings.idle > 0 and not self._active and self._endpoint:
            self._cancel_idle_timer()
            self._idle_timer = asyncio.get_running_loop().call_later(self._settings.idle, self._unload)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _unload(self) -> None:
        if not self._active and self._endpoint:
            log.info("engine_unloaded", engine=self.name, idle=self._settings.idle)
            left = self._detach()
            assert left is not None
            self._spawn_task(self._dismiss(*left))

    def _detach(self) -> tuple[asyncio.subprocess.Process, Endpoint] | None:
        """Let go of the child at once, so that a use from here on starts another."""
        self._cancel_idle_timer()
        process, endpoint = self._process, self._endpoint
        self._process, self._endpoint = None, None
        self._state = "stopped"
        self._end_reason = f"{self.name} was stopped"
        return None if process is None or endpoint is None else (process, endpoint)

    async def _dismiss(self, process: asyncio.subprocess.Process, endpoint: Endpoint) -> None:
        if self._farewell is not None and process.returncode is None:
            await self._farewell(endpoint, self._started_at or 0.0)
        await self._end(process)

    async def _last_words(self) -> None:
        """The log of a dead child up to its end; a grandchild may hold the pipe open, so not for ever."""
        if self._following:
            await asyncio.wait([self._following], timeout=1.0)

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _ChildLog:
    """The child's stderr: the last lines in memory, and all of it in a rotating file where one is wanted."""

    def __init__(self, path: Path | None) -> None:
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.count = 0
        self._file: logging.handlers.RotatingFileHandler | None = None
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2, delay=True)

    def clear(self) -> None:
        """Forget the last child's lines, so that none is blamed on the next; the file keeps them."""
        self.lines.clear()

    async def follow(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._add(line)
            rest = rest[-65536:]
        if rest:
            self._add(rest)

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _add(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip()
        self.lines.append(line)
        self.count += 1
        if self._file:
            self._file.handle(logging.LogRecord("engine", logging.INFO, "", 0, line, None, None))


def _exit(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
