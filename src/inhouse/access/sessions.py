"""Sessions of the console: a random token in a cookie stands for the keys that somebody signed in with.

The database has a hash of the token, and the keys encrypted under it. Who reads the database learns neither, and a
token without its row is worth nothing: signing out ends a session for good.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, delete, insert, select

from inhouse.access import store
from inhouse.storage.database import Database
from inhouse.storage.schema import console_sessions

LIFETIME_S = 12 * 3600
MAX_TOKEN = 100
_NONCE = 12


class Keys(msgspec.Struct, frozen=True):
    """What a session may use: a project's key, an admin key, or both; empty where there is none."""

    project: str = ""
    admin: str = ""

    def __repr__(self) -> str:
        return f"Keys(project={bool(self.project)}, admin={bool(self.admin)})"


class Sessions:
    """Opens, finds and closes sessions.

    Args:
        database: migrated.
        lifetime_s: of a session, in seconds; it is not prolonged.
    """

    def __init__(self, database: Database, *, lifetime_s: int = LIFETIME_S) -> None:
        self._database = database
        self.lifetime_s = lifetime_s

    async def open(self, keys: Keys) -> str:
        """Starts a session; the token is for its cookie and known to nobody else. Ends those that have expired."""
        token = secrets.token_urlsafe(32)
        now = store.now()
        row = {
            "id": _id(token),
            "created_at": now,
            "expires_at": now + self.lifetime_s * 1_000_000,
            "sealed": _seal(token, keys),
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(console_sessions).where(console_sessions.c.expires_at <= now))
            connection.execute(insert(console_sessions), row)

        await self._database.write(work)
        return token

    async def find(self, token: str) -> Keys | None:
        """The keys of a session; None if there is no such session, or it has expired."""
        if not token or len(token) > MAX_TOKEN:
            return None
        table, id, now = console_sessions, _id(token), store.now()
        sealed = await self._database.read(
            lambda c: c.execute(select(table.c.sealed).where(table.c.id == id, table.c.expires_at > now)).scalar()
        )
        return None if sealed is None else _unseal(token, sealed)

    async def close(self, token: str) -> None:
        id = _id(token)
        await self._database.write(lambda c: c.execute(delete(console_sessions).where(console_sessions.c.id == id)))


def form_token(token: str) -> str:
    """What a form of this session must carry: it follows from the cookie, and the cookie does not follow from it."""
    return _derived(token, "form").hex()


def proves(token: str, given: str) -> bool:
    """Whether ``given`` is the form token of the session; takes as long for a wrong one."""
    return bool(token) and hmac.compare_digest(form_token(token).encode(), given.encode("utf-8", "replace"))


def _id(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _derived(token: str, purpose: str) -> bytes:
    return hmac.digest(token.encode("utf-8", "replace"), f"inhouse console {purpose}".encode(), "sha256")


def _seal(token: str, keys: Keys) -> str:
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(_derived(token, "keys")).encrypt(nonce, msgspec.json.encode(keys), None)
    return base64.b64encode(nonce + sealed).decode()


def _unseal(token: str, sealed: str) -> Keys | None:
    raw = base64.b64decode(sealed)
    try:
        return msgspec.json.decode(AESGCM(_derived(token, "keys")).decrypt(raw[:_NONCE], raw[_NONCE:], None), type=Keys)
    except InvalidTag:
        return None
