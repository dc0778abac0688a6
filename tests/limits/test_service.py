from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from inhouse.access import Access, Caller
from inhouse.catalog.cards import Card, Tier, load_cards
from inhouse.kit.errors import InvalidRequest, NotFound, Overloaded, RateLimited
from inhouse.limits import Demand, Limits
from inhouse.limits import valkey as valkey_module
from inhouse.limits.accounts import Accounts
from inhouse.limits.memory import InMemory
from inhouse.limits.tiers import load_rule
from inhouse.limits.valkey import Valkey
from inhouse.settings import LimitSettings, Secret, SettingsError
from inhouse.storage.database import Database

CARDS = load_cards()
SMALL = Demand(input_tokens=10)


def card(name: str = "gpt-4.1") -> Card:
    found = CARDS.get(name)
    assert found is not None
    return found


@pytest.fixture
async def quick(tmp_path: Path, open_database: Callable[[str], Database]) -> Database:
    """A migrated database of the quicker kind."""
    database = open_database(f"sqlite:///{tmp_path / 'inhouse.db'}")
    database.migrate()
    return database


@pytest.fixture
async def caller(quick: Database) -> Caller:
    made = await Access(quick).bootstrap()
    return Caller(made.organization_id, made.project_id, "key_1")


Make = Callable[..., Limits]


@pytest.fixture
async def make(quick: Database, clock: Any) -> AsyncIterator[Make]:
    made: list[Limits] = []

    def limits(tier: Tier = "tier_1", store: Any = None, **given: Any) -> Limits:
        made.append(Limits(Accounts(quick, tier, load_rule("paid")), store or InMemory(clock), **given))
        return made[-1]

    yield limits
    for each in made:
        await each.close()


async def admitted(limits: Limits, caller: Caller, count: int, demand: Demand = SMALL, name: str = "gpt-4.1") -> int:
    passed = 0
    for _ in range(count):
        try:
            await limits.admit(caller, card(name), demand)
            passed += 1
        except RateLimited:
            pass
    return passed


async def test_the_card_and_the_tier_decide(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    assert await admitted(limits, caller, 600) == 500
    admission = await make("tier_2").admit(caller, card(), SMALL)
    assert admission is not None
    assert admission.headers["x-ratelimit-limit-requests"] == "5000"
    assert admission.headers["x-ratelimit-limit-tokens"] == "450000"


async def test_organizations_and_models_do_not_share_but_projects_do(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    assert await admitted(limits, caller, 600) == 500
    sibling = Caller(caller.organization_id, "proj_sibling", "key_2")
    assert await admitted(limits, sibling, 1) == 0
    assert await admitted(limits, Caller("org-other", "proj_other", "key_3"), 1) == 1
    assert await admitted(limits, caller, 1, name="gpt-4o") == 1


async def test_what_is_used_replaces_what_was_taken(make: Make, caller: Caller) -> None:
    limits = make("tier_1")  # 30,000 tokens a minute
    admission = await limits.admit(caller, card(), Demand(input_tokens=10, max_tokens=30_000))
    assert admission is not None
    with pytest.raises(RateLimited, match=r"TPM.*Used 30000, Requested 10"):
        await limits.admit(caller, card(), SMALL)
    admission.settle(100)
    after = await limits.admit(caller, card(), SMALL)
    assert after is not None
    assert after.headers["x-ratelimit-remaining-tokens"] == "29890"
    assert after.headers["x-ratelimit-remaining-requests"] == "498", "a request counts however it ended"


async def test_a_request_that_never_fits_is_refused_before_it_takes_anything(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    with pytest.raises(RateLimited, match=r"Request too large.*Limit 30000, Requested 32768") as refusal:
        await limits.admit(caller, card(), Demand(input_tokens=10, max_tokens=10**9))
    assert refusal.value.headers["x-should-retry"] == "false"
    assert await admitted(limits, caller, 600) == 500


async def test_long_prompts_are_counted_apart(make: Make, caller: Caller) -> None:
    limits = make("tier_1")  # 100 requests and 200,000 tokens a minute
    with pytest.raises(RateLimited, match=r"Request too large for gpt-4.1 in organization .* Requested 128000"):
        await limits.admit(caller, card(), Demand(input_tokens=128_000))
    admission = await limits.admit(caller, card(), Demand(input_tokens=128_001))
    assert admission is not None
    assert admission.headers["x-ratelimit-limit-requests"] == "100"
    with pytest.raises(RateLimited, match=r"\(for limit gpt-4.1-long-context\).*Limit 200000, Used 128001"):
        await limits.admit(caller, card(), Demand(input_tokens=128_001))
    assert await admitted(limits, caller, 1) == 1
    # A model without limits of its own for long prompts counts them with the others.
    with pytest.raises(RateLimited, match=r"Request too large for gpt-4o in organization"):
        await limits.admit(caller, card("gpt-4o"), Demand(input_tokens=128_001))


async def test_a_tier_without_access_does_not_see_the_model(make: Make, caller: Caller) -> None:
    with pytest.raises(NotFound, match=r"The model `gpt-4.1` does not exist or you do not have access to it."):
        await make("free").admit(caller, card(), SMALL)


async def test_a_batch_does_not_draw_from_the_live_limits(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    for _ in range(600):
        assert await limits.admit(caller, card(), SMALL, pool="batch") is None
    assert await admitted(limits, caller, 500) == 500


async def test_a_new_pin_is_in_force_at_once(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    assert await admitted(limits, caller, 600) == 500
    await limits.accounts.pin(caller.organization_id, "tier_2")
    # The share that is used stays: all of it.
    with pytest.raises(RateLimited, match="Limit 5000, Used 5000"):
        await limits.admit(caller, card(), SMALL)


async def test_a_project_can_lower_its_limits_and_no_more(make: Make, caller: Caller) -> None:
    limits = make("tier_1")
    groups = await limits.groups(caller.organization_id, caller.project_id, CARDS)
    assert [group.group for group in groups][:2] == ["gpt-4.1", "gpt-4.1-long-context"]
    mine = groups[0]
    assert (mine.value("rpm"), mine.value("rpd"), mine.value("tpm"), mine.value("batch")) == (500, None, 30_000, 90_000)
    for wrong in ({"rpm": 501}, {"tpm": 30_001}, {"batch": 90_001}, {"rpm": 0}):
        with pytest.raises(InvalidRequest) as refusal:
            await limits.lower(mine, caller.project_id, wrong)
        assert refusal.value.param in wrong
    changed = await limits.lower(mine, caller.project_id, {"rpm": 3, "rpd": 1000, "tpm": 20_000})
    assert (changed.value("rpm"), changed.value("rpd"), changed.value("tpm")) == (3, 1000, 20_000)
    assert (await limits.groups(caller.organization_id, caller.project_id, CARDS))[0] == changed
    admission = await limits.admit(caller, card(), SMALL)
    assert admission is not None
    assert admission.headers["x-ratelimit-limit-requests"] == "500"
    assert admission.headers["x-ratelimit-limit-project-tokens"] == "20000"
    assert await admitted(limits, caller, 5) == 2
    with pytest.raises(RateLimited, match=f"in project {caller.project_id} organization {caller.organization_id}"):
        await limits.admit(caller, card(), SMALL)
    sibling = Caller(caller.organization_id, "proj_sibling", "key_2")
    assert await admitted(limits, sibling, 600) == 497, "what the project used counts for its organization"


async def test_off_limits_nothing(quick: Database, caller: Caller) -> None:
    limits = Limits.of(LimitSettings(tier="off"), quick)
    await limits.start()
    assert await limits.admit(caller, card(), Demand(input_tokens=10**9)) is None
    assert await limits.standing(caller.organization_id) is None
    await limits.close()


async def test_several_processes_need_a_store(quick: Database) -> None:
    with pytest.raises(SettingsError, match=r"limits\.store_url"):
        Limits.of(LimitSettings(processes=2), quick)


async def test_the_default_does_not_hinder_one_user(quick: Database, caller: Caller) -> None:
    limits = Limits.of(LimitSettings(), quick)
    admission = await limits.admit(caller, card(), SMALL)
    assert admission is not None
    assert admission.headers["x-ratelimit-limit-requests"] == "10000"
    await limits.close()


async def test_a_store_that_is_down_refuses_by_default(make: Make, caller: Caller, tmp_path: Path) -> None:
    limits = make("tier_1", Valkey(f"unix://{tmp_path}/none.sock"))
    with pytest.raises(Overloaded) as refusal:
        await limits.admit(caller, card(), SMALL)
    assert refusal.value.code == "server_is_overloaded"
    assert refusal.value.headers["retry-after"] == "1"


async def test_a_local_share_takes_over_and_knows_what_was_used(
    make: Make, caller: Caller, mortal_valkey: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(valkey_module, "PROBE_EVERY_S", 0.05)
    mortal_valkey.start()
    shares = [InMemory(clock, parts=2) for _ in range(2)]
    first, second = (make("tier_1", Valkey(mortal_valkey.url), share=share) for share in shares)
    demand = Demand(input_tokens=25_000)  # of 30,000 a minute
    assert await admitted(first, caller, 1, demand) == 1
    mortal_valkey.kill()
    # The first knows that a sixth or a little more is left, and half of it is its own; the second knows nothing yet.
    assert await admitted(first, caller, 1, Demand(input_tokens=3_500)) == 0
    assert await admitted(first, caller, 1, Demand(input_tokens=2_000)) == 1
    assert await admitted(second, caller, 2, Demand(input_tokens=14_000)) == 1
    with pytest.raises(RateLimited, match="TPM"):
        await second.admit(caller, card(), Demand(input_tokens=14_000))
    mortal_valkey.start()
    for _ in range(600):
        admission = None
        try:
            admission = await first.admit(caller, card(), Demand(input_tokens=20_000))
        except RateLimited:
            await asyncio.sleep(0.05)
        if admission is not None:
            break
    assert admission is not None, "the store was not found again"


async def test_the_shared_store_serves_two_processes(make: Make, caller: Caller, valkey_url: str) -> None:
    limits = [make("tier_1", Valkey(valkey_url)) for _ in range(2)]
    demand = Demand(input_tokens=10_000)
    passed = [await admitted(each, caller, 2, demand) for each in limits]
    assert sum(passed) == 3
    assert Limits.of(LimitSettings(store_url=Secret(valkey_url), processes=2), limits[0].accounts._database), (
        "with a store, several processes are welcome"
    )


async def test_additions_to_a_vector_store(make: Make, caller: Caller, clock: Any) -> None:
    limits = make()
    for _ in range(300):
        await limits.admit_addition(caller, "vs_1")
    with pytest.raises(RateLimited) as refused:
        await limits.admit_addition(caller, "vs_1")
    assert refused.value.message == (
        "Rate limit reached for vector store vs_1 on requests per min (RPM): Limit 300, Used 300, Requested 1. Please "
        "try again in 200ms. Visit https://platform.openai.com/account/rate-limits to learn more."
    )
    assert (refused.value.code, refused.value.headers["retry-after-ms"]) == ("rate_limit_exceeded", "200")
    # Neither another store nor another project's of that name is held up, and a moment later this one is not.
    await limits.admit_addition(caller, "vs_2")
    await limits.admit_addition(Caller(caller.organization_id, "proj_other", "key_2"), "vs_1")
    clock.pass_(0.2)
    await limits.admit_addition(caller, "vs_1")
    for _ in range(301):
        await make(off=True).admit_addition(caller, "vs_1")
