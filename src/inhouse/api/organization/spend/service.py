"""Monthly limits and alerts of an organization or a project."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from inhouse.access import Access, Caller
from inhouse.access.audit import record
from inhouse.access.store import now
from inhouse.api.organization.listing import page
from inhouse.api.organization.office import Office, not_found, project_of
from inhouse.api.organization.spend import wire
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import new_id
from inhouse.kit.money import NANO
from inhouse.metering import accounts
from inhouse.metering.accounts import Account
from inhouse.metering.budgets import Budgets
from inhouse.storage.database import Database
from inhouse.storage.schema import spend_alerts

CENT = NANO // 100
"""Nano-dollars."""


class SpendService(Office):
    """``project_id`` is empty for the organization itself."""

    def __init__(self, database: Database, access: Access, budgets: Budgets) -> None:
        super().__init__(database, access)
        self._budgets = budgets

    async def limit(self, caller: Caller, project_id: str) -> tuple[int, wire.Enforcement]:
        """Cents, and whether it stops requests.

        Raises:
            NotFound: no such project, or there is no limit.
        """

        def work(connection: Connection) -> Account | None:
            _check(connection, caller, project_id)
            scope = project_id or caller.organization_id
            for account in accounts.accounts_of(connection, caller.organization_id, project_id, now()):
                if (account.scope, account.kind) == (scope, "monthly") and account.limit_nanos is not None:
                    return account
            return None

        account = await self.read(work)
        if account is None or account.limit_nanos is None:
            raise NotFound("There is no spend limit.")
        spent = account.spent_nanos >= account.limit_nanos
        return account.limit_nanos // CENT, wire.Enforcement(status="enforcing" if spent else "inactive")

    async def set_limit(self, caller: Caller, project_id: str, cents: int) -> tuple[int, wire.Enforcement]:
        def work(connection: Connection) -> None:
            _check(connection, caller, project_id)
            accounts.set_limit(connection, caller.organization_id, project_id, cents * CENT, now())
            _record_limit(connection, caller, project_id, cents)

        await self.change(work)
        self._budgets.forget()
        return await self.limit(caller, project_id)

    async def delete_limit(self, caller: Caller, project_id: str) -> None:
        await self.limit(caller, project_id)

        def work(connection: Connection) -> None:
            accounts.set_limit(connection, caller.organization_id, project_id, None, now())
            _record_limit(connection, caller, project_id, None)

        await self.change(work)
        self._budgets.forget()

    async def alerts(
        self, caller: Caller, project_id: str, query: wire.ListAlertsQuery
    ) -> tuple[list[dict[str, Any]], bool]:
        def work(connection: Connection) -> tuple[list[Row[Any]], bool]:
            _check(connection, caller, project_id)
            return page(
                connection,
                _alerts(caller, project_id),
                spend_alerts.c.created_at,
                spend_alerts.c.id,
                limit=query.limit,
                after=query.after,
                before=query.before,
                order=query.order,
            )

        rows, more = await self.read(work)
        return [_fields(row) for row in rows], more

    async def alert(self, caller: Caller, project_id: str, alert_id: str) -> dict[str, Any]:
        """The fields of an alert. Raises NotFound."""

        def work(connection: Connection) -> Row[Any]:
            _check(connection, caller, project_id)
            return _alert(connection, caller, project_id, alert_id)

        return _fields(await self.read(work))

    async def create_alert(self, caller: Caller, project_id: str, body: wire.SetAlert) -> dict[str, Any]:
        id = new_id("alert_")

        def work(connection: Connection) -> Row[Any]:
            _check(connection, caller, project_id)
            accounts.watch(connection, caller.organization_id, project_id, now())
            connection.execute(
                insert(spend_alerts).values(
                    id=id,
                    organization_id=caller.organization_id,
                    project_id=project_id,
                    created_at=now(),
                    **_values(body),
                )
            )
            _record_alert(connection, caller, project_id, id)
            return _alert(connection, caller, project_id, id)

        return _fields(await self.change(work))

    async def update_alert(self, caller: Caller, project_id: str, alert_id: str, body: wire.SetAlert) -> dict[str, Any]:
        def work(connection: Connection) -> Row[Any]:
            _check(connection, caller, project_id)
            _alert(connection, caller, project_id, alert_id)
            connection.execute(update(spend_alerts).where(spend_alerts.c.id == alert_id).values(_values(body)))
            _record_alert(connection, caller, project_id, alert_id)
            return _alert(connection, caller, project_id, alert_id)

        return _fields(await self.change(work))

    async def delete_alert(self, caller: Caller, project_id: str, alert_id: str) -> None:
        def work(connection: Connection) -> None:
            _check(connection, caller, project_id)
            _alert(connection, caller, project_id, alert_id)
            accounts.watch(connection, caller.organization_id, project_id, now())  # for its lock
            connection.execute(delete(spend_alerts).where(spend_alerts.c.id == alert_id))
            accounts.tidy(connection, caller.organization_id)
            _record_alert(connection, caller, project_id, alert_id)

        await self.change(work)


def _record_limit(connection: Connection, caller: Caller, project_id: str, cents: int | None) -> None:
    record(
        connection,
        caller.organization_id,
        caller.actor,
        "tenant.billing.overage_limit.updated",
        project_id or caller.organization_id,
        {"threshold_amount": cents},
        project_id=project_id or None,
    )


def _record_alert(connection: Connection, caller: Caller, project_id: str, alert_id: str) -> None:
    event = "tenant.billing.alerts.updated"
    record(connection, caller.organization_id, caller.actor, event, alert_id, project_id=project_id or None)


def _check(connection: Connection, caller: Caller, project_id: str) -> None:
    if project_id:
        project_of(connection, caller.organization_id, project_id)


def _alerts(caller: Caller, project_id: str) -> Any:
    return select(spend_alerts).where(
        spend_alerts.c.organization_id == caller.organization_id, spend_alerts.c.project_id == project_id
    )


def _alert(connection: Connection, caller: Caller, project_id: str, alert_id: str) -> Row[Any]:
    query = _alerts(caller, project_id).where(spend_alerts.c.id == alert_id)
    row: Row[Any] | None = connection.execute(query).first()
    if row is None:
        raise not_found("spend alert", alert_id)
    return row


def _values(body: wire.SetAlert) -> dict[str, Any]:
    return {
        "threshold_nanos": body.threshold_amount * CENT,
        "channel": msgspec.json.encode(body.notification_channel).decode(),
    }


def _fields(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "threshold_amount": row.threshold_nanos // CENT,
        "notification_channel": msgspec.json.decode(row.channel, type=wire.Channel),
    }
