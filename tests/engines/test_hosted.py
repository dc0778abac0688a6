from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import aiohttp
import pytest
from tests.engines.fake_host_shapes import Answer, Ask

from inhouse.engines.hosted import HostedEngine
from inhouse.engines.hosting import HostConfig
from inhouse.engines.protocol import EngineBusy, EngineFailed, Refused
from inhouse.engines.supervisor import Settings

HOST = Path(__file__).with_name("fake_host.py")
Make = Callable[..., HostedEngine]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[HostedEngine] = []

    def build(
        *, slots: int = 2, idle: float = 0.0, options: dict[str, str] | None = None, **more: object
    ) -> HostedEngine:
        engine = HostedEngine(
            "embedding",
            HostConfig(weights=[], slots=slots, threads=1, options=options or {}),
            settings=Settings(idle=idle, first_delay=0.05),
            command=[sys.executable, str(HOST)],
            **more,  # type: ignore[arg-type]
        )
        made.append(engine)
        return engine

    yield build
    for engine in made:
        await engine.close()


async def written(path: Path) -> str:
    async with asyncio.timeout(120):
        while not path.exists() or not path.read_text():
            await asyncio.sleep(0.01)
    return path.read_text()


async def test_a_call_starts_the_host_and_comes_back(make: Make) -> None:
    engine = make(options={"tone": "softly"})
    assert engine.status.child.state == "stopped"
    assert await engine.call("/say", Ask("hello"), Answer) == Answer("hello softly", b"\x00\xff")
    assert engine.status.child.state == "ready"


async def test_what_the_host_refuses_is_the_clients_and_the_rest_is_ours(make: Make) -> None:
    engine = make()
    with pytest.raises(Refused, match="not this") as refused:
        await engine.call("/say", Ask(do="refuse"), Answer)
    assert (refused.value.code, refused.value.param) == ("no", "say")
    with pytest.raises(EngineFailed, match="broken inside"):
        await engine.call("/say", Ask(do="fail"), Answer)
    with pytest.raises(EngineFailed, match="no such call"):
        await engine.call("/nothing", Ask(), Answer)
    assert (await engine.call("/say", Ask("on"), Answer)).text == "on plainly"


async def test_a_host_that_dies_is_told_and_comes_back(make: Make) -> None:
    engine = make()
    with pytest.raises(EngineFailed, match="died"):
        await engine.call("/say", Ask(do="die"), Answer)
    assert (await engine.call("/say", Ask("again"), Answer)).text == "again plainly"
    with pytest.raises(EngineFailed, match="died"):
        [item async for item in engine.stream("/count", Ask(do="die", count=5), Answer)]


async def test_streams_of_structs_and_of_bytes(make: Make) -> None:
    engine = make()
    assert [item.text async for item in engine.stream("/count", Ask(count=4), Answer)] == ["0", "1", "2", "3"]
    assert [item async for item in engine.stream("/count", Ask(), Answer)] == []
    got = [item async for item in engine.stream("/bytes", Ask("ab", count=300), bytes)]
    assert got == [b"ab" * 1000] * 300


async def test_a_stream_is_refused_before_it_begins_and_breaks_in_the_middle(make: Make) -> None:
    engine = make()
    with pytest.raises(Refused, match="nothing to count"):
        await anext(engine.stream("/count", Ask(do="refuse"), Answer))
    items = engine.stream("/count", Ask(do="fail", count=9), Answer)
    assert [(await anext(items)).text, (await anext(items)).text] == ["0", "1"]
    with pytest.raises(EngineFailed, match="broke in the middle"):
        await anext(items)


async def test_leaving_stops_the_work(make: Make, tmp_path: Path) -> None:
    engine = make(slots=1)
    await engine.start()
    call = asyncio.create_task(engine.call("/say", Ask(seconds=60, mark=str(tmp_path / "call")), Answer))
    await asyncio.sleep(0.3)
    call.cancel()
    assert await written(tmp_path / "call") == "stopped"
    async with aclosing(
        engine.stream("/count", Ask(count=10_000, seconds=0.01, mark=str(tmp_path / "s")), Answer)
    ) as it:
        await anext(it)
    assert await written(tmp_path / "s") == "closed"
    assert (await engine.call("/say", Ask("free"), Answer)).text == "free plainly", "its thread is free again"


@pytest.mark.parametrize("size", [0, 10, 9 << 20])
async def test_uploads(make: Make, size: int) -> None:
    engine = make()

    async def body() -> AsyncIterator[bytes]:
        for start in range(0, size, 1 << 20):
            yield b"x" * min(1 << 20, size - start)

    assert await engine.call("/measure", Ask("ä"), Answer, upload=body()) == Answer(f"ä {size}", b"x" * min(4, size))
    assert (await engine.call("/measure", Ask(), Answer, upload=b"y" * size)).text == f" {size}"
    long = "a request may be longer than any header " * 10_000
    assert (await engine.call("/measure", Ask(long), Answer, upload=b"y" * size)).text == f"{long} {size}"


async def test_an_upload_that_breaks_off_is_no_request(make: Make) -> None:
    engine = make()

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError("the client left")

    with pytest.raises((OSError, EngineFailed)):
        await engine.call("/measure", Ask(), Answer, upload=broken())
    assert (await engine.call("/measure", Ask(), Answer, upload=b"12")).text == " 2"


async def test_the_queue_is_bounded_and_fair(make: Make) -> None:
    engine = make(slots=1, max_queue=2)
    await engine.start()
    order: list[str] = []

    async def one(name: str, tenant: str, seconds: float = 0.05) -> None:
        await engine.call("/say", Ask(name, seconds=seconds), Answer, tenant=tenant)
        order.append(name)

    running = asyncio.create_task(one("a1", "a", seconds=0.7))
    await asyncio.sleep(0.02)
    waiting = [asyncio.create_task(one(name, name[0])) for name in ("a2", "a3")]
    await asyncio.sleep(0)
    late = asyncio.create_task(one("b1", "b"))
    await asyncio.gather(running, *waiting, late, return_exceptions=True)
    assert order == ["a1", "a2", "b1"], "the newcomer took the place of the other tenant's third"
    with pytest.raises(EngineBusy):
        await waiting[1]


async def test_silence_is_a_failure(make: Make, tmp_path: Path) -> None:
    engine = make(stall_timeout=0.3)
    with pytest.raises(EngineFailed, match="gave no answer"):
        await engine.call("/say", Ask(seconds=60, mark=str(tmp_path / "m")), Answer)


async def test_an_idle_host_leaves_memory(make: Make) -> None:
    engine = make(idle=0.1)
    await engine.call("/say", Ask(), Answer)
    async with asyncio.timeout(120):
        while engine.status.child.state != "stopped":
            await asyncio.sleep(0.02)
    assert (await engine.call("/say", Ask("back"), Answer)).text == "back plainly"


async def test_nobody_enters_without_the_key(make: Make) -> None:
    engine = make()
    async with engine._supervisor.use() as endpoint, aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer x"}):
            for path in ("/health", "/say"):
                async with session.post(endpoint.url + path, headers=headers) as answer:
                    assert answer.status == 401
