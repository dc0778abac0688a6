"""Roles, groups, rate limits, certificates and policies, with the official SDK."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests.api.organization.conftest import AUTHORITY, LEAF

from inhouse.access import Caller
from inhouse.access.audit import COMMAND_LINE, Actor
from inhouse.catalog.cards import load_cards
from inhouse.kit.errors import Forbidden
from inhouse.limits import Demand, Limits
from inhouse.settings import LimitSettings

CARD = next(card for card in load_cards() if card.id == "gpt-4.1")


async def caller_of(site: Any, key: str) -> Caller:
    caller: Caller = await site.access.authenticate({"authorization": f"Bearer {key}"})
    return caller


async def logged(tenant: Any, kind: str) -> list[Any]:
    return [each async for each in tenant.client.admin.organization.audit_logs.list(event_types=[kind])]


async def test_a_member_may_do_what_its_roles_add_up_to(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    user = await mine.join("ann@example.com", mine.project_id)
    key = await site.access.create_key("ann", project_id=mine.project_id, user_id=user, actor=COMMAND_LINE)
    assert (await caller_of(site, key.secret)).may("model.request")
    role = await organization.projects.roles.create(
        mine.project_id, role_name="asker", permissions=["model.request", "api.files.read"], description="asks"
    )
    assert (role.resource_type, role.predefined_role) == ("api.project", False)
    roles = organization.projects.users.roles
    given = await roles.create(user, project_id=mine.project_id, role_id=role.id)
    assert (given.object, given.user.id, given.role.id) == ("user.role", user, role.id)
    held = [each async for each in roles.list(user, project_id=mine.project_id)]
    assert [each.name for each in held] == ["member", "asker"]
    # Without being a member, only what the role says is left.
    await roles.delete("role-project-member", project_id=mine.project_id, user_id=user)
    caller = await caller_of(site, key.secret)
    assert caller.may("model.request")
    assert caller.may("api.files.read")
    assert not caller.may("api.files.write")
    refused = await mine.get("/organization/projects", key=key.secret)
    assert refused.status_code == 403
    await organization.projects.roles.update(role.id, project_id=mine.project_id, permissions=["api.files.read"])
    assert not (await caller_of(site, key.secret)).may("model.request")
    # With the last role the key ends.
    await roles.delete(role.id, project_id=mine.project_id, user_id=user)
    with pytest.raises(Exception, match="Incorrect API key"):
        await caller_of(site, key.secret)
    assert {each.role_created.role_name for each in await logged(mine, "role.created")} == {"asker"}
    assert len(await logged(mine, "role.assignment.deleted")) == 2


async def test_groups_give_their_users_roles(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    user = await mine.join("bob@example.com")
    group = await organization.groups.create(name="Research")
    with pytest.raises(openai.BadRequestError, match="already"):
        await organization.groups.create(name="Research")
    await organization.groups.users.create(group.id, user_id=user)
    role = await organization.projects.roles.create(mine.project_id, role_name="r", permissions=["model.request"])
    added = await organization.projects.groups.create(mine.project_id, group_id=group.id, role=role.id)
    assert (added.group_name, added.project_id) == ("Research", mine.project_id)
    key = await site.access.create_key("bob", project_id=mine.project_id, user_id=user)
    assert (await caller_of(site, key.secret)).granted == {"model.request"}
    [held] = [each async for each in organization.projects.users.roles.list(user, project_id=mine.project_id)]
    assert [(each.principal_id, each.principal_type) for each in held.assignment_sources] == [(group.id, "group")]
    with pytest.raises(openai.BadRequestError, match="group"):
        await organization.projects.users.roles.delete(role.id, project_id=mine.project_id, user_id=user)
    assert (await organization.groups.update(group.id, name="Science")).name == "Science"
    assert [each.id async for each in organization.groups.users.list(group.id)] == [user]
    await organization.groups.users.delete(user, group_id=group.id)
    assert (await caller_of(site, key.secret)).granted == frozenset()
    await organization.groups.users.create(group.id, user_id=user)
    await organization.groups.delete(group.id)
    assert (await caller_of(site, key.secret)).granted == frozenset()
    assert [each async for each in organization.projects.groups.list(mine.project_id)] == []


async def test_admin_keys_are_bounded_by_their_owners_roles(mine: Any, site: Any) -> None:
    organization = mine.client.admin.organization
    user = await mine.join("eve@example.com")  # a reader
    key = await site.access.create_key("eve", kind="admin", project_id=mine.project_id, user_id=user)
    eve = mine.client.with_options(admin_api_key=key.secret).admin.organization
    assert [each.id async for each in eve.users.list()] == [user]
    with pytest.raises(openai.PermissionDeniedError, match=r"api\.management\.write"):
        await eve.projects.create(name="hers")
    role = await organization.roles.create(role_name="manager", permissions=["api.management.write"])
    await organization.users.roles.create(user, role_id=role.id)
    await eve.projects.create(name="hers")
    # Nobody gives away more than they have.
    with pytest.raises(openai.PermissionDeniedError):
        await eve.users.roles.create(user, role_id="role-organization-owner")
    with pytest.raises(openai.PermissionDeniedError):
        await eve.roles.create(role_name="more", permissions=["api.groups.write"])
    with pytest.raises(openai.PermissionDeniedError):
        await eve.users.update(user, role="owner")
    with pytest.raises(openai.BadRequestError, match="Invalid permission"):
        await organization.roles.create(role_name="odd", permissions=["api.files.read"])
    with pytest.raises(openai.BadRequestError, match="Built-in"):
        await organization.roles.delete("role-organization-owner")
    await organization.roles.delete(role.id)
    with pytest.raises(openai.PermissionDeniedError):
        await eve.projects.create(name="another")


async def test_a_lowered_rate_limit_counts_at_once(mine: Any, site: Any) -> None:
    limits = mine.client.admin.organization.projects.rate_limits
    caller = Caller(mine.organization_id, mine.project_id, "key_1")
    elsewhere = Limits.of(LimitSettings(tier="tier_1"), site.database)
    await elsewhere.start()
    assert await site.limits.admit(caller, CARD, Demand(input_tokens=1)) is not None
    listed = {each.id: each async for each in limits.list_rate_limits(mine.project_id)}
    assert listed["rl-whisper-1"].max_tokens_per_1_minute == 0, "its tokens are not limited"
    found = listed["rl-gpt-4.1"]
    tier = CARD.limits.standard.tier_1
    assert tier is not None
    assert (found.max_requests_per_1_minute, found.max_tokens_per_1_minute) == (tier.rpm, tier.tpm)
    assert found.batch_1_day_max_input_tokens == tier.batch_queue
    lowered = await limits.update_rate_limit("rl-gpt-4.1", project_id=mine.project_id, max_requests_per_1_minute=1)
    assert (lowered.max_requests_per_1_minute, lowered.max_tokens_per_1_minute) == (1, tier.tpm)
    assert await site.limits.admit(caller, CARD, Demand(input_tokens=1)) is not None
    for each in (site.limits, elsewhere):
        await each.accounts.refresh()
    with pytest.raises(Exception, match=r"Rate limit reached for gpt-4\.1 in project"):
        await site.limits.admit(caller, CARD, Demand(input_tokens=1))
    await elsewhere.admit(caller, CARD, Demand(input_tokens=1))
    with pytest.raises(Exception, match=r"Rate limit reached for gpt-4\.1 in project"):
        await elsewhere.admit(caller, CARD, Demand(input_tokens=1))
    await elsewhere.close()
    with pytest.raises(openai.BadRequestError, match="at most"):
        await limits.update_rate_limit("rl-gpt-4.1", project_id=mine.project_id, max_requests_per_1_minute=tier.rpm + 1)
    await limits.update_rate_limit("rl-gpt-4.1", project_id=mine.project_id, max_requests_per_1_minute=tier.rpm)
    assert await site.limits.admit(caller, CARD, Demand(input_tokens=1)) is not None
    events = await logged(mine, "rate_limit.updated")
    assert [each.rate_limit_updated.changes_requested.max_requests_per_1_minute for each in events] == [tier.rpm, 1]


async def test_models_tools_and_retention(mine: Any, site: Any) -> None:
    projects = mine.client.admin.organization.projects
    with pytest.raises(openai.NotFoundError):
        await projects.model_permissions.retrieve(mine.project_id)
    await projects.model_permissions.update(mine.project_id, mode="allow_list", model_ids=["gpt-4.1"])
    policy = (await caller_of(site, mine.api_key)).policy
    policy.check_model(mine.project_id, "gpt-4.1-2025-04-14", "gpt-4.1")
    with pytest.raises(Forbidden, match=f"Project `{mine.project_id}` does not have access to model `gpt-4.1-nano`"):
        policy.check_model(mine.project_id, "gpt-4.1-nano")
    await projects.model_permissions.update(mine.project_id, mode="deny_list", model_ids=["gpt-4.1"])
    policy = (await caller_of(site, mine.api_key)).policy
    assert (policy.allows_model("gpt-4.1"), policy.allows_model("gpt-4.1-nano")) == (False, True)
    assert (await projects.model_permissions.delete(mine.project_id)).deleted
    assert (await caller_of(site, mine.api_key)).policy.allows_model("gpt-4.1")

    tools = await projects.hosted_tool_permissions.update(mine.project_id, web_search={"enabled": False})
    assert (tools.web_search.enabled, tools.mcp.enabled) == (False, True)
    policy = (await caller_of(site, mine.api_key)).policy
    with pytest.raises(Forbidden, match="web_search"):
        policy.check_tool(mine.project_id, "web_search_preview")
    policy.check_tool(mine.project_id, "mcp")

    organization = mine.client.admin.organization
    assert (await organization.data_retention.retrieve()).type == "modified_abuse_monitoring"
    assert (await projects.data_retention.retrieve(mine.project_id)).type == "organization_default"
    await organization.data_retention.update(retention_type="zero_data_retention")
    assert (await caller_of(site, mine.api_key)).policy.zero_retention
    await projects.data_retention.update(mine.project_id, retention_type="none")
    assert not (await caller_of(site, mine.api_key)).policy.zero_retention


async def test_certificates(mine: Any) -> None:
    certificates = mine.client.admin.organization.certificates
    made = await certificates.create(certificate=AUTHORITY, name="authority")
    assert made.certificate_details.expires_at - made.certificate_details.valid_at == 36_500 * 86_400
    assert made.certificate_details.content is None
    assert (await certificates.retrieve(made.id, include=["content"])).certificate_details.content == AUTHORITY
    for wrong, reason in (
        (LEAF, "not the certificate of an authority"),
        ("…", "it cannot be read as a certificate in PEM"),
        ("x", "cannot be read"),
        (AUTHORITY * 2, "one"),
    ):
        with pytest.raises(openai.BadRequestError, match=reason):
            await certificates.create(certificate=wrong)
    [active] = [each async for each in certificates.activate(certificate_ids=[made.id])]
    assert active.active
    in_project = mine.client.admin.organization.projects.certificates
    assert [each.active async for each in in_project.list(mine.project_id)] == [False]
    with pytest.raises(openai.BadRequestError, match="active"):
        await certificates.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await certificates.deactivate(certificate_ids=[made.id, "cert_none"])
    assert [each.active async for each in certificates.list()] == [True]
    await certificates.deactivate(certificate_ids=[made.id])
    await certificates.delete(made.id)
    assert [each async for each in certificates.list()] == []
    assert len(await logged(mine, "certificates.activated")) == 1


async def test_a_key_can_be_restricted_and_shortened(mine: Any, site: Any) -> None:
    keys = mine.client.admin.organization.projects.api_keys
    changed = await keys.update(
        mine.api_key_id, project_id=mine.project_id, scopes=["api.model.read"], expires_in_seconds=3600
    )
    assert changed.id == mine.api_key_id
    caller = await caller_of(site, mine.api_key)
    assert caller.may("api.model.read")
    assert not caller.may("model.request")
    assert Actor(caller.key_id).key_id == mine.api_key_id


async def test_guardrails_of_a_project(mine: Any, theirs: Any, site: Any) -> None:
    path = f"/organization/projects/{mine.project_id}/guardrails"
    headers = {"authorization": f"Bearer {mine.admin_key}"}
    assert (await mine.get(path, key=mine.api_key)).status_code == 403
    assert (await mine.get(path, key=theirs.admin_key)).status_code == 404
    off = {
        "object": "project.guardrails",
        "input": "off",
        "output": "off",
        "model": "omni-moderation-latest",
        "categories": None,
        "thresholds": {},
    }
    assert (await mine.get(path)).json() == off
    assert (await caller_of(site, mine.api_key)).policy.guardrail is None
    body = {"input": "block", "categories": ["violence"], "thresholds": {"violence": 0.8}}
    told = await mine.http.post(path, json=body, headers=headers)
    assert told.json() == {**off, **body}
    assert (await mine.get(path)).json() == told.json()
    guardrail = (await caller_of(site, mine.api_key)).policy.guardrail
    assert guardrail is not None
    assert (guardrail.input, guardrail.output, guardrail.categories) == ("block", "off", ("violence",))
    assert (await caller_of(site, theirs.api_key)).policy.guardrail is None
    assert len(await logged(mine, "project.updated")) == 1
    for wrong, status in (
        ({"input": "maybe"}, 400),
        ({"thresholds": {"violence": 2}}, 400),
        ({"thresholds": {"rudeness": 0.5}}, 400),
        ({"categories": []}, 400),
        ({"model": "no-such-model"}, 404),
        ({"model": "gpt-4.1"}, 404),
    ):
        assert (await mine.http.post(path, json=wrong, headers=headers)).status_code == status, wrong
    other = {"authorization": f"Bearer {theirs.admin_key}"}
    assert (await mine.http.post(path, json=body, headers=other)).status_code == 404
    assert (await mine.http.post(path, json={}, headers=headers)).json() == off
    assert (await caller_of(site, mine.api_key)).policy.guardrail is None
