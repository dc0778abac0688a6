"""Budgets and credits: whether a caller's calls have to reserve money first, and how that is set."""

from __future__ import annotations

import time
from functools import partial

import msgspec
from sqlalchemy import Connection, select

from inhouse.access.audit import COMMAND_LINE, Actor, record
from inhouse.access.recent import Recent
from inhouse.kit.errors import RateLimited
from inhouse.kit.ids import new_id
from inhouse.metering import accounts
from inhouse.metering.accounts import Account
from inhouse.storage.database import Database
from inhouse.storage.schema import organizations, spend_accounts

FRESH_S = 1.0
"""A limit that another process sets counts here after this long at the latest; one set here, at once."""
REMEMBERED = 10_000
BILLING = "tenant.billing.info.updated"
"""The official type of event that is nearest to a grant of credits."""


class Grant(msgspec.Struct, frozen=True):
    """Credits after a change. Nano-dollars."""

    id: str
    left_nanos: int


def insufficient_quota() -> RateLimited:
    """The official refusal. Clients are told not to try again: it would not help."""
    return RateLimited(
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
        code="insufficient_quota",
        headers={"x-should-retry": "false"},
    )


class Budgets:
    """Monthly limits and prepaid credits of organizations and projects. None are set until somebody sets one."""

    def __init__(self, database: Database, *, fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._limited: Recent[tuple[str, str], bool] = Recent(REMEMBERED, fresh_s)

    async def limits(self, organization_id: str, project_id: str) -> bool:
        """Whether calls of this project have to reserve what they may cost."""
        key = (organization_id, project_id)
        known = self._limited.get(key)
        if known is None:
            known = await self._database.read(partial(_is_limited, organization_id=key[0], project_id=key[1]))
            self._limited.put(key, known)
        return known

    async def standing(self, organization_id: str, project_id: str = "") -> list[Account]:
        """The accounts that count for an organization or one of its projects."""
        now = _now()
        return await self._database.read(lambda c: accounts.accounts_of(c, organization_id, project_id, now))

    async def set_limit(self, organization_id: str, project_id: str, limit_nanos: int | None) -> None:
        """Set the monthly limit of an organization (``project_id`` empty) or a project; None lifts it."""
        now = _now()
        await self._database.write(lambda c: accounts.set_limit(c, organization_id, project_id, limit_nanos, now))
        self.forget()

    async def grant(
        self, organization_id: str, nanos: int, *, actor: str, note: str = "", by: Actor = COMMAND_LINE
    ) -> Grant:
        """Add prepaid credits (negative: take some back). Without any grant, credits are not asked for.

        Args:
            actor: who grants, in words, as the grant keeps it.
            by: who grants, as the audit log tells it.
        """
        id, now = new_id("credit_"), _now()

        def work(connection: Connection) -> int:
            told = {"granted_nanos": nanos, "by": actor, "note": note}
            record(connection, organization_id, by, BILLING, id, told)
            return accounts.grant(connection, organization_id, nanos, now, id=id, actor=actor, note=note)

        left = await self._database.write(work)
        self.forget()
        return Grant(id, left)

    async def end_credits(self, organization_id: str, by: Actor = COMMAND_LINE) -> None:
        """Ask for credits no longer."""

        def work(connection: Connection) -> None:
            record(connection, organization_id, by, BILLING, organization_id, {"credits": "ended"})
            accounts.end_credits(connection, organization_id)

        await self._database.write(work)
        self.forget()

    async def organizations(self) -> list[tuple[str, str]]:
        """Ids and names, oldest first: the first is that of who runs the installation."""
        query = select(organizations.c.id, organizations.c.name).order_by(
            organizations.c.created_at, organizations.c.id
        )
        found = await self._database.read(lambda connection: connection.execute(query).all())
        return [(row.id, row.name) for row in found]

    def forget(self) -> None:
        """Look again: limits were changed."""
        self._limited.clear()


def _is_limited(connection: Connection, organization_id: str, project_id: str) -> bool:
    query = (
        select(spend_accounts.c.scope)
        .where(
            spend_accounts.c.organization_id == organization_id,
            spend_accounts.c.project_id.in_(["", project_id]),
            spend_accounts.c.limit_nanos.is_not(None),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _now() -> int:
    return time.time_ns() // 1000
