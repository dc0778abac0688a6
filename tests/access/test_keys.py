from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from inhouse.access import Access, UnusableKey, WeakKey
from inhouse.access.keys import Kind, digest, mask, new_key
from inhouse.access.service import FRESH_S
from inhouse.access.strength import require_strong
from inhouse.kit.errors import InvalidRequest, NotFound, Unauthenticated
from inhouse.storage.database import Database
from inhouse.storage.schema import api_keys, organizations

Open = Callable[[str], Database]
PRESET = "sk-proj-Zr8vQ1mT0sXw4bKpN6yL2cHd"
ADMIN = "sk-admin-Jt5nW9xC3uFgB7eRqM1zA8kV"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture
def access(database: Database) -> Access:
    return Access(database)


async def test_another_tenants_key_cannot_be_revoked(access: Access) -> None:
    await access.bootstrap()
    new = await access.create_key("mine")
    with pytest.raises(NotFound):
        await access.revoke_key(new.key.id, organization_id="org-other")
    assert (await access.authenticate(bearer(new.secret))).key_id == new.key.id


async def test_another_tenant_sees_no_keys_and_cannot_make_one(access: Access) -> None:
    made = await access.bootstrap()
    assert await access.list_keys(organization_id="org-other") == []
    with pytest.raises(NotFound):
        await access.create_key("intruder", project_id=made.project_id, organization_id="org-other")


async def test_the_first_start_generates_one_key_and_shows_it_once(access: Access) -> None:
    first = await access.bootstrap()
    assert first.api_key is not None
    assert re.fullmatch(r"sk-proj-[A-Za-z0-9_-]{48,}", first.api_key)
    assert first.api_key not in repr(first)
    assert (await access.authenticate(bearer(first.api_key))).project_id == first.project_id
    second = await access.bootstrap()
    assert second.api_key is None
    assert (second.organization_id, second.project_id) == (first.organization_id, first.project_id)
    assert len(await access.list_keys()) == 1


async def test_starts_at_the_same_time_agree(database: Database, open_database: Open, database_url: str) -> None:
    starts = await asyncio.gather(
        *(Access(d).bootstrap() for d in (database, open_database(database_url), open_database(database_url)))
    )
    assert len({start.project_id for start in starts}) == 1
    assert sum(start.api_key is not None for start in starts) == 1
    assert await database.read(lambda c: len(c.execute(select(organizations.c.id)).all())) == 1


async def test_a_revoked_first_key_does_not_come_back(access: Access) -> None:
    await access.bootstrap()
    (key,) = await access.list_keys()
    await access.revoke_key(key.id)
    assert (await access.bootstrap()).api_key is None


async def test_preset_keys_are_valid_and_given_again_change_nothing(access: Access) -> None:
    for _ in range(3):
        made = await access.bootstrap(PRESET, ADMIN)
        assert made.api_key is None
    caller, admin = await access.authenticate(bearer(PRESET)), await access.authenticate(bearer(ADMIN))
    assert (caller.project_id, caller.admin) == (made.project_id, False)
    assert (admin.project_id, admin.admin) == ("", True)
    assert len(await access.list_keys()) == 2


async def test_an_admin_preset_alone_does_not_replace_the_first_key(access: Access) -> None:
    assert (await access.bootstrap(None, ADMIN)).api_key is not None


async def test_a_revoked_preset_stays_revoked_and_stops_the_start(access: Access) -> None:
    await access.bootstrap(PRESET)
    (key,) = await access.list_keys()
    await access.revoke_key(key.id)
    with pytest.raises(UnusableKey, match="INHOUSE_API_KEY is a key that was revoked"):
        await access.bootstrap(PRESET)
    with pytest.raises(Unauthenticated):
        await access.authenticate(bearer(PRESET))


async def test_one_key_cannot_be_both(access: Access, database: Database) -> None:
    with pytest.raises(UnusableKey, match="already in use as an admin key"):
        await access.bootstrap(PRESET, PRESET)
    assert await access.list_keys() == []  # nothing is half done
    assert await database.read(lambda c: c.execute(select(organizations.c.id)).all()) == []


async def test_no_key_is_kept_in_clear(access: Access, database: Database) -> None:
    await access.bootstrap(PRESET)
    new = await access.create_key("x")
    rows = await database.read(lambda c: [tuple(row) for row in c.execute(select(api_keys))])
    assert len(rows) == 2
    for secret in (PRESET, new.secret):
        assert secret[12:-4] not in repr(rows)
        assert digest(secret) in repr(rows)
    assert new.secret not in repr(new)
    assert new.key.hint == f"{new.secret[:8]}…{new.secret[-4:]}"


async def test_keys_are_listed_newest_first_and_by_project(access: Access) -> None:
    made = await access.bootstrap()
    for n in range(3):
        await access.create_key(f"key {n}")
    await access.create_key("boss", kind="admin")
    names = [key.name for key in await access.list_keys(project_id=made.project_id)]
    assert names == ["key 2", "key 1", "key 0", "First key"]
    assert len(await access.list_keys(organization_id=made.organization_id)) == 5


async def test_revoking_twice_keeps_the_first_time(access: Access) -> None:
    await access.bootstrap()
    new = await access.create_key("x")
    first = await access.revoke_key(new.key.id)
    assert first.revoked_at is not None
    assert (await access.revoke_key(new.key.id)).revoked_at == first.revoked_at
    with pytest.raises(NotFound, match="key_none"):
        await access.revoke_key("key_none")


async def test_what_cannot_be_created(access: Access) -> None:
    with pytest.raises(NotFound):
        await access.create_key("before the first start")
    await access.bootstrap()
    with pytest.raises(InvalidRequest):
        await access.create_key("  ")
    with pytest.raises(InvalidRequest):
        await access.create_key("late", expires_at=1)
    with pytest.raises(NotFound):
        await access.create_key("x", project_id="proj_none")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sk-1234",
        "SK-TEST",
        "EMPTY",
        "dummy",
        "ollama",
        "lm-studio",
        "changeme",
        "sk-no-key-required",
        "sk-abc9Zr8vQ1mT0sX",
        "YOUR_OPENAI_API_KEY_HERE",
        "sk-your-key-goes-in-this-place",
        "${OPENAI_KEY_FROM_ENVIRONMENT}",
        "<paste the key of this server>".replace(" ", "-"),
        "kkkkkkkkkkkkkkkkkkkkkkkk",
        "sk-proj-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "abcabcabcabcabcabcabcabc",
        "sk-abcdefghijklmnopqrstuvwxyz0123456789",
        "sk-1234567890abcdef1234567890abcdef",
        "12345678901234567890123456789012",
        "sk-0101101001011010100101101001",
    ],
)
@pytest.mark.parametrize("kind", ["project", "admin"])
def test_a_weak_key_is_refused_with_the_fix(key: str, kind: Kind) -> None:
    with pytest.raises(WeakKey) as refusal:
        require_strong(key, kind, "INHOUSE_KEY")
    assert str(refusal.value).startswith("INHOUSE_KEY is ")
    assert refusal.value.suggestion in str(refusal.value)
    require_strong(refusal.value.suggestion, kind, "x")


async def test_a_weak_preset_stops_the_start(access: Access) -> None:
    with pytest.raises(WeakKey, match="INHOUSE_API_KEY"):
        await access.bootstrap("sk-1234", ADMIN)
    with pytest.raises(WeakKey, match="INHOUSE_ADMIN_KEY"):
        await access.bootstrap(PRESET, "sk-1234")
    assert await access.list_keys() == []


@pytest.mark.parametrize(
    "key", ["sk-proj-schlüsselÄÖÜ0123xyz", "sk-proj-Zr8v Q1mT0sXw4bKp", "Z" + "r8vQ1mT0" * 80 + "x"]
)
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(UnusableKey):
        require_strong(key, "project", "INHOUSE_API_KEY")


@pytest.mark.parametrize(
    "key",
    [
        PRESET,
        ADMIN,
        "correct-horse-battery-staple-42",
        "9f8b2c71d04e5a6b3c1d8e7f20a94b56",
        "sk-proj-sfXLyj4veHcW73oyGbF8eDgt-fake-onrWn7gvLEQh2E60iN8NFgVqLpaJpUFmr7",  # a word by chance
    ],
)
def test_a_key_of_ones_own_is_accepted(key: str) -> None:
    require_strong(key, "project", "INHOUSE_API_KEY")


def test_generated_keys_are_accepted_and_differ() -> None:
    made = {new_key("project") for _ in range(2000)}
    assert len(made) == 2000
    for key in made:
        require_strong(key, "project", "x")


@pytest.mark.parametrize("length", [0, 1, 11, 12, 13, 20, 511, 512, 513, 10_000])
def test_a_mask_has_the_length_of_the_key_up_to_a_limit(length: int) -> None:
    masked = mask("a" * length)
    assert len(masked) == min(length, 512)
    assert masked.count("a") == min(length, 12)


def test_an_answer_is_never_older_than_a_second() -> None:
    assert FRESH_S <= 1.0
