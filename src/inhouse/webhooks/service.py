"""Webhook endpoints of projects: made, changed, tested, looked at. For the API, the command line and the console."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection

from inhouse.jobs.runner import Runner
from inhouse.kit.addresses import AddressRefused, Network, Reach
from inhouse.kit.errors import APIError, InvalidRequest, NotFound
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database
from inhouse.webhooks import store
from inhouse.webhooks.delivery import FIRST_RETRY_S, KEEP_TRYING_S, SECOND, Deliveries
from inhouse.webhooks.events import EVENT_TYPES, ORGANIZATION_EVENT_TYPES, body_of
from inhouse.webhooks.sending import Attempt, Sender
from inhouse.webhooks.signing import new_secret
from inhouse.webhooks.store import Delivery, Endpoint

MOST_ENDPOINTS = 50
"""Of one project: each of them costs a write for every event."""
LONGEST_URL = 2048
OLD_SECRET_S = 24 * 3600
SAMPLES = {"response": "resp_", "batch": "batch_", "fine_tuning": "ftjob-", "eval": "evalrun_", "video": "video_"}
"""Prefixes of the ids in test events, by the first word of their type."""


class NotReached(APIError):
    """A test did not get an answer."""

    status = 400
    default_type = "invalid_request_error"


class Made(msgspec.Struct, frozen=True):
    """An endpoint and its secret, which is not told again."""

    endpoint: Endpoint
    secret: str


class Webhooks:
    """Endpoints belong to a project: each method sees those of the one it is given, and raises NotFound for others.

    Args:
        runner: that delivers, in the server. Without one nothing is delivered here, as on the command line.
        networks: that may be reached beside public addresses.
        first_retry_s: until the second attempt, seconds; each further one waits twice as long.
    """

    def __init__(
        self,
        database: Database,
        runner: Runner | None = None,
        *,
        networks: Sequence[Network] = (),
        first_retry_s: float = FIRST_RETRY_S,
        keep_trying_s: float = KEEP_TRYING_S,
    ) -> None:
        self._database = database
        self._reach = Reach(networks)
        self._plain_http = bool(networks)
        self._sender = Sender(networks)
        if runner is not None:
            Deliveries(database, runner, self._sender, first_retry_s=first_retry_s, keep_trying_s=keep_trying_s)

    async def create(
        self,
        organization_id: str,
        project_id: str,
        *,
        name: str,
        url: str,
        event_types: Sequence[str],
        operators: bool = False,
    ) -> Made:
        """Make an endpoint.

        Args:
            operators: whether somebody asks who may use the command line of this installation: then the URL may be a
                private address and plain HTTP, and the endpoint may be told of events of the whole organization.

        Raises:
            InvalidRequest: the URL cannot be used, an event type does not exist, or there are too many endpoints.
        """
        self._check(url, event_types, operators)
        secret, now = new_secret(), store.now()
        endpoint = Endpoint(
            id=new_id("whe_"),
            organization_id=organization_id,
            project_id=project_id,
            created_at=now,
            updated_at=now,
            name=name,
            url=url,
            event_types=sorted(set(event_types)),
            secret_hint="",
            operators=operators,
            disabled_at=None,
            disabled_because=None,
        )

        def work(connection: Connection) -> Endpoint:
            there = store.page(connection, project_id, after=None, limit=MOST_ENDPOINTS)
            if there is not None and len(there[0]) >= MOST_ENDPOINTS:
                raise InvalidRequest(f"A project can have at most {MOST_ENDPOINTS} webhook endpoints.")
            store.add(connection, endpoint, secret)
            made = store.find(connection, endpoint.id)
            assert made is not None
            return made

        return Made(await self._database.write(work), secret)

    async def retrieve(self, project_id: str, id: str) -> Endpoint:
        """Raises NotFound."""
        return _there(await self._database.read(partial(store.get, project_id=project_id, id=id)), id)

    async def endpoints(
        self, project_id: str | None, *, after: str | None = None, limit: int = 20
    ) -> tuple[list[Endpoint], bool]:
        """Endpoints, newest first, and whether more follow; of every project for None. Raises NotFound."""
        found = await self._database.read(partial(store.page, project_id=project_id, after=after, limit=limit))
        if found is None:
            raise _not_found(str(after), "after")
        return found

    async def update(
        self,
        project_id: str,
        id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[str] | None = None,
    ) -> Endpoint:
        """Change what is given. One that was disabled is enabled. Raises as ``create``, and NotFound."""
        known = await self.retrieve(project_id, id)
        # A new address is as trusted as who names it; this is not an operator.
        operators = known.operators and (url is None or url == known.url)
        kept = known.event_types if event_types is None else event_types
        if url is not None or event_types is not None:
            self._check(known.url if url is None else url, kept, operators)
        values = {
            "name": known.name if name is None else name,
            "url": known.url if url is None else url,
            "event_types": sorted(set(kept)),
            "operators": operators,
        }
        changed = any(getattr(known, key) != value for key, value in values.items())

        def work(connection: Connection) -> Endpoint:
            _there(store.get(connection, project_id, id), id)
            if changed:
                store.change(connection, id, **values, updated_at=store.now())
            store.enable(connection, id)
            return _there(store.get(connection, project_id, id), id)

        return await self._database.write(work)

    async def delete(self, project_id: str, id: str) -> None:
        """Delete an endpoint; what waits for it is not told any more. Raises NotFound."""
        if not await self._database.write(partial(store.remove, project_id=project_id, id=id)):
            raise _not_found(id)

    async def rotate_secret(self, project_id: str, id: str, *, keep_old: bool = False) -> Made:
        """Sign with a new secret; for 24 hours with the old one as well if it is kept. Raises NotFound."""
        secret = new_secret()

        def work(connection: Connection) -> Endpoint:
            _there(store.get(connection, project_id, id), id)
            now = store.now()
            old = store.signing(connection, id)[0] if keep_old else None
            until = now + OLD_SECRET_S * SECOND if keep_old else None
            store.change(connection, id, secret=secret, old_secret=old, old_secret_until=until, updated_at=now)
            return _there(store.get(connection, project_id, id), id)

        return Made(await self._database.write(work), secret)

    async def test(self, project_id: str, id: str, event_type: str) -> Attempt:
        """Send a sample event now, once, and tell what came of it.

        Raises:
            NotFound, InvalidRequest: no such event type.
            NotReached: no answer came.
        """

        def look(connection: Connection) -> tuple[Endpoint, list[str]]:
            return _there(store.get(connection, project_id, id), id), store.signing(connection, id)

        await self.retrieve(project_id, id)
        endpoint, signing = await self._database.read(look)
        _check_types([event_type], endpoint.operators, "event_type")
        body = body_of(event_type, new_id(SAMPLES.get(event_type.partition(".")[0], "sample_")), store.now())
        attempt = await self._sender.send(endpoint.url, new_id("wh_"), body, signing, operators=endpoint.operators)
        if attempt.status is None:
            raise NotReached(f"The test event was not delivered: {attempt.error}.", code="webhook_not_reached")
        return attempt

    async def deliveries(
        self, project_id: str | None, id: str | None = None, *, after: str | None = None, limit: int = 20
    ) -> tuple[list[Delivery], bool]:
        """What was told and what waits, newest first, of one endpoint or of all of a project.

        Kept for 30 days. Raises NotFound.
        """
        if id is not None and project_id is not None:
            await self.retrieve(project_id, id)

        def work(connection: Connection) -> tuple[list[Delivery], bool] | None:
            whose = [id]
            if id is None:
                there = store.page(connection, project_id, after=None, limit=10_000)
                whose = [] if there is None else [each.id for each in there[0]]
            return store.delivery_page(connection, [each for each in whose if each], after=after, limit=limit)

        found = await self._database.read(work)
        if found is None:
            raise _not_found(str(after), "after")
        return found

    async def close(self) -> None:
        await self._sender.close()

    def _check(self, url: str, event_types: Sequence[str], operators: bool) -> None:
        _check_types(event_types, operators, "event_types")
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        printable = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in ("https", "http") or not host or not printable or len(url) > LONGEST_URL:
            raise InvalidRequest("Invalid 'url': it must be an HTTPS URL.", param="url", code="invalid_url")
        if parts.username is not None or parts.password is not None:
            raise InvalidRequest("Invalid 'url': it must not hold credentials.", param="url", code="invalid_url")
        if operators:
            return
        if parts.scheme == "http" and not self._plain_http:
            raise InvalidRequest("Invalid 'url': it must be an HTTPS URL.", param="url", code="invalid_url")
        try:
            self._reach.check_host("127.0.0.1" if host == "localhost" else host)
        except AddressRefused:
            raise InvalidRequest(
                f"Invalid 'url': {host} is not a public address. Whoever runs this server can allow its network with "
                "the setting webhooks.allow_networks, or make this endpoint with `inhouse webhooks create`.",
                param="url",
                code="invalid_url",
            ) from None


def _check_types(event_types: Sequence[str], operators: bool, param: str) -> None:
    known = (*EVENT_TYPES, *ORGANIZATION_EVENT_TYPES) if operators else EVENT_TYPES
    for each in event_types:
        if each not in known:
            raise InvalidRequest(
                f"Invalid value: '{each}'. Supported values are: {', '.join(map(repr, known))}.",
                param=param,
                code="invalid_value",
            )
    if not event_types:
        raise InvalidRequest("At least one event type is needed.", param=param, code="invalid_value")


def _there(found: Endpoint | None, id: str) -> Endpoint:
    if found is None:
        raise _not_found(id)
    return found


def _not_found(id: str, param: str = "webhook_endpoint_id") -> NotFound:
    return NotFound(f"Webhook endpoint with id '{id}' not found.", param=param)
