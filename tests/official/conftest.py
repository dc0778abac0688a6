"""The running server, and the official SDK in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI

from .running import CHAT, FAST, Server

StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    """Starts servers, each on an empty data folder; all are stopped in the end."""
    started: list[Server] = []

    def start(others: Mapping[str, str] | None = None, **settings: str) -> Server:
        folder: Path = tmp_path_factory.mktemp("inhouse")
        server = Server(folder / "data", others=others, **settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server: StartServer) -> Iterator[Server]:
    """The server that all tests share which do it no harm. Nothing that they send may be a surprise to it."""
    server = start_server(engines__preload=f"{CHAT},{FAST}")
    yield server
    assert not server.tracebacks


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[OpenAI]:
    with server.client() as client:
        yield client


@pytest.fixture
async def aclient(server: Server) -> AsyncIterator[AsyncOpenAI]:
    async with server.async_client() as client:
        yield client


@pytest.fixture(scope="session")
def stranger(server: Server) -> Iterator[OpenAI]:
    """Another project of the same organization."""
    with server.client(server.key_of_another_project()) as client:
        yield client
