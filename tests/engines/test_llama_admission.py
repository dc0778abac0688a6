from __future__ import annotations

import asyncio

import pytest

from inhouse.engines.llama import admission as admission_module
from inhouse.engines.llama.admission import Admission, Lease, Rank
from inhouse.engines.protocol import EngineBusy


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def ask(admission: Admission, tokens: int, priority: int = 0, *, resumable: bool = True) -> asyncio.Task[Lease]:
    return asyncio.create_task(admission.acquire(admission.rank(priority), tokens, resumable=resumable))


async def test_slots_and_tokens_bound_what_runs() -> None:
    admission = Admission(slots=2, kv_tokens=100, max_queue=10)
    first, second, third = ask(admission, 40), ask(admission, 40), ask(admission, 10)
    await settle()
    assert first.done()
    assert second.done()
    assert not third.done(), "no slot"
    assert (admission.running, admission.queued, admission.reserved) == (2, 1, 80)
    admission.release(first.result())
    await settle()
    assert third.done()
    assert admission.reserved == 50


async def test_a_small_request_does_not_overtake_a_large_one() -> None:
    admission = Admission(slots=4, kv_tokens=100, max_queue=10)
    running, large, small = ask(admission, 60), ask(admission, 80), ask(admission, 10)
    await settle()
    assert not large.done()
    assert not small.done()
    admission.release(running.result())
    await settle()
    assert large.done()
    assert small.done()


async def test_priority_then_arrival() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=10)
    running = await ask(admission, 10)
    order: list[str] = []

    async def wait(name: str, priority: int) -> None:
        lease = await admission.acquire(admission.rank(priority), 10, resumable=True)
        order.append(name)
        admission.release(lease)

    tasks = [asyncio.create_task(wait(*one)) for one in [("a", 0), ("b", 0), ("urgent", 5), ("batch", -5), ("c", 0)]]
    await settle()
    admission.release(running)
    await asyncio.gather(*tasks)
    assert order == ["urgent", "a", "b", "c", "batch"]


async def test_an_urgent_small_request_passes_a_large_one_that_waits() -> None:
    admission = Admission(slots=4, kv_tokens=100, max_queue=10)
    ask(admission, 60)
    large, urgent = ask(admission, 80), ask(admission, 10, priority=1)
    await settle()
    assert urgent.done()
    assert not large.done()


async def test_a_full_queue_is_told() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=1)
    ask(admission, 10)
    ask(admission, 10)
    await settle()
    with pytest.raises(EngineBusy):
        await admission.acquire(admission.rank(0), 10, resumable=True)
    again = asyncio.create_task(admission.acquire(Rank(0, 0, 0, ""), 10, resumable=True, again=True))
    await settle()
    assert not again.done(), "who ran before may wait whatever the queue's length"
    again.cancel()


async def test_more_than_the_whole_cache_is_refused() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=1)
    with pytest.raises(ValueError, match="101 tokens"):
        await admission.acquire(admission.rank(0), 101, resumable=True)


async def test_who_leaves_the_queue_unblocks_those_behind() -> None:
    admission = Admission(slots=4, kv_tokens=100, max_queue=10)
    ask(admission, 60)
    large, small = ask(admission, 80), ask(admission, 10)
    await settle()
    large.cancel()
    await settle()
    assert small.done()
    assert admission.reserved == 70


async def test_leaving_at_the_moment_of_admission_loses_nothing() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=10)
    running, waiting = ask(admission, 10), ask(admission, 10)
    await settle()
    admission.release(running.result())
    waiting.cancel()  # Admitted, but the task has not run since.
    await settle()
    assert waiting.cancelled()
    assert (admission.running, admission.reserved) == (0, 0)


async def test_growth_takes_from_the_youngest_resumable() -> None:
    admission = Admission(slots=4, kv_tokens=100, max_queue=10)
    old, firm, young = await ask(admission, 30), await ask(admission, 30, resumable=False), await ask(admission, 30)
    told: list[Lease] = []
    young.on_preempt = lambda: told.append(young)
    assert admission.grow(old, 10), "free tokens first"
    assert told == []
    assert admission.grow(old, 10)
    assert told == [young]
    admission.release(young)
    assert admission.reserved == 80
    assert not admission.grow(old, 50), "nobody else may be disturbed"
    assert not firm.preempted


async def test_the_younger_cannot_take_from_the_older_unless_it_cannot_be_continued() -> None:
    admission = Admission(slots=4, kv_tokens=100, max_queue=10)
    old, young = await ask(admission, 50), await ask(admission, 50)
    assert not admission.grow(young, 10)
    assert not old.preempted
    admission.release(young)
    firm = await ask(admission, 50, resumable=False)
    assert admission.grow(firm, 10)
    assert old.preempted


async def test_a_tenant_with_many_requests_does_not_starve_another() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=200)
    running = await ask(admission, 10)
    order: list[str] = []

    async def wait(tenant: str) -> None:
        lease = await admission.acquire(admission.rank(0, tenant), 10, resumable=True)
        order.append(tenant)
        await asyncio.sleep(0)
        admission.release(lease)

    tasks = [asyncio.create_task(wait("many")) for _ in range(50)]
    await settle()
    tasks += [asyncio.create_task(wait("few")) for _ in range(3)]
    await settle()
    admission.release(running)
    await asyncio.gather(*tasks)
    assert order[:7] == ["many", "few", "many", "few", "many", "few", "many"]
    assert order.count("many") == 50


async def test_who_comes_late_waits_for_one_turn_however_long_the_others_were_served() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=200)
    order: list[str] = []

    async def wait(tenant: str) -> None:
        lease = await admission.acquire(admission.rank(0, tenant), 10, resumable=True)
        order.append(tenant)
        if order == ["many"] * 20:
            tasks.append(asyncio.create_task(wait("late")))
            await settle()
        await asyncio.sleep(0)
        admission.release(lease)

    tasks = [asyncio.create_task(wait("many")) for _ in range(50)]
    for task in tasks:
        await task
    assert order.index("late") in (20, 21)


async def test_turns_do_not_overrule_priority() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=200)
    running = await ask(admission, 10)
    order: list[str] = []

    async def wait(name: str, priority: int, tenant: str) -> None:
        lease = await admission.acquire(admission.rank(priority, tenant), 10, resumable=True)
        order.append(name)
        admission.release(lease)

    asked = [("low a", 0, "a"), ("low b", 0, "b"), ("high a1", 1, "a"), ("high a2", 1, "a"), ("high b", 1, "b")]
    tasks = [asyncio.create_task(wait(*one)) for one in asked]
    await settle()
    admission.release(running)
    await asyncio.gather(*tasks)
    assert order == ["high a1", "high b", "high a2", "low a", "low b"]


async def test_a_full_queue_refuses_its_last_and_not_who_comes_last() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=3)
    running = await ask(admission, 10)

    async def queue(tenant: str) -> Lease:
        return await admission.acquire(admission.rank(0, tenant), 10, resumable=True)

    many = [asyncio.create_task(queue("many")) for _ in range(3)]
    await settle()
    few = asyncio.create_task(queue("few"))
    await settle()
    with pytest.raises(EngineBusy, match="3 requests already wait"):
        await many[2]
    with pytest.raises(EngineBusy):
        await queue("many")
    assert admission.queued == 3
    admission.release(running)
    for task in (many[0], few, many[1]):
        admission.release(await task)
    assert (admission.running, admission.queued) == (0, 0)


async def test_who_ran_before_is_not_refused_for_a_newcomer() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=1)
    running = await ask(admission, 10)
    resumed = asyncio.create_task(admission.acquire(admission.rank(0), 10, resumable=True, again=True))
    await settle()
    with pytest.raises(EngineBusy):
        await admission.acquire(admission.rank(5, "urgent"), 10, resumable=True)
    admission.release(running)
    admission.release(await resumed)


async def test_a_wait_that_is_too_long_is_refused_and_leaves_nothing() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=3, timeout=0.01)
    running = await ask(admission, 10)
    with pytest.raises(EngineBusy, match=r"no slot came free in 0\.01 seconds"):
        await ask(admission, 10)
    resumed = asyncio.create_task(admission.acquire(admission.rank(0), 10, resumable=True, again=True))
    await asyncio.sleep(0.05)
    assert not resumed.done(), "one that ran before keeps its place"
    admission.release(running)
    admission.release(await resumed)
    assert (admission.running, admission.queued, admission.reserved) == (0, 0, 0)


async def test_batches_give_up_their_places() -> None:
    admission = Admission(slots=2, kv_tokens=100, max_queue=9)
    line = await admission.acquire(admission.rank(-1, "a"), 10, resumable=True)
    fixed = await admission.acquire(admission.rank(-1, "a"), 10, resumable=False)
    asked = asyncio.create_task(admission.acquire(admission.rank(0, "b"), 10, resumable=True))
    await asyncio.sleep(0)
    assert (line.preempted, fixed.preempted) == (True, False)
    admission.release(line)
    again = asyncio.create_task(admission.acquire(line.rank, 10, resumable=True, again=True))
    await asyncio.sleep(0)
    lease = await asked
    assert not again.done()
    assert not lease.preempted
    admission.release(lease)
    assert await again


async def test_few_lines_run_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "QUIET_SECONDS", 0.01)
    admission = Admission(slots=8, kv_tokens=1000, max_queue=9)
    lines = [await admission.acquire(admission.rank(-1, "a"), 30, resumable=True) for _ in range(6)]
    lease = await admission.acquire(admission.rank(0, "b"), 10, resumable=True)
    assert [line.preempted for line in lines] == [False, True, True, True, True, True]
    for line in lines[1:]:
        admission.release(line)
    again = [asyncio.create_task(admission.acquire(line.rank, 30, resumable=True, again=True)) for line in lines[1:]]
    await asyncio.sleep(0)
    assert (admission.running, admission.queued) == (2, 5)
    # Who comes back at once finds as few of them.
    admission.release(lease)
    assert (admission.running, admission.queued) == (1, 5)
    lease = await admission.acquire(admission.rank(0, "b"), 10, resumable=True)
    await asyncio.sleep(0.05)
    assert (admission.running, admission.queued) == (2, 5)
    admission.release(lease)
    assert len(await asyncio.gather(*again)) == 5


async def test_lines_that_cannot_be_continued_keep_their_places() -> None:
    admission = Admission(slots=4, kv_tokens=1000, max_queue=9)
    fixed = [await admission.acquire(admission.rank(-1, "a"), 30, resumable=False) for _ in range(2)]
    line = await admission.acquire(admission.rank(-1, "a"), 30, resumable=True)
    await admission.acquire(admission.rank(0, "b"), 10, resumable=True)
    assert line.preempted
    assert not any(each.preempted for each in fixed)


async def test_batches_do_not_displace_each_other() -> None:
    admission = Admission(slots=1, kv_tokens=100, max_queue=9)
    line = await admission.acquire(admission.rank(-1, "a"), 10, resumable=True)
    other = asyncio.create_task(admission.acquire(admission.rank(-1, "b"), 10, resumable=True))
    await asyncio.sleep(0)
    assert not line.preempted
    admission.release(line)
    assert await other
