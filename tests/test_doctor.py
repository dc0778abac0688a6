from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from inhouse import doctor
from inhouse.doctor import Check, Machine, failed, render, run_checks, this_machine
from inhouse.engines.hosts import HOSTS
from inhouse.engines.weights import Manifest, WeightsCache

DATA = b"weights" * 1000
GOOD = Machine(
    python=(3, 12, 1),
    architecture="x86_64",
    cpu_flags=frozenset({"avx2", "fma"}),
    cores=4,
    memory_available=4_000_000_000,
    memory_total=8_000_000_000,
    gpus=[],
)


def weights(original: Path, id: str = "small", memory: int = 1_000_000_000) -> Manifest:
    source = {"kind": "path", "path": str(original)}
    digest = hashlib.sha256(DATA).hexdigest()
    return msgspec.convert(
        {
            "id": id,
            "title": "Small",
            "license": "Apache-2.0",
            "notice": "None.",
            "format": "gguf",
            "capabilities": ["chat"],
            "memory": memory,
            "files": [{"name": "w.gguf", "bytes": len(DATA), "sha256": digest, "sources": [source]}],
        },
        Manifest,
    )


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "w.gguf").write_bytes(DATA)
    return weights(tmp_path / "w.gguf")


@pytest.fixture
def cache(tmp_path: Path) -> WeightsCache:
    return WeightsCache(tmp_path / "cache")


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def look(tmp_path: Path, cache: WeightsCache, manifest: Manifest, free_port: int) -> Callable[..., dict[str, Check]]:
    def run(**changes: Any) -> dict[str, Check]:
        arguments: dict[str, Any] = {
            "cache": cache,
            "weights": [manifest],
            "data_dir": tmp_path / "data",
            "host": "127.0.0.1",
            "port": free_port,
            "database": lambda: "SQLite",
            "machine": GOOD,
            "free": lambda path: 50_000_000_000,
        }
        return {check.name: check for check in run_checks(**{**arguments, **changes})}

    return run


def test_a_ready_machine_passes_every_check(
    look: Callable[..., dict[str, Check]], cache: WeightsCache, manifest: Manifest
) -> None:
    cache.pull(manifest)
    checks = look()
    assert {name: check.state for name, check in checks.items()} == dict.fromkeys(checks, "ok")
    assert set(checks) == {
        "python",
        "cpu",
        "cores",
        "memory",
        "gpu",
        "engine",
        "pip",
        "weights cache",
        "data folder",
        "weights",
        "port",
        "database",
    }
    assert "xllamacpp 20" in checks["engine"].found
    assert not failed(list(checks.values()))


def test_looking_changes_nothing(look: Callable[..., dict[str, Check]], tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    look()
    assert sorted(tmp_path.rglob("*")) == before


def test_missing_weights_fail_with_the_command_that_helps(look: Callable[..., dict[str, Check]]) -> None:
    checks = look()
    assert checks["weights"] == Check("weights", "fail", "small: w.gguf missing", "run `inhouse models pull small`")
    assert failed(list(checks.values()))


def test_damage_shows_only_when_looked_for_deeply(
    look: Callable[..., dict[str, Check]], cache: WeightsCache, manifest: Manifest
) -> None:
    [path] = cache.pull(manifest)
    path.chmod(0o644)
    path.write_bytes(b"X" + DATA[1:])
    assert look()["weights"].state == "ok"
    assert look(deep=True)["weights"].found == "small: w.gguf corrupted"


@pytest.mark.parametrize(
    ("change", "name", "state"),
    [
        ({"python": (3, 10, 9)}, "python", "fail"),
        ({"cpu_flags": frozenset({"sse4_2"})}, "cpu", "fail"),
        ({"cpu_flags": None}, "cpu", "warn"),
        ({"architecture": "aarch64", "cpu_flags": None}, "cpu", "ok"),
        ({"memory_available": 900_000_000}, "memory", "fail"),
        ({"memory_available": None, "memory_total": None}, "memory", "warn"),
        ({"gpus": ["NVIDIA H100, 81559 MiB"]}, "gpu", "ok"),
    ],
)
def test_machines_that_lack_something(
    look: Callable[..., dict[str, Check]], change: dict[str, Any], name: str, state: str
) -> None:
    check = look(machine=msgspec.structs.replace(GOOD, **change))[name]
    assert check.state == state
    assert bool(check.advice) == (state == "fail")


def test_memory_for_one_model_but_not_for_all_is_a_warning(
    look: Callable[..., dict[str, Check]], tmp_path: Path
) -> None:
    both = [weights(tmp_path / "w.gguf", "a", 3_000_000_000), weights(tmp_path / "w.gguf", "b", 2_000_000_000)]
    check = look(weights=both)["memory"]
    assert check.state == "warn"
    assert "5.0 GB together, 3.0 GB for the largest" in check.found


def test_disks_that_are_full(look: Callable[..., dict[str, Check]], cache: WeightsCache, manifest: Manifest) -> None:
    checks = look(free=lambda path: 50_000_000)
    assert (checks["weights cache"].state, checks["data folder"].state) == ("fail", "fail")
    checks = look(free=lambda path: 500_000_000)
    assert (checks["weights cache"].state, checks["data folder"].state) == ("ok", "warn")
    cache.pull(manifest)
    assert look(free=lambda path: 0)["weights cache"].state == "ok"


def test_a_folder_that_is_a_file(look: Callable[..., dict[str, Check]], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert look()["data folder"].found.endswith("cannot be written")


def test_a_folder_of_someone_else(
    look: Callable[..., dict[str, Check]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = os.access
    # Not by its mode: the tests may run as root, who may write everywhere.
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: path != tmp_path / "data" and access(path, mode))
    (tmp_path / "data").mkdir()
    assert look()["data folder"].state == "fail"


def test_a_taken_port_fails(look: Callable[..., dict[str, Check]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        checks = look(port=taken.getsockname()[1])
    assert checks["port"].state == "fail"
    assert "another PORT" in checks["port"].advice


def test_a_port_where_a_server_lives_is_a_warning(look: Callable[..., dict[str, Check]]) -> None:
    class Alive(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Alive)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        check = look(port=server.server_port)["port"]
    finally:
        server.shutdown()
        server.server_close()
    assert check.state == "warn"
    assert "/healthz already" in check.found


@pytest.mark.parametrize(("host", "port"), [("host.invalid", 4141), ("127.0.0.1", 99999), ("192.0.2.1", 4141)])
def test_an_address_that_is_not_of_this_machine(look: Callable[..., dict[str, Check]], host: str, port: int) -> None:
    assert look(host=host, port=port)["port"].state == "fail"


def test_a_database_that_cannot_be_reached(look: Callable[..., dict[str, Check]]) -> None:
    def refuse() -> str:
        raise ConnectionError("connection refused\nand more lines")

    check = look(database=refuse)["database"]
    assert (check.state, check.found) == ("fail", "connection refused")
    assert "database" not in look(database=None)


@pytest.mark.parametrize(
    ("module", "says"),
    [("raise ImportError('no libomp')", "no libomp"), ("import os; os.kill(os.getpid(), 4)", "dies of SIGILL")],
)
def test_an_engine_that_cannot_be_imported(
    look: Callable[..., dict[str, Check]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, says: str
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/xllamacpp.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    check = look()["engine"]
    assert check.state == "fail"
    assert says in check.found


def test_a_machine_without_pip_is_warned(
    look: Callable[..., dict[str, Check]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert look()["pip"].state == "warn"


def test_this_machine_is_read() -> None:
    machine = this_machine()
    assert machine.cores >= 1
    assert machine.python >= (3, 11)
    assert machine.memory_total is None or machine.memory_total > 100_000_000
    assert machine.memory_available is None or machine.memory_available <= (machine.memory_total or 0)


def test_texts_are_printed_as_they_are() -> None:
    out = io.StringIO()
    render([Check("port", "ok", "[red]x[/red]"), Check("gpu", "fail", "[/]", "do [this]")], Console(file=out, width=80))
    text = out.getvalue()
    assert "[red]x[/red]" in text
    assert "→ do [this]" in text
    assert text.splitlines()[0].startswith("ok")


def test_what_a_host_needs_is_looked_for() -> None:
    host = HOSTS["embedding"]
    assert doctor.check_host(host).state == "ok"
    missing = doctor.check_host(msgspec.structs.replace(host, packages=("numpy", "no_such_package")))
    assert (missing.state, missing.found) == ("fail", "embedding: no_such_package not installed")
