"""Limits: admit a request on the way in, settle what it used on the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from inhouse.access import Caller
from inhouse.catalog.cards import TIERS, Card, TierLimits
from inhouse.catalog.catalog import model_not_found
from inhouse.kit.errors import InvalidRequest
from inhouse.limits.accounts import Accounts, Standing
from inhouse.limits.buckets import DIMENSIONS, Amounts, Bucket, BucketStore, StoreDown, Taken, bucket
from inhouse.limits.demand import Demand
from inhouse.limits.headers import additions_reached, limit_headers, limit_reached, store_down, too_large
from inhouse.limits.memory import InMemory
from inhouse.limits.plans import Plan, ProjectLimits, is_long, limits_of, plan
from inhouse.limits.tiers import load_rule
from inhouse.settings import LimitSettings, SettingsError
from inhouse.storage.database import Database

Pool = Literal["live", "batch"]
MOST_PLANS = 10_000
ADDITIONS = 300
"""Requests a minute that add files to one vector store, in every tier, as the published guide has it."""


class Admission:
    """A request that was let in, and what was taken for it."""

    __slots__ = ("_amounts", "_plan", "_store", "_taken")

    def __init__(self, store: BucketStore, plan: Plan, amounts: Amounts, taken: Taken) -> None:
        self._store = store
        self._plan = plan
        self._amounts = amounts
        self._taken = taken

    @property
    def headers(self) -> dict[str, str]:
        """``x-ratelimit-*``, as they were when it was let in."""
        return limit_headers(self._plan, self._taken)

    def settle(self, tokens: int) -> None:
        """Count the ``tokens`` really used in place of those taken. The request counts however it ended."""
        self._store.settle(self._plan.buckets, (0, tokens - self._amounts[1], 0))


class GroupLimits(msgspec.Struct, frozen=True):
    """The limits of one family of models for a project."""

    group: str
    tier: TierLimits
    """Its organization's."""
    own: ProjectLimits
    """What the project lowered."""

    def tier_value(self, name: str) -> int | None:
        value: int | None = self.tier.batch_queue if name == "batch" else getattr(self.tier, name)
        return value

    def value(self, name: str) -> int | None:
        """What is in force for ``rpm``, ``rpd``, ``tpm``, ``ipm`` or ``batch``; None is no limit."""
        given = [value for value in (self.tier_value(name), self.own.get(name)) if value is not None]
        return min(given, default=None)


def check_lowered(found: GroupLimits, name: str, value: int, *, param: str) -> None:
    """
    Args:
        name: see ``GroupLimits.value``.
        param: what the client calls it.

    Raises:
        InvalidRequest: a project may not have this limit.
    """
    most = found.tier_value(name)
    if value < 1 or (most is not None and value > most):
        raise InvalidRequest(
            f"The limit {name} of {found.group} must be at least 1"
            + (f" and at most {most}, the organization's." if most is not None else "."),
            param=param,
        )


class Limits:
    """Admits requests.

    Requests that fail count as requests, and for the tokens that they used. One that is refused here takes nothing:
    the published answers only ever tell of a limit as used, not as overdrawn.

    Args:
        accounts: who has which limits.
        store: keeps the buckets.
        share: keeps a part of each bucket here while the store is down; None refuses requests then.
        off: nothing is limited.
    """

    def __init__(
        self, accounts: Accounts, store: BucketStore, share: InMemory | None = None, *, off: bool = False
    ) -> None:
        self.accounts = accounts
        self.off = off
        self._store = store
        self._share = share
        self._plans: dict[tuple[str, str, str, bool], Plan | None] = {}
        self._version = -1

    @classmethod
    def of(cls, settings: LimitSettings, database: Database) -> Limits:
        """As the settings say.

        Raises:
            SettingsError: several processes would each give the whole limit, or the store's URL cannot be used.
        """
        tier = TIERS[-1] if settings.tier == "off" else settings.tier
        accounts = Accounts(database, tier, load_rule(settings.tier_rule), usage_limits=settings.usage_limits)
        if settings.tier == "off":
            return cls(accounts, InMemory(), off=True)
        if settings.store_url is None:
            if settings.processes > 1:
                raise SettingsError(
                    "limits.processes: several processes need one store for their limits, or each of them would allow "
                    "the whole; set limits.store_url to a Valkey or Redis server"
                )
            return cls(accounts, InMemory())
        from inhouse.limits.valkey import Valkey

        share = InMemory(parts=settings.processes) if settings.on_store_failure == "local_share" else None
        return cls(accounts, Valkey(settings.store_url.reveal()), share)

    @property
    def alone(self) -> bool:
        """Whether they hold only while no other process serves the same organizations."""
        return not self.off and isinstance(self._store, InMemory)

    async def start(self) -> None:
        await self.accounts.refresh()

    async def close(self) -> None:
        await self.accounts.close()
        await self._store.close()

    async def admit(self, caller: Caller, card: Card, demand: Demand, *, pool: Pool = "live") -> Admission | None:
        """Let a request in, taking what it may use from all of its buckets, or from none of them.

        Args:
            pool: lines of a batch do not draw from the live limits: the batch queue's limit was asked before.

        Returns:
            What to settle, or None where nothing limits the request.

        Raises:
            RateLimited: it has to wait, or is larger than a limit.
            NotFound: the organization's tier has no access to the model.
            Overloaded: the shared store is down.
        """
        if self.off or pool == "batch":
            return None
        self.accounts.refresh_if_stale()
        plan = await self._plan(caller, card, is_long(card, demand.input_tokens))
        amounts = demand.amounts(card.max_output_tokens or 0)
        if (small := plan.too_small(amounts[1])) is not None:
            raise too_large(card, plan, small, amounts[1])
        store, taken = await self.take(plan.buckets, amounts)
        if not taken.admitted:
            raise limit_reached(card, plan, amounts, taken)
        return Admission(store, plan, amounts, taken)

    async def exhausted(self, organization_id: str) -> bool:
        """Whether an organization has spent what its tier allows in a month, see ``Accounts.exhausted``."""
        if self.off:
            return False
        self.accounts.refresh_if_stale()
        return await self.accounts.exhausted(organization_id)

    async def admit_addition(self, caller: Caller, store_id: str) -> None:
        """Let files be added to a vector store, alone or as a batch: ``ADDITIONS`` such requests a minute to each.

        Raises:
            RateLimited: there were as many.
            Overloaded: the shared store is down.
        """
        if self.off:
            return
        found = bucket(f"additions:{caller.project_id}:{store_id}", ADDITIONS, DIMENSIONS[0])
        _, taken = await self.take([found], (1, 0, 0))
        if not taken.admitted:
            raise additions_reached(store_id, found, taken)

    async def standing(self, organization_id: str) -> Standing | None:
        """An organization's tier and the way to the next; None where limits are off."""
        return None if self.off else await self.accounts.standing(organization_id)

    async def groups(self, organization_id: str, project_id: str, cards: Iterable[Card]) -> list[GroupLimits]:
        """Every limit that a project has, in the cards' order; those of long context after the card's others."""
        tier = await self.accounts.tier(organization_id)
        found: dict[str, GroupLimits] = {}
        for card in cards:
            for long in (False, True):
                group, limits = limits_of(card, tier, long=long)
                if limits is not None and group not in found:
                    found[group] = GroupLimits(group, limits, self.accounts.lowered(project_id, group))
        return list(found.values())

    async def lower(self, found: GroupLimits, project_id: str, limits: ProjectLimits) -> GroupLimits:
        """Give a project limits of its own in place of those it had; they can only be lower than its organization's.

        Args:
            found: of ``groups``.
            limits: by ``rpm``, ``rpd``, ``tpm``, ``ipm`` or ``batch``; what is left out is the organization's.

        Raises:
            InvalidRequest: a limit is above the organization's, or below 1.
        """
        for name, value in limits.items():
            check_lowered(found, name, value, param=name)
        await self.accounts.lower(project_id, found.group, limits)
        return GroupLimits(found.group, found.tier, limits)

    async def take(self, buckets: Sequence[Bucket], amounts: Amounts) -> tuple[BucketStore, Taken]:
        """Take from all buckets, or from none.

        Raises:
            Overloaded: the shared store is down.
        """
        try:
            taken = await self._store.take(buckets, amounts)
        except StoreDown as error:
            if self._share is None:
                raise store_down() from error
            return self._share, self._share.take_now(buckets, amounts)
        if self._share is not None:
            self._share.mirror(buckets, taken)
        return self._store, taken

    async def _plan(self, caller: Caller, card: Card, long: bool) -> Plan:
        accounts = self.accounts
        if self._version != accounts.version or len(self._plans) > MOST_PLANS:
            self._plans.clear()
            self._version = accounts.version
        key = (caller.organization_id, caller.project_id, card.id, long)
        if key in self._plans:
            found = self._plans[key]
        else:
            tier = await accounts.tier(caller.organization_id)
            group, limits = limits_of(card, tier, long=long)
            found = None
            if limits is not None:
                lowered = accounts.lowered(caller.project_id, group)
                found = plan(caller.organization_id, caller.project_id, group, limits, lowered)
            if self._version == accounts.version:
                self._plans[key] = found
        if found is None:
            raise model_not_found(card.id)
        return found
