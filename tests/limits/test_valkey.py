"""The keeper on a real Valkey server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inhouse.limits import valkey as module
from inhouse.limits.buckets import DIMENSIONS, Bucket, StoreDown, Taken, bucket, remaining
from inhouse.limits.memory import InMemory
from inhouse.limits.valkey import Valkey
from inhouse.settings import SettingsError

RPM, _, TPM, _, _ = DIMENSIONS
Connect = Callable[[str], Valkey]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    opened: list[Valkey] = []

    def open_(url: str) -> Valkey:
        opened.append(Valkey(url))
        return opened[-1]

    yield open_
    for store in opened:
        await store.close()


def pair(rpm: int = 10, tpm: int = 100) -> tuple[Bucket, Bucket]:
    return bucket("{org}:r", rpm, RPM), bucket("{org}:t", tpm, TPM)


async def test_all_buckets_are_taken_from_or_none(connect: Connect, valkey_url: str) -> None:
    store = connect(valkey_url)
    assert (await store.take(pair(), (1, 60, 0))).admitted
    denied = await store.take(pair(), (1, 60, 0))
    assert not denied.admitted
    assert remaining(pair()[0], denied.full_at[0], denied.now) == 9


async def test_two_processes_draw_from_one_bucket(connect: Connect, valkey_url: str) -> None:
    first, second = connect(valkey_url), connect(valkey_url)
    buckets = (bucket("{org}:d", 20, DIMENSIONS[1]),)
    taken = await asyncio.gather(*(store.take(buckets, (1, 0, 0)) for _ in range(20) for store in (first, second)))
    assert sum(each.admitted for each in taken) == 20


async def test_settling_reaches_the_server(connect: Connect, valkey_url: str) -> None:
    store = connect(valkey_url)
    assert (await store.take(pair(), (1, 100, 0))).admitted
    store.settle(pair(), (0, -100, 0))
    assert (await store.take(pair(), (1, 100, 0))).admitted


async def test_a_full_bucket_takes_no_memory(connect: Connect, valkey_url: str) -> None:
    store = connect(valkey_url)
    await store.take((bucket("{org}:fast", 60_000, RPM),), (1, 0, 0))  # full again after a millisecond
    await store.take((bucket("{org}:slow", 1, RPM),), (1, 0, 0))
    await store.take((bucket("{org}:none", 1, RPM),), (0, 0, 0))
    with redis.Redis.from_url(valkey_url) as client:
        for _ in range(1000):
            if client.keys() == [b"{org}:slow"]:
                break
            await asyncio.sleep(0.01)
        assert client.keys() == [b"{org}:slow"]
        left = client.pttl("{org}:slow")
        assert 0 < left <= 60_000


_names = itertools.count()
_steps = st.lists(
    st.tuples(
        st.booleans(), st.integers(0, 3), st.integers(-40_000, 40_000), st.sampled_from([0.0, 0.0, 0.0005, 0.003])
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rpm=st.integers(1, 10**6), tpm=st.integers(1, 10**9), steps=_steps)
def test_lua_and_python_agree_to_the_last_bit(
    valkey_url: str, rpm: int, tpm: int, steps: list[tuple[bool, int, int, float]]
) -> None:
    """The same operations at the times that the server told give the same numbers."""
    name = f"{{p{next(_names)}}}"
    buckets = (bucket(f"{name}:r", rpm, RPM), bucket(f"{name}:t", tpm, TPM))

    async def replay() -> None:
        client: Any = module.Redis.from_url(valkey_url)
        now = [0.0]
        model = InMemory(lambda: now[0])
        take = client.register_script(module._TAKE.text)
        settle = client.register_script(module._SETTLE.text)
        try:
            for taking, requests, tokens, pause in steps:
                await asyncio.sleep(pause)
                amounts = (requests, abs(tokens) if taking else tokens, 0)
                arguments = [
                    value for each in buckets for value in (repr(each.window), repr(each.per_unit), amounts[each.unit])
                ]
                keys = [each.key for each in buckets]
                if taking:
                    admitted, time, *full_at = (await take(keys, arguments)).split()
                    now[0] = float(time)
                    told = Taken(admitted == b"1", now[0], [float(each) for each in full_at])
                    assert model.take_now(buckets, amounts) == told
                else:
                    time, *full_at = (await settle(keys, arguments)).split()
                    now[0] = float(time)
                    model.settle(buckets, amounts)
                    mine = [max(model._full_at.get(each.key, now[0]), now[0]) for each in buckets]
                    assert mine == [float(each) for each in full_at]
        finally:
            await client.aclose()

    asyncio.run(replay())


async def test_many_at_once_share_exchanges(connect: Connect, valkey_url: str) -> None:
    store = connect(valkey_url)
    sizes: list[int] = []
    run = store._run

    async def counted(batch: list[Any]) -> list[Any]:
        sizes.append(len(batch))
        return await run(batch)

    store._run = counted  # type: ignore[method-assign]
    taken = await asyncio.gather(*(store.take(pair(10**6, 10**9), (1, 1, 0)) for _ in range(300)))
    assert all(each.admitted for each in taken)
    assert max(sizes) <= module.MOST_AT_ONCE
    assert len(sizes) <= 4  # two for 300, and as many again for the script that the server did not know


async def test_a_request_that_leaves_while_it_waits_harms_nobody(connect: Connect, valkey_url: str) -> None:
    store = connect(valkey_url)
    tasks = [asyncio.create_task(store.take(pair(), (1, 1, 0))) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[1], asyncio.CancelledError)
    assert isinstance(done[0], Taken)
    assert isinstance(done[2], Taken)


async def test_a_store_that_died_is_told_and_found_again(
    connect: Connect, mortal_valkey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PROBE_EVERY_S", 0.05)
    store = connect(mortal_valkey.url)
    with pytest.raises(StoreDown):
        await store.take(pair(), (1, 1, 0))
    mortal_valkey.start()
    await answers(store)
    mortal_valkey.kill()
    for _ in range(3):
        with pytest.raises(StoreDown):
            await store.take(pair(), (1, 1, 0))
    store.settle(pair(), (0, -1, 0))  # nobody to tell: it neither fails nor waits
    mortal_valkey.start()  # empty, and without the scripts
    await answers(store)


async def answers(store: Valkey) -> None:
    for _ in range(600):
        try:
            assert (await store.take(pair(), (1, 1, 0))).admitted
            return
        except StoreDown:
            await asyncio.sleep(0.05)
    raise AssertionError("the store was not found again")


async def test_a_server_that_refuses_to_write_counts_as_down(connect: Connect, mortal_valkey: Any) -> None:
    mortal_valkey.start()
    with redis.Redis.from_url(mortal_valkey.url) as client:
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(StoreDown):
        await connect(mortal_valkey.url).take(pair(), (1, 1, 0))


def test_a_url_that_cannot_be_used_is_told_without_its_password() -> None:
    with pytest.raises(SettingsError, match=r"limits\.store_url") as failure:
        Valkey("http://user:hunter2@host/0")
    assert "hunter2" not in str(failure.value)


async def test_a_valkey_scheme_is_understood() -> None:
    store = Valkey("valkeys://host:6379/0")
    await store.close()
