from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from inhouse.generation.merge import merged


class Source:
    """A stream that tells how far it was read and whether it was closed."""

    def __init__(self, *batches: list[int], error: BaseException | None = None, hangs: bool = False) -> None:
        self.given = 0
        self.closed = False
        self._batches = batches
        self._error = error
        self._hangs = hangs

    async def stream(self) -> AsyncGenerator[list[int], None]:
        try:
            for batch in self._batches:
                await asyncio.sleep(0)
                self.given += 1
                yield batch
            if self._error is not None:
                raise self._error
            if self._hangs:
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.closed = True


async def read(*sources: Source) -> list[list[int]]:
    async with asyncio.timeout(120):
        return [batch async for batch in merged(streams(*sources))]


def streams(*sources: Source) -> list[AsyncGenerator[list[int], None]]:
    return [source.stream() for source in sources]


async def test_all_of_all_in_the_order_of_each() -> None:
    sources = [Source([1], [2], [3]), Source(), Source([10], [20])]
    got = await read(*sources)
    assert sorted(got) == [[1], [2], [3], [10], [20]]
    assert [batch for batch in got if batch[0] < 10] == [[1], [2], [3]]
    assert all(source.closed for source in sources)


@pytest.mark.parametrize("others", [0, 2])
async def test_the_first_error_ends_all(others: int) -> None:
    sources = [Source([1], error=LookupError("first")), *(Source([2], hangs=True) for _ in range(others))]
    with pytest.raises(LookupError, match="first"):
        await read(*sources)
    assert all(source.closed for source in sources)


async def test_a_stream_that_is_cancelled_from_within_does_not_leave_the_reader_waiting() -> None:
    sources = [Source(error=asyncio.CancelledError()), Source([2], hangs=True)]
    with pytest.raises(RuntimeError, match="cancelled from within"):
        await read(*sources)
    assert all(source.closed for source in sources)


@pytest.mark.parametrize("count", [1, 3])
async def test_closing_closes_all(count: int) -> None:
    sources = [Source([1], [2], hangs=True) for _ in range(count)]
    async with aclosing(merged(streams(*sources))) as batches:
        await anext(batches)
    assert all(source.closed for source in sources)


@pytest.mark.parametrize("count", [1, 3])
async def test_cancelling_closes_all(count: int) -> None:
    sources = [Source([1], hangs=True) for _ in range(count)]
    read = asyncio.Event()

    async def reader() -> None:
        async for _ in merged(streams(*sources)):
            read.set()

    task = asyncio.create_task(reader())
    await read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(source.closed for source in sources)


async def test_a_slow_reader_slows_the_streams() -> None:
    sources = [Source(*([n] for n in range(100))) for _ in range(2)]
    async with aclosing(merged(streams(*sources))) as batches:
        await anext(batches)
        for _ in range(50):
            await asyncio.sleep(0)
        # Two wait in the queue, one in each stream's hand, and one was read.
        assert sum(source.given for source in sources) <= 5
        assert len([batch async for batch in batches]) == 199


async def test_closing_while_the_streams_wait_for_a_slow_reader() -> None:
    sources = [Source(*([n] for n in range(100))) for _ in range(2)]
    async with asyncio.timeout(120), aclosing(merged(streams(*sources))) as batches:
        await anext(batches)
        for _ in range(50):
            await asyncio.sleep(0)
    assert all(source.closed for source in sources)
