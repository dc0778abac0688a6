"""However many processes ask, no more is admitted than one limit and what refilled meanwhile.

The window is one second in place of sixty, so that three seconds see as many refills as three minutes would: the
arithmetic knows no other difference.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

import inhouse

HAMMER = Path(__file__).with_name("hammer.py")
LIMIT, WINDOW, SECONDS = 100, 1.0, 3.0


@pytest.mark.parametrize("processes", [1, 2, 8])
async def test_the_limit_does_not_grow_with_the_processes(valkey_url: str, processes: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(inhouse.__file__).parent.parent)}
    arguments = [str(HAMMER), valkey_url, str(LIMIT), str(WINDOW), str(SECONDS)]
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, *arguments, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
    answers = [json.loads(out) for out, _ in await asyncio.gather(*(p.communicate(b"go\n") for p in started))]
    admitted = sum(answer["admitted"] for answer in answers)
    took = max(answer["last"] for answer in answers) - min(answer["first"] for answer in answers)
    most = LIMIT + LIMIT * took / WINDOW
    assert all(answer["refused"] for answer in answers), "nobody was held back, so nothing was tried"
    assert admitted <= most + 1e-3
    assert admitted > LIMIT, "what refills is there to be used"
