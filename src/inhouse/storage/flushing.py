"""Writes for all who wait: one after the other, each for everybody who asked before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Flusher:
    """Runs ``write`` when somebody asks, never twice at once.

    Args:
        write: tells the database of everything that has gathered. It raises if nothing could be written, and returns
            why something was refused.
    """

    def __init__(self, write: Callable[[], Awaitable[Exception | None]]) -> None:
        self._write = write
        self._soon: asyncio.TimerHandle | None = None
        self._next: asyncio.Future[None] | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._running is not None

    def flush(self) -> asyncio.Future[None]:
        """The next write. Its future is everybody's: shield it when you await it."""
        self.stop()
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return self._next

    def flush_in(self, seconds: float) -> None:
        """Write that much later at most."""
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(seconds, self.flush)

    def stop(self) -> None:
        """Wait for nobody; ``flush`` still writes."""
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None

    async def _run(self) -> None:
        try:
            while (flushed := self._next) is not None:
                self._next = None
                self.stop()
                try:
                    refused = await self._write()
                except asyncio.CancelledError:  # the loop ends; nobody may be left waiting
                    flushed.cancel()
                    raise
                except Exception as error:
                    refused = error
                if refused is None:
                    flushed.set_result(None)
                else:
                    flushed.set_exception(refused)
                    flushed.exception()  # what nobody awaits any more is not a warning
        finally:
            self._running = None
