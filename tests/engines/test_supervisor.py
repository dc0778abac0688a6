from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.supervisor import Settings, Supervisor

FAKE = str(Path(__file__).with_name("fake_engine.py"))
Make = Callable[..., Supervisor]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Supervisor] = []

    def build(config: Any = None, log_folder: Path | None = None, **settings: Any) -> Supervisor:
        settings = {"first_delay": 0.05, "stop_timeout": 1.0, **settings}
        supervisor = Supervisor(
            "fake", [sys.executable, FAKE], config=config, settings=Settings(**settings), log_folder=log_folder
        )
        made.append(supervisor)
        return supervisor

    yield build
    for supervisor in made:
        await supervisor.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return True


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


async def test_many_callers_start_it_once(make: Make, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    supervisor = make({"count_starts_in": str(starts)})
    assert supervisor.status.state == "stopped"

    async def pid() -> int | None:
        async with supervisor.use():
            return supervisor.status.pid

    pids = await asyncio.gather(*(pid() for _ in range(20)))
    assert len(set(pids)) == 1
    assert starts.read_text() == "start\n"


async def test_ready_only_when_healthy(make: Make) -> None:
    supervisor = make({"unhealthy_answers": 3})
    async with supervisor.use() as endpoint, aiohttp.ClientSession() as session:
        async with session.get(f"{endpoint.url}/health") as answer:
            assert answer.status == 200
        status = supervisor.status
    assert status.state == "ready"
    assert status.active == 1
    assert status.memory is not None
    assert status.memory > 1 << 20
    assert status.started_at is not None


async def test_the_key_is_asked_for_and_seen_by_nobody(make: Make) -> None:
    supervisor = make()
    async with supervisor.use() as endpoint, aiohttp.ClientSession() as session:
        async with session.get(f"{endpoint.url}/x") as answer:
            assert answer.status == 401
        async with session.get(f"{endpoint.url}/x", headers={"Authorization": f"Bearer {endpoint.key}"}) as answer:
            assert answer.status == 200
        process = Path(f"/proc/{supervisor.status.pid}")
        if not process.exists():
            pytest.fail("this test reads /proc")
        assert len(endpoint.key) >= 32
        for name in ("cmdline", "environ"):
            assert endpoint.key.encode() not in (process / name).read_bytes()


async def test_a_failed_start_tells_why_and_is_tried_again_later(make: Make, tmp_path: Path) -> None:
    broken, starts = tmp_path / "broken", tmp_path / "starts"
    broken.touch()
    supervisor = make({"fail_while": str(broken), "count_starts_in": str(starts)}, first_delay=0.5)
    for _ in range(3):
        with pytest.raises(EngineFailed, match=r"(?s)did not start: exit status 3.*weights are missing"):
            async with supervisor.use():
                pass
    assert starts.read_text() == "start\n", "within the delay no new start is tried"
    assert supervisor.status.state == "failed"
    assert "weights are missing" in (supervisor.status.last_error or "")
    broken.unlink()
    await asyncio.sleep(0.6)
    async with supervisor.use():
        assert supervisor.status.state == "ready"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    supervisor = Supervisor("gone", [str(tmp_path / "nothing")])
    with pytest.raises(EngineFailed, match="gone did not start"):
        async with supervisor.use():
            pass
    await supervisor.close()


async def test_a_start_that_takes_too_long(make: Make) -> None:
    supervisor = make({"never_ready": True}, start_timeout=0.5)
    with pytest.raises(EngineFailed, match=r"(?s)not ready after.*loading"):
        async with supervisor.use():
            pass
    assert supervisor.status.pid is None


async def test_it_comes_back_after_a_crash(make: Make) -> None:
    supervisor = make()
    async with supervisor.use() as endpoint:
        first = supervisor.status.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.status.state != "ready")
        assert "SIGKILL" in (await supervisor.why_dead(endpoint) or "")
    await until(lambda: supervisor.status.state == "ready")
    assert supervisor.status.pid != first
    assert supervisor.status.restarts == 1
    assert "died: killed by SIGKILL" in (supervisor.status.last_error or "")


async def test_delays_grow_with_each_crash(make: Make) -> None:
    supervisor = make(first_delay=0.01)
    delays = []
    for _ in range(4):
        async with supervisor.use():
            pid = supervisor.status.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: supervisor.status.pid != pid)  # type: ignore[misc]
            delays.append(supervisor._not_before - time.monotonic())
        await until(lambda: supervisor.status.state == "ready")
    assert delays == sorted(delays)
    assert delays[-1] > delays[0]


async def test_idle_unload_spares_what_is_in_use(make: Make) -> None:
    supervisor = make(idle=0.2)
    async with supervisor.use():
        pid = supervisor.status.pid
        await asyncio.sleep(0.5)
        assert supervisor.status.pid == pid
    assert pid is not None
    await until(lambda: supervisor.status.state == "stopped")
    await until(lambda: not alive(pid))
    async with supervisor.use():
        assert supervisor.status.state == "ready"
        assert supervisor.status.restarts == 0


async def test_stop_kills_the_deaf(make: Make) -> None:
    supervisor = make({"deaf_to_sigterm": True}, stop_timeout=0.2)
    async with supervisor.use():
        pid = supervisor.status.pid
    await supervisor.stop()
    assert pid is not None
    assert not alive(pid)
    assert supervisor.status.state == "stopped"


async def test_stop_during_a_start(make: Make) -> None:
    supervisor = make({"never_ready": True})

    async def use() -> None:
        async with supervisor.use():
            pass

    caller = asyncio.create_task(use())
    await until(lambda: any("loading" in line for line in supervisor.log_lines))
    await supervisor.stop()
    with pytest.raises(EngineFailed, match="stopped while it started"):
        await caller
    assert supervisor.status.state == "stopped"


async def test_a_caller_who_leaves_does_not_undo_the_start(make: Make) -> None:
    supervisor = make()

    async def use() -> None:
        async with supervisor.use():
            pass

    leaving = asyncio.create_task(use())
    await until(lambda: supervisor.status.state == "starting")
    leaving.cancel()
    await until(lambda: supervisor.status.state == "ready")


async def test_closed_is_closed(make: Make) -> None:
    supervisor = make()
    await supervisor.close()
    with pytest.raises(EngineFailed, match="closed"):
        async with supervisor.use():
            pass


async def test_the_log_goes_to_a_file(make: Make, tmp_path: Path) -> None:
    supervisor = make(log_folder=tmp_path / "logs")
    log = tmp_path / "logs" / "fake.log"
    async with supervisor.use(), asyncio.timeout(120):
        while "this library" not in log.read_text():
            await asyncio.sleep(0.02)
    await supervisor.stop()
    text = log.read_text()
    assert "loading" in text
    assert "this library prints to stdout" in text


PARENT = """
import asyncio, sys
from inhouse.engines.supervisor import Supervisor

async def main():
    supervisor = Supervisor("fake", [sys.executable, *sys.argv[1:]])
    async with supervisor.use():
        print("child", supervisor.status.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("flags", [[], ["--no-death-signal"]], ids=["as-is", "stdin-watch-alone"])
async def test_no_orphan_after_kill_minus_nine_of_the_parent(flags: list[str]) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, FAKE, *flags], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        lines = await asyncio.to_thread(lambda: next(line for line in parent.stdout if line.startswith("child")))
        pid = int(lines.split()[1])
        assert alive(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    await until(lambda: not alive(pid))
