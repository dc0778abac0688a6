"""However many processes ask, no more is admitted than one limit and what refilled meanwhile.

The window is one second in place of sixty, so that three seconds see as many refills as three minutes would: the
arithmetic knows no other difference. ``python -m bench.limits --bound`` takes a minute's window, and a minute.
"""

from __future__ import annotations

import pytest
from bench.hammer import hammer

LIMIT, WINDOW_S, SECONDS = 100, 1.0, 3.0


@pytest.mark.parametrize("processes", [1, 2, 8])
async def test_the_limit_does_not_grow_with_the_processes(valkey_url: str, processes: int) -> None:
    outcome = await hammer(valkey_url, processes, LIMIT, WINDOW_S, SECONDS)
    assert all(outcome.refused), "nobody was held back, so nothing was tried"
    assert outcome.admitted <= outcome.most + 1e-3
    assert outcome.admitted > LIMIT, "what refills is there to be used"
