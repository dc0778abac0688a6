"""Keys that an installation makes for itself, kept in its database so that all its processes have them."""

from __future__ import annotations

import secrets as random

from sqlalchemy import Connection, insert, select

from inhouse.storage.database import lock
from inhouse.storage.schema import secrets


def find_key(connection: Connection, name: str) -> bytes | None:
    """The key of a name, if there is one."""
    value = connection.execute(select(secrets.c.value).where(secrets.c.name == name)).scalar()
    return None if value is None else bytes.fromhex(value)


def make_key(connection: Connection, name: str) -> bytes:
    """32 random bytes under a name: made by the first who asks, the same for ever after."""
    lock(connection, f"secret {name}")
    if (key := find_key(connection, name)) is None:
        key = random.token_bytes(32)
        connection.execute(insert(secrets).values(name=name, value=key.hex()))
    return key
