from __future__ import annotations

import time
from typing import Any

import pytest

from inhouse.access.scopes import scope_of
from inhouse.api.operation import operations_of
from inhouse.api.organization.usage.routes import Usage
from inhouse.kit.ids import request_id
from inhouse.metering.entries import Opening, Settlement
from inhouse.metering.ledger import Ledger

DAY = 86_400
T0 = 1_700_000_000 // DAY * DAY
"""A midnight that is past for any clock."""
FAMILIES = [each.path.rpartition("/")[2] for each in operations_of(Usage) if "/usage/" in each.path]


@pytest.fixture
async def book(site: Any) -> Any:
    """Books settled calls: ``await book(tenant, at, input, cached, output, **fields of the opening)``."""
    ledger = Ledger(site.database, beat_s=3600)
    await ledger.start()

    async def one(tenant: Any, at: int, new: int, cached: int, out: int, **more: Any) -> None:
        units, fee = more.pop("units", 0), more.pop("fee_nanos", 0)
        values: dict[str, Any] = {
            "id": request_id(),
            "created_at": at * 1_000_000,
            "organization_id": tenant.organization_id,
            "project_id": tenant.project_id,
            "key_id": tenant.api_key_id,
            "operation": "createChatCompletion",
            "model": "gpt-4.1",
            "snapshot": "gpt-4.1-2025-04-14",
            "deployment": "{}",
            "service_tier": "default",
            "input_price": 2000,
            "cached_input_price": 500,
            "output_price": 8000,
        }
        values |= more
        await ledger.open(Opening(**values))
        await ledger.settle(
            Settlement(
                id=values["id"],
                settled_at=at * 1_000_000,
                status=200,
                error_code=None,
                input_tokens=new,
                cached_input_tokens=cached,
                output_tokens=out,
                cost_nanos=(new - cached) * 2000 + cached * 500 + out * 8000 + fee,
                units=units,
                fee_nanos=fee,
            )
        )

    yield one
    await ledger.close()


@pytest.mark.parametrize("path", [*(f"/organization/usage/{family}" for family in FAMILIES), "/organization/costs"])
async def test_anonymous_and_project_keys(mine: Any, path: str) -> None:
    answer = await mine.http.get(path, params={"start_time": T0})
    assert answer.status_code == 401
    answer = await mine.get(path, key=mine.api_key, start_time=T0)
    assert answer.status_code == 403
    assert answer.json()["error"]["message"].startswith(
        "You have insufficient permissions for this operation. Missing scopes: api.usage.read. Check that you have"
    )
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert (await mine.get(path, start_time=T0)).status_code == 200


async def test_an_admin_key_does_not_call_models() -> None:
    assert scope_of("POST", "/chat/completions") == "model.request"
    assert scope_of("GET", "/models") == "api.model.read"
    assert scope_of("POST", "/responses") == "api.responses.write"
    assert scope_of("GET", "/organization/costs") == "api.usage.read"
    assert scope_of("POST", "/organization/projects/{project_id}") == "api.management.write"
    assert scope_of("GET", "/projects/{project_id}/roles") == "api.management.read"


async def test_another_organization_sees_nothing(mine: Any, theirs: Any, book: Any) -> None:
    await book(mine, T0 + 5, 100, 0, 10)
    for query in ({}, {"project_ids": [mine.project_id]}, {"api_key_ids": [mine.api_key_id]}):
        page = await theirs.client.admin.organization.usage.completions(
            start_time=T0, end_time=T0 + DAY, group_by=["project_id"], **query
        )
        assert [bucket.results for bucket in page.data] == [[]]
        costs = await theirs.client.admin.organization.usage.costs(start_time=T0, end_time=T0 + DAY, limit=1)
        assert [bucket.results for bucket in costs.data] == [[]]
    page = await mine.client.admin.organization.usage.completions(start_time=T0, end_time=T0 + DAY)
    assert page.data[0].results[0].input_tokens == 100


@pytest.mark.parametrize("family", FAMILIES)
async def test_families_without_use_have_true_empty_buckets(mine: Any, family: str) -> None:
    page = (await mine.get(f"/organization/usage/{family}", start_time=T0, end_time=T0 + 3 * DAY)).json()
    assert page == {
        "object": "page",
        "data": [
            {"object": "bucket", "start_time": T0 + n * DAY, "end_time": T0 + (n + 1) * DAY, "results": []}
            for n in range(3)
        ],
        "has_more": False,
        "next_page": None,
    }


async def test_groups_and_filters(mine: Any, theirs: Any, book: Any) -> None:
    usage = mine.client.admin.organization.usage
    await book(mine, T0 + 10, 1000, 200, 50)
    await book(mine, T0 + 20, 30, 0, 5, user_id="user-1", service_tier="priority")
    await book(mine, T0 + DAY - 1, 7, 0, 1, snapshot="gpt-4.1-mini-2025-04-14", batch=True)
    await book(theirs, T0 + 10, 999, 0, 999)
    everything = {"start_time": T0, "end_time": T0 + DAY}

    (one,) = (await usage.completions(**everything)).data[0].results
    assert (one.num_model_requests, one.input_tokens, one.input_cached_tokens, one.output_tokens) == (3, 1037, 200, 56)
    assert one.input_uncached_tokens == 837
    assert (one.project_id, one.user_id, one.model, one.batch, one.service_tier) == (None,) * 5

    async def grouped(*fields: Any, **filters: Any) -> list[tuple[Any, ...]]:
        page = await usage.completions(**everything, group_by=list(fields), **filters)
        return sorted(
            (*(getattr(result, field) for field in fields), result.input_tokens) for result in page.data[0].results
        )

    assert await grouped("model") == [("gpt-4.1-2025-04-14", 1030), ("gpt-4.1-mini-2025-04-14", 7)]
    assert await grouped("batch", "model") == [
        (False, "gpt-4.1-2025-04-14", 1030),
        (True, "gpt-4.1-mini-2025-04-14", 7),
    ]
    assert await grouped("service_tier") == [("default", 1007), ("priority", 30)]
    assert await grouped("project_id", "api_key_id") == [(mine.project_id, mine.api_key_id, 1037)]
    assert await grouped("user_id", user_ids=["user-1"]) == [("user-1", 30)]
    assert await grouped("model", models=["gpt-4.1"]) == [("gpt-4.1-2025-04-14", 1030)]
    assert await grouped("model", models=["gpt-4.1-mini-2025-04-14", "no-such"]) == [("gpt-4.1-mini-2025-04-14", 7)]
    assert await grouped("batch", batch=True) == [(True, 7)]
    assert await grouped("model", project_ids=[theirs.project_id]) == []
    assert await grouped("api_source", batch=False) == [("unlabeled", 1030)]


@pytest.mark.parametrize("name", ["group_by", "group_by[]"])
async def test_lists_may_come_without_brackets(mine: Any, book: Any, name: str) -> None:
    await book(mine, T0 + 10, 1000, 200, 50)
    page = (await mine.get("/organization/usage/completions", start_time=T0, **{name: "model"})).json()
    assert page["data"][0]["results"][0]["model"] == "gpt-4.1-2025-04-14"


async def test_costs_by_line_item(mine: Any, book: Any) -> None:
    await book(mine, T0 + 10, 1000, 200, 50)
    await book(mine, T0 + 11, 1000, 0, 0, batch=True, input_price=1000)
    await book(mine, T0 + 12, 10, 0, 0, family="images", snapshot="painter-1", units=2, fee_nanos=40_000_000)
    costs = mine.client.admin.organization.usage.costs
    (sum_,) = (await costs(start_time=T0, end_time=T0 + DAY)).data[0].results
    assert sum_.amount.currency == "usd"
    assert sum_.amount.value == pytest.approx(
        (800 * 2000 + 200 * 500 + 50 * 8000 + 1000_000 + 20_000 + 40_000_000) / 1e9
    )
    items = (await costs(start_time=T0, end_time=T0 + DAY, group_by=["line_item"])).data[0].results
    assert {(item.line_item, item.quantity, item.quantity_unit, item.amount.value) for item in items} == {
        ("gpt-4.1-2025-04-14, input", 800, "tokens", 0.0016),
        ("gpt-4.1-2025-04-14, cached input", 200, "tokens", 0.0001),
        ("gpt-4.1-2025-04-14, output", 50, "tokens", 0.0004),
        ("gpt-4.1-2025-04-14, batch input", 1000, "tokens", 0.001),
        ("painter-1, input", 10, "tokens", 0.00002),
        ("painter-1, images", 2, "images", 0.04),
    }
    (group,) = (await costs(start_time=T0, end_time=T0 + DAY, group_by=["project_id", "api_key_id"])).data[0].results
    assert (group.project_id, group.api_key_id, group.quantity) == (mine.project_id, mine.api_key_id, None)


async def test_images_are_told_apart_by_source_and_size(mine: Any, book: Any) -> None:
    for detail, units in (
        ("image.generation/1024x1024", 1),
        ("image.generation/256x256", 2),
        ("image.edit/256x256", 4),
    ):
        await book(mine, T0, 0, 0, 0, family="images", detail=detail, units=units)
    images = mine.client.admin.organization.usage.images

    async def grouped(*fields: Any, **filters: Any) -> list[tuple[Any, ...]]:
        page = await images(start_time=T0, end_time=T0 + DAY, group_by=list(fields), **filters)
        return sorted((*(getattr(each, field) for field in fields), each.images) for each in page.data[0].results)

    assert await grouped("source") == [("image.edit", 4), ("image.generation", 3)]
    assert await grouped("size", "source", sizes=["256x256"]) == [
        ("256x256", "image.edit", 4),
        ("256x256", "image.generation", 2),
    ]
    assert await grouped("size", sources=["image.generation"], sizes=["256x256", "1024x1024"]) == [
        ("1024x1024", 1),
        ("256x256", 2),
    ]


@pytest.mark.parametrize(
    ("width", "seconds", "usual", "most"), [("1m", 60, 60, 1440), ("1h", 3600, 24, 168), ("1d", DAY, 7, 31)]
)
async def test_pages(mine: Any, book: Any, width: str, seconds: int, usual: int, most: int) -> None:
    count = usual * 2 + 1
    for n in (0, usual - 1, usual, count - 1):
        await book(mine, T0 + n * seconds, n + 1, 0, 0)
    usage = mine.client.admin.organization.usage
    query: dict[str, Any] = {"start_time": T0, "end_time": T0 + count * seconds, "bucket_width": width}
    pages, cursor = [], {}
    while True:
        page = await usage.completions(**query, **cursor)
        pages.append(page)
        if not page.has_more:
            break
        assert page.next_page is not None
        cursor = {"page": page.next_page}
    assert page.next_page is None
    assert [len(page.data) for page in pages] == [usual, usual, 1]
    starts = [bucket.start_time for page in pages for bucket in page.data]
    assert starts == [T0 + n * seconds for n in range(count)]
    found = {
        (bucket.start_time - T0) // seconds: bucket.results[0].input_tokens
        for page in pages
        for bucket in page.data
        if bucket.results
    }
    assert found == {n: n + 1 for n in (0, usual - 1, usual, count - 1)}
    assert len((await usage.completions(**query, limit=3)).data) == 3
    refused = await mine.get("/organization/usage/completions", **query, limit=most + 1)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "integer_above_max_value"


async def test_a_range_within_a_bucket_gives_that_bucket(mine: Any, book: Any) -> None:
    await book(mine, T0 + 5, 100, 0, 10)
    page = await mine.client.admin.organization.usage.completions(start_time=T0 + 60, end_time=T0 + 61)
    assert [(bucket.start_time, bucket.end_time) for bucket in page.data] == [(T0, T0 + DAY)]
    assert page.data[0].results[0].input_tokens == 100


async def test_buckets_end_with_the_present(mine: Any) -> None:
    usage = mine.client.admin.organization.usage
    today = int(time.time()) // DAY * DAY
    page = await usage.completions(start_time=today - DAY, limit=31)
    assert page.data[-1].start_time >= today
    assert len(page.data) <= 3
    assert not page.has_more
    page = await usage.completions(start_time=today + 10 * DAY, end_time=today + 20 * DAY)
    assert (page.data, page.has_more) == ([], False)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({}, "start_time"),
        ({"start_time": -1}, "start_time"),
        ({"start_time": "yesterday"}, "start_time"),
        ({"start_time": 10**18}, "start_time"),
        ({"start_time": T0, "end_time": T0}, "end_time"),
        ({"start_time": T0, "bucket_width": "1w"}, "bucket_width"),
        ({"start_time": T0, "group_by": ["colour"]}, "group_by[0]"),
        ({"start_time": T0, "limit": 0}, "limit"),
        ({"start_time": T0, "page": "page_AAAA"}, "page"),
        ({"start_time": T0, "page": "page_'; DROP TABLE calls"}, "page"),
        ({"start_time": T0, "page": "page_AAAAAAAAAAEAAAAAAAAAAg=="}, "page"),
        ({"start_time": T0, "page": "page_//////////8AAAAAAAAAAg=="}, "page"),
        ({"start_time": T0, "colour": "red"}, "colour"),
    ],
)
async def test_questions_that_make_no_sense(mine: Any, query: dict[str, Any], param: str) -> None:
    answer = await mine.get("/organization/usage/completions", **query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_a_cursor_of_another_range_is_refused(mine: Any) -> None:
    page = await mine.client.admin.organization.usage.completions(start_time=T0, end_time=T0 + 30 * DAY)
    answer = await mine.get("/organization/usage/completions", start_time=T0 + 20 * DAY, page=page.next_page)
    assert answer.status_code == 400
