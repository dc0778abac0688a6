"""Who may grant credits on the pages: whoever manages the installation's first organization, and nobody else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from inhouse.access.audit import Actor
from inhouse.storage.schema import audit_logs, credit_grants, organizations, projects

from .browsing import Browser, Running, running_site

HERE = "/dashboard/budgets"
OTHER = "org-other"


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_site(tmp_path) as running:
        yield running


async def other_admin(running: Running) -> str:
    """An admin key of a second organization."""

    def work(connection: Connection) -> None:
        late = 9_000_000_000_000_000
        connection.execute(insert(organizations).values(id=OTHER, name="Other", created_at=late))
        connection.execute(insert(projects).values(id="proj_o", organization_id=OTHER, name="Other", created_at=late))

    await running.platform.database.write(work)
    return (await running.platform.access.create_key("other", kind="admin", project_id="proj_o")).secret


async def signed_in(running: Running, key: str) -> Browser:
    browser = running.browser()
    await browser.sign_in(key)
    return browser


async def grants(running: Running) -> list[tuple[str, int, str]]:
    query = select(credit_grants.c.organization_id, credit_grants.c.amount_nanos, credit_grants.c.note)
    rows = await running.platform.database.read(lambda c: c.execute(query.order_by(credit_grants.c.created_at)).all())
    return [tuple(row) for row in rows]


async def test_the_operator_grants_to_any_organization(running: Running) -> None:
    await other_admin(running)
    operator = await signed_in(running, running.admin)
    page = (await operator.get(HERE)).text
    assert re.findall(r'<option value="(org[^"]*)">', page)[1:] == [OTHER]
    csrf = await operator.token(HERE)
    asked = {"csrf": csrf, "do": "grant", "organization": OTHER}
    assert (await operator.post(HERE, **asked, dollars="2.50", note="a gift")).status_code == 303
    assert (await operator.post(HERE, **asked, dollars="-1")).status_code == 303
    assert await grants(running) == [(OTHER, 2_500_000_000, "a gift"), (OTHER, -1_000_000_000, "")]
    query = select(audit_logs.c.organization_id, audit_logs.c.actor_key_id).where(
        audit_logs.c.type == "tenant.billing.info.updated"
    )
    told = await running.platform.database.read(lambda c: c.execute(query).all())
    assert [row.organization_id for row in told] == [OTHER, OTHER]
    assert all(row.actor_key_id != Actor().key_id for row in told)


@pytest.mark.parametrize("dollars", ["", "much", "0", "0.001", "1e3", "--5", "nan"])
async def test_what_is_no_amount_is_refused(running: Running, dollars: str) -> None:
    operator = await signed_in(running, running.admin)
    found = re.search(r'name="organization" value="(org[^"]+)"', (await operator.get(HERE)).text)
    assert found is not None
    csrf = await operator.token(HERE)
    answer = await operator.post(HERE, csrf=csrf, do="grant", organization=found[1], dollars=dollars)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert await grants(running) == []


@pytest.mark.parametrize("do", ["grant", "no-credits"])
async def test_others_grant_nothing(running: Running, do: str) -> None:
    other = await signed_in(running, await other_admin(running))
    page = await other.get(HERE)
    assert page.status_code == 200
    assert "Grant credits" not in page.text
    csrf = await other.token(HERE)
    answer = await other.post(HERE, csrf=csrf, do=do, organization=OTHER, dollars="100")
    assert answer.status_code == 400
    assert "first organization" in answer.text
    project = await signed_in(running, running.key)
    assert (await project.post(HERE, csrf="x", do=do, organization=OTHER, dollars="100")).status_code == 403
    assert await grants(running) == []


async def test_an_organization_that_is_not_there_gets_nothing(running: Running) -> None:
    operator = await signed_in(running, running.admin)
    csrf = await operator.token(HERE)
    answer = await operator.post(HERE, csrf=csrf, do="grant", organization="org-none", dollars="1")
    assert answer.status_code == 400
    assert await grants(running) == []
