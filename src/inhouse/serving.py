"""What serves a model here: said on its page, in ``/v1/models`` and by the command line alike."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from inhouse.catalog import Catalog, Resolved
from inhouse.catalog.cards import Cards
from inhouse.catalog.evaluation import results
from inhouse.catalog.evaluation.results import Evaluation
from inhouse.catalog.served import Change, ServedBy
from inhouse.engines.deployments import READ_TOKENS, WHOLE_TOKENS, Deployment, Embedded, Hosted, Remote
from inhouse.engines.pool import EnginePool, Load
from inhouse.metering.speeds import Speeds
from inhouse.storage.database import Database


class Serving:
    """The catalog seen together with engines and measurements."""

    def __init__(
        self, database: Database, catalog: Catalog, engines: EnginePool, speeds: Speeds, started_at: datetime
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._engines = engines
        self._speeds = speeds
        self._started_at = started_at

    @property
    def cards(self) -> Cards:
        return self._catalog.cards

    async def served_by(self, snapshot: str) -> ServedBy | None:
        """What serves a model, by any of its names; None if nothing does."""
        found = self._catalog.find(snapshot)
        return None if found is None else await self._describe(found)

    async def evaluation(self, snapshot: str) -> Evaluation | None:
        """The last result of what serves a model now; None if nothing does, or nobody has evaluated it."""
        found = self._catalog.find(snapshot)
        if found is None:
            return None
        model, deployment = found.snapshot.id, found.deployment.id
        return await self._database.read(lambda connection: results.newest(connection, model, deployment))

    def load(self, snapshot: str) -> Load | None:
        """How busy the engine behind a model is; None if nothing of this machine serves it."""
        found = self._catalog.find(snapshot)
        return None if found is None else self._engines.load(found.deployment)

    async def changes(self, model: str) -> list[Change]:
        """What has been bound to a model, newest first, the shipped default last."""
        found = []
        for each in await self._catalog.bindings.history(model):
            weights, engine = (None, "") if each.deployment is None else _named(each.deployment, model)
            found.append(Change(weights=weights, engine=engine, bound_at=each.bound_at, actor=each.actor))
        return found

    async def _describe(self, found: Resolved) -> ServedBy:
        deployment = found.deployment
        engine = self._engines.describe(deployment)
        speed = await self._speeds.of(deployment.id)
        since = found.binding.bound_at or self._started_at
        if isinstance(deployment, Embedded):
            return ServedBy(
                weights=deployment.title,
                engine="llama.cpp",
                window=engine.window or found.card.context_window,
                window_strategy=deployment.window_strategy,
                reads=_reads(deployment),
                bound_since=since,
                state=engine.state,
                sha256=deployment.sha256,
                license=deployment.license,
                prefill_tokens_per_second=speed.prefill,
                decode_tokens_per_second=speed.decode,
            )
        if isinstance(deployment, Hosted):
            return ServedBy(
                weights=deployment.title,
                engine=deployment.runs_on,
                window=found.card.context_window,
                bound_since=since,
                state=engine.state,
                sha256=deployment.weights[0].sha256,
                license=deployment.license,
            )
        target = deployment.upstream.targets[0]
        return ServedBy(
            weights=target.model or found.card.id,
            engine="OpenAI-compatible server",
            where=urlsplit(target.url).netloc,
            window=engine.window or found.card.context_window,
            window_strategy=deployment.window_strategy,
            reads=_reads(deployment),
            bound_since=since,
            state=engine.state,
            reads_images=True,
        )


def _named(deployment: Deployment, model: str) -> tuple[str, str]:
    """Title of the weights and name of the engine."""
    if isinstance(deployment, Embedded):
        return deployment.title, "llama.cpp"
    if isinstance(deployment, Hosted):
        return deployment.title, deployment.runs_on
    target = deployment.upstream.targets[0]
    return target.model or model, f"OpenAI-compatible server, {urlsplit(target.url).netloc}"


def _reads(deployment: Embedded | Remote) -> str | None:
    if deployment.window_strategy != "read":
        return None
    at_once = deployment.read_tokens or (READ_TOKENS if isinstance(deployment, Embedded) else None)
    said = f"up to {at_once:,} tokens of passages" if at_once else "passages for half of its window"
    in_parts = deployment.whole_tokens
    if in_parts is None and isinstance(deployment, Embedded):
        in_parts = WHOLE_TOKENS
    if in_parts:
        said += f"; for questions about the whole, notes on {in_parts:,} tokens in parts"
    if deployment.search_steps:
        said += f"; up to {deployment.search_steps} further searches that the model asks for"
    return said
