"""Authentication, and the keys it rests on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection

from inhouse.access import store
from inhouse.access.audit import COMMAND_LINE, Actor
from inhouse.access.credentials import check_scope, credential, incorrect_key
from inhouse.access.issuing import end, issue
from inhouse.access.keys import Kind, digest, new_key
from inhouse.access.policies import NO_POLICY, Policy, policy_of
from inhouse.access.recent import Recent
from inhouse.access.roles import granted, permits
from inhouse.access.scopes import Permission, allows
from inhouse.access.store import Key, Project
from inhouse.access.strength import UnusableKey, require_strong
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.storage.database import Database, lock

logger = logging.getLogger(__name__)

FRESH_S = 1.0
"""How old an answer about a key may be: a revocation by another process counts after this long at the latest."""
REMEMBERED_KEYS = 10_000
PROVEN = "inhouse.caller"
"""Where an ASGI scope that was made within the process has the ``Caller`` it was made for."""
TOUCH_EVERY_US = 60_000_000
"""``last_used_at`` is written at most once in this time, in microseconds, for each key."""


class Caller(msgspec.Struct, frozen=True):
    """Who makes a request. ``project_id`` is empty for an admin key, which belongs to no project; ``key_id`` for a user
    who is signed in to the console."""

    organization_id: str
    project_id: str
    key_id: str
    admin: bool = False
    user_id: str = ""
    """The key's owner, a user or a service account; empty for keys made on the command line."""
    permission: Permission = "all"
    scopes: tuple[str, ...] = ()
    granted: frozenset[str] | None = None
    """What the owner's roles allow, see ``access.roles``; None is everything."""
    policy: Policy = NO_POLICY
    """Of its project."""

    @property
    def actor(self) -> Actor:
        return Actor(self.key_id or None, self.user_id or None)

    def may(self, scope: str) -> bool:
        """Whether the key allows what needs this scope."""
        return allows(self.permission, self.scopes, self.admin, scope) and permits(self.granted, scope)


class _Known(msgspec.Struct, frozen=True):
    """A key, and who comes with it."""

    key: Key
    caller: Caller


class NewKey(msgspec.Struct, frozen=True):
    """A key just made. ``secret`` is the key itself, known only now."""

    key: Key
    secret: str

    def __repr__(self) -> str:
        return f"NewKey({self.key!r})"


class Bootstrapped(msgspec.Struct, frozen=True):
    """What a start found or made. ``api_key`` is in clear and only set by the start that generated it."""

    organization_id: str
    project_id: str
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"Bootstrapped({self.organization_id!r}, {self.project_id!r})"


class Access:
    """Keys and who they belong to.

    Args:
        database: migrated.
        fresh_s: how long an answer about a key may be reused, in seconds.
    """

    def __init__(self, database: Database, *, fresh_s: float = FRESH_S) -> None:
        self._database = database
        self._known: Recent[str, _Known] = Recent(REMEMBERED_KEYS, fresh_s)
        self._unknown: Recent[str, bool] = Recent(REMEMBERED_KEYS // 10, fresh_s)
        self._asking: dict[str, asyncio.Future[_Known | None]] = {}
        self._touched: Recent[str, int] = Recent(REMEMBERED_KEYS, TOUCH_EVERY_US / 1e6)
        self._generation = 0

    async def bootstrap(self, api_key: str | None = None, admin_key: str | None = None) -> Bootstrapped:
        """Makes sure that there are an organization, a project and a way in. Changes nothing that is there.

        Args:
            api_key, admin_key: preset keys, made valid for the default project and organization. Without ``api_key``,
                the first start generates one. A preset that is no longer given stays valid until it is revoked.

        Raises:
            WeakKey: a preset key is short, publicly known or a pattern.
            UnusableKey: a preset key was revoked, or is in use for something else.
        """
        if api_key is not None:
            require_strong(api_key, "project", "INHOUSE_API_KEY")
        if admin_key is not None:
            require_strong(admin_key, "admin", "INHOUSE_ADMIN_KEY")
        generated = new_key("project")

        def work(connection: Connection) -> Bootstrapped:
            lock(connection, "bootstrap")
            project = store.project(connection, None)
            if project is None:
                organization_id = store.insert_organization(connection, "Default organization")
                project = store.insert_project(connection, organization_id, "Default project")
            if admin_key is not None:
                _preset(connection, admin_key, "admin", "INHOUSE_ADMIN_KEY", project)
            if api_key is not None:
                _preset(connection, api_key, "project", "INHOUSE_API_KEY", project)
            elif not store.any_key(connection, "project"):
                store.insert_key(connection, generated, "project", "First key", project.organization_id, project.id)
                return Bootstrapped(project.organization_id, project.id, generated)
            return Bootstrapped(project.organization_id, project.id)

        made = await self._database.write(work)
        self.forget()
        return made

    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Caller:
        """Who sends a request.

        Args:
            headers: of the request, names in lower case.
            method, path: of the request, e.g. ``POST`` and ``/v1/chat/completions``; the official words for a missing
                key depend on them.

        Raises:
            Unauthenticated: no key, a wrong, revoked or expired one, or one that is not of the organization or project
                that the headers name.
        """
        secret = credential(headers, method, path)
        hash = digest(secret)
        known = self._known.get(hash) or await self._look_up(hash)
        now = store.now()
        if known is None or (known.key.expires_at is not None and known.key.expires_at <= now):
            raise incorrect_key(secret)
        key = known.key
        check_scope(headers, key.organization_id, known.caller.project_id)
        self._touch(key, now)
        return known.caller

    async def policy(self, organization_id: str, project_id: str) -> Policy:
        """What bounds a project now, for work that goes on after its request."""
        return await self._database.read(lambda connection: policy_of(connection, organization_id, project_id))

    async def create_key(
        self,
        name: str,
        *,
        kind: Kind = "project",
        project_id: str | None = None,
        organization_id: str | None = None,
        expires_at: int | None = None,
        user_id: str | None = None,
        permission: Permission = "all",
        scopes: tuple[str, ...] = (),
        actor: Actor = COMMAND_LINE,
    ) -> NewKey:
        """Makes a key; the answer is the only place where it ever stands in clear.

        Args:
            kind: ``project`` keys call the API, ``admin`` keys manage the organization.
            project_id: whose key; the default project if None. For an admin key it only tells the organization.
            organization_id: the project must belong to it; None asks for nothing (the command line).
            expires_at: Unix microseconds, or None for never.
            user_id: its owner, a user or a service account.
            permission, scopes: what it may do, see ``access.scopes``.
            actor: who makes it, for the audit log.

        Raises:
            NotFound: no such project, it is another organization's, or it is archived.
            InvalidRequest: the name is empty or the expiry is in the past.
        """
        if not name.strip():
            raise InvalidRequest("A key needs a name.", param="name")
        if expires_at is not None and expires_at <= store.now():
            raise InvalidRequest("The key would have expired already.", param="expires_at")
        secret = new_key(kind)

        def work(connection: Connection) -> Key:
            project = store.project(connection, project_id)
            if (
                project is None
                or project.archived_at is not None
                or (organization_id is not None and project.organization_id != organization_id)
            ):
                raise NotFound(f"No such project: {project_id}" if project_id else "There is no project yet.")
            owner = project.id if kind == "project" else None
            return issue(
                connection,
                actor,
                secret,
                kind,
                name,
                project.organization_id,
                owner,
                expires_at,
                user_id=user_id,
                permission=permission,
                scopes=scopes,
            )

        key = await self._database.write(work)
        self.forget()
        return NewKey(key, secret)

    async def project_name(self, project_id: str) -> str:
        """What a project is called; empty for the project of an admin key, which has none."""
        if not project_id:
            return ""
        project = await self._database.read(lambda c: store.project(c, project_id))
        return project.name if project else ""

    async def list_keys(self, *, organization_id: str | None = None, project_id: str | None = None) -> list[Key]:
        """Keys newest first, revoked ones too; of one organization or project, or all (the command line)."""
        return await self._database.read(lambda c: store.list_keys(c, organization_id, project_id))

    async def revoke_key(self, id: str, *, organization_id: str | None = None, actor: Actor = COMMAND_LINE) -> Key:
        """Ends a key for good: at once here, within a second in other processes. Revoking again changes nothing.

        Args:
            organization_id: the key must belong to it; None asks for nothing (the command line).

        Raises:
            NotFound: no such key, or it is another organization's.
        """
        key = await self._database.write(lambda c: end(c, actor, id, organization_id))
        self.forget()
        if key is None:
            raise NotFound(f"No such API key: {id}")
        return key

    async def _look_up(self, hash: str) -> _Known | None:
        if self._unknown.get(hash):
            return None
        # Requests that arrive while the answer is on its way wait for the same answer, unless keys changed since.
        asked = self._asking.get(hash)
        if asked is None:
            asked = asyncio.ensure_future(self._ask(hash))
            self._asking[hash] = asked
            asked.add_done_callback(lambda done: self._answered(hash, done))
        return await asyncio.shield(asked)

    async def _ask(self, hash: str) -> _Known | None:
        generation = self._generation
        key = await self._database.read(lambda c: _known(c, hash))
        if generation == self._generation:
            if key is None:
                self._unknown.put(hash, True)
            else:
                self._known.put(hash, key)
        return key

    def _answered(self, hash: str, done: asyncio.Future[_Known | None]) -> None:
        if self._asking.get(hash) is done:
            del self._asking[hash]
        if not done.cancelled():
            done.exception()  # those who wait see it; it must not be reported as lost if they have all left

    def forget(self) -> None:
        """After a change of keys: what was read before it must not be used, nor what is being read now."""
        self._generation += 1
        self._known.clear()
        self._unknown.clear()
        self._asking.clear()

    def _touch(self, key: Key, now: int) -> None:
        if self._touched.get(key.id) is not None:
            return
        self._touched.put(key.id, now)
        if key.last_used_at is None or now - key.last_used_at >= TOUCH_EVERY_US:
            self._database.submit(lambda c: store.touch(c, key.id, now)).add_done_callback(_report)


def _known(connection: Connection, hash: str) -> _Known | None:
    key = store.usable_key(connection, hash, store.now())
    if key is None:
        return None
    caller = Caller(
        key.organization_id,
        key.project_id or "",
        key.id,
        key.kind == "admin",
        key.user_id or "",
        key.permission,
        key.scopes,
        granted(connection, key.user_id, key.project_id),
        policy_of(connection, key.organization_id, key.project_id),
    )
    return _Known(key, caller)


def _preset(connection: Connection, secret: str, kind: Kind, setting: str, project: Project) -> None:
    found = store.key_by_hash(connection, digest(secret))
    if found is None:
        owner = project.id if kind == "project" else None
        store.insert_key(connection, secret, kind, f"Preset by {setting}", project.organization_id, owner)
    elif found.kind != kind:
        raise UnusableKey(f"{setting} is already in use as {'an' if found.kind == 'admin' else 'a'} {found.kind} key.")
    elif found.revoked_at is not None:
        raise UnusableKey(
            f"{setting} is a key that was revoked ({found.id}). Set another one; a revoked key stays revoked."
        )
    elif found.expires_at is not None and found.expires_at <= store.now():
        raise UnusableKey(f"{setting} is a key that has expired ({found.id}). Set another one.")


def _report(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        logger.warning("recording the last use of a key failed: %s", error)
