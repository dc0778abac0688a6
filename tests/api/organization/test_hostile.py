"""Hostile input: whatever is sent, the answer is an official error or a page, never a failure of the server."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
from tests.api.organization.test_tenancy import BODIES, furnish, path_of

from inhouse.api.operation import operations_of
from inhouse.api.organization.faces import FACES

OPERATIONS = operations_of(*FACES)
ELSEWHERE = {"role_id": "project_role_id", "alert_id": "organization_alert_id"}
IDS = ["%00", "..%2F..", "x" * 3000, "%F0%9F%92%A5", "%FF%FE", "'%20OR%201=1--", "proj_%25", "%0d%0aset-cookie:a=b"]
QUERIES = [
    "limit=99999999999999999999999999",
    "limit=-1",
    "limit=0",
    "limit=1e3",
    "limit=%00",
    "after=%00",
    "after=" + "x" * 3000,
    "before=%F0%9F%92%A5",
    "after=%FF",
    "page=page_AAAA",
    "page=%00",
    "page=page_" + "_" * 40,
    "start_time=0&limit=1",
    "start_time=99999999999999999999",
    "start_time=-5",
    "start_time=1&end_time=253402300799&bucket_width=1m&limit=1440",
    "start_time=253402300799&bucket_width=1d",
    "start_time=1&group_by=%00",
    "start_time=1&project_ids=%00",
    "start_time=1&project_ids[]=a%00b",
    "start_time=1&models=%F0%9F%92%A5&user_ids=%00",
    "name=%00",
    "project_ids[]=%00",
    "actor_ids[]=%00&event_types[]=project.created",
    "actor_emails[]=%00",
    "effective_at[gt]=99999999999999999999999",
    "effective_at[gt]=9223372036854775808",
    "effective_at[gte]=-9223372036854775809",
    "emails=%00",
    "emails[]=%F0%9F%92%A5",
    "order=sideways",
]
VALUES: list[Any] = [
    None,
    "",
    "\x00",
    "a\x00b",
    "\ud83d",
    "x" * 100_000,
    "Ünïcødé 💥 \u202e",
    10**30,
    2**63,
    -(2**63) - 1,
    -1,
    1e308,
    [],
    [None],
    ["\x00"],
    {},
    {"type": "\x00"},
    True,
]


def checked(answer: Any, what: Any) -> None:
    assert answer.status_code < 500, (what, answer.text)
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}, (what, error)
        assert isinstance(error["message"], str), what
        assert error["message"], what
        assert error["type"] == "invalid_request_error", (what, error)


async def test_names_that_nothing_has(mine: Any) -> None:
    ids = await furnish(mine)
    for operation in OPERATIONS:
        for name in re.findall(r"\{(\w+)\}", operation.path):
            for id in IDS:
                body = BODIES.get(operation.id, {}) if operation.method == "POST" else None
                path = path_of(operation, {**ids, name: id, ELSEWHERE.get(name, name): id})
                answer = await mine.http.request(operation.method, path, headers=by(mine), json=body)
                checked(answer, (operation.id, id))
                assert answer.status_code >= 400, (operation.id, id)


async def test_queries(mine: Any) -> None:
    ids = await furnish(mine)
    for operation in OPERATIONS:
        if operation.method == "GET":
            for query in QUERIES:
                answer = await mine.http.get(f"{path_of(operation, ids)}?{query}", headers=by(mine))
                checked(answer, (operation.id, query))


async def test_bodies(mine: Any) -> None:
    ids = await furnish(mine)
    for operation in OPERATIONS:
        if operation.body_kind != "json":
            continue
        for field in msgspec.structs.fields(operation.body_type):
            for value in VALUES:
                # Not what the client would make of it: half a surrogate pair has to arrive.
                content = json.dumps({**BODIES.get(operation.id, {}), field.encode_name: value})
                answer = await mine.http.request(
                    operation.method, path_of(operation, ids), headers=by(mine), content=content
                )
                checked(answer, (operation.id, field.encode_name, value))


def by(tenant: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {tenant.admin_key}", "content-type": "application/json"}
