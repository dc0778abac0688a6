"""Sessions of the console: a random token in a cookie stands for a user, or for the keys that somebody signed in with.

The database has a hash of the token, and keys encrypted under it. Who reads the database learns neither, and a
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
from sqlalchemy import Connection, delete, insert, select, update

from inhouse.access import store
from inhouse.access.audit import Actor, record
from inhouse.storage.database import Database
from inhouse.storage.schema import console_sessions, users

LIFETIME_S = 12 * 3600
MAX_TOKEN = 100
_NONCE = 12
_AGENT = 300


class Keys(msgspec.Struct, frozen=True):
    """What a session may use: a project's key, an admin key, or both; empty where there is none."""

    project: str = ""
    admin: str = ""

    def __repr__(self) -> str:
        return f"Keys(project={bool(self.project)}, admin={bool(self.admin)})"


NO_KEYS = Keys()


class Session(msgspec.Struct, frozen=True):
    """An open session: of a user, or of keys."""

    id: str
    keys: Keys
    user_id: str | None
    project_id: str | None
    created_at: int


class Opened(msgspec.Struct, frozen=True):
    """A session as it is listed. Times are Unix microseconds."""

    id: str
    created_at: int
    expires_at: int
    agent: str


class Sessions:
    """Opens, finds and closes sessions.

    Args:
        database: migrated.
        lifetime_s: of a session, in seconds; it is not prolonged.
    """

    def __init__(self, database: Database, *, lifetime_s: int = LIFETIME_S) -> None:
        self._database = database
        self.lifetime_s = lifetime_s

    async def open(self, keys: Keys = NO_KEYS, *, user_id: str | None = None, agent: str = "") -> str:
        """Starts a session; the token is for its cookie and known to nobody else. Ends those that have expired."""
        token = secrets.token_urlsafe(32)
        now = store.now()
        row = {
            "id": _id(token),
            "created_at": now,
            "expires_at": now + self.lifetime_s * 1_000_000,
            "sealed": _seal(token, keys),
            "user_id": user_id,
            "agent": agent[:_AGENT],
        }

        def work(connection: Connection) -> None:
            connection.execute(delete(console_sessions).where(console_sessions.c.expires_at <= now))
            connection.execute(insert(console_sessions), row)
            if user_id is not None:
                _tell(connection, user_id, "login.succeeded")

        await self._database.write(work)
        return token

    async def find(self, token: str) -> Session | None:
        """The session of a token; None if there is no such session, or it has expired."""
        if not token or len(token) > MAX_TOKEN:
            return None
        table, id, now = console_sessions, _id(token), store.now()
        query = select(table).where(table.c.id == id, table.c.expires_at > now)
        row = await self._database.read(lambda c: c.execute(query).first())
        keys = None if row is None else _unseal(token, row.sealed)
        return None if row is None or keys is None else Session(id, keys, row.user_id, row.project_id, row.created_at)

    async def choose(self, token: str, project_id: str) -> None:
        """From now on the session's user works in this project, if the user may."""
        id = _id(token)
        await self._database.write(
            lambda c: c.execute(
                update(console_sessions).where(console_sessions.c.id == id).values(project_id=project_id)
            )
        )

    async def of_user(self, user_id: str) -> list[Opened]:
        """The open sessions of a user, newest first."""
        table, now = console_sessions.c, store.now()
        query = select(table.id, table.created_at, table.expires_at, table.agent).where(
            table.user_id == user_id, table.expires_at > now
        )
        rows = await self._database.read(lambda c: c.execute(query.order_by(table.created_at.desc())).all())
        return [Opened(*row) for row in rows]

    async def end(self, user_id: str, *, id: str | None = None, spared: str = "") -> None:
        """End one session of a user, or all but ``spared``."""
        table = console_sessions
        which = table.c.id != spared if id is None else table.c.id == id
        await self._database.write(lambda c: c.execute(delete(table).where(table.c.user_id == user_id, which)))

    async def close(self, token: str) -> None:
        id, table = _id(token), console_sessions

        def work(connection: Connection) -> None:
            user_id = connection.execute(select(table.c.user_id).where(table.c.id == id)).scalar()
            connection.execute(delete(table).where(table.c.id == id))
            if user_id is not None:
                _tell(connection, user_id, "logout.succeeded")

        await self._database.write(work)


def _tell(connection: Connection, user_id: str, event: str) -> None:
    organization_id = connection.execute(select(users.c.organization_id).where(users.c.id == user_id)).scalar_one()
    record(connection, organization_id, Actor(user_id=user_id), event, user_id)


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
