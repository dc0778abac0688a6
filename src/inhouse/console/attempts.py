"""Counting failures, so that passwords and keys cannot be tried for ever."""

from __future__ import annotations

import time
from collections import OrderedDict

_REMEMBERED = 10_000


class Attempts:
    """Failures by name: an address of the network, or of a person.

    Args:
        most: failures in ``window_s`` seconds after which ``tired`` says so.
    """

    def __init__(self, most: int = 10, window_s: float = 60.0) -> None:
        self._most = most
        self._window_s = window_s
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def tired(self, *names: str) -> bool:
        return any(len(self._recent(name)) >= self._most for name in names)

    def failed(self, *names: str) -> None:
        for name in names:
            recent = self._recent(name)
            self._failures.pop(name, None)
            self._failures[name] = [*recent[-self._most :], time.monotonic()]
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)

    def _recent(self, name: str) -> list[float]:
        since = time.monotonic() - self._window_s
        return [at for at in self._failures.get(name, ()) if at > since]
