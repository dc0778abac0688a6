"""Accounts of what is spent against a limit: functions of a connection.

An organization or a project has an account for the month if it has a monthly limit or an alert, and an organization
has one for credits if it was granted any. A call that falls under a limit reserves the most it can cost before it is
served, in one transaction with its row of the ledger; when it is settled, the reservation goes and the true cost
comes, in the transaction that settles it. What is spent and reserved never exceeds a limit by an admission, however
many ask at once and in however many processes.

Admissions and settlements hold a shared lock of their organization; whoever opens or changes an account holds it alone,
so that an account begins with exactly what was booked before it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from inhouse.kit.money import NANO
from inhouse.metering import rollups
from inhouse.storage.database import lock
from inhouse.storage.schema import calls, credit_grants, spend_accounts, spend_alerts, usage_rollups, usage_series
from inhouse.storage.schema import spend_alert_events as events
from inhouse.webhooks import record, record_for_organization

Kind = Literal["monthly", "credits"]
CENT = NANO // 100
"""Nano-dollars."""
SKEW_US = 24 * 3600 * 1_000_000
"""How far clocks of servers may differ, or a settlement be late."""

_ACCOUNTS = (
    select(spend_accounts)
    .where(spend_accounts.c.organization_id.in_(bindparam("organizations", expanding=True)))
    .order_by(spend_accounts.c.scope, spend_accounts.c.kind)
    .with_for_update()
)
_BOOK = (
    update(spend_accounts)
    .where(spend_accounts.c.scope == bindparam("in_scope"), spend_accounts.c.kind == bindparam("of_kind"))
    .values(month=bindparam("new_month"), spent_nanos=bindparam("new_spent"), reserved_nanos=bindparam("new_reserved"))
)


class Charge(msgspec.Struct, frozen=True):
    """What settling one call changes. Money in nano-dollars, time in Unix microseconds."""

    organization_id: str
    project_id: str
    settled_at: int
    cost_nanos: int
    reserved_nanos: int


class Alarm(msgspec.Struct, frozen=True):
    """An alert whose threshold was reached, told once a month."""

    alert_id: str
    organization_id: str
    project_id: str
    threshold_nanos: int
    spent_nanos: int


class Account(msgspec.Struct, frozen=True):
    """How an account stands. ``limit_nanos`` is None where nothing is stopped."""

    scope: str
    kind: Kind
    limit_nanos: int | None
    spent_nanos: int
    reserved_nanos: int


def month_of(moment: int) -> int:
    """Year and month of Unix microseconds in UTC, e.g. 202611."""
    then = datetime.fromtimestamp(moment / 1_000_000, UTC)
    return then.year * 100 + then.month


def share(connection: Connection, organization_ids: Iterable[str]) -> None:
    """Keep the set of accounts of these organizations as it is until the transaction ends."""
    for id in sorted(set(organization_ids)):
        lock(connection, f"spend {id}", shared=True)


def reserve(connection: Connection, organization_id: str, project_id: str, nanos: int, now: int) -> bool:
    """Set money aside on every account of the caller, or on none. Returns whether it was there.

    Args:
        now: Unix microseconds.
    """
    share(connection, [organization_id])
    found = [row for row in _accounts(connection, [organization_id]) if row.project_id in ("", project_id)]
    for row in found:
        limit = row.limit_nanos
        if limit is not None and _spent(connection, row, now) + row.reserved_nanos + nanos > limit:
            return False
    if found:
        connection.execute(_BOOK, [_change(row, reserved=row.reserved_nanos + nanos) for row in found])
    return True


def settle(connection: Connection, charges: Iterable[Charge]) -> list[Alarm]:
    """Book what calls came to. Returns the alerts that this set off, which are recorded as well."""
    by_caller: dict[tuple[str, str], list[Charge]] = defaultdict(list)
    for charge in charges:
        by_caller[charge.organization_id, charge.project_id].append(charge)
    organizations = sorted({organization for organization, _ in by_caller})
    if not organizations:
        return []
    changes, alarms = [], []
    for row in _accounts(connection, organizations):
        mine = [
            charge
            for (organization, project), its in by_caller.items()
            if organization == row.organization_id and row.project_id in ("", project)
            for charge in its
        ]
        if not mine:
            continue
        month, spent = row.month, row.spent_nanos
        latest = max(charge.settled_at for charge in mine)
        now = max(latest, time.time_ns() // 1000)  # a journal may be read long after its calls
        counted = sorted(mine, key=lambda charge: charge.settled_at)
        if _is_ahead(row, now):
            # The sums have these charges already.
            month, counted = month_of(now), []
            spent = booked(connection, row.organization_id, row.project_id, month)
        for charge in counted:
            its_month = month_of(charge.settled_at) if row.kind == "monthly" else 0
            if its_month > month:
                month, spent = its_month, 0
            if its_month == month:
                spent += charge.cost_nanos
        reserved = row.reserved_nanos - sum(charge.reserved_nanos for charge in mine)
        changes.append(_change(row, month=month, spent=spent, reserved=reserved))
        if row.kind == "monthly":
            alarms += _alarms(connection, row, month, spent, latest)
    if changes:
        connection.execute(_BOOK, changes)
    return alarms


def accounts_of(connection: Connection, organization_id: str, project_id: str, now: int) -> list[Account]:
    """The accounts that a caller's spending counts against, as they stand in this month."""
    rows = connection.execute(
        select(spend_accounts)
        .where(spend_accounts.c.organization_id == organization_id, spend_accounts.c.project_id.in_(["", project_id]))
        .order_by(spend_accounts.c.scope, spend_accounts.c.kind)
    )
    return [
        Account(row.scope, row.kind, row.limit_nanos, _spent(connection, row, now), row.reserved_nanos) for row in rows
    ]


def set_limit(connection: Connection, organization_id: str, project_id: str, limit_nanos: int | None, now: int) -> None:
    """Set or lift the monthly limit of an organization (``project_id`` empty) or a project."""
    scope = _open(connection, organization_id, project_id, "monthly", now)
    connection.execute(
        update(spend_accounts)
        .where(spend_accounts.c.scope == scope, spend_accounts.c.kind == "monthly")
        .values(limit_nanos=limit_nanos)
    )
    tidy(connection, organization_id)


def watch(connection: Connection, organization_id: str, project_id: str, now: int) -> None:
    """Count what is spent in a month, for alerts."""
    _open(connection, organization_id, project_id, "monthly", now)


def grant(connection: Connection, organization_id: str, nanos: int, now: int, *, id: str, actor: str, note: str) -> int:
    """Add prepaid credits, or take some back. From the first grant on nothing is served beyond them.

    Returns:
        What is left now, in nano-dollars.
    """
    scope = _open(connection, organization_id, "", "credits", now)
    connection.execute(
        insert(credit_grants).values(
            id=id, organization_id=organization_id, created_at=now, amount_nanos=nanos, actor=actor, note=note
        )
    )
    mine = (spend_accounts.c.scope == scope) & (spend_accounts.c.kind == "credits")
    granted = func.coalesce(spend_accounts.c.limit_nanos, 0) + nanos
    connection.execute(update(spend_accounts).where(mine).values(limit_nanos=granted))
    row = connection.execute(select(spend_accounts).where(mine)).one()
    return int(row.limit_nanos - row.spent_nanos)


def end_credits(connection: Connection, organization_id: str) -> None:
    """Count no credits any longer: nothing is stopped for want of them. The grants stay on record."""
    lock(connection, f"spend {organization_id}")
    connection.execute(
        delete(spend_accounts).where(
            spend_accounts.c.organization_id == organization_id, spend_accounts.c.kind == "credits"
        )
    )


def tidy(connection: Connection, organization_id: str) -> None:
    """Drop accounts that neither a limit nor an alert needs any longer."""
    watched = select(spend_alerts.c.project_id).where(spend_alerts.c.organization_id == organization_id)
    connection.execute(
        delete(spend_accounts).where(
            spend_accounts.c.organization_id == organization_id,
            spend_accounts.c.kind == "monthly",
            spend_accounts.c.limit_nanos.is_(None),
            spend_accounts.c.project_id.not_in(watched),
        )
    )


def booked(connection: Connection, organization_id: str, project_id: str, month: int | None) -> int:
    """Nano-dollars that the sums of usage say were spent, in a month or ever."""
    nanos = (
        usage_rollups.c.input_nanos
        + usage_rollups.c.cached_input_nanos
        + usage_rollups.c.output_nanos
        + usage_rollups.c.fee_nanos
    )
    query = (
        select(func.coalesce(func.sum(nanos), 0))
        .join_from(usage_series, usage_rollups, usage_rollups.c.series_id == usage_series.c.id)
        .where(usage_series.c.organization_id == organization_id, usage_rollups.c.width == rollups.DAY)
    )
    if project_id:
        query = query.where(usage_series.c.project_id == project_id)
    if month is not None:
        first = datetime(month // 100, month % 100, 1, tzinfo=UTC)
        after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
        query = query.where(
            usage_rollups.c.start >= int(first.timestamp()), usage_rollups.c.start < int(after.timestamp())
        )
    return int(connection.execute(query).scalar_one())


def reserved(connection: Connection, organization_id: str, project_id: str) -> int:
    """Nano-dollars that open calls hold."""
    query = select(func.coalesce(func.sum(calls.c.reserved_nanos), 0)).where(
        calls.c.state == "open", calls.c.organization_id == organization_id
    )
    if project_id:
        query = query.where(calls.c.project_id == project_id)
    return int(connection.execute(query).scalar_one())


def _open(connection: Connection, organization_id: str, project_id: str, kind: Kind, now: int) -> str:
    """The scope of the account, which is made if it is not there, with what was spent and is held already."""
    lock(connection, f"spend {organization_id}")
    scope = project_id or organization_id
    known = select(spend_accounts.c.scope).where(spend_accounts.c.scope == scope, spend_accounts.c.kind == kind)
    if connection.execute(known).first() is None:
        month = month_of(now) if kind == "monthly" else 0
        so_far = booked(connection, organization_id, project_id, month or None)
        connection.execute(
            insert(spend_accounts).values(
                scope=scope,
                kind=kind,
                organization_id=organization_id,
                project_id=project_id,
                limit_nanos=None,
                month=month,
                spent_nanos=so_far if kind == "monthly" else 0,
                reserved_nanos=reserved(connection, organization_id, project_id),
                baseline_nanos=0 if kind == "monthly" else so_far,
            )
        )
    return scope


def _accounts(connection: Connection, organizations: list[str]) -> list[Row[Any]]:
    return list(connection.execute(_ACCOUNTS, {"organizations": organizations}))


def _spent(connection: Connection, row: Row[Any], now: int) -> int:
    """What counts now: in a new month nothing yet."""
    if _is_ahead(row, now):
        return booked(connection, row.organization_id, row.project_id, month_of(now))
    return int(row.spent_nanos) if row.kind == "credits" or row.month >= month_of(now) else 0


def _is_ahead(row: Row[Any], now: int) -> bool:
    """Whether an account is in a month that has not begun: a clock was wrong when something was settled. Nothing would
    count until then."""
    return bool(row.kind == "monthly" and row.month > month_of(now + SKEW_US))


def _change(
    row: Row[Any], *, reserved: int, month: int | None = None, spent: int | None = None
) -> dict[str, int | str]:
    return {
        "in_scope": row.scope,
        "of_kind": row.kind,
        "new_month": row.month if month is None else month,
        "new_spent": row.spent_nanos if spent is None else spent,
        "new_reserved": reserved,
    }


def _alarms(connection: Connection, account: Row[Any], month: int, spent: int, now: int) -> list[Alarm]:
    told = select(events.c.alert_id).where(events.c.month == month)
    due = select(spend_alerts).where(
        spend_alerts.c.organization_id == account.organization_id,
        spend_alerts.c.project_id == account.project_id,
        spend_alerts.c.threshold_nanos <= spent,
        spend_alerts.c.id.not_in(told),
    )
    found = connection.execute(due).all()
    if found:
        connection.execute(
            insert(events),
            [{"alert_id": row.id, "month": month, "created_at": now, "spent_nanos": spent} for row in found],
        )
    for row in found:
        data = {"threshold_amount": row.threshold_nanos // CENT, "currency": "USD", "interval": "month"}
        if row.project_id:
            record(connection, row.project_id, "project.spend_alert.reached", row.id, at=now, data=data)
        else:
            owner = row.organization_id
            record_for_organization(connection, owner, "organization.spend_alert.reached", row.id, at=now, data=data)
    return [Alarm(row.id, row.organization_id, row.project_id, row.threshold_nanos, spent) for row in found]
