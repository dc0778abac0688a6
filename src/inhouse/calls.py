"""The walk that every request takes: resolve, admit, open, serve, settle.

    async with calls.open(caller, operation, model, request_id=...) as call:
        ...  # call.engine answers; call.usage is kept up to date
    # settled, whatever happened: success, error, disconnect, cancel

No endpoint reaches an engine without a ``Call``, so nothing is served unlimited or unmetered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple

import msgspec

from inhouse.access import Caller
from inhouse.access.policies import Guardrail
from inhouse.catalog import Catalog, Resolved
from inhouse.catalog.cards import Card, Snapshot
from inhouse.documents import Documents
from inhouse.engines.deployments import WORD_VECTORS, Embedded
from inhouse.engines.hosted import HostedEngine
from inhouse.engines.hosts import Kind
from inhouse.engines.llama.engine import LlamaEngine
from inhouse.engines.moderation.verdicts import Moderated
from inhouse.engines.pool import Engine, EnginePool
from inhouse.engines.protocol import DecodingDefaults, EngineFailed
from inhouse.engines.upstream import Upstream
from inhouse.files import Files
from inhouse.files.fetching import Fetcher
from inhouse.kit.errors import APIError
from inhouse.kit.ids import request_id
from inhouse.limits import Admission, Demand, Limits
from inhouse.limits.service import Pool
from inhouse.metering.budgets import Budgets, insufficient_quota
from inhouse.metering.entries import Opening, Settlement, charge_id
from inhouse.metering.held import HeldLedger
from inhouse.metering.ledger import CLIENT_CLOSED_REQUEST, Ledger
from inhouse.metering.metrics import Metrics
from inhouse.metering.pricing import Bound, Rates, rates, service_tier
from inhouse.metering.usage import Family, Usage, family_of


class Materials(NamedTuple):
    """What a call reads beside its request: files of the project, and documents."""

    files: Files
    documents: Documents
    fetcher: Fetcher


class Calls:
    """Opens calls.

    Args:
        pool: whose limits they count against; those of batches have prices of their own, too, and wait for all others.
    """

    def __init__(
        self,
        catalog: Catalog,
        limits: Limits,
        ledger: Ledger | HeldLedger,
        budgets: Budgets,
        engines: EnginePool,
        metrics: Metrics,
        materials: Materials | None = None,
        *,
        pool: Pool = "live",
    ) -> None:
        self._materials = materials
        self._pool = pool
        self._catalog = catalog
        self._limits = limits
        self._ledger = ledger
        self._budgets = budgets
        self._engines = engines
        self._metrics = metrics

    @property
    def instance(self) -> str:
        """Id of this process, see ``metering.instances``."""
        return self._ledger.instance

    def snapshots_of(self, model: str) -> list[str]:
        """What answers to a name may say they come from: an alias stands for all snapshots of its card."""
        card = self._catalog.cards.get(model)
        return [model] if card is None else [snapshot.id for snapshot in card.snapshots]

    def card_of(self, model: str, endpoint: str) -> tuple[Card, Snapshot]:
        """What a name means, for one endpoint. Raises as ``open``."""
        resolved = self._catalog.resolve(model, endpoint)
        return resolved.card, resolved.snapshot

    def engine_of(self, model: str, endpoint: str) -> Engine:
        """What answers for a name now. Raises as ``open``, and EngineFailed."""
        return self._engines.get(self._catalog.resolve(model, endpoint).deployment)

    def open(
        self,
        caller: Caller,
        operation: str,
        model: str,
        *,
        request_id: str,
        endpoint: str,
        demand: Demand,
        respond: dict[str, str],
        tier: str | None = None,
        pool: Pool | None = None,
        streams: bool = True,
        most: Bound | None = None,
        beside: bool = False,
    ) -> Call:
        """One request for a model. It is admitted when the call is entered.

        Args:
            operation: the operation's id, e.g. ``createChatCompletion``.
            model: a card's id, an alias or a dated snapshot.
            endpoint: the card's key of the endpoint, e.g. ``chat_completions``.
            demand: what it may use at most.
            respond: headers of the answer; those of the rate limits are put there when it is admitted.
            tier: the ``service_tier`` asked for.
            pool: in place of that of all calls.
            streams: whether anything of the answer is given away before the call is settled.
            most: what it may use at most; reserved where the caller has a budget.
            beside: it is a step of a request that was admitted, by no choice of the caller.

        Raises:
            NotFound: no such model here, or it is not deployed.
            Forbidden: the caller's project may not use it.
            InvalidRequest: the model does not serve this endpoint, or not in this service tier.
        """
        pool = pool or self._pool
        resolved = self._catalog.resolve(model, endpoint)
        if not beside:
            caller.policy.check_model(caller.project_id, model, resolved.card.id, resolved.snapshot.id)
        guardrail = caller.policy.guardrail
        granted = service_tier(resolved.card, resolved.snapshot, tier)
        prices = rates(resolved.card, resolved.snapshot, granted, batch=pool == "batch")
        return Call(
            Opening(
                id=request_id,
                created_at=time.time_ns() // 1000,
                organization_id=caller.organization_id,
                project_id=caller.project_id,
                key_id=caller.key_id,
                operation=operation,
                model=resolved.card.id,
                snapshot=resolved.snapshot.id,
                deployment=resolved.deployment.id,
                service_tier=granted,
                user_id=caller.user_id,
                family=family_of(endpoint),
                batch=pool == "batch",
                input_price=prices.input,
                cached_input_price=prices.cached_input,
                output_price=prices.output,
            ),
            resolved,
            self._engines,
            self._ledger.direct if beside else self._ledger,
            self._budgets,
            self._metrics,
            _admitted if beside else partial(self._admit, caller, resolved.card, demand, pool),
            respond,
            partial(self._moderation, caller),
            streams=streams,
            most=most or Bound(),
            materials=self._materials,
            guardrails=() if guardrail is None or endpoint == "moderation" else (guardrail,),
        )

    async def _admit(self, caller: Caller, card: Card, demand: Demand, pool: Pool) -> Admission | None:
        if await self._limits.exhausted(caller.organization_id):
            raise insufficient_quota()
        return await self._limits.admit(caller, card, demand, pool=pool)

    def _moderation(self, caller: Caller, model: str, *, asked: bool) -> Call:
        if asked:
            caller.policy.check_model(caller.project_id, model, *self._names(model))
        return self.open(
            caller,
            "createModeration",
            model,
            request_id=request_id(),
            endpoint="moderation",
            demand=Demand(input_tokens=0),
            respond={},
            streams=False,
            most=Bound(input_tokens=0, output_tokens=0),
            beside=True,
        )

    def _names(self, model: str) -> tuple[str, str]:
        card, snapshot = self.card_of(model, "moderation")
        return card.id, snapshot.id


async def _admitted() -> None:
    """A step of a call that was admitted takes nothing more of the limits."""


class Call:
    """One request on its walk. Enter it with ``async with``.

    Entering raises what ``Limits.admit`` raises, and ``RateLimited`` with ``insufficient_quota`` where a budget or the
    credits do not cover the most that it can cost; a request that is not admitted leaves no row in the ledger.
    """

    def __init__(
        self,
        opening: Opening,
        resolved: Resolved,
        engines: EnginePool,
        ledger: Ledger | HeldLedger,
        budgets: Budgets,
        metrics: Metrics,
        admit: Callable[[], Awaitable[Admission | None]],
        respond: dict[str, str],
        moderation: Callable[..., Call],
        *,
        streams: bool,
        most: Bound,
        materials: Materials | None = None,
        guardrails: tuple[Guardrail, ...] = (),
    ) -> None:
        self.materials = materials
        self.guardrails = guardrails
        """What moderates it."""
        self.moderated: Moderated | None = None
        """What moderation found, for the client; None where nothing is moderated."""
        self._moderation = moderation
        self.card = resolved.card
        self.snapshot = resolved.snapshot
        self.deployment = resolved.deployment
        self.service_tier = opening.service_tier
        self.usage = Usage()
        self.prefill_ms: float | None = None
        self.decode_ms: float | None = None
        self._opening = opening
        self._rates = Rates(opening.input_price, opening.cached_input_price, opening.output_price)
        self._engines = engines
        self._engine: Engine | None = None
        self._ledger = ledger
        self._budgets = budgets
        self._metrics = metrics
        self._streams = streams
        self._most = most
        self._opened: asyncio.Future[None] | None = None
        self._admit = admit
        self._admission: Admission | None = None
        self._respond = respond
        self._started = time.perf_counter()
        self._first_token_ms: float | None = None
        self._charges = 0

    @property
    def id(self) -> str:
        return self._opening.id

    @property
    def engine(self) -> Engine:
        """What answers.

        Raises:
            EngineFailed: it cannot be had, for instance because its weights are not here. Asked for only when the call
                is open, so that this, too, is on the books.
        """
        if self._engine is None:
            self._engine = self._engines.get(self.deployment)
        return self._engine

    @property
    def text_engine(self) -> LlamaEngine | Upstream:
        """``engine``, for what writes text. Raises EngineFailed for another kind."""
        engine = self.engine
        if isinstance(engine, HostedEngine):
            raise EngineFailed(f"{self.deployment.id} does not write text")
        return engine

    def host(self, kind: Kind) -> HostedEngine | Upstream:
        """``engine``, for what a host of that kind or an upstream serves. Raises EngineFailed for another kind."""
        engine = self.engine
        if isinstance(engine, LlamaEngine) or (isinstance(engine, HostedEngine) and engine.kind != kind):
            raise EngineFailed(f"{self.deployment.id} is not a model for {kind}")
        return engine

    @property
    def word_vectors(self) -> Path | None:
        """Folder of the word vectors that help to find things in a long prompt, where they are on this machine."""
        return self._engines.folder_of(WORD_VECTORS)

    @property
    def project_id(self) -> str:
        return self._opening.project_id

    @property
    def priority(self) -> int:
        """Its place in an engine's queue: the higher goes first, and lines of batches wait for everything else."""
        return -1 if self._opening.batch else int(self.service_tier == "priority")

    @property
    def decoding(self) -> DecodingDefaults:
        """Sampling where the request says nothing."""
        return self.deployment.decoding if isinstance(self.deployment, Embedded) else DecodingDefaults()

    async def __aenter__(self) -> Call:
        try:
            self._admission = await self._admit()
            if self._admission is not None:
                self._respond.update(self._admission.headers)
            await self._book()
        except BaseException as error:
            if self._admission is not None:
                self._admission.settle(0)
            if isinstance(error, APIError):
                self._metrics.refused(self._opening.operation, self.snapshot.id, error)
            raise
        self._metrics.opened()
        return self

    async def _book(self) -> None:
        opening = self._opening
        if await self._budgets.limits(opening.organization_id, opening.project_id):
            most = self._most.cost_nanos(self.card, self.snapshot, self._rates)
            await self._ledger.admit(msgspec.structs.replace(opening, reserved_nanos=most), self.usage)
        elif self._streams:
            self._opened = self._ledger.open(opening, self.usage)
        else:
            self._ledger.open_lazily(opening, self.usage)

    def moderate(self, model: str, input: Literal["score", "block"], output: Literal["score", "block"]) -> None:
        """Moderate both sides, too, because the request asks for it.

        Raises:
            NotFound, Forbidden: of the moderation model.
        """
        try:
            self._moderation(model, asked=True)
        except APIError as error:
            error.param = "moderation.model"
            raise
        asked = Guardrail(
            model,
            "block" if input == "block" else "annotate",
            "block" if output == "block" else "annotate",
            origin="request",
        )
        self.guardrails = (*self.guardrails, asked)

    def moderation_call(self, model: str) -> Call:
        """A call for a moderation model that is a step of this one."""
        return self._moderation(model, asked=False)

    def count_moderation(self, side: str, outcome: str, categories: Iterable[str]) -> None:
        """For the metrics."""
        self._metrics.moderated(side, outcome, categories)

    def tell(self, name: str, value: str) -> None:
        """A header of the answer. Has no effect once the answer has begun."""
        self._respond[name] = value

    async def answering(self) -> None:
        """To be awaited before anything of the answer is given away: from here on the call is on the books."""
        if self._first_token_ms is None:
            self._first_token_ms = (time.perf_counter() - self._started) * 1000
            if self._opened is not None:
                await asyncio.shield(self._opened)

    async def charge(self, family: Family, operation: str, fee_nanos: int, detail: str = "") -> None:
        """Enter something that a tool does for this call and that has a price of its own: a row of its own.

        Args:
            fee_nanos: nano-dollars.
            detail: see ``rollups.Series``.

        Raises:
            RateLimited: ``insufficient_quota``, where a budget does not cover it.
        """
        self._charges += 1
        opening = msgspec.structs.replace(
            self._opening,
            id=charge_id(self.id, self._charges),
            created_at=time.time_ns() // 1000,
            operation=operation,
            family=family,
            detail=detail,
            input_price=0,
            cached_input_price=0,
            output_price=0,
            reserved_nanos=fee_nanos,
        )
        if await self._budgets.limits(opening.organization_id, opening.project_id):
            await self._ledger.admit(opening)
        else:
            self._ledger.open_lazily(msgspec.structs.replace(opening, reserved_nanos=0))
        await self._ledger.settle(
            Settlement(
                id=opening.id,
                settled_at=time.time_ns() // 1000,
                status=200,
                error_code=None,
                input_tokens=0,
                cached_input_tokens=0,
                output_tokens=0,
                cost_nanos=fee_nanos,
                units=1,
                fee_nanos=fee_nanos,
            )
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        status, code = _outcome(error)
        usage = self.usage
        if self._admission is not None:
            self._admission.settle(usage.input_tokens + usage.output_tokens)
        cost = self._rates.cost_nanos(usage)
        self._metrics.settled(
            operation=self._opening.operation,
            model=self.snapshot.id,
            status=status,
            seconds=time.perf_counter() - self._started,
            first_token_ms=self._first_token_ms,
            usage=usage,
            cost_nanos=cost,
        )
        settlement = Settlement(
            id=self.id,
            settled_at=time.time_ns() // 1000,
            status=status,
            error_code=code,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            cost_nanos=cost,
            units=usage.units,
            fee_nanos=usage.fee_nanos,
            first_token_ms=self._first_token_ms,
            prefill_ms=self.prefill_ms,
            decode_ms=self.decode_ms,
        )
        await self._ledger.settle(settlement)


def _outcome(error: BaseException | None) -> tuple[int, str | None]:
    """HTTP status and error code that the ledger keeps."""
    match error:
        case None:
            return 200, None
        case APIError():
            return error.status, error.code
        case asyncio.CancelledError() | GeneratorExit():
            return CLIENT_CLOSED_REQUEST, "client_disconnected"
        case _:
            return 500, "server_error"
