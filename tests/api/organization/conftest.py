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
from inhouse.metering.budgets import Budgets
from inhouse.metering.ledger import Ledger
from inhouse.storage.database import Database
from inhouse.storage.schema import organizations, projects


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


@pytest.fixture
async def site(database: Database) -> AsyncIterator[Site]:
    access = Access(database)
    catalog = Catalog(load_cards(), Bindings(database))
    faces = organization_faces(database, access, catalog, Budgets(database), Ledger(database))
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

    yield Site(database, access, dispatcher, tenant)
    await http.aclose()


@pytest.fixture
async def mine(site: Site) -> Tenant:
    tenant: Tenant = await site.tenant()
    return tenant


@pytest.fixture
async def theirs(site: Site) -> Tenant:
    tenant: Tenant = await site.tenant()
    return tenant
