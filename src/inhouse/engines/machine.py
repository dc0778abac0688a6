"""What this machine gives to an engine: cores, memory, and what a process uses of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
CPUS = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Physical cores this process may use: affinity less hyper-thread siblings, and no more than the cgroup's quota."""
    if sys.platform != "linux":
        return max(1, os.cpu_count() or 1)
    allowed = os.sched_getaffinity(0)
    physical = {_read(CPUS / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in allowed}
    quota = _cpu_quota()
    cores = len(physical)
    return max(1, min(cores, int(quota + 0.5)) if quota else cores)


def available_memory() -> int:
    """Bytes that a new process could take without swapping, within the cgroup's limit."""
    found = [limit for limit in (_system_available(), _cgroup_available()) if limit is not None]
    return min(found) if found else 2 << 30


def resident_memory(pid: int) -> int | None:
    """Bytes of ``pid`` in RAM, or None when it is gone."""
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    if len(fields) > 1:
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
    if Path("/proc/self").exists():
        return None
    answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(answer.stdout) * 1024 if answer.stdout.strip() else None


def _system_available() -> int | None:
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        # Systems that tell no "available": half of the memory is a careful guess.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError):
        return None


def _cgroup_folders() -> list[Path]:
    """This process's cgroup (v2) and its ancestors, innermost first; any of them may set a limit."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        if line.startswith("0::"):
            folder = CGROUP / line[3:].strip().lstrip("/")
            return [folder, *[parent for parent in folder.parents if parent.is_relative_to(CGROUP)]]
    return [CGROUP]


def _cpu_quota() -> float | None:
    """Cores' worth of time the cgroup allows, or None for no limit."""
    quotas = []
    for folder in _cgroup_folders():
        fields = _read(folder / "cpu.max").split()
        if len(fields) == 2 and fields[0] != "max":
            quotas.append(int(fields[0]) / int(fields[1]))
    v1 = _read(CGROUP / "cpu/cpu.cfs_quota_us").strip(), _read(CGROUP / "cpu/cpu.cfs_period_us").strip()
    if all(v1) and int(v1[0]) > 0:
        quotas.append(int(v1[0]) / int(v1[1]))
    return min(quotas, default=None)


def _cgroup_available() -> int | None:
    left = []
    for folder in _cgroup_folders():
        limit, used = _read(folder / "memory.max").strip(), _read(folder / "memory.current").strip()
        if limit.isdigit() and used.isdigit():
            left.append(int(limit) - int(used))
    v1 = [_read(CGROUP / f"memory/memory.{name}_in_bytes").strip() for name in ("limit", "usage")]
    if all(value.isdigit() for value in v1) and int(v1[0]) < 1 << 60:
        left.append(int(v1[0]) - int(v1[1]))
    return max(0, min(left)) if left else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
