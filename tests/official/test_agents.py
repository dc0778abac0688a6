"""The Agents SDK, in Python and in JavaScript, in front of the running server and its embedded model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.mcp_servers import MCPServer, serve_streamable

from .running import Server

__all__ = ["serve_streamable"]

HERE = Path(__file__).parent
PYTHON = Path(sys.prefix) / "ecosystem"
JAVASCRIPT = Path(sys.prefix) / "ecosystem-js"
PATIENCE_S = 300


def run(server: Server, *command: Any, **environment: str) -> str:
    told = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.key, **environment}
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_python(server: Server, streamable: MCPServer) -> None:
    assert PYTHON.is_dir(), f"{PYTHON} is missing: `make test` installs requirements/ecosystem.txt there"
    out = run(server, sys.executable, HERE / "agents_app.py", streamable.url, PYTHONPATH=str(PYTHON))
    assert out.split()[-1] == "passed"


def test_javascript(server: Server, streamable: MCPServer) -> None:
    if not (JAVASCRIPT / "node_modules").is_dir():
        pytest.skip(f"{JAVASCRIPT} is missing: `make test` installs it where there is npm")
    # Imports are looked for beside the program.
    placed = shutil.copy(HERE / "agents_app.mjs", JAVASCRIPT / "agents_app.mjs")
    assert run(server, "node", placed, streamable.url).split()[-1] == "passed"
