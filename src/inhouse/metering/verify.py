"""Proof that the books agree: every call settled or in living hands, every cost its tokens times its prices, every sum
of usage what the calls come to, and what was billed what the engines count themselves."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, Select, except_, func, or_, select

from inhouse.metering import accounts, engines, instances, rollups
from inhouse.metering.booking import COST, IS_OPEN
from inhouse.metering.refusals import set_aside_ids
from inhouse.storage.database import Database
from inhouse.storage.schema import calls, spend_accounts, usage_rollups, usage_series, usage_totals
from inhouse.storage.schema import instances as instances_table

EXAMPLES = 3


class Finding(msgspec.Struct, frozen=True):
    """Something that does not agree: what, how many, and some of them."""

    what: str
    count: int
    examples: list[str]


class Verdict(msgspec.Struct, frozen=True):
    """What was looked at, and what was found. ``clean`` if nothing was."""

    calls: int
    open: int
    """Under way in a living process; they are no fault."""
    interrupted: int
    sums: int
    engines: engines.Counted
    findings: list[Finding]

    @property
    def clean(self) -> bool:
        return not self.findings


async def verify(database: Database) -> Verdict:
    """Check everything in one consistent state of the database, also while servers work on it."""
    return await database.read(_verify)


def _verify(connection: Connection) -> Verdict:
    dead = instances.dead(connection)
    alive = select(instances_table.c.id).where(instances_table.c.id.not_in(dead))
    states = select(calls.c.state, func.count().label("number")).group_by(calls.c.state)
    by_state: dict[str, int] = {row.state: row.number for row in connection.execute(states)}
    settled = calls.c.state != "open"
    counted = engines.compare(connection)
    findings = [
        _calls(connection, "open calls whose process is dead", IS_OPEN, calls.c.instance.not_in(alive)),
        _calls(connection, "costs that are not the tokens times their prices", settled, calls.c.cost_nanos != COST),
        _calls(
            connection,
            "calls with impossible counts",
            or_(
                calls.c.cached_input_tokens > calls.c.input_tokens,
                calls.c.cached_input_tokens < 0,
                calls.c.output_tokens < 0,
                calls.c.units < 0,
                calls.c.fee_nanos < 0,
            ),
        ),
        _calls(connection, "settled calls without status or time", settled, calls.c.settled_at.is_(None)),
        _differing(
            connection,
            "sums by minute",
            rollups.as_booked(rollups.MINUTE).subquery(),
            rollups.as_kept(rollups.MINUTE).subquery(),
        ),
        *(
            _differing(connection, f"sums by {name}", _coarser(width).subquery(), _kept(width).subquery())
            for name, width in (("hour", rollups.HOUR), ("day", rollups.DAY))
        ),
        _differing(connection, "totals of projects", rollups.as_merged().subquery(), rollups.as_totals().subquery()),
        _orphans(connection),
        _accounts(connection),
        Finding(
            "engines whose own counts are not what the calls come to",
            len(counted.disagreements),
            counted.disagreements[:EXAMPLES],
        ),
        Finding("settlements that the database refused", *set_aside_ids(connection, EXAMPLES)),
    ]
    return Verdict(
        calls=sum(by_state.values()),
        open=by_state.get("open", 0),
        interrupted=by_state.get("interrupted", 0),
        sums=sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (usage_rollups, usage_totals)
        ),
        engines=counted,
        findings=[finding for finding in findings if finding.count],
    )


def _calls(connection: Connection, what: str, *conditions: ColumnElement[bool]) -> Finding:
    count = connection.execute(select(func.count()).select_from(calls).where(*conditions)).scalar_one()
    ids = connection.execute(select(calls.c.id).where(*conditions).limit(EXAMPLES)).scalars() if count else ()
    return Finding(what, count, list(ids))


def _differing(connection: Connection, name: str, wanted: FromClause, kept: FromClause) -> Finding:
    """Rows that are on one side only."""
    count, examples = 0, []
    for said, one, other in (("should be", wanted, kept), ("are", kept, wanted)):
        only = except_(select(one), select(other)).subquery()
        count += connection.execute(select(func.count()).select_from(only)).scalar_one()
        for row in connection.execute(select(only).limit(EXAMPLES)):
            examples.append(f"{said}: " + " ".join(str(value) for value in row if value != ""))  # noqa: PERF401
    return Finding(f"{name} that are not what the calls come to", count, examples)


def _coarser(width: int) -> Select[Any]:
    """The sums by minute, added up to hours or days."""
    start = (usage_rollups.c.start - usage_rollups.c.start % width).label("start")
    return (
        select(usage_rollups.c.series_id, start, *(func.sum(usage_rollups.c[name]) for name in rollups.SUMS))
        .where(usage_rollups.c.width == rollups.MINUTE)
        .group_by(usage_rollups.c.series_id, start)
    )


def _kept(width: int) -> Select[Any]:
    return select(
        usage_rollups.c.series_id, usage_rollups.c.start, *(usage_rollups.c[name] for name in rollups.SUMS)
    ).where(usage_rollups.c.width == width)


def _orphans(connection: Connection) -> Finding:
    of_totals = usage_series.c.key_id == rollups.ALL
    count = 0
    for table, fitting in ((usage_rollups, ~of_totals), (usage_totals, of_totals)):
        query = select(func.count()).where(table.c.series_id.not_in(select(usage_series.c.id).where(fitting)))
        count += connection.execute(query).scalar_one()
    return Finding("sums of nobody", count, [])


def _accounts(connection: Connection) -> Finding:
    """Accounts whose spending is not what the sums say, or that hold what no open call has reserved."""
    wrong = []
    for row in connection.execute(select(spend_accounts)):
        spent = accounts.booked(connection, row.organization_id, row.project_id, row.month or None) - row.baseline_nanos
        held = accounts.reserved(connection, row.organization_id, row.project_id)
        if (spent, held) != (row.spent_nanos, row.reserved_nanos):
            wrong.append(
                f"{row.kind} of {row.scope}: {row.spent_nanos} spent and {row.reserved_nanos} reserved "
                f"should be {spent} and {held}"
            )
    return Finding("accounts that are not what the calls come to", len(wrong), wrong[:EXAMPLES])
