"""What belongs to another organization does not exist: for every operation that names something."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import select
from tests.api.organization.conftest import AUTHORITY

from inhouse.api.operation import Operation, operations_of
from inhouse.api.organization.faces import FACES
from inhouse.storage.schema import audit_logs

OPERATIONS = operations_of(*FACES)
NAMED = [each for each in OPERATIONS if "{" in each.path]
ALERT = {
    "threshold_amount": 100,
    "currency": "USD",
    "interval": "month",
    "notification_channel": {"type": "email", "recipients": ["a@example.com"]},
}
BODIES: dict[str, Any] = {
    "modify-project": {"name": "Taken over"},
    "create-project-user": {"user_id": "user-x", "role": "member"},
    "modify-project-user": {"role": "owner"},
    "create-project-service-account": {"name": "bot"},
    "update-project-service-account": {"name": "bot"},
    "modify-user": {"role": "owner"},
    "Updateprojectspendlimit": {"threshold_amount": 100, "currency": "USD", "interval": "month"},
    "create-project-role": {"role_name": "other", "permissions": ["model.request"]},
    "update-project-role": {"role_name": "other"},
    "update-role": {"role_name": "other"},
    "update-group": {"name": "other"},
    "modifyCertificate": {"name": "other"},
    "update-project-rate-limits": {"max_requests_per_1_minute": 1},
    "update-project-data-retention": {"retention_type": "none"},
    "update-project-hosted-tool-permissions": {"mcp": {"enabled": False}},
    "update-project-model-permissions": {"mode": "deny_list", "model_ids": ["gpt-4.1"]},
    "update-project-guardrails": {"input": "annotate"},
    "update-project-api-key": {"scopes": []},
    "create-project-spend-alert": ALERT,
    "update-project-spend-alert": ALERT,
    "update-organization-spend-alert": ALERT,
}


async def furnish(tenant: Any) -> dict[str, str]:
    """One of everything. Returns ids by the name of their path parameter."""
    organization = tenant.client.admin.organization
    project = tenant.project_id
    account = await organization.projects.service_accounts.create(project_id=project, name="bot")
    admin = await organization.admin_api_keys.create(name="another")
    invite = await organization.invites.create(email=f"{project}@example.com", role="reader")
    user = await tenant.join(f"member-{project}@example.com", project)
    await organization.projects.spend_limit.update(project, threshold_amount=10**9, currency="USD", interval="month")
    alert = await organization.projects.spend_alerts.create(project, **ALERT)
    certificate = await organization.certificates.create(certificate=AUTHORITY, name="authority")
    role = await organization.roles.create(role_name="auditor", permissions=["api.audit_logs.read"])
    project_role = await organization.projects.roles.create(project, role_name="asker", permissions=["model.request"])
    group = await organization.groups.create(name="people")
    await organization.groups.users.create(group.id, user_id=user)
    await organization.groups.roles.create(group.id, role_id=role.id)
    await organization.users.roles.create(user, role_id=role.id)
    await organization.projects.groups.create(project, group_id=group.id, role=project_role.id)
    await organization.projects.users.roles.create(user, project_id=project, role_id=project_role.id)
    await organization.projects.model_permissions.update(project, mode="deny_list", model_ids=["gpt-4.1-nano"])
    organization_alert = await organization.spend_alerts.create(**ALERT)
    return {
        "project_id": project,
        "service_account_id": account.id,
        "api_key_id": tenant.api_key_id,
        "key_id": admin.id,
        "invite_id": invite.id,
        "user_id": user,
        "alert_id": alert.id,
        "organization_alert_id": organization_alert.id,
        "certificate_id": certificate.id,
        "role_id": role.id,
        "project_role_id": project_role.id,
        "group_id": group.id,
        "rate_limit_id": "rl-gpt-4.1",
    }


def path_of(operation: Operation, ids: dict[str, str]) -> str:
    if operation.path.startswith("/organization/spend_alerts/"):
        ids = {**ids, "alert_id": ids["organization_alert_id"]}
    if operation.path.startswith("/projects/"):
        ids = {**ids, "role_id": ids["project_role_id"]}
    return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], operation.path)


async def send(tenant: Any, operation: Operation, path: str, key: str | None, ids: dict[str, str] | None = None) -> Any:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    body = BODIES.get(operation.id) if operation.method == "POST" else None
    if ids is not None:
        role, project_role = {"role_id": ids["role_id"]}, {"role_id": ids["project_role_id"]}
        certificates = {"certificate_ids": [ids["certificate_id"]]}
        own = {
            "add-project-group": {"group_id": ids["group_id"], "role": ids["project_role_id"]},
            "add-group-user": {"user_id": ids["user_id"]},
            "assign-user-role": role,
            "assign-group-role": role,
            "assign-project-user-role": project_role,
            "assign-project-group-role": project_role,
            "activateProjectCertificates": certificates,
            "deactivateProjectCertificates": certificates,
        }
        body = own.get(operation.id, body)
    return await tenant.http.request(operation.method, path, headers=headers, json=body)


async def test_anonymous_and_project_keys(mine: Any) -> None:
    for operation in OPERATIONS:
        path = re.sub(r"\{\w+\}", "some", operation.path)
        assert (await send(mine, operation, path, None)).status_code == 401, operation.id
        refused = await send(mine, operation, path, mine.api_key)
        assert refused.status_code == 403, operation.id
        assert refused.json()["error"]["message"].startswith("You have insufficient permissions for this operation.")


async def test_another_organizations_things_do_not_exist(site: Any, mine: Any, theirs: Any) -> None:
    ids, own = await furnish(theirs), await furnish(mine)
    query = select(audit_logs.c.id).where(audit_logs.c.organization_id == theirs.organization_id)
    before = await site.database.read(lambda c: c.execute(query).scalars().all())
    nothing = {name: id[:-5] + "zzzzz" for name, id in ids.items()}
    for operation in NAMED:
        # Alone, and below a project of one's own.
        for around in ({}, {"project_id": own["project_id"]}):
            # Rate limits are named by the catalog, the same for all.
            if around and (operation.path.count("{") == 1 or "rate_limit_id" in operation.path):
                continue
            foreign, absent = {**ids, **around}, {**nothing, **around}
            answer = await send(mine, operation, path_of(operation, foreign), mine.admin_key, foreign)
            other = await send(mine, operation, path_of(operation, absent), mine.admin_key, absent)
            assert answer.status_code == other.status_code == 404, (operation.id, answer.text, other.text)
            told = answer.text
            for name, id in foreign.items():
                told = told.replace(id, absent[name])
            assert told == other.text, operation.id
    assert await site.database.read(lambda c: c.execute(query).scalars().all()) == before


async def test_lists_hold_only_ones_own(mine: Any, theirs: Any) -> None:
    ids, _ = await furnish(theirs), await furnish(mine)
    lists = [each for each in OPERATIONS if each.method == "GET" and "{" not in each.path and "usage" not in each.id]
    assert len(lists) >= 6
    for operation in lists:
        if operation.id in ("Getorganizationspendlimit", "retrieve-organization-data-retention"):
            continue
        answer = await mine.get(operation.path)
        assert answer.status_code == 200, operation.id
        assert answer.json()["data"], operation.id
        for id in ids.values():
            assert id not in answer.text, operation.id
        assert theirs.organization_id not in answer.text
    for path in ("/organization/users", "/organization/invites", "/organization/projects", "/organization/audit_logs"):
        foreign = (await theirs.get(path)).json()["data"][0]["id"]
        answer = await mine.get(path, after=foreign)
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == f"No such object: {foreign}"


async def test_one_project_does_not_hold_what_belongs_to_another(mine: Any) -> None:
    ids = await furnish(mine)
    other = await mine.client.admin.organization.projects.create(name="Other")
    for operation in NAMED:
        if operation.path.startswith("/organization/projects/{project_id}/") and operation.path.count("{") > 1:
            if "rate_limit_id" in operation.path:
                continue
            path = path_of(operation, {**ids, "project_id": other.id})
            assert (await send(mine, operation, path, mine.admin_key, ids)).status_code == 404, operation.id
