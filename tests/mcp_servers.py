"""Real MCP servers of the SDK on loopback, each a process, and fixtures of them."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).parent / "mcp_program.py"


class MCPServer:
    """A server process. ``url`` is where it is, ``seen`` what was asked of it so far."""

    def __init__(self, transport: str, token: str | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, transport, *([token] if token else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.base = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.url = f"{self.base}/{'mcp' if transport == 'streamable' else 'sse'}"

    def seen(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base}/seen", timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="session", name="streamable")
def serve_streamable() -> Iterator[MCPServer]:
    server = MCPServer("streamable")
    yield server
    server.stop()


@pytest.fixture(scope="session", name="old_sse")
def serve_old_sse() -> Iterator[MCPServer]:
    server = MCPServer("sse")
    yield server
    server.stop()


@pytest.fixture(scope="session", name="guarded")
def serve_guarded() -> Iterator[MCPServer]:
    """A server that wants the token ``open-sesame``."""
    server = MCPServer("streamable", "open-sesame")
    yield server
    server.stop()


@pytest.fixture(params=["streamable", "old_sse"], name="server")
def each_server(request: pytest.FixtureRequest) -> MCPServer:
    """A server of each transport in turn."""
    found: MCPServer = request.getfixturevalue(request.param)
    return found
