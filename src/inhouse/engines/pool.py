"""One engine for each distinct way of running a model, shared by all deployments that run it so."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from inhouse.engines.deployments import Deployment, Embedded, Hosted, Pinned, Remote
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.hosting import HostConfig, Weights
from inhouse.engines.hosts import HOSTS
from inhouse.engines.llama.counts import Counting
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.llama.spec import LlamaSpec
from inhouse.engines.machine import usable_cores
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.supervisor import Settings as ChildSettings
from inhouse.engines.upstream import Upstream
from inhouse.engines.weights import (
    BadGGUF,
    WeightFile,
    WeightsCache,
    WeightsError,
    find_manifest,
    inspect_gguf,
)
from inhouse.settings import Engines

Engine = LlamaEngine | HostedEngine | Upstream
State = Literal["ready", "stopped", "failed"]

log = structlog.get_logger(__name__)


class Described(msgspec.Struct, frozen=True):
    """What people are told of a deployment's engine."""

    window: int | None
    """Tokens; None while it is not known."""
    state: State


class Counted(msgspec.Struct, frozen=True):
    """An engine that counts for itself."""

    engine: str
    """A name that is the same in every process for whatever runs the model in this way."""
    deployments: list[str]
    """Ids of those that have used it."""
    counting: Counting


class Load(msgspec.Struct, frozen=True):
    """What an engine of this machine does right now."""

    memory: int | None
    """Resident bytes of its process; None while it does not run."""
    slots: int
    running: int
    queued: int
    restarts: int
    """After crashes."""


class EnginePool:
    """Makes engines when they are first asked for, and keeps them.

    Args:
        cache: where weights are.
        settings: what embedded engines share where a deployment says nothing.
        log_folder: for the logs of child processes.
    """

    def __init__(self, cache: WeightsCache, settings: Engines, log_folder: Path) -> None:
        self._cache = cache
        self._settings = settings
        self._log_folder = log_folder
        self._engines: dict[bytes, Engine] = {}
        self._of: dict[str, Engine] = {}
        """By deployment id, for the way of every request."""
        self._wanted: dict[str, Deployment] = {}
        """Deployments that are to be ready, by id."""
        self._loading: set[str] = set()

    def get(self, deployment: Deployment) -> Engine:
        """The engine of a deployment. It starts with its first use.

        Raises:
            EngineFailed: its weights are not here, or not what was pinned.
        """
        found = self._of.get(deployment.id)
        if found is not None:
            return found
        key = _key(deployment)
        engine = self._engines.get(key)
        if engine is None:
            engine = self._engines[key] = self._make(deployment)
        self._of[deployment.id] = engine
        return engine

    async def inspect(self, deployment: Deployment) -> None:
        """Read the header of its weights now, in a thread: tens of milliseconds that no request has to wait for.

        What is wrong with them is told when they are used.
        """
        if isinstance(deployment, Embedded):
            with contextlib.suppress(EngineFailed, BadGGUF):
                await asyncio.to_thread(lambda: inspect_gguf(self._path(deployment)))

    def expect(self, deployment: Deployment) -> None:
        """Count it in ``readiness`` from now on: not ready until ``preload`` has loaded it."""
        self._wanted[deployment.id] = deployment
        self._loading.add(deployment.id)

    async def preload(self, deployment: Deployment) -> None:
        """Load it now, and count it in ``readiness``."""
        self.expect(deployment)
        try:
            engine = self.get(deployment)
            if isinstance(engine, LlamaEngine | HostedEngine):
                await engine.start()
        except EngineFailed as error:
            log.error("a model could not be loaded", deployment=deployment.id, reason=str(error))
        finally:
            self._loading.discard(deployment.id)

    def readiness(self) -> dict[str, str]:
        """How the deployments stand that are to be ready; ``ok`` for those that would answer."""
        return {id: self._standing(deployment) for id, deployment in self._wanted.items()}

    def _standing(self, deployment: Deployment) -> str:
        if deployment.id in self._loading:
            return "loading"
        return "failed" if self.describe(deployment).state == "failed" else "ok"

    def describe(self, deployment: Deployment) -> Described:
        """What is known of a deployment's engine without starting it."""
        try:
            engine = self.get(deployment)
        except EngineFailed:
            return Described(None, "failed")
        if isinstance(engine, Upstream):
            return Described(deployment.window if isinstance(deployment, Remote) else None, "ready")
        state = engine.status.child.state
        return Described(
            engine.window if isinstance(engine, LlamaEngine) else None,
            "ready" if state == "ready" else "failed" if state in ("failed", "backoff") else "stopped",
        )

    def counted(self) -> list[Counted]:
        """The engines that count what they do: embedded ones that write text.

        Hosts count what the books take from them; an upstream may have other clients.
        """
        return [
            Counted(
                hashlib.blake2b(key, digest_size=8).hexdigest(),
                sorted(id for id, used in self._of.items() if used is engine),
                engine.counting,
            )
            for key, engine in self._engines.items()
            if isinstance(engine, LlamaEngine)
        ]

    def load(self, deployment: Deployment) -> Load | None:
        """How busy its engine is; None for one elsewhere, or one that cannot run."""
        try:
            engine = self.get(deployment)
        except EngineFailed:
            return None
        if not isinstance(engine, LlamaEngine | HostedEngine):
            return None
        now = engine.status
        return Load(now.child.memory, now.slots, now.running, now.queued, now.child.restarts)

    def folder_of(self, weights: str) -> Path | None:
        """Where weights are that no engine runs, by the id of their manifest; None where they are not here."""
        manifest = find_manifest(weights)
        return None if self._cache.missing(manifest) else self._cache.folder(manifest)

    async def close(self) -> None:
        await asyncio.gather(*(engine.close() for engine in self._engines.values()))

    def _make(self, deployment: Deployment) -> Engine:
        match deployment:
            case Embedded():
                return self._embedded(deployment)
            case Hosted():
                return self._hosted(deployment)
            case _:
                return Upstream(deployment.upstream)

    def _hosted(self, deployment: Hosted) -> HostedEngine:
        shared = self._settings
        return HostedEngine(
            deployment.engine,
            HostConfig(
                weights=[self._placed(pinned) for pinned in deployment.weights],
                slots=deployment.slots or HOSTS[deployment.engine].slots,
                threads=deployment.threads or shared.threads or usable_cores(),
                options=deployment.options,
            ),
            name=deployment.id.split("@")[0],
            max_queue=shared.max_queue,
            queue_timeout=shared.queue_timeout_s,
            settings=ChildSettings(idle=shared.idle_unload_s),
            log_folder=self._log_folder,
        )

    def _placed(self, pinned: Pinned) -> Weights:
        if pinned.is_path:
            if not Path(pinned.id).exists():
                raise EngineFailed(f"{pinned.id} cannot be run: it is not there")
            return Weights(pinned.id, pinned.id)
        try:
            manifest = find_manifest(pinned.id)
        except WeightsError as error:  # bound by another version, which knew them
            raise EngineFailed(str(error)) from error
        if pinned.sha256 != manifest.digest:
            raise EngineFailed(f"{pinned.id} is pinned to other content than its manifest names")
        for file in manifest.files:
            self._here(file, pinned.id)
        return Weights(pinned.id, str(self._cache.folder(manifest)))

    def _embedded(self, deployment: Embedded) -> LlamaEngine:
        path = self._path(deployment)
        shared = self._settings
        chosen = {
            "window": deployment.window,
            "slots": deployment.slots or shared.slots,
            "threads": deployment.threads or shared.threads,
            "kv_tokens": deployment.kv_tokens or shared.kv_tokens,
            "template": deployment.template,
        }
        try:
            spec = LlamaSpec.for_machine(path, **{name: value for name, value in chosen.items() if value is not None})
            return LlamaEngine(
                spec,
                name=deployment.weights.rsplit("/", 1)[-1],
                max_queue=shared.max_queue,
                queue_timeout=shared.queue_timeout_s,
                settings=ChildSettings(idle=shared.idle_unload_s),
                log_folder=self._log_folder,
            )
        except (BadGGUF, ValueError) as error:
            raise EngineFailed(f"{path} cannot be run: {error}") from error

    def _path(self, deployment: Embedded) -> Path:
        if deployment.is_path:
            return Path(deployment.weights)
        try:
            file = find_manifest(deployment.weights).files[0]
        except WeightsError as error:  # bound by another version, which knew them
            raise EngineFailed(str(error)) from error
        if deployment.sha256 not in (None, file.sha256):
            raise EngineFailed(f"{deployment.weights} is pinned to other content than its manifest names")
        return self._here(file, deployment.weights)

    def _here(self, file: WeightFile, weights: str) -> Path:
        path = self._cache.path(file)
        if path is None:
            raise EngineFailed(f"the weights are not here: run `inhouse models pull {weights}`")
        return path


def _key(deployment: Deployment) -> bytes:
    """Two deployments that differ only in decoding defaults and names share an engine."""
    if isinstance(deployment, Embedded):
        fields = ("weights", "sha256", "window", "slots", "threads", "kv_tokens", "template")
        return msgspec.json.encode([getattr(deployment, field) for field in fields])
    if isinstance(deployment, Hosted):
        return msgspec.json.encode(msgspec.structs.replace(deployment, title="", license=None))
    return msgspec.json.encode(deployment)
