"""Accounts: how people prove that they are users of an organization, with a password or through a provider.

A password is only ever chosen with a link, which is valid once: the first one, which the start prints and which makes
the first owner; one for each invite; and one for a user who has none or has forgotten it.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from inhouse.access import store
from inhouse.access.audit import Actor, record
from inhouse.access.joining import accept_invite, add_user
from inhouse.access.passwords import Passwords, check_new
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database, lock
from inhouse.storage.schema import (
    console_sessions,
    invites,
    sign_in_links,
    user_identities,
    user_passwords,
    users,
)

Purpose = Literal["first", "invite", "password"]
LINK_US = 24 * 3600 * 1_000_000
"""How long a link is valid; one for an invite as long as the invite."""
_SAME_ADDRESS = 5
"""Organizations that one address is tried in."""


class Link(msgspec.Struct, frozen=True):
    """What a link is for."""

    organization_id: str
    purpose: Purpose
    subject_id: str
    """The invite or the user; empty for the first account."""
    email: str
    """Of the invite or the user; empty for the first account."""
    name: str


class Vouched(msgspec.Struct, frozen=True):
    """Whom an identity provider vouches for."""

    issuer: str
    subject: str
    email: str
    """Verified."""
    name: str


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._passwords = Passwords()

    async def nobody(self) -> bool:
        """Whether nobody can sign in yet without a key."""
        return await self._database.read(_nobody)

    # Links

    async def first_link(self) -> str:
        """The token of a link that makes the first owner; ends those that were made before.

        Raises:
            InvalidRequest: there is an account already.
        """
        token, at = secrets.token_urlsafe(32), store.now()

        def work(connection: Connection) -> None:
            lock(connection, "first account")
            if not _nobody(connection):
                raise InvalidRequest("There are accounts already: name whose link it is to be, by the address.")
            project = store.project(connection, None)
            if project is None:
                raise NotFound("There is no organization yet; the first start makes one.")
            connection.execute(delete(sign_in_links).where(sign_in_links.c.purpose == "first"))
            _insert(connection, token, project.organization_id, "first", "", at + LINK_US)

        await self._database.write(work)
        return token

    async def link_of_invite(self, organization_id: str, invite_id: str) -> str:
        """The token of a link to accept an invite. Raises NotFound."""
        token = secrets.token_urlsafe(32)

        def work(connection: Connection) -> None:
            query = select(invites.c.expires_at).where(
                invites.c.id == invite_id,
                invites.c.organization_id == organization_id,
                invites.c.deleted_at.is_(None),
                invites.c.accepted_at.is_(None),
            )
            expires_at = connection.execute(query).scalar()
            if expires_at is None:
                raise NotFound(f"No such invite: {invite_id}")
            _insert(connection, token, organization_id, "invite", invite_id, expires_at)

        await self._database.write(work)
        return token

    async def link_of_user(self, organization_id: str, user_id: str, actor: Actor) -> str:
        """The token of a link to choose a new password. Raises NotFound."""
        token, at = secrets.token_urlsafe(32), store.now()

        def work(connection: Connection) -> None:
            if _user(connection, organization_id, user_id) is None:
                raise NotFound(f"No such user: {user_id}")
            _insert(connection, token, organization_id, "password", user_id, at + LINK_US)
            told: dict[str, object] = {"changes_requested": {}}
            record(connection, organization_id, actor, "user.updated", user_id, told)

        await self._database.write(work)
        return token

    async def link_of_address(self, email: str) -> str:
        """A link for whoever has this address, a user or somebody invited: for the command line. Raises NotFound."""
        email = email.strip().lower()

        def look(connection: Connection) -> tuple[str, str, bool] | None:
            user = select(users.c.organization_id, users.c.id).where(
                users.c.email == email, users.c.deleted_at.is_(None)
            )
            if found := connection.execute(user.order_by(users.c.added_at)).first():
                return found[0], found[1], True
            invited = select(invites.c.organization_id, invites.c.id).where(
                invites.c.email == email,
                invites.c.deleted_at.is_(None),
                invites.c.accepted_at.is_(None),
                invites.c.expires_at > store.now(),
            )
            found = connection.execute(invited).first()
            return None if found is None else (found[0], found[1], False)

        known = await self._database.read(look)
        if known is None:
            raise NotFound(f"Nobody with the address {email} is a user or invited.")
        organization_id, id, is_user = known
        if is_user:
            return await self.link_of_user(organization_id, id, Actor())
        return await self.link_of_invite(organization_id, id)

    async def see(self, token: str) -> Link | None:
        """What a link is for; None if it is not valid any more. Seeing it changes nothing."""
        return await self._database.read(lambda connection: _link(connection, token))

    async def redeem(self, token: str, *, email: str, name: str, password: str) -> str:
        """Choose a password with a link, and so become a user where one is not yet; it ends the link.

        Args:
            email, name: of the first owner; of somebody invited the name counts, else neither.

        Returns:
            The user's id.

        Raises:
            InvalidRequest: the link is not valid any more, or what was given cannot be used.
        """
        link = await self.see(token)
        if link is None:
            raise InvalidRequest("This link is not valid any more. Ask for a new one.")
        name = " ".join(name.split()) or link.name
        email = link.email or email.strip().lower()
        if link.purpose == "first" and not _like_an_address(email):
            raise InvalidRequest("This is not an address.", param="email")
        if not name or len(name) > 200:
            raise InvalidRequest("Say your name, in up to 200 characters.", param="name")
        check_new(password, email)
        hash = await self._passwords.hash(password)

        def work(connection: Connection) -> str:
            if connection.execute(delete(sign_in_links).where(sign_in_links.c.id == digest_of(token))).rowcount != 1:
                raise InvalidRequest("This link is not valid any more. Ask for a new one.")
            match link.purpose:
                case "first":
                    lock(connection, "first account")
                    if not _nobody(connection):
                        raise InvalidRequest("Somebody else has made the first account. Ask them to invite you.")
                    user_id = _first_owner(connection, link.organization_id, email, name)
                case "invite":
                    user_id = accept_invite(connection, link.organization_id, link.subject_id, name)
                case _:
                    user_id = link.subject_id
            _keep(connection, user_id, hash)
            return user_id

        return await self._database.write(work)

    # Proofs

    async def check(self, email: str, password: str) -> str | None:
        """The user with this address and password; None for anything else, after as long."""
        email = email.strip().lower()[:320]
        query = (
            select(users.c.id, user_passwords.c.hash)
            .join_from(users, user_passwords)
            .where(users.c.email == email, users.c.deleted_at.is_(None))
            .order_by(users.c.added_at)
            .limit(_SAME_ADDRESS)
        )
        found = await self._database.read(lambda c: [(row.id, row.hash) for row in c.execute(query)])
        for user_id, hash in found or [("", None)]:
            if await self._passwords.verify(hash, password):
                if hash is not None and self._passwords.is_outdated(hash):
                    await self._keep(user_id, await self._passwords.hash(password))
                return str(user_id)
        if found:
            await self._database.write(lambda c: _failed(c, found[0][0]))
        return None

    async def change_password(self, user_id: str, before: str, password: str, session: str) -> None:
        """Choose another password, and end all sessions of the user but the one with this id.

        Raises:
            InvalidRequest: ``before`` is not the password, or the new one cannot be used.
        """
        query = select(users.c.email, user_passwords.c.hash).outerjoin_from(users, user_passwords)
        row = await self._database.read(lambda c: c.execute(query.where(users.c.id == user_id)).one())
        if not await self._passwords.verify(row.hash, before):
            raise InvalidRequest("This is not your password.", param="before")
        check_new(password, row.email)
        hash = await self._passwords.hash(password)

        def work(connection: Connection) -> None:
            _keep(connection, user_id, hash, spared=session)

        await self._database.write(work)

    async def known(self, vouched: Vouched, *, role: str, organization_id: str | None = None) -> str | None:
        """The user whom a provider vouches for: known by the identity, by the verified address, or by an invite.

        Args:
            role: of new users whom nobody invited; empty if they are refused.

        Returns:
            The user's id; None if nobody knows the address.
        """

        def work(connection: Connection) -> str | None:
            theirs = (user_identities.c.issuer == vouched.issuer, user_identities.c.subject == vouched.subject)
            known = select(user_identities.c.user_id, users.c.deleted_at).join_from(user_identities, users)
            if (row := connection.execute(known.where(*theirs)).first()) is not None:
                if row.deleted_at is None:
                    return str(row.user_id)
                connection.execute(delete(user_identities).where(*theirs))
            project = store.project(connection, None)
            home = organization_id or (project.organization_id if project else "")
            user_id = _joined(connection, vouched, home, role)
            if user_id is not None:
                connection.execute(
                    insert(user_identities).values(
                        issuer=vouched.issuer, subject=vouched.subject, user_id=user_id, created_at=store.now()
                    )
                )
            return user_id

        return await self._database.write(work)

    async def _keep(self, user_id: str, hash: str) -> None:
        await self._database.write(
            lambda c: c.execute(update(user_passwords).where(user_passwords.c.user_id == user_id).values(hash=hash))
        )


def digest_of(token: str) -> str:
    """What the database knows of a token, in hex."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _failed(connection: Connection, user_id: str) -> None:
    organization_id = connection.execute(select(users.c.organization_id).where(users.c.id == user_id)).scalar_one()
    told = {"error_code": "wrong_password", "error_message": "The password is not the user's."}
    record(connection, organization_id, Actor(user_id=user_id), "login.failed", user_id, told)


def _nobody(connection: Connection) -> bool:
    passwords = select(users.c.id).join_from(users, user_passwords).where(users.c.deleted_at.is_(None)).limit(1)
    identities = select(users.c.id).join_from(users, user_identities).where(users.c.deleted_at.is_(None)).limit(1)
    return connection.execute(passwords).first() is None and connection.execute(identities).first() is None


def _insert(
    connection: Connection, token: str, organization_id: str, purpose: Purpose, subject_id: str, expires_at: int
) -> None:
    at = store.now()
    connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at <= at))
    connection.execute(
        insert(sign_in_links).values(
            id=digest_of(token),
            organization_id=organization_id,
            purpose=purpose,
            subject_id=subject_id,
            created_at=at,
            expires_at=expires_at,
        )
    )


def _link(connection: Connection, token: str) -> Link | None:
    if not token or len(token) > 100:
        return None
    query = select(sign_in_links).where(
        sign_in_links.c.id == digest_of(token), sign_in_links.c.expires_at > store.now()
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    email = name = ""
    if row.purpose == "invite":
        invited = select(invites.c.email).where(
            invites.c.id == row.subject_id, invites.c.accepted_at.is_(None), invites.c.deleted_at.is_(None)
        )
        if (found := connection.execute(invited).scalar()) is None:
            return None
        email = found
    elif row.purpose == "password":
        if (user := _user(connection, row.organization_id, row.subject_id)) is None:
            return None
        email, name = user
    elif not _nobody(connection):
        return None
    return Link(row.organization_id, row.purpose, row.subject_id, email, name)


def _user(connection: Connection, organization_id: str, user_id: str) -> tuple[str, str] | None:
    """Address and name."""
    query = select(users.c.email, users.c.name).where(
        users.c.id == user_id, users.c.organization_id == organization_id, users.c.deleted_at.is_(None)
    )
    row = connection.execute(query).first()
    return None if row is None else (row.email, row.name)


def _first_owner(connection: Connection, organization_id: str, email: str, name: str) -> str:
    """The first owner: a user who was made with the API before any could sign in is the same person."""
    lock(connection, f"people {organization_id}")
    query = select(users.c.id).where(
        users.c.organization_id == organization_id, users.c.email == email, users.c.deleted_at.is_(None)
    )
    known = connection.execute(query).scalar()
    if known is None:
        return add_user(connection, organization_id, email, name, "owner")
    connection.execute(update(users).where(users.c.id == known).values(role="owner"))
    told = {"changes_requested": {"role": "owner"}}
    record(connection, organization_id, Actor(user_id=known), "user.updated", known, told)
    return str(known)


def _joined(connection: Connection, vouched: Vouched, organization_id: str, role: str) -> str | None:
    email = vouched.email.lower()
    user = select(users.c.id).where(users.c.email == email, users.c.deleted_at.is_(None)).order_by(users.c.added_at)
    if (known := connection.execute(user.limit(1)).scalar()) is not None:
        return str(known)
    invited = select(invites.c.organization_id, invites.c.id).where(
        invites.c.email == email,
        invites.c.deleted_at.is_(None),
        invites.c.accepted_at.is_(None),
        invites.c.expires_at > store.now(),
    )
    if (invite := connection.execute(invited.order_by(invites.c.created_at).limit(1)).first()) is not None:
        return accept_invite(connection, invite.organization_id, invite.id, vouched.name)
    if role and organization_id:
        lock(connection, f"people {organization_id}")
        return add_user(connection, organization_id, email, vouched.name, role)
    return None


def _keep(connection: Connection, user_id: str, hash: str, spared: str = "") -> None:
    """A new password ends what the old one opened, and links to choose yet another."""
    links = (sign_in_links.c.purpose == "password", sign_in_links.c.subject_id == user_id)
    connection.execute(delete(sign_in_links).where(*links))
    connection.execute(delete(user_passwords).where(user_passwords.c.user_id == user_id))
    connection.execute(insert(user_passwords).values(user_id=user_id, hash=hash, changed_at=store.now()))
    others = (console_sessions.c.user_id == user_id, console_sessions.c.id != spared)
    connection.execute(delete(console_sessions).where(*others))


def _like_an_address(email: str) -> bool:
    name, at, host = email.rpartition("@")
    return bool(name and at and host) and len(email) <= 320 and email.isprintable() and " " not in email
