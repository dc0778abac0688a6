"""What becomes of a settlement that the database can never take: it is set aside, so that the others go on.

Its call is closed as interrupted, billed what was last recorded of it, and the settlement itself stays in the table
``unsettled`` for people to look at; ``inhouse ledger verify`` tells of it.
"""

from __future__ import annotations

import json

import msgspec
from sqlalchemy import Connection, func, insert, select

from inhouse.storage.schema import unsettled

REASON_CHARACTERS = 1000


def told(settlement: msgspec.Struct) -> str:
    """A settlement as JSON, also with numbers that nothing else takes."""
    return json.dumps(msgspec.structs.asdict(settlement)).replace("\\u0000", "")


def set_aside(connection: Connection, id: str, at: int, reason: str, settlement: msgspec.Struct) -> None:
    """Keep a settlement that was refused; of several for one call, the first.

    Args:
        at: Unix microseconds.
    """
    if connection.execute(select(unsettled.c.id).where(unsettled.c.id == id)).first() is None:
        kept = told(settlement)
        connection.execute(
            insert(unsettled).values(id=id, at=at, reason=reason.replace("\0", "")[:REASON_CHARACTERS], settlement=kept)
        )


def set_aside_ids(connection: Connection, most: int) -> tuple[int, list[str]]:
    """How many were set aside, and the ids of the newest ones."""
    count = connection.execute(select(func.count()).select_from(unsettled)).scalar_one()
    newest = select(unsettled.c.id).order_by(unsettled.c.at.desc(), unsettled.c.id).limit(most)
    return count, list(connection.execute(newest).scalars())
