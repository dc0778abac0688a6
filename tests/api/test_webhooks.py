"""Webhook endpoints over the API, and what background responses and spend alerts tell; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from inhouse.engines.protocol import EngineFailed
from inhouse.kit.errors import InvalidRequest, NotFound
from inhouse.metering import accounts
from inhouse.storage.database import Database
from inhouse.storage.schema import spend_alerts
from inhouse.webhooks import Delivery, Webhooks
from scripted import Make, platforms

DEAD = "http://127.0.0.1:9/"
"""Nobody listens there; these tests look at what is recorded."""


@pytest.fixture
async def make(database: Database) -> AsyncIterator[Make]:
    async with platforms(database) as make:
        yield make


async def listen(database: Database, *types: str, project: str = "proj_one") -> Webhooks:
    webhooks = Webhooks(database)
    await webhooks.create("org-one", project, name="mine", url=DEAD, event_types=types, operators=True)
    return webhooks


async def recorded(webhooks: Webhooks, count: int, project: str = "proj_one") -> list[tuple[str, Any]]:
    """Types and data of the first events, oldest first."""
    async with asyncio.timeout(120):
        found: list[Delivery] = []
        while len(found) < count:
            await asyncio.sleep(0.02)
            found = (await webhooks.deliveries(project))[0]
    return [(each.event_type, msgspec.json.decode(each.body)["data"]) for each in found[::-1]]


ALL = ("response.completed", "response.failed", "response.cancelled", "response.incomplete")


async def test_background_responses_tell_how_they_ended(make: Make, database: Database) -> None:
    platform = make(["Hel", "lo"], [EngineFailed("it broke")], ["One", " two"])
    webhooks = await listen(database, *ALL)
    theirs = await listen(database, *ALL, project="proj_two")
    await platform.runner.start()

    async def submit(**body: Any) -> str:
        response = await platform.call("createResponse", {"input": "Hi", "background": True, **body})
        return str(response["id"])

    ids = [await submit()]
    assert await recorded(webhooks, 1) == [("response.completed", {"id": ids[0]})]
    ids.append(await submit())
    assert (await recorded(webhooks, 2))[1] == ("response.failed", {"id": ids[1]})
    platform.engine.gate = asyncio.Event()
    ids.append(await submit())
    while not platform.engine.open:
        await asyncio.sleep(0.02)
    await platform.call("cancelResponse", response_id=ids[2])
    assert (await recorded(webhooks, 3))[2] == ("response.cancelled", {"id": ids[2]})
    platform.engine.gate.set()
    platform.engine.reason = "length"
    ids.append(await submit())
    assert (await recorded(webhooks, 4))[3] == ("response.incomplete", {"id": ids[3]})
    assert (await theirs.deliveries("proj_two"))[0] == []


async def test_responses_that_are_waited_for_tell_nothing(make: Make, database: Database) -> None:
    platform = make(["Hello"])
    webhooks = await listen(database, *ALL)
    await platform.call("createResponse", {"input": "Hi"})
    assert (await webhooks.deliveries("proj_one"))[0] == []


async def test_spend_alerts_are_told_once_a_month(database: Database) -> None:
    mine = await listen(database, "project.spend_alert.reached")
    boss = await listen(database, "organization.spend_alert.reached", project="proj_boss")
    now = 1_760_000_000_000_000

    def set_up(connection: Any) -> None:
        for id, project in (("alert_project", "proj_one"), ("alert_organization", "")):
            accounts.watch(connection, "org-one", project, now)
            values = {"id": id, "organization_id": "org-one", "project_id": project, "created_at": now, "channel": "{}"}
            connection.execute(spend_alerts.insert().values(**values, threshold_nanos=2 * accounts.CENT))

    charge = accounts.Charge("org-one", "proj_one", now, accounts.CENT, 0)
    await database.write(set_up)
    await database.write(lambda connection: accounts.settle(connection, [charge]))
    assert (await mine.deliveries("proj_one"))[0] == []
    for _ in range(2):
        await database.write(lambda connection: accounts.settle(connection, [charge]))
    terms = {"threshold_amount": 2, "currency": "USD", "interval": "month"}
    assert await recorded(mine, 1) == [("project.spend_alert.reached", {"id": "alert_project", **terms})]
    told = await recorded(boss, 1, "proj_boss")
    assert told == [("organization.spend_alert.reached", {"id": "alert_organization", **terms})]


async def test_what_an_api_key_may_not_ask_for(database: Database) -> None:
    webhooks = Webhooks(database)

    async def create(url: str, type: str = "response.completed") -> None:
        await webhooks.create("org-one", "proj_one", name="mine", url=url, event_types=[type])

    for url in ("http://example.com/", "ftp://example.com/", "https://", "https://u:p@example.com/", "https://a b/"):
        with pytest.raises(InvalidRequest):
            await create(url)
    for host in ("localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "2130706433"):
        with pytest.raises(InvalidRequest, match="not a public address"):
            await create(f"https://{host}/")
    for type in ("organization.spend_alert.reached", "nonsense"):
        with pytest.raises(InvalidRequest, match="Supported values"):
            await create("https://example.com/", type)
    await create("https://example.com/")


async def test_a_new_address_is_as_trusted_as_who_names_it(database: Database) -> None:
    webhooks = await listen(database, "response.completed")
    (made,) = (await webhooks.endpoints("proj_one"))[0]
    assert (await webhooks.update("proj_one", made.id, name="other")).operators
    with pytest.raises(InvalidRequest):
        await webhooks.update("proj_one", made.id, url="http://10.0.0.1/")
    moved = await webhooks.update("proj_one", made.id, url="https://example.com/")
    assert not moved.operators


async def test_another_project_sees_nothing(database: Database) -> None:
    webhooks = await listen(database, "response.completed")
    (made,) = (await webhooks.endpoints("proj_one"))[0]
    assert (await webhooks.endpoints("proj_two"))[0] == []
    for work in (
        webhooks.retrieve("proj_two", made.id),
        webhooks.update("proj_two", made.id, name="theirs"),
        webhooks.delete("proj_two", made.id),
        webhooks.rotate_secret("proj_two", made.id),
        webhooks.test("proj_two", made.id, "response.completed"),
        webhooks.deliveries("proj_two", made.id),
    ):
        with pytest.raises(NotFound):
            await work
    assert (await webhooks.retrieve("proj_one", made.id)).name == "mine"
