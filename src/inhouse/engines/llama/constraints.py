"""Whether a grammar or schema really binds.

llama.cpp compiles JSON schemas, and grammars that begin with ``%llguidance``, with the llguidance library. Where that
refuses one, it writes a line to its log and generates *without* it. So each constraint is tried once: a bias makes a
control token all but certain, and only a constraint that works can keep it away.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict

import msgspec

from inhouse.engines.llama.client import Client, Tokens, constraint
from inhouse.engines.protocol import BadConstraint, Completion
from inhouse.engines.supervisor import Endpoint, Supervisor

REMEMBERED = 512
MARK = "llg error: "
SOURCE = re.compile(r"\s*\d+ \| |\d+\.\d+\.")
PLACE = re.compile(r"^at \d+\(\d+\): (?=failed to compile JSON schema)")


class ConstraintCheck:
    """Remembers what was found to work, the least recently used forgotten first."""

    def __init__(self, client: Client, supervisor: Supervisor, control_tokens: tuple[int, ...]) -> None:
        self._client = client
        self._supervisor = supervisor
        self._control = control_tokens[0] if control_tokens else None
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._lock = asyncio.Lock()

    async def check(self, endpoint: Endpoint, request: Completion) -> None:
        """Needs a free slot, for one token.

        Raises:
            BadConstraint: with the engine's reason.
        """
        part = constraint(request)
        if not part or self._control is None:
            return
        key = msgspec.json.encode(part)
        if key in self._known:
            self._known.move_to_end(key)
            return
        async with self._lock:  # One at a time, so that a reason in the log belongs to this one.
            seen = self._supervisor.log_count
            body = {
                "prompt": [self._control],
                "n_predict": 1,
                "logit_bias": [[self._control, 1e9]],
                "temperature": 0,
                "return_tokens": True,
                **part,
            }
            answer = await self._client.call(endpoint, "/completion", body, Tokens)
            if answer.tokens == [self._control]:
                raise BadConstraint(await self._reason(seen))
        self._known[key] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _reason(self, seen: int) -> str:
        for _ in range(20):
            new = self._supervisor.log_count - seen
            lines = self._supervisor.log_lines[-new:] if new > 0 else []
            starts = [at for at, line in enumerate(lines) if MARK in line]
            if starts:
                first, *more = lines[starts[0] :]
                # A reason over several lines ends with the constraint's text, its lines numbered.
                more = more[: next((at for at, line in enumerate(more) if SOURCE.match(line)), len(more))]
                return PLACE.sub("", "\n".join([first.split(MARK, 1)[1], *more]).strip())
            await asyncio.sleep(0.01)
        return "the engine cannot compile this constraint"
