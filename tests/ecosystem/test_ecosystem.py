"""Frameworks unmodified, with their real packages, each in a process of its own: tools, handoffs, streams, sessions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.official.running import CHAT, Server

from .model import LENGTHS, rule_model

HERE = Path(__file__).parent
PYTHON = Path(sys.prefix) / "ecosystem"
JAVASCRIPT = Path(sys.prefix) / "ecosystem-js"
LLAMAINDEX = Path(sys.prefix) / "ecosystem-llamaindex"
CODEX = Path(sys.prefix) / "ecosystem-codex" / "node_modules" / ".bin" / "codex"
PATIENCE_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model follows rules."""
    with rule_model() as url:
        server = Server(tmp_path_factory.mktemp("ecosystem") / "data")
        for model in (CHAT, "gpt-4.1-mini"):
            server.cli("models", "use", model, "--upstream", url)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def run(server: Server, command: list[Any], *, where: Path | None = None, **environment: str) -> str:
    """What a program prints that uses the server."""
    told = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.key, **environment}
    done = subprocess.run(
        command, env=told, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.tracebacks == []
    return done.stdout


@pytest.mark.parametrize("program", ["agents_sdk.py", "langchain_chat.py"])
def test_python(server: Server, program: str) -> None:
    assert PYTHON.is_dir(), f"{PYTHON} is missing: `make test` installs requirements/ecosystem.txt there"
    out = run(server, [sys.executable, HERE / program], PYTHONPATH=str(PYTHON))
    assert out.split()[-1] == "passed"


def test_llamaindex(server: Server) -> None:
    if not LLAMAINDEX.is_dir():
        pytest.skip(f"{LLAMAINDEX} is missing: `make llamaindex` installs it, some 280 MB")
    out = run(server, [sys.executable, HERE / "llamaindex.py"], PYTHONPATH=str(LLAMAINDEX))
    assert out.split()[-1] == "passed"


def test_standard_tests_of_langchain(server: Server) -> None:
    """For which it has its own pytest and plugins; ours have nothing to say there."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", "-q", "--asyncio-mode=auto"]
    # Its clients are shared by its tests, so its loop is, too.
    command += ["-o", "asyncio_default_test_loop_scope=session", "-o", "asyncio_default_fixture_loop_scope=session"]
    command += [f"--rootdir={HERE}", f"--confcutdir={HERE}", HERE / "langchain_standard.py"]
    out = run(server, command, PYTHONPATH=str(PYTHON))
    assert re.search(r"^\d{2} passed, \d+ skipped", out.splitlines()[-1]), out


@pytest.mark.parametrize("program", ["sdk.mjs", "agents.mjs", "ai.mjs"])
def test_javascript(server: Server, program: str) -> None:
    if not (JAVASCRIPT / "node_modules").is_dir():
        pytest.skip(f"{JAVASCRIPT} is missing: `make test` installs it where there is npm")
    # Imports are looked for beside the program.
    placed = shutil.copy(HERE / "js" / program, JAVASCRIPT / program)
    assert run(server, ["node", placed]).split()[-1] == "passed"


@pytest.mark.parametrize("short", [False, True], ids=["as it comes", "short"])
def test_codex_runs_a_command(server: Server, tmp_path: Path, short: bool) -> None:
    """As docs/codex.md says, with all that Codex tells a model and with the least."""
    if not CODEX.exists():
        pytest.skip(f"{CODEX} is missing: `make codex` installs it, some 400 MB")
    page = (HERE.parent.parent / "docs" / "codex.md").read_text()
    provided, least = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    provider = tomllib.loads(provided)
    provider["model_providers"]["inhouse"] |= {"base_url": server.base_url, "env_key": "OPENAI_API_KEY"}
    config = {**provider, "approval_policy": "never", "sandbox_mode": "danger-full-access"}
    if short:
        (instructions,) = re.findall(r"```md\n(.*?)```", page, re.DOTALL)
        (tmp_path / "short.md").write_text(instructions)
        config |= {**tomllib.loads(least), "model_instructions_file": str(tmp_path / "short.md")}
    (tmp_path / "config.toml").write_text("\n".join(toml(config)))
    work = tmp_path / "work"
    work.mkdir()
    command = [CODEX, "exec", "--skip-git-repo-check", "Run the command and report its output."]
    out = run(server, command, where=work, CODEX_HOME=str(tmp_path))
    assert "hello-from-42" in out
    *_, called, answered = LENGTHS
    assert called < answered < (8_000 if short else 60_000)


def toml(table: dict[str, Any], path: str = "") -> Iterator[str]:
    """Lines of a configuration: values first, then tables."""
    for name, value in table.items():
        if not isinstance(value, dict):
            yield f"{name} = {json.dumps(value)}"
    for name, value in table.items():
        if isinstance(value, dict):
            yield f"[{path}{name}]"
            yield from toml(value, f"{path}{name}.")
