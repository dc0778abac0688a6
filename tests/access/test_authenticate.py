from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable

import pytest
from sqlalchemy import insert, select, update

from inhouse.access import Access, Caller
from inhouse.access import service as service_module
from inhouse.access.keys import MAX_LENGTH
from inhouse.kit.errors import Unauthenticated
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database
from inhouse.storage.schema import api_keys, organizations, projects

Open = Callable[[str], Database]

LONG = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)


def bearer(key: str, **more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in more.items()}}


def basic(pair: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database)


async def first_key(access: Access) -> str:
    made = await access.bootstrap()
    assert made.api_key is not None
    return made.api_key


async def another_tenant(database: Database) -> tuple[str, str]:
    """Ids of a second organization and its project."""
    organization, project = new_id("org-"), new_id("proj_")

    def work(connection) -> None:  # type: ignore[no-untyped-def]
        connection.execute(insert(organizations).values(id=organization, name="Other", created_at=1))
        connection.execute(
            insert(projects).values(id=project, organization_id=organization, name="Other", created_at=time.time_ns())
        )

    await database.write(work)
    return organization, project


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("POST", "/v1/chat/completions", LONG),
        ("GET", "/v1/models", "Missing bearer authentication in header"),
        ("POST", "/v1/responses", "Missing bearer or basic authentication in header"),
        ("GET", "/v1/chat/completions", "Missing bearer or basic authentication in header"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer  "},
        {"authorization": "Digest x"},
    ],
)
async def test_anonymous(access: Access, headers: dict[str, str], method: str, path: str, message: str) -> None:
    await access.bootstrap()
    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(headers, method, path)
    assert refusal.value.message == message
    assert (refusal.value.type, refusal.value.param, refusal.value.code) == ("invalid_request_error", None, None)


async def test_another_tenant(access: Access, database: Database) -> None:
    mine = await first_key(access)
    organization, project = await another_tenant(database)
    theirs = await access.create_key("theirs", project_id=project)
    caller = await access.authenticate(bearer(theirs.secret))
    assert caller == Caller(organization, project, theirs.key.id)
    assert (await access.authenticate(bearer(mine))).organization_id != organization

    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(bearer(mine, openai_organization=organization))
    assert refusal.value.code == "mismatched_organization"
    assert refusal.value.message == "OpenAI-Organization header should match organization for API key"
    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(bearer(mine, openai_project=project))
    assert refusal.value.code == "mismatched_project"
    assert refusal.value.message == "OpenAI-Project header should match project for API key"


async def test_headers_that_match_the_key_are_fine(access: Access) -> None:
    made = await access.bootstrap()
    assert made.api_key is not None
    headers = bearer(made.api_key, openai_organization=made.organization_id, openai_project=made.project_id)
    caller = await access.authenticate(headers)
    assert (caller.organization_id, caller.project_id, caller.admin) == (made.organization_id, made.project_id, False)
    assert await access.authenticate(bearer(made.api_key, openai_organization="", openai_project="")) == caller


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("your-openai-api-key", "your-ope*******-key"),
        ("sk-proj-abcdefghijklmnopqrstuvwxyz", "sk-proj-**********************wxyz"),
        ("sk-1234", "sk-1234"),
    ],
)
async def test_a_wrong_key(access: Access, key: str, shown: str) -> None:
    await access.bootstrap()
    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(bearer(key))
    assert refusal.value.message == (
        f"Incorrect API key provided: {shown}. You can find your API key at "
        "https://platform.openai.com/account/api-keys."
    )
    assert (refusal.value.type, refusal.value.param, refusal.value.code) == (
        "invalid_request_error",
        None,
        "invalid_api_key",
    )


@pytest.mark.parametrize(
    "key",
    [
        "x" * 1_000_000,
        "sk-\x00" + "a" * 40,
        "sk-ключ" * 5,
        "\udcff" * 30,
        "' OR 1=1 --" * 3,
        "sk-a\r\nx: y" * 3,
        "%s%n" * 9,
    ],
    ids=["huge", "nul", "non-ascii", "surrogates", "sql", "crlf", "format"],
)
async def test_a_hostile_key_is_just_wrong(access: Access, key: str) -> None:
    await access.bootstrap()
    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(bearer(key))
    assert refusal.value.code == "invalid_api_key"
    assert refusal.value.message.isascii()
    assert refusal.value.message.isprintable()
    assert len(refusal.value.message) < MAX_LENGTH + 200


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!!", "Basic " + "A" * 1_000_000, "Basic /w==", "Basic Og==", "basic dXNlcg=="]
)
async def test_a_broken_basic_header_is_no_key(access: Access, value: str) -> None:
    await access.bootstrap()
    with pytest.raises(Unauthenticated, match="Missing bearer or basic"):
        await access.authenticate({"authorization": value})


async def test_the_password_of_basic_authentication_is_the_key(access: Access) -> None:
    key = await first_key(access)
    caller = await access.authenticate(bearer(key))
    assert await access.authenticate(basic(f":{key}")) == caller
    assert await access.authenticate({"authorization": f"bEaReR   {key} "}) == caller
    with pytest.raises(Unauthenticated):
        await access.authenticate(basic(f"user:{key}"))


async def test_a_revoked_key_ends_at_once_here(database: Database) -> None:
    access = Access(database, fresh_s=3600)
    await access.bootstrap()
    new = await access.create_key("short life")
    caller = await access.authenticate(bearer(new.secret))
    await access.revoke_key(caller.key_id)
    with pytest.raises(Unauthenticated) as refusal:
        await access.authenticate(bearer(new.secret))
    assert refusal.value.code == "invalid_api_key"


async def test_a_revocation_overtakes_a_look_up_under_way(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(database, fresh_s=3600)
    await access.bootstrap()
    new = await access.create_key("short life")
    began, go_on = asyncio.Event(), asyncio.Event()
    read = database.read

    async def slow_read(query):  # type: ignore[no-untyped-def]
        answer = await read(query)
        began.set()
        await go_on.wait()
        return answer

    monkeypatch.setattr(database, "read", slow_read)
    early = asyncio.ensure_future(access.authenticate(bearer(new.secret)))
    await began.wait()
    await access.revoke_key(new.key.id)
    go_on.set()
    await early
    with pytest.raises(Unauthenticated):
        await access.authenticate(bearer(new.secret))


async def test_changes_by_another_process_count_when_the_answer_is_no_longer_fresh(
    database: Database, database_url: str, open_database: Open
) -> None:
    here, there = Access(database, fresh_s=0.05), Access(open_database(database_url))
    await here.bootstrap()
    new = await here.create_key("shared")
    with pytest.raises(Unauthenticated):
        await here.authenticate(bearer("sk-proj-not-there-yet"))
    await here.authenticate(bearer(new.secret))
    await there.revoke_key(new.key.id)
    later = await there.create_key("later")
    await asyncio.sleep(0.1)
    with pytest.raises(Unauthenticated):
        await here.authenticate(bearer(new.secret))
    assert (await here.authenticate(bearer(later.secret))).key_id == later.key.id


async def test_an_expired_key_ends_even_while_it_is_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(database, fresh_s=3600)
    await access.bootstrap()
    new = await access.create_key("a day", expires_at=service_module.store.now() + 86_400_000_000)
    await access.authenticate(bearer(new.secret))
    tomorrow = service_module.store.now() + 2 * 86_400_000_000
    monkeypatch.setattr(service_module.store, "now", lambda: tomorrow)
    with pytest.raises(Unauthenticated):
        await access.authenticate(bearer(new.secret))
    with pytest.raises(Unauthenticated):
        await Access(database).authenticate(bearer(new.secret))


async def test_the_keys_of_an_archived_project_end(database: Database) -> None:
    access = Access(database)
    key = await first_key(access)
    await database.write(lambda c: c.execute(update(projects).values(archived_at=1)) and None)
    with pytest.raises(Unauthenticated):
        await access.authenticate(bearer(key))


async def test_an_admin_key_belongs_to_no_project(access: Access) -> None:
    made = await access.bootstrap()
    new = await access.create_key("boss", kind="admin")
    assert new.secret.startswith("sk-admin-")
    assert await access.authenticate(bearer(new.secret)) == Caller(made.organization_id, "", new.key.id, True)
    with pytest.raises(Unauthenticated):
        await access.authenticate(bearer(new.secret, openai_project=made.project_id))


async def test_many_requests_at_once_ask_the_database_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(database)
    key = await first_key(access)
    asked = 0
    read = database.read

    async def counting(query):  # type: ignore[no-untyped-def]
        nonlocal asked
        asked += 1
        return await read(query)

    monkeypatch.setattr(database, "read", counting)
    callers = await asyncio.gather(*(access.authenticate(bearer(key)) for _ in range(50)))
    assert len(set(map(repr, callers))) == 1
    assert asked == 1


async def test_a_request_that_goes_away_does_not_take_the_answer_with_it(access: Access) -> None:
    key = await first_key(access)
    leaving = asyncio.ensure_future(access.authenticate(bearer(key)))
    staying = asyncio.ensure_future(access.authenticate(bearer(key)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).key_id
    assert leaving.cancelled() or leaving.done()


async def test_a_database_that_fails_is_not_a_wrong_key(access: Access, database: Database) -> None:
    key = await first_key(access)
    await database.close()
    with pytest.raises(RuntimeError):
        await access.authenticate(bearer(key))


async def test_memory_stays_bounded(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    await access.bootstrap()
    monkeypatch.setattr(access._unknown, "_size", 10)
    for n in range(40):
        with pytest.raises(Unauthenticated):
            await access.authenticate(bearer(f"sk-proj-guess-{n:020}"))
    assert len(access._unknown) == 10
    assert len(access._asking) == 0


async def test_the_last_use_is_recorded_at_most_once_a_minute(access: Access, database: Database) -> None:
    key = await first_key(access)

    async def last_used() -> int | None:
        await database.write(lambda c: None)  # what was submitted before is done on SQLite
        for _ in range(100):
            value = await database.read(lambda c: c.execute(select(api_keys.c.last_used_at)).scalar_one())
            if value is not None:
                return int(value)
            await asyncio.sleep(0.02)
        return None

    await access.authenticate(bearer(key))
    first = await last_used()
    assert first is not None
    for _ in range(10):
        await access.authenticate(bearer(key))
    assert await last_used() == first
    again = Access(database)
    await again.authenticate(bearer(key))
    assert await last_used() == first
