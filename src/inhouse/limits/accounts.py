"""Who has which tier and which lowered limits, known without waiting: read once, then refreshed beside the calls."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import msgspec
import structlog
from sqlalchemy import Connection

from inhouse.access.audit import COMMAND_LINE, Actor, record
from inhouse.catalog.cards import Tier
from inhouse.limits import store
from inhouse.limits.plans import ProjectLimits
from inhouse.limits.tiers import NextTier, Spend, TierRule, earned, month_began, way_to_next
from inhouse.storage.database import Database

REFRESH_S = 1.0
"""After which a change made by another process is looked for."""
SPEND_EVERY_S = 60.0
"""After which an organization's spend is brought up to date."""
LATE_US = 60_000_000
"""Calls settled this recently are counted anew each time: a group of settlements can be written a little late."""
PINNED = "tenant.usage_limit.workspace.updated"
"""The official type of event that is nearest to a pinned tier."""

log = structlog.get_logger(__name__)


class Standing(msgspec.Struct, frozen=True):
    """How an organization stands. ``next`` is None at the top; a pinned tier does not rise by itself."""

    tier: Tier
    pinned: bool
    """By an administrator, or for everybody by the setting."""
    spend: Spend
    next: NextTier | None
    month_nanos: int = 0
    """Spent in this calendar month, UTC."""
    usage_limit_nanos: int | None = None
    """What may be spent in a month; None where no tier's limit counts, see ``Accounts.exhausted``."""


class _Total(msgspec.Struct):
    """Spend of one organization, added up to ``until``; what is later is still moving."""

    settled: int
    until: int
    spend: Spend
    read_at: float
    month: int
    """Its first moment, Unix microseconds."""
    before: int
    """Spent until then."""

    @property
    def month_nanos(self) -> int:
        return self.spend.nanos - self.before


class Accounts:
    """Tiers and project limits.

    The weaker to the stronger: what the spend earns (setting ``auto``) or the one tier of the setting, then the tier an
    administrator pinned for an organization.

    Args:
        setting: ``auto``, or the tier of everybody without a pin of their own.
        rule: what is earned by spend.
        usage_limits: whether an earned tier's monthly limit counts.
    """

    def __init__(
        self, database: Database, setting: Tier | Literal["auto"], rule: TierRule, *, usage_limits: bool = True
    ) -> None:
        self.rule = rule
        self._usage_limits = usage_limits and setting == "auto"
        self.version = 0
        """Changes whenever a tier or a limit did."""
        self._database = database
        self._setting = setting
        self._pins: dict[str, Tier] = {}
        self._lowered: dict[tuple[str, str], ProjectLimits] = {}
        self._totals: dict[str, _Total] = {}
        self._earned: dict[str, Tier] = {}
        self._stale_at = 0.0
        self._refreshing: asyncio.Task[None] | None = None

    def refresh_if_stale(self) -> None:
        """Never waits: the refresh runs beside."""
        if time.monotonic() >= self._stale_at and self._refreshing is None:
            self._stale_at = time.monotonic() + REFRESH_S
            self._refreshing = asyncio.create_task(self._refresh_beside())

    async def refresh(self) -> None:
        """Read pins and project limits, and the spend that tiers are computed from."""
        pins, lowered = await self._database.read(lambda c: (store.pins(c), store.all_project_limits(c)))
        if pins != self._pins or lowered != self._lowered:
            self._pins, self._lowered = pins, lowered
            self.version += 1
        now = time.monotonic()
        for organization_id, total in list(self._totals.items()):
            if organization_id in self._earned and now - total.read_at >= SPEND_EVERY_S:
                await self._earn(organization_id)
        self._stale_at = time.monotonic() + REFRESH_S

    async def tier(self, organization_id: str) -> Tier:
        """The tier in force. Waits only for the first look at an organization's spend."""
        pinned = self._pins.get(organization_id)
        if pinned is not None:
            return pinned
        if self._setting != "auto":
            return self._setting
        if organization_id not in self._earned:
            await self._earn(organization_id)
        return self._earned[organization_id]

    async def exhausted(self, organization_id: str) -> bool:
        """Whether an organization has spent what its tier allows in a month.

        Only a tier that was earned has such a limit: who pins one, or sets one for everybody, decides what may be spent
        with a budget. It is as old as the spend, up to ``SPEND_EVERY_S``: a budget is exact, this is not.
        """
        limit = self._usage_limit(organization_id, await self.tier(organization_id)) if self._usage_limits else None
        return limit is not None and self._totals[organization_id].month_nanos >= limit

    def _usage_limit(self, organization_id: str, tier: Tier) -> int | None:
        if not self._usage_limits or organization_id in self._pins:
            return None
        return next(each.usage_limit for each in self.rule.tiers if each.tier == tier)

    def lowered(self, project_id: str, group: str) -> ProjectLimits:
        """What a project has of its own for a family."""
        return self._lowered.get((project_id, group), {})

    async def standing(self, organization_id: str) -> Standing:
        """The tier, what was spent, and the way to the next tier."""
        await self.refresh()
        spend = await self._spend(organization_id)
        tier = await self.tier(organization_id)
        pinned = self._setting != "auto" or organization_id in self._pins
        return Standing(
            tier,
            pinned,
            spend,
            way_to_next(self.rule, tier, spend, store.now()),
            self._totals[organization_id].month_nanos,
            self._usage_limit(organization_id, tier),
        )

    async def pin(self, organization_id: str, tier: Tier | None, actor: Actor = COMMAND_LINE) -> None:
        """Fix an organization's tier, or with None let it go. In force at once here, in seconds in other processes."""

        def work(connection: Connection) -> None:
            store.pin(connection, organization_id, tier, store.now())
            record(connection, organization_id, actor, PINNED, organization_id, {"tier": tier})

        await self._database.write(work)
        await self.refresh()

    async def lower(self, project_id: str, group: str, limits: ProjectLimits) -> None:
        """Replace a project's own limits for a family."""
        await self._database.write(lambda c: store.set_project_limits(c, project_id, group, limits))
        await self.refresh()

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    async def _earn(self, organization_id: str) -> None:
        tier = earned(self.rule, await self._spend(organization_id), store.now())
        if self._earned.get(organization_id) != tier:
            self._earned[organization_id] = tier
            self.version += 1

    async def _spend(self, organization_id: str) -> Spend:
        """Adds what came since the last time; only the first time reads everything, from an index alone."""
        known = self._totals.get(organization_id)
        settled, until = (known.settled, known.until) if known else (0, 0)
        first_at = known.spend.first_at if known else None
        now = store.now()
        month = month_began(now)

        def read(connection: Connection) -> tuple[int, int, int, int | None]:
            return (
                known.before if known and known.month == month else store.spent(connection, organization_id, 0, month),
                store.spent(connection, organization_id, until, now - LATE_US),
                store.spent(connection, organization_id, now - LATE_US, now),
                first_at or store.first_spent_at(connection, organization_id),
            )

        before, more, moving, first = await self._database.read(read)
        spend = Spend(settled + more + moving, first)
        self._totals[organization_id] = _Total(settled + more, now - LATE_US, spend, time.monotonic(), month, before)
        return spend

    async def _refresh_beside(self) -> None:
        try:
            await self.refresh()
        except Exception:
            log.exception("tiers and limits could not be read; those known stay in force")
        finally:
            self._refreshing = None
