from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inhouse.engines.weights.hub import Hub

from .stand_ins import HubServer, serve


@pytest.fixture
def hub_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    hub = HubServer()
    server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    yield hub
    hub.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(hub_server: HubServer) -> Hub:
    return Hub(hub_server.url, connect_seconds=2, read_seconds=2)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows of."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder
