"""The embedded text engine: a ``TextEngine`` over a supervised llama.cpp server."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from inhouse.engines.llama import scoring
from inhouse.engines.llama.admission import GROWTH, Admission, Lease
from inhouse.engines.llama.client import Client, Content, Overflow, Prompt, Tokens, completion_body, constraint
from inhouse.engines.llama.constraints import ConstraintCheck
from inhouse.engines.llama.counts import Counting
from inhouse.engines.llama.run import Run
from inhouse.engines.llama.slots import Slots
from inhouse.engines.llama.spec import LlamaSpec, plan
from inhouse.engines.protocol import Completion, EngineFailed, Finished, Piece, TokenLogprob
from inhouse.engines.supervisor import Endpoint, Settings, Status, Supervisor
from inhouse.engines.weights.gguf import inspect_gguf

GROW_BEFORE = 64
"""Tokens before the end of a lease at which it is grown: time for a preempted request's cells to come free."""
MOST_OVERFLOWS = 3
UNSEEN = 32
"""Tokens that the engine may generate that were not read any more when its connection was closed, or before it noticed:
what it writes in 80 ms at 400 a second."""
FILL_IN_THE_MIDDLE = [
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
]
"""Markers before the prefix, the suffix, and the middle that is to be written, as families of models name them."""

Batch = list[Piece | Finished]
T = TypeVar("T")


class EngineStatus(msgspec.Struct, kw_only=True):
    """What an operator sees of the engine."""

    child: Status
    running: int
    queued: int
    slots: int
    kv_reserved: int
    kv_tokens: int


class LlamaEngine:
    """One model on llama.cpp, in a child process that starts with the first call.

    Args:
        spec: the model and how to run it.
        max_queue: requests that may wait for a slot; one more raises EngineBusy.
        queue_timeout: seconds that a request may wait for its slot before it raises EngineBusy.
        settings: of the child process: idle unload, timeouts, delays between restarts.
        log_folder: where the child's log goes; None keeps only its last lines, in memory.
        stall_timeout: seconds of silence after which the engine counts as hung.

    Raises:
        OSError, ValueError: the file cannot be read as GGUF, or the spec makes no sense.
    """

    def __init__(
        self,
        spec: LlamaSpec,
        *,
        name: str = "llama",
        max_queue: int = 256,
        queue_timeout: float | None = None,
        settings: Settings | None = None,
        log_folder: Path | None = None,
        stall_timeout: float = 120.0,
    ) -> None:
        self.spec = spec
        self._plan = plan(spec)
        self._model = inspect_gguf(Path(spec.path))
        self._supervisor = Supervisor(
            name,
            [sys.executable, "-m", "inhouse.engines.llama.host"],
            config=self._plan,
            environment={"GOMP_SPINCOUNT": str(spec.spin)},
            settings=settings,
            log_folder=log_folder,
            farewell=lambda endpoint, started_at: self.counting.read_last(endpoint, started_at),
        )
        self._client = Client(self._supervisor, stall_timeout)
        self.counting = Counting(self._supervisor, self._client)
        self._admission = Admission(spec.slots, self._plan.kv_tokens, max_queue, queue_timeout)
        self._slots = Slots(spec.slots)
        self._constraints = ConstraintCheck(self._client, self._supervisor, self._model.control_tokens)

    @property
    def window(self) -> int:
        return self._plan.window

    @property
    def vocabulary(self) -> int:
        return self._model.vocabulary or 0

    @property
    def status(self) -> EngineStatus:
        return EngineStatus(
            child=self._supervisor.status,
            running=self._admission.running,
            queued=self._admission.queued,
            slots=self._admission.slots,
            kv_reserved=self._admission.reserved,
            kv_tokens=self._admission.kv_tokens,
        )

    async def start(self) -> None:
        """Load the model now rather than with the first call.

        Raises:
            EngineFailed: with the reason from the child's log.
        """
        async with self._supervisor.use():
            pass

    async def stop(self) -> None:
        """Unload; the next call loads again."""
        await self._supervisor.stop()

    async def close(self) -> None:
        """Unload for good."""
        await self._supervisor.close()
        await self._client.close()

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        return (await self._call("/tokenize", {"content": text, "parse_special": special}, Tokens)).tokens

    async def start_tokens(self) -> list[int]:
        """What the model expects before a text that no template dressed: its begin-of-sequence token, or nothing."""
        return (await self._call("/tokenize", {"content": "", "add_special": True}, Tokens)).tokens

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of ``tokens``. Raises ValueError for ids that the vocabulary lacks."""
        self._check_tokens(tokens)
        return (await self._call("/detokenize", {"tokens": list(tokens)}, Content)).content

    async def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        """The model's own chat template over ``messages``, ready for the assistant's turn.

        Raises:
            ValueError: the template refuses the messages.
        """
        body: dict[str, Any] = {"messages": messages, **({"tools": tools} if tools else {})}
        return (await self._call("/apply-template", body, Prompt)).prompt

    async def infill_prompt(self, prefix: str, suffix: str) -> list[int] | None:
        """Tokens after which the model writes what stands between ``prefix`` and ``suffix``; None if it cannot."""
        for markers in FILL_IN_THE_MIDDLE:
            ids = [await self.tokenize(marker, special=True) for marker in markers]
            if all(len(found) == 1 for found in ids):
                (before,), (after,), (middle,) = ids
                texts = await self.tokenize(prefix), await self.tokenize(suffix)
                return [*await self.start_tokens(), before, *texts[0], after, *texts[1], middle]
        return None

    async def prompt_logprobs(
        self, tokens: Sequence[int], top: int = 0, *, tenant: str = ""
    ) -> list[TokenLogprob | None]:
        """Exact log probability of each of ``tokens`` given those before it, with ``top`` alternatives; None first.

        Costs one decoding step a token, so it is bounded by ``scoring.LONGEST`` tokens.

        Raises:
            ValueError: too many tokens.
            EngineBusy, EngineFailed
        """
        tokens = list(tokens)
        self._check_tokens(tokens)
        if len(tokens) > min(scoring.LONGEST, self.window):
            longest = min(scoring.LONGEST, self.window)
            raise ValueError(f"log probabilities of a prompt are told for at most {longest} tokens, got {len(tokens)}")
        if len(tokens) < 2:
            return [None for _ in tokens]
        lease = await self._admission.acquire(self._admission.rank(0), len(tokens) + 8, resumable=False)
        try:
            async with self._supervisor.use() as endpoint:
                place = self._slots.take(endpoint, tenant, tokens)
                try:
                    # In a slot of its own it goes on from its own steps; the first finds one token at most.
                    where = place.body if place.slot is None else {**place.body, "cache_prompt": True}
                    return await scoring.score(self._client, endpoint, tokens, top, where)
                finally:
                    self._slots.give(place, ended=False)
        finally:
            self._admission.release(lease)

    async def complete(self, request: Completion) -> AsyncGenerator[Batch, None]:
        """See ``TextEngine.complete``. ``max_tokens`` of 0 only counts the prompt.

        A request that waits in the queue or whose place in the cache is taken by an older one just pauses.
        """
        self._check(request)
        if request.max_tokens == 0:
            yield [Finished(reason="length", prompt_tokens=len(request.prompt), cached_tokens=0, completion_tokens=0)]
            return
        # The engine does not wait for a slow reader, so neither may the accounting of its cache: hence a task.
        batches: asyncio.Queue[Batch | BaseException] = asyncio.Queue()
        run = Run(request, resumable=not constraint(request), window=self.window)
        task = asyncio.create_task(self._generate(run, batches))
        given = 0
        try:
            while True:
                got = await batches.get()
                events: Batch = []
                while not isinstance(got, BaseException):
                    events += got
                    if batches.empty():
                        break
                    got = batches.get_nowait()
                if events:
                    given += sum(event.count for event in events if isinstance(event, Piece))
                    yield events
                    if isinstance(events[-1], Finished):
                        return
                if isinstance(got, BaseException):
                    raise got
        finally:
            task.cancel()
            await asyncio.wait([task])
            if run.sent and run.finished is None:
                # Broken off, perhaps because a tool's call was all that the reader wanted.
                lost = 0 if request.priority < 0 else run.told - given + run.held
                self._client.own_tokens += lost + UNSEEN

    def _check(self, request: Completion) -> None:
        if not request.prompt:
            raise ValueError("the prompt is empty")
        self._check_tokens(request.prompt)
        if request.max_tokens < 0:
            raise ValueError("max_tokens is negative")
        total = len(request.prompt) + request.max_tokens
        if total > self.window:
            raise ValueError(
                f"{len(request.prompt)} prompt tokens and {request.max_tokens} completion tokens do not fit the window "
                f"of {self.window} tokens"
            )

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        if tokens and self.vocabulary and max(tokens) >= self.vocabulary:
            raise ValueError(f"token {max(tokens)} is not in the vocabulary of {self.vocabulary} tokens")

    async def _generate(self, run: Run, batches: asyncio.Queue[Batch | BaseException]) -> None:
        request = run.request
        try:
            rank = self._admission.rank(request.priority, request.tenant)
            overflows = 0
            while run.finished is None:
                need = run.base + min(run.left, GROWTH)
                resumable = not constraint(request)
                lease = await self._admission.acquire(rank, need, resumable=resumable, again=run.parts > 0)
                try:
                    async with self._supervisor.use() as endpoint:
                        if await self._run_part(endpoint, run, lease, batches):
                            continue
                        overflows += 1
                        if overflows > MOST_OVERFLOWS:
                            raise EngineFailed("the engine's KV cache overflowed again and again")
                finally:
                    self._admission.release(lease)
        except BaseException as error:  # Whatever it is, the reader of the queue must not wait for ever.
            batches.put_nowait(error)
            if isinstance(error, asyncio.CancelledError):
                raise

    async def _run_part(self, endpoint: Endpoint, run: Run, lease: Lease, batches: asyncio.Queue[Any]) -> bool:
        """Generate until the end, or until the place is lost; then ``run`` knows from where to go on.

        Returns False when llama.cpp's cache overflowed, which the accounting should never let happen.
        """
        await self._constraints.check(endpoint, run.request)
        in_order, run.sent = True, True
        part = run.part
        place = self._slots.take(endpoint, part.tenant, part.prompt)
        body = {**completion_body(part, self.spec.defaults), **place.body}
        with contextlib.suppress(_PlaceLost):
            try:
                async with asyncio.timeout(None) as deadline:
                    lease.on_preempt = lambda: deadline.reschedule(asyncio.get_running_loop().time())
                    if lease.preempted:
                        raise _PlaceLost
                    async with contextlib.aclosing(self._client.stream(endpoint, body)) as stream:
                        async for chunks in stream:
                            self._slots.learn(place, chunks[-1].id_slot)
                            if events := run.take(chunks):
                                batches.put_nowait(events)
                            if run.finished is None and not self._keep(run, lease):
                                raise _PlaceLost
            except TimeoutError:
                pass
            except Overflow:
                in_order = False
            finally:
                self._slots.give(place, ended=run.finished is not None)
                lease.on_preempt = None
                if run.request.priority < 0:  # A batch enters its lines later, and not those that are done again.
                    self._client.own_tokens += run.predicted
        if run.finished is None:
            self._client.own_tokens += run.held + UNSEEN

            async def tokenize(text: str) -> list[int]:
                return (await self._client.call(endpoint, "/tokenize", {"content": text}, Tokens)).tokens

            if finished := await run.lose_place(tokenize):
                batches.put_nowait([finished])
        return in_order

    def _keep(self, run: Run, lease: Lease) -> bool:
        """Whether the lease reaches on: grow it shortly before its end."""
        missing = run.base + run.left - lease.tokens
        if missing <= 0 or run.base + run.predicted + GROW_BEFORE < lease.tokens:
            return True
        return self._admission.grow(lease, min(GROWTH, missing))

    async def _call(self, path: str, body: dict[str, Any], answer: type[T]) -> T:
        async with self._supervisor.use() as endpoint:
            return await self._client.call(endpoint, path, body, answer)


class _PlaceLost(Exception):
    pass
