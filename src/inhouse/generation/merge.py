"""Several streams of event batches as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def merged(streams: Sequence[AsyncGenerator[list[T], None]]) -> AsyncGenerator[list[T], None]:
    """Batches of all streams as they come. The first error ends all; closing this closes all."""
    if len(streams) == 1:
        async with aclosing(streams[0]) as stream:
            async for batch in stream:
                yield batch
        return

    # A bounded queue, so that a slow reader slows the engines instead of filling memory. None: a stream has ended.
    batches: asyncio.Queue[list[T] | Exception | None] = asyncio.Queue(maxsize=len(streams))
    closing = False

    async def pump(stream: AsyncGenerator[list[T], None]) -> None:
        try:
            async with aclosing(stream):
                async for batch in stream:
                    await batches.put(batch)
        except asyncio.CancelledError:
            if closing:
                raise
            await batches.put(RuntimeError("a stream was cancelled from within"))
        except Exception as error:
            await batches.put(error)
        else:
            await batches.put(None)

    pumps = [asyncio.create_task(pump(stream)) for stream in streams]
    try:
        running = len(pumps)
        while running:
            got = await batches.get()
            if got is None:
                running -= 1
            elif isinstance(got, Exception):
                raise got
            else:
                yield got
    finally:
        closing = True
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


async def in_order(streams: Sequence[AsyncGenerator[list[T], None]]) -> AsyncGenerator[list[T], None]:
    """Batches of streams that all run at the same time, those of one stream after those of the one before it.

    What waits for its turn is kept in memory. The first error in that order ends all; closing this closes all.
    """
    if len(streams) == 1:
        async with aclosing(streams[0]) as stream:
            async for batch in stream:
                yield batch
        return

    async def pump(stream: AsyncGenerator[list[T], None], batches: asyncio.Queue[list[T] | None]) -> None:
        try:
            async with aclosing(stream):
                async for batch in stream:
                    batches.put_nowait(batch)
        finally:
            batches.put_nowait(None)

    queues: list[asyncio.Queue[list[T] | None]] = [asyncio.Queue() for _ in streams]
    pumps = [asyncio.create_task(pump(*each)) for each in zip(streams, queues, strict=True)]
    try:
        for task, batches in zip(pumps, queues, strict=True):
            while (got := await batches.get()) is not None:
                yield got
            await asyncio.wait([task])
            if task.cancelled():
                raise RuntimeError("a stream was cancelled from within")
            task.result()
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
