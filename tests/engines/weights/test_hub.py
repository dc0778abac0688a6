from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from inhouse.engines.weights import Progress, PullFailed, WeightsCache
from inhouse.engines.weights.hub import Hub

from .stand_ins import HubServer, file_of, hub_source, manifest_of, payload, serve

DATA = payload(3_000_000)
MANIFEST = manifest_of(file_of(DATA, hub_source()))


@pytest.fixture
def mirror(tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "mirror.bin"
    path.write_bytes(DATA)
    return {"kind": "path", "path": str(path)}


def test_a_file_comes_whole_and_true_progress_is_told(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    told: list[Progress] = []
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST, told.append)
    assert path.read_bytes() == DATA
    downloading = [progress.done for progress in told if progress.phase == "downloading"]
    assert downloading == sorted(downloading)
    assert downloading[-1] == len(DATA)
    assert {progress.total for progress in told} == {len(DATA)}
    assert told[-1].phase == "ready"


def test_a_redirect_is_followed_with_the_range(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.redirect = True
    hub_server.drop_after = [1_000_000]
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert path.read_bytes() == DATA
    assert hub_server.ranges == [None, "bytes=1000000-"]


def test_dropped_connections_are_resumed_where_they_ended(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.drop_after = [1_000_000, 500_000]
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert path.read_bytes() == DATA
    assert hub_server.ranges == [None, "bytes=1000000-", "bytes=1500000-"]


def test_a_hub_without_ranges_starts_over(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.ignore_range = True
    hub_server.drop_after = [1_000_000]
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert path.read_bytes() == DATA


def test_a_hub_that_keeps_dropping_is_given_up(
    hub_server: HubServer, hub: Hub, tmp_path: Path, mirror: dict[str, str]
) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.drop_after = [1_000_000, *[0] * 20]
    notes: list[str] = []
    manifest = manifest_of(file_of(DATA, hub_source(), mirror))
    [path] = WeightsCache(tmp_path, hub=hub).pull(manifest, on_note=notes.append)
    assert path.read_bytes() == DATA
    assert len(notes) == 1
    assert "keeps dropping the connection" in notes[0]
    assert len(hub_server.ranges) < 10


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_leads_to_the_next_source_at_once(
    hub_server: HubServer, hub: Hub, tmp_path: Path, mirror: dict[str, str], status: int
) -> None:
    hub_server.status = status
    notes: list[str] = []
    manifest = manifest_of(file_of(DATA, hub_source(), mirror))
    [path] = WeightsCache(tmp_path / "cache", hub=hub).pull(manifest, on_note=notes.append)
    assert path.read_bytes() == DATA
    assert len(hub_server.ranges) == 1
    assert len(notes) == 1
    assert f"answers {status}" in notes[0]
    assert "trying file" in notes[0]
    assert "\n" not in notes[0]


def test_a_file_of_another_size_is_not_even_fetched(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA + b"x"
    with pytest.raises(PullFailed, match=r"3000001 bytes, the manifest names 3000000"):
        WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert len(hub_server.ranges) == 1


def test_wrong_bytes_are_fetched_once_more_and_then_given_up(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = payload(len(DATA), seed=2)
    notes: list[str] = []
    cache = WeightsCache(tmp_path, hub=hub)
    with pytest.raises(PullFailed, match="SHA-256 differs"):
        cache.pull(MANIFEST, on_note=notes.append)
    assert hub_server.ranges == [None, None]
    assert "once more" in notes[0]
    assert "no source is left" in notes[1]
    assert cache.path(MANIFEST.files[0]) is None


def test_wrong_bytes_once_are_repaired(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = payload(len(DATA), seed=2)

    def repair() -> None:
        hub_server.files["w.bin"] = DATA

    hub_server.on_served = repair
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert path.read_bytes() == DATA


def test_an_unreachable_hub_is_remembered_for_the_next_file(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    hub = Hub(f"http://127.0.0.1:{port}", connect_seconds=2)
    cache = WeightsCache(tmp_path, hub=hub)
    with pytest.raises(PullFailed, match="cannot be reached"):
        cache.pull(MANIFEST)
    server_state = HubServer(files={"w.bin": DATA})
    server = serve(server_state, port)
    try:
        with pytest.raises(PullFailed, match="cannot be reached"):
            cache.pull(MANIFEST)
        assert server_state.ranges == []
        WeightsCache(tmp_path, hub=Hub(server_state.url)).pull(MANIFEST)
    finally:
        server.shutdown()
        server.server_close()


def test_a_name_that_never_resolves_does_not_hold_the_pull(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: dict[str, str]
) -> None:
    forever = threading.Event()

    def hang(*args: object, **kwargs: object) -> socket.socket:
        forever.wait(60)
        raise OSError("released")

    monkeypatch.setattr(socket, "create_connection", hang)
    notes: list[str] = []
    manifest = manifest_of(file_of(DATA, hub_source(), mirror))
    hub = Hub("http://hub.invalid", connect_seconds=0.1)
    WeightsCache(tmp_path, hub=hub).pull(manifest, on_note=notes.append)
    forever.set()
    assert "hub.invalid cannot be reached (no connection within" in notes[0]


def test_a_hub_that_accepts_and_says_nothing_is_given_up(tmp_path: Path, mirror: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        hub = Hub(f"http://127.0.0.1:{mute.getsockname()[1]}", read_seconds=0.2)
        notes: list[str] = []
        manifest = manifest_of(file_of(DATA, hub_source(), mirror))
        WeightsCache(tmp_path, hub=hub).pull(manifest, on_note=notes.append)
    assert "does not answer" in notes[0]


def test_the_environment_names_the_hub(hub_server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_server.files["w.bin"] = DATA
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PullFailed, match="HF_HUB_OFFLINE"):
        WeightsCache(tmp_path).pull(MANIFEST)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    WeightsCache(tmp_path).pull(MANIFEST)
    assert hub_server.ranges == [None]


def test_only_http_is_spoken(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(DATA)
    with pytest.raises(PullFailed, match="cannot be reached"):
        WeightsCache(tmp_path / "cache", hub=Hub(f"file://{tmp_path}")).pull(MANIFEST)
