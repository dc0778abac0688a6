"""Child processes of a benchmark: started on free ports, measured as whole trees, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")


class Server(msgspec.Struct):
    """A started server that speaks Chat Completions. ``url`` ends with ``/v1``."""

    url: str
    key: str
    model: str
    process: subprocess.Popen[bytes]


class Usage(msgspec.Struct):
    """Of a process and all its descendants."""

    cpu_seconds: float
    pss_mb: float
    """Proportional share of memory, MB (10^6 bytes): pages that processes share count once."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that ``stop`` reaches all it starts."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )


def spawn_python(module: str, *arguments: str, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A module that prints its port first and ends when its input does. Raises ``RuntimeError`` if it did not start."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise RuntimeError(f"{module} did not start:\n{log.read_text()[-2000:]}")
    return process, int(line)


def stop(process: subprocess.Popen[bytes], seconds: float = 15.0) -> None:
    """End a process and what it started: politely first."""
    if process.stdin is not None:
        process.stdin.close()
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, seconds)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def wait_until_answers(server: Server, log: Path, seconds: float = 180.0) -> None:
    """Until it answers a completion. Raises ``RuntimeError`` with the log's end if it does not."""
    body = msgspec.json.encode(
        {"model": server.model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    )
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    deadline = time.monotonic() + seconds
    problem = "no answer"
    while time.monotonic() < deadline and server.process.poll() is None:
        request = urllib.request.Request(f"{server.url}/chat/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
                return
        except urllib.error.HTTPError as error:
            problem = f"{error.code}: {error.read()[:500].decode(errors='replace')}"
        except OSError as error:
            problem = str(error)
        time.sleep(0.25)
    raise RuntimeError(f"{server.url} does not answer ({problem}); end of its log:\n{log.read_text()[-3000:]}")


def usage(pid: int) -> Usage:
    """What a process tree has used; needs Linux's /proc."""
    cpu = 0
    memory = 0
    for member in _tree(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            cpu += int(fields[11]) + int(fields[12])
            for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    memory += int(line.split()[1]) * 1024
    return Usage(cpu / _TICKS, memory / 1e6)


def cpu_seconds(pid: int) -> float:
    """What one process has used, without its children: exact, by its CPU clock, see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def _tree(pid: int) -> list[int]:
    members = [pid]
    for member in members:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{member}/task").iterdir():
                members += [int(child) for child in (task / "children").read_text().split()]
    return members


Start = Callable[[str], Server]
