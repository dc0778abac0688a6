"""Administration through the dispatcher, with the official SDK, against each database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import msgspec
import pytest
from openai import AsyncOpenAI
from sqlalchemy import Connection, insert

from inhouse.access import Access
from inhouse.access.audit import COMMAND_LINE
from inhouse.api.dispatch import Dispatcher
from inhouse.api.operation import operations_of
from inhouse.api.organization.faces import organization_faces
from inhouse.api.organization.people.users import InviteService
from inhouse.catalog import Catalog
from inhouse.catalog.bindings import Bindings
from inhouse.catalog.cards import load_cards
from inhouse.kit.ids import new_id
from inhouse.limits import Limits
from inhouse.metering.budgets import Budgets
from inhouse.metering.ledger import Ledger
from inhouse.settings import LimitSettings
from inhouse.storage.database import Database
from inhouse.storage.schema import organizations, projects

AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBkDCCATWgAwIBAgIUHclu1BvgCBPc4m5Y22pp41j6kaQwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRRXhhbXBsZSBhdXRob3JpdHkwIBcNMjYxMTIyMjAxMjIyWhgP
MjEyNjEwMjkyMDEyMjJaMBwxGjAYBgNVBAMMEUV4YW1wbGUgYXV0aG9yaXR5MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEH0nSNVPvDmLu/7USMMwckQJlfqfHYIBZ
VNlqyFVrRxyLEl5rRBPY61BHvAAz8csgtib/dVBGG+PJav4yPSe0QqNTMFEwHQYD
VR0OBBYEFLn2hfTpq3YNJ33k6KA26iyqqCENMB8GA1UdIwQYMBaAFLn2hfTpq3YN
J33k6KA26iyqqCENMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIh
AO7LY0aAUE8YTsuEBmwYY1zidDLLbhGMdr0zxa9D5WjZAiEAjPLijVXwEAyWjK2e
UnIy7opnOCwh7enOKzZzRDtXW94=
-----END CERTIFICATE-----
"""
"""A certificate of an authority, valid for a hundred years."""
LEAF = """-----BEGIN CERTIFICATE-----
MIIBcjCCARigAwIBAgIUCPWenOTze+XqIbJMUQ7DhX7uDGMwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGVhZjAgFw0yNjExMjIyMDEyMjJaGA8yMTI2MTAyOTIwMTIy
MlowDzENMAsGA1UEAwwEbGVhZjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMoK
Gj9N+A3YR8hIUDEpQnUyW6cwhRZDjNuRnpurEeoWKz2hwHTwTgZ26jOAJrf27tdb
+fbK+ZssoCHyzcaOIQijUDBOMB0GA1UdDgQWBBRop6hoXYk5FhQy9XkZYuwGYRan
4zAfBgNVHSMEGDAWgBRop6hoXYk5FhQy9XkZYuwGYRan4zAMBgNVHRMBAf8EAjAA
MAoGCCqGSM49BAMCA0gAMEUCIGuBYdxM1bnC4c+zin1Qe8pQERkNut1N65qCTtJi
ZpsqAiEAnd3J+lAnAPTYKrNEFSAT8/hsO6voaMDjVmYef+hlSUw=
-----END CERTIFICATE-----
"""
"""One that is not of an authority."""


class Tenant(msgspec.Struct):
    """An organization with one project, a key of each kind, and clients that use them."""

    organization_id: str
    project_id: str
    api_key: str
    api_key_id: str
    admin_key: str
    client: AsyncOpenAI
    """With both keys, as the SDK chooses them."""
    http: httpx2.AsyncClient
    """Without a key."""
    invites: InviteService

    def get(self, path: str, key: str | None = None, **query: Any) -> Any:
        """GET with the admin key or another."""
        return self.http.get(path, params=query, headers={"authorization": f"Bearer {key or self.admin_key}"})

    async def join(self, email: str, *projects: str) -> str:
        """The id of a user who accepted an invite, member of these projects."""
        into: Any = [{"id": id, "role": "member"} for id in projects]
        invite = await self.client.admin.organization.invites.create(email=email, role="reader", projects=into)
        return await self.invites.accept(self.organization_id, invite.id, email, COMMAND_LINE)


class Site(msgspec.Struct):
    database: Database
    access: Access
    dispatcher: Any
    tenant: Callable[[], Any]
    limits: Limits


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    access = Access(database)
    catalog = Catalog(load_cards(), Bindings(database))
    limits = Limits.of(LimitSettings(tier="tier_1"), database)
    faces = organization_faces(database, access, catalog, Budgets(database), limits, Ledger(database))
    dispatcher = Dispatcher(operations_of(*faces), access)
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(dispatcher), base_url="http://test/v1")

    async def tenant() -> Tenant:
        organization, project = new_id("org-"), new_id("proj_")

        def work(connection: Connection) -> None:
            connection.execute(insert(organizations).values(id=organization, name="Some", created_at=1))
            connection.execute(
                insert(projects).values(id=project, organization_id=organization, name="Some", created_at=1)
            )

        await database.write(work)
        key = await access.create_key("project key", project_id=project)
        admin = await access.create_key("admin key", kind="admin", project_id=project)
        client = AsyncOpenAI(
            api_key=key.secret,
            admin_api_key=admin.secret,
            base_url="http://test/v1",
            http_client=http,
            max_retries=0,
        )
        return Tenant(
            organization, project, key.secret, key.key.id, admin.secret, client, http, InviteService(database, access)
        )

    yield Site(database, access, dispatcher, tenant, limits)
    await http.aclose()
    await limits.close()


@pytest.fixture
async def mine(site: Site) -> Tenant:
    tenant: Tenant = await site.tenant()
    return tenant


@pytest.fixture
async def theirs(site: Site) -> Tenant:
    tenant: Tenant = await site.tenant()
    return tenant
