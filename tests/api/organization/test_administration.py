from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import openai
import pytest
from sqlalchemy import insert, update

from inhouse.access.audit import COMMAND_LINE
from inhouse.api.organization.people.users import InviteService
from inhouse.storage.schema import api_keys, audit_logs, invites


async def events(tenant: Any, **query: Any) -> list[Any]:
    return [each async for each in tenant.client.admin.organization.audit_logs.list(**query)]


async def works(tenant: Any, key: str) -> bool:
    """Whether a key is still a key: 401 is no, 403 for want of a scope is yes."""
    status: int = (await tenant.get("/organization/projects", key=key)).status_code
    assert status in (200, 401, 403)
    return status != 401


async def test_projects(mine: Any) -> None:
    projects = mine.client.admin.organization.projects
    made = await projects.create(name="Search")
    assert made.id.startswith("proj_")
    assert (made.object, made.name, made.status, made.archived_at) == ("organization.project", "Search", "active", None)
    assert abs(made.created_at - time.time()) < 60
    assert (await projects.retrieve(made.id)) == made
    renamed = await projects.update(made.id, name="Find")
    assert (renamed.name, renamed.created_at) == ("Find", made.created_at)
    assert [each.id async for each in projects.list()] == [mine.project_id, made.id]
    archived = await projects.archive(made.id)
    assert archived.status == "archived"
    assert archived.archived_at is not None
    assert (await projects.archive(made.id)).archived_at == archived.archived_at
    assert [each.id async for each in projects.list()] == [mine.project_id]
    assert [each.id async for each in projects.list(include_archived=True)] == [mine.project_id, made.id]
    with pytest.raises(openai.BadRequestError, match="archived"):
        await projects.update(made.id, name="Again")
    with pytest.raises(openai.BadRequestError, match="default project"):
        await projects.archive(mine.project_id)
    with pytest.raises(openai.BadRequestError, match="residency"):
        await projects.create(name="Far", residency="JP_STORAGE")


async def test_pages_of_projects(mine: Any) -> None:
    projects = mine.client.admin.organization.projects
    made = [mine.project_id, *[(await projects.create(name=f"p{n}")).id for n in range(4)]]
    first = await projects.list(limit=2)
    assert [each.id for each in first.data] == made[:2]
    assert (first.has_more, first.last_id) == (True, made[1])
    assert [each.id async for each in projects.list(limit=2)] == made
    answer = await mine.get("/organization/projects", after="proj_none")
    assert answer.status_code == 404
    assert (await mine.get("/organization/projects", limit=101)).status_code == 400


async def test_archiving_a_project_ends_its_keys(mine: Any) -> None:
    project = await mine.client.admin.organization.projects.create(name="Short")
    account = await mine.client.admin.organization.projects.service_accounts.create(project_id=project.id, name="bot")
    assert await works(mine, account.api_key.value)
    await mine.client.admin.organization.projects.archive(project.id)
    assert not await works(mine, account.api_key.value)
    with pytest.raises(openai.BadRequestError, match="archived"):
        await mine.client.admin.organization.projects.service_accounts.create(project_id=project.id, name="bot")


async def test_service_accounts_and_their_keys(mine: Any, site: Any) -> None:
    accounts = mine.client.admin.organization.projects.service_accounts
    made = await accounts.create(project_id=mine.project_id, name="bot")
    assert made.api_key is not None
    assert made.api_key.value.startswith("sk-proj-")
    caller = await site.access.authenticate({"authorization": f"Bearer {made.api_key.value}"})
    assert (caller.project_id, caller.user_id) == (mine.project_id, made.id)
    bare = await accounts.create(project_id=mine.project_id, name="none", create_service_account_only=True)
    assert bare.api_key is None
    key = await accounts.api_keys.create(bare.id, project_id=mine.project_id, name="k", scopes=["api.model.read"])
    assert [each.id async for each in accounts.list(project_id=mine.project_id)] == [made.id, bare.id]
    renamed = await accounts.update(bare.id, project_id=mine.project_id, name="some", role="owner")
    assert (renamed.name, renamed.role) == ("some", "owner")

    keys = mine.client.admin.organization.projects.api_keys
    listed = {each.id: each async for each in keys.list(project_id=mine.project_id)}
    assert set(listed) == {mine.api_key_id, made.api_key.id, key.id}
    assert listed[key.id].owner.service_account.id == bare.id
    assert listed[key.id].redacted_value.endswith(key.value[-4:])
    assert key.value not in str(listed)
    assert listed[mine.api_key_id].owner.type is None
    with pytest.raises(openai.BadRequestError, match="service account"):
        await keys.delete(key.id, project_id=mine.project_id)

    deleted = await accounts.delete(bare.id, project_id=mine.project_id)
    assert (deleted.id, deleted.deleted) == (bare.id, True)
    assert not await works(mine, key.value)
    assert await works(mine, made.api_key.value)
    with pytest.raises(openai.NotFoundError):
        await accounts.retrieve(bare.id, project_id=mine.project_id)


async def test_a_deleted_key_ends_at_once(mine: Any) -> None:
    keys = mine.client.admin.organization.projects.api_keys
    assert await works(mine, mine.api_key)
    deleted = await keys.delete(mine.api_key_id, project_id=mine.project_id)
    assert (deleted.object, deleted.deleted) == ("organization.project.api_key.deleted", True)
    assert not await works(mine, mine.api_key)
    with pytest.raises(openai.NotFoundError):
        await keys.delete(mine.api_key_id, project_id=mine.project_id)


async def test_admin_keys(mine: Any, site: Any) -> None:
    keys = mine.client.admin.organization.admin_api_keys
    made = await keys.create(name="second", expires_in_seconds=3600)
    assert made.value.startswith("sk-admin-")
    assert abs(made.expires_at - time.time() - 3600) < 60
    assert (await mine.get("/organization/projects", key=made.value)).status_code == 200
    got = await keys.retrieve(made.id)
    assert (got.name, got.redacted_value[-4:]) == ("second", made.value[-4:])
    assert "value" not in got.model_dump()
    ids = [each.id async for each in keys.list()]
    assert ids[-1] == made.id
    assert [each.id async for each in keys.list(order="desc")] == ids[::-1]
    expired = update(api_keys).where(api_keys.c.id == made.id).values(expires_at=1)
    await site.database.write(lambda c: c.execute(expired).rowcount)
    site.access.forget()
    assert (await mine.get("/organization/projects", key=made.value)).status_code == 401
    assert (await keys.delete(made.id)).deleted
    assert made.id not in [each.id async for each in keys.list()]


async def test_scopes_are_kept(mine: Any, site: Any) -> None:
    create = site.access.create_key

    async def status(method: str, path: str, key: str) -> int:
        answer = await mine.http.request(method, path, json={"name": "x"}, headers={"authorization": f"Bearer {key}"})
        return int(answer.status_code)

    reader = await create("reads", kind="admin", project_id=mine.project_id, permission="read_only")
    assert await status("GET", "/organization/projects", reader.secret) == 200
    assert await status("GET", "/organization/costs?start_time=1", reader.secret) == 200
    assert await status("POST", "/organization/projects", reader.secret) == 403
    assert await status("POST", "/organization/admin_api_keys", reader.secret) == 403

    scopes = ("api.management.write",)
    writer = await create("some", kind="admin", project_id=mine.project_id, permission="restricted", scopes=scopes)
    assert await status("POST", "/organization/projects", writer.secret) == 200
    answer = await mine.get("/organization/projects", key=writer.secret)
    assert answer.status_code == 403
    assert "Missing scopes: api.management.read." in answer.json()["error"]["message"]
    made = await mine.http.post(
        "/organization/admin_api_keys", json={"name": "x"}, headers={"authorization": f"Bearer {writer.secret}"}
    )
    assert await status("GET", "/organization/projects", made.json()["value"]) == 403, "it gave away more than it has"

    # A project key does not become one of administration by the name of a scope.
    sly = await create(
        "sly", project_id=mine.project_id, permission="restricted", scopes=("api.management.read", "model.request")
    )
    assert await status("GET", "/organization/projects", sly.secret) == 403
    caller = await site.access.authenticate({"authorization": f"Bearer {sly.secret}"})
    assert caller.may("model.request")
    assert not caller.may("api.files.read")


async def test_invites_and_users(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    invite = await organization.invites.create(
        email="Ada@Example.com", role="reader", projects=[{"id": mine.project_id, "role": "member"}]
    )
    assert (invite.email, invite.status, invite.role) == ("ada@example.com", "pending", "reader")
    assert [(each.id, each.role) for each in invite.projects] == [(mine.project_id, "member")]
    with pytest.raises(openai.BadRequestError, match="invited already"):
        await organization.invites.create(email="ada@example.com", role="owner")
    service = InviteService(site.database, site.access)
    user_id = await service.accept(mine.organization_id, invite.id, "Ada", COMMAND_LINE)
    assert (await organization.invites.retrieve(invite.id)).status == "accepted"
    user = await organization.users.retrieve(user_id)
    assert (user.name, user.email, user.role) == ("Ada", "ada@example.com", "reader")
    assert [(each.id, each.role) for each in user.projects.data] == [(mine.project_id, "member")]
    with pytest.raises(openai.BadRequestError, match="user of the organization already"):
        await organization.invites.create(email="ADA@example.com", role="owner")
    with pytest.raises(openai.BadRequestError, match="accepted"):
        await organization.invites.delete(invite.id)
    assert (await organization.users.update(user_id, role="owner")).role == "owner"
    with pytest.raises(openai.BadRequestError, match="Supported values are: 'owner' and 'reader'"):
        await organization.users.update(user_id, role="king")
    assert [each.id async for each in organization.users.list(emails=["ADA@example.com"])] == [user_id]
    assert [each.id async for each in organization.users.list(emails=["bob@example.com"])] == []

    key = await site.access.create_key("ada's", project_id=mine.project_id, user_id=user_id)
    listed = await organization.projects.api_keys.retrieve(key.key.id, project_id=mine.project_id)
    assert (listed.owner.type, listed.owner.user.email, listed.owner_project_access) == (
        "user",
        "ada@example.com",
        "active",
    )
    assert (await organization.users.delete(user_id)).deleted
    assert not await works(mine, key.secret)
    assert [each.id async for each in organization.users.list()] == []
    await organization.invites.create(email="ada@example.com", role="reader")


async def test_inviting_somebody_at_once_twice_invites_once(mine: Any) -> None:
    create = mine.client.admin.organization.invites.create
    made = await asyncio.gather(
        *(create(email="a@example.com", role="reader") for _ in range(8)), return_exceptions=True
    )
    assert [type(each).__name__ for each in made].count("Invite") == 1
    assert {type(each) for each in made if isinstance(each, Exception)} == {openai.BadRequestError}


async def test_an_invite_that_is_over_cannot_be_accepted(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    service = InviteService(site.database, site.access)
    old, gone = [await organization.invites.create(email=f"{n}@example.com", role="reader") for n in "ab"]
    await site.database.write(
        lambda c: c.execute(update(invites).where(invites.c.id == old.id).values(expires_at=1)).rowcount
    )
    await organization.invites.delete(gone.id)
    assert (await organization.invites.retrieve(old.id)).status == "expired"
    with pytest.raises(Exception, match="expired"):
        await service.accept(mine.organization_id, old.id, "A", COMMAND_LINE)
    with pytest.raises(Exception, match="No such invite"):
        await service.accept(mine.organization_id, gone.id, "B", COMMAND_LINE)
    assert [each.id async for each in organization.users.list()] == []


async def test_members(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    members = organization.projects.users
    user = await mine.join("bob@example.com")
    with pytest.raises(openai.NotFoundError):
        await members.retrieve(user, project_id=mine.project_id)
    added = await members.create(project_id=mine.project_id, user_id=user, role="member")
    assert (added.id, added.email, added.role) == (user, "bob@example.com", "member")
    with pytest.raises(openai.BadRequestError, match="already"):
        await members.create(project_id=mine.project_id, user_id=user, role="member")
    with pytest.raises(openai.NotFoundError):
        await members.create(project_id=mine.project_id, user_id="user-none", role="member")
    assert (await members.update(user, project_id=mine.project_id, role="owner")).role == "owner"
    other = await organization.projects.create(name="Other")
    keys = {id: await site.access.create_key("k", project_id=id, user_id=user) for id in (mine.project_id, other.id)}
    await members.delete(user, project_id=mine.project_id)
    assert not await works(mine, keys[mine.project_id].secret)
    assert await works(mine, keys[other.id].secret)
    assert [each.id async for each in members.list(project_id=mine.project_id)] == []


async def test_spend_limits_and_alerts(mine: Any) -> None:
    organization = mine.client.admin.organization
    month: dict[str, Any] = {"currency": "USD", "interval": "month"}
    for limits, where in ((organization.spend_limit, []), (organization.projects.spend_limit, [mine.project_id])):
        with pytest.raises(openai.NotFoundError):
            await limits.retrieve(*where)
        made = await limits.update(*where, threshold_amount=12_34, **month)
        assert (made.threshold_amount, made.currency, made.interval) == (1234, "USD", "month")
        assert made.enforcement.status == "inactive"
        assert await limits.retrieve(*where) == made
        assert (await limits.delete(*where)).deleted
        with pytest.raises(openai.NotFoundError):
            await limits.delete(*where)
    alerts = organization.spend_alerts
    channel = {"type": "email", "recipients": ["ops@example.com"], "subject_prefix": None}
    made = [
        await alerts.create(threshold_amount=100 * (n + 1), notification_channel=channel, **month) for n in range(3)
    ]
    ids = [each.id for each in made]
    assert [each.id async for each in alerts.list(limit=2)] == ids
    assert [each.id async for each in alerts.list(order="desc")] == ids[::-1]
    assert [each.id for each in (await alerts.list(before=ids[2], limit=1)).data] == [ids[1]]
    changed = await alerts.update(ids[0], threshold_amount=5, notification_channel=channel, **month)
    assert changed.threshold_amount == 5
    assert (await alerts.delete(ids[0])).deleted
    with pytest.raises(openai.NotFoundError):
        await alerts.retrieve(ids[0])


async def test_every_change_is_on_record(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    project = await organization.projects.create(name="Search")
    await organization.projects.update(project.id, name="Find")
    account = await organization.projects.service_accounts.create(project_id=project.id, name="bot")
    await organization.projects.service_accounts.update(account.id, project_id=project.id, role="owner")
    await organization.projects.service_accounts.delete(account.id, project_id=project.id)
    invite = await organization.invites.create(email="a@example.com", role="reader")
    await organization.invites.delete(invite.id)
    admin = await organization.admin_api_keys.create(name="x")
    await organization.admin_api_keys.delete(admin.id)
    await organization.projects.archive(project.id)
    with pytest.raises(openai.NotFoundError):
        await organization.projects.archive("proj_none")

    log = await events(mine)
    assert [each.type for each in reversed(log)] == [
        "api_key.created",  # the two keys of the fixture, on the command line
        "api_key.created",
        "project.created",
        "project.updated",
        "service_account.created",
        "api_key.created",
        "service_account.updated",
        "api_key.deleted",
        "service_account.deleted",
        "invite.sent",
        "invite.deleted",
        "api_key.created",
        "api_key.deleted",
        "project.archived",
    ]
    created = next(each for each in log if each.type == "project.created")
    assert created.project_created.id == project.id
    assert created.project_created.data.name == "Search"
    assert (created.project.id, created.project.name) == (project.id, "Find")
    assert created.actor.type == "api_key"
    assert log[-1].actor is None
    sent = next(each for each in log if each.type == "invite.sent")
    assert (sent.invite_sent.data.email, sent.project) == ("a@example.com", None)

    assert len(await events(mine, project_ids=[project.id])) == 8
    assert [each.type for each in await events(mine, event_types=["invite.sent", "invite.deleted"])] == [
        "invite.deleted",
        "invite.sent",
    ]
    assert {each.type for each in await events(mine, resource_ids=[admin.id])} == {"api_key.created", "api_key.deleted"}
    assert len(await events(mine, actor_ids=[created.actor.api_key.id])) == 12
    assert await events(mine, actor_emails=["nobody@example.com"]) == []
    now = int(time.time())
    assert await events(mine, effective_at={"gt": now + 60}) == []
    assert len(await events(mine, effective_at={"gte": now - 600, "lte": now + 60})) == 14
    assert len(await events(mine, limit=3)) == 14, "pages of three hold the same"


async def test_what_fails_leaves_no_record(mine: Any, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **named: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("inhouse.api.organization.projects.service.record", broken)
    answer = await mine.http.post(
        "/organization/projects", json={"name": "Lost"}, headers={"authorization": f"Bearer {mine.admin_key}"}
    )
    assert answer.status_code == 500
    projects = [each.name async for each in mine.client.admin.organization.projects.list()]
    assert "Lost" not in projects


async def test_an_event_of_every_type_can_be_told(mine: Any, site: Any) -> None:
    from inhouse.api.organization.audit import wire

    named = [field.encode_name for field in msgspec.structs.fields(wire.AuditLog) if "." in field.encode_name]
    rows = [
        {
            "id": f"audit_log-{n:04}",
            "organization_id": mine.organization_id,
            "effective_at": n,
            "type": name,
            "resource_id": "x",
            "details": '{"id":"x"}',
        }
        for n, name in enumerate([*named, "tenant.user.added"])
    ]
    await site.database.write(lambda c: c.execute(insert(audit_logs), rows).rowcount)
    assert {each.type for each in await events(mine, effective_at={"lte": 1})} == {*named, "tenant.user.added"}
    assert [each.type for each in await events(mine, tenant_only=True)] == ["tenant.user.added"]
