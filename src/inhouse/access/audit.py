"""The audit log: every administrative change, written in the transaction that makes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, insert

from inhouse.kit.ids import new_id
from inhouse.storage.schema import audit_logs


class Actor(msgspec.Struct, frozen=True):
    """Who changes something: a key and its owner, or a user who is signed in. The command line is neither."""

    key_id: str | None = None
    user_id: str | None = None


COMMAND_LINE = Actor()


def record(
    connection: Connection,
    organization_id: str,
    actor: Actor,
    event: str,
    resource_id: str,
    details: Mapping[str, Any] | None = None,
    *,
    project_id: str | None = None,
) -> None:
    """Add an event.

    Args:
        event: its official type, e.g. ``project.created``.
        resource_id: of what was changed.
        details: what stands under the event's type besides the id.
        project_id: the project that it happened in; None for the organization as a whole.
    """
    connection.execute(
        insert(audit_logs).values(
            id=new_id("audit_log-"),
            organization_id=organization_id,
            project_id=project_id,
            effective_at=time.time_ns() // 1000,
            type=event,
            resource_id=resource_id,
            actor_key_id=actor.key_id,
            actor_user_id=actor.user_id,
            details=msgspec.json.encode({"id": resource_id, **(details or {})}).decode(),
        )
    )
