"""Reading the audit log."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, or_, select

from inhouse.access import Caller
from inhouse.api.organization.audit import wire
from inhouse.api.organization.listing import page, seconds
from inhouse.api.organization.office import Office
from inhouse.storage.schema import audit_logs, projects, service_accounts, users

SECOND_US = 1_000_000
_SHOWN = frozenset(field.encode_name for field in msgspec.structs.fields(wire.AuditLog))


class AuditLogService(Office):
    async def list(self, caller: Caller, query: wire.ListAuditLogsQuery) -> wire.AuditLogList:
        wanted = (
            select(
                audit_logs,
                projects.c.name.label("project_name"),
                users.c.email,
                service_accounts.c.id.label("account_id"),
            )
            .outerjoin_from(audit_logs, projects, projects.c.id == audit_logs.c.project_id)
            .outerjoin(users, users.c.id == audit_logs.c.actor_user_id)
            .outerjoin(service_accounts, service_accounts.c.id == audit_logs.c.actor_user_id)
            .where(audit_logs.c.organization_id == caller.organization_id, *_conditions(query))
        )

        def work(connection: Connection) -> tuple[list[Row[Any]], bool]:
            return page(
                connection,
                wanted,
                audit_logs.c.effective_at,
                audit_logs.c.id,
                limit=query.limit,
                after=query.after,
                before=query.before,
                order="desc",
            )

        rows, more = await self.read(work)
        data = [_event(row) for row in rows]
        return wire.AuditLogList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=more,
        )


def _conditions(query: wire.ListAuditLogsQuery) -> list[Any]:
    found: list[Any] = []
    when, at = query.effective_at, audit_logs.c.effective_at
    if when is not None:
        # Events are told in whole seconds, so they are compared in whole seconds.
        if when.gt is not None:
            found.append(at >= (when.gt + 1) * SECOND_US)
        if when.gte is not None:
            found.append(at >= when.gte * SECOND_US)
        if when.lt is not None:
            found.append(at < when.lt * SECOND_US)
        if when.lte is not None:
            found.append(at < (when.lte + 1) * SECOND_US)
    if query.project_ids is not None:
        found.append(audit_logs.c.project_id.in_(query.project_ids))
    if query.event_types is not None:
        found.append(audit_logs.c.type.in_(query.event_types))
    if query.actor_ids is not None:
        found.append(
            or_(audit_logs.c.actor_user_id.in_(query.actor_ids), audit_logs.c.actor_key_id.in_(query.actor_ids))
        )
    if query.actor_emails is not None:
        found.append(func.lower(users.c.email).in_([email.lower() for email in query.actor_emails]))
    if query.resource_ids is not None:
        found.append(audit_logs.c.resource_id.in_(query.resource_ids))
    if query.tenant_only:
        found.append(audit_logs.c.type.startswith("tenant.", autoescape=True))
    return found


def _event(row: Row[Any]) -> wire.AuditLog:
    told: dict[str, Any] = {"id": row.id, "type": row.type, "effective_at": seconds(row.effective_at)}
    if row.type in _SHOWN:
        told[row.type] = msgspec.json.decode(row.details)
    event = msgspec.convert(told, wire.AuditLog)
    if row.project_id is not None:
        event.project = wire.EventProject(id=row.project_id, name=row.project_name or "")
    if row.actor_key_id is not None:
        key = wire.ActorKey(id=row.actor_key_id)
        if row.account_id is not None:
            key.type, key.service_account = "service_account", wire.ActorServiceAccount(id=row.account_id)
        elif row.actor_user_id is not None:
            key.type, key.user = "user", wire.ActorUser(id=row.actor_user_id, email=row.email or "")
        event.actor = wire.Actor(type="api_key", api_key=key)
    elif row.actor_user_id is not None:
        user = wire.ActorUser(id=row.actor_user_id, email=row.email or "")
        event.actor = wire.Actor(type="session", session=wire.ActorSession(user=user))
    return event
