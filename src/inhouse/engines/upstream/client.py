"""The client of a deployment's servers: chooses one, passes a request on, and goes to the next if that one fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import msgspec

from inhouse.engines.protocol import EngineBusy, EngineFailed
from inhouse.engines.upstream.circuit import Circuit
from inhouse.engines.upstream.connection import Connection, ConnectionFailed
from inhouse.engines.upstream.discovery import Discovery
from inhouse.engines.upstream.events import EventSplitter, error_status
from inhouse.engines.upstream.spec import TargetStatus, UpstreamAnswer, UpstreamError, UpstreamModel, UpstreamSpec

Body = bytes | dict[str, Any] | Callable[[str | None], bytes]
"""As it is; JSON whose ``model`` is replaced; or made for the model's name there, None if the target tells none."""
_encode = msgspec.json.Encoder().encode
MAX_ERROR_BYTES = 1 << 20
T = TypeVar("T")
Reader = Callable[[Circuit, Connection], AsyncGenerator[T, None]]
SAME_TARGET_PAUSE = 0.1
"""Before a target that has just failed is asked again in the same request; doubled each time, seconds."""


class Upstream:
    """Any OpenAI-compatible server, or several of the same model. Belongs to the event loop it is first used in.

    A body is sent as it is when it is ``bytes``; of a ``dict`` the ``model`` is replaced by the name that the target
    knows: the configured one, or the only one that it lists, or what the body says.

    A target that cannot be reached, falls silent, or answers 408, 429 or 5xx (501 and 505 are answers) is put aside,
    see ``Circuit``, and the next is asked, least busy first, as long as nothing was given to the caller. When all are
    aside, those that failed are tried all the same; those that asked for time with a 429 are not.
    """

    def __init__(self, spec: UpstreamSpec) -> None:
        self.spec = spec
        self._made: list[Circuit] | None = None
        self._discovery = Discovery(self._ask)

    async def post(self, path: str, body: Body, headers: Mapping[str, str] | None = None) -> UpstreamAnswer:
        """A whole answer. Cancelling closes the connection at once.

        Args:
            path: below the targets' base URL, such as ``/chat/completions``.
            headers: of the request; ``content-type`` is JSON where they name none.

        Raises:
            UpstreamError: the last answer, when it was not a success.
            EngineBusy: every target has all its connections in use.
            EngineFailed: no target answered.
        """
        attempts = _Attempts(self._circuits, self.spec.retries)
        while True:
            circuit = attempts.next()
            failure: EngineFailed
            circuit.in_flight += 1
            try:
                data = await self._encoded(circuit, body)
                answer = await self._exchange(circuit, "POST", path, data, headers)
                circuit.succeeded()
                return answer
            except EngineFailed as error:
                failure = error
            finally:
                attempts.leave(circuit)
            await attempts.failed(circuit, failure)

    async def stream(
        self, path: str, body: Body, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[list[bytes], None]:
        """The payloads of a stream's events, without ``[DONE]``, in the groups that the network delivered them in.

        Closing the generator closes the connection at once, which is how servers learn to stop.

        Raises:
            UpstreamError: an answer that was not a success, or an error inside the stream.
            EngineBusy: every target has all its connections in use.
            EngineFailed: no target answered, or the stream broke off.
        """
        async with aclosing(self._streamed(path, body, headers, _events)) as batches:
            async for batch in batches:
                yield batch

    async def stream_bytes(
        self, path: str, body: Body, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer as they come, such as speech. Failover, errors and closing as for ``stream``."""
        async with aclosing(self._streamed(path, body, headers, _pieces)) as pieces:
            async for piece in pieces:
                yield piece

    async def _streamed(
        self, path: str, body: Body, headers: Mapping[str, str] | None, read: Reader[T]
    ) -> AsyncGenerator[T, None]:
        attempts = _Attempts(self._circuits, self.spec.retries)
        while True:
            circuit = attempts.next()
            given = False
            failure: EngineFailed
            connection: Connection | None = None
            circuit.in_flight += 1
            done = False
            try:
                connection = await circuit.open("POST", path, await self._encoded(circuit, body), headers)
                if not 200 <= connection.status < 300:
                    content = await connection.read_all(MAX_ERROR_BYTES)
                    raise UpstreamError(circuit.url, connection.status, content, connection.headers)
                async with aclosing(read(circuit, connection)) as parts:
                    async for part in parts:
                        if not given:
                            given = True
                            circuit.succeeded()
                        yield part
                done = True
                circuit.succeeded()
                return
            except EngineFailed as error:
                if given:
                    attempts.record(circuit, error)
                    raise
                failure = error
            finally:
                if connection is not None:
                    connection.finish(drain=done)
                attempts.leave(circuit)
            await attempts.failed(circuit, failure)

    def targets(self) -> list[TargetStatus]:
        """Every target with the state of its circuit."""
        return [circuit.status() for circuit in self._circuits]

    async def ready(self) -> bool:
        """Whether a target answers now; one that refuses our key does not count."""
        return await self._discovery.ready(self._circuits)

    async def models(self) -> list[UpstreamModel]:
        """What the targets list. Raises ``EngineFailed`` when none of them does."""
        return await self._discovery.models(self._circuits)

    async def window(self) -> int | None:
        """Tokens that every target has room for, where they tell; None if none tells. Raises as ``models``."""
        return await self._discovery.window(self._circuits)

    async def tokenize(self, text: str, *, special: bool = False) -> list[int] | None:
        """Token ids by the server's own tokenizer; None if it has no way to tell. With ``special``, control tokens
        written in the text are recognised (by llama.cpp servers; vLLM always does). Raises ``EngineFailed``."""
        return await self._discovery.tokenize(self._circuits, text, special)

    async def count_tokens(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] | None = None
    ) -> int | None:
        """Tokens of a chat's prompt, template included; None if the server cannot tell. Raises ``EngineFailed``."""
        return await self._discovery.count(self._circuits, messages, tools)

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        for circuit in self._circuits:
            circuit.close()

    @property
    def _circuits(self) -> list[Circuit]:
        if self._made is None:
            self._made = [Circuit(target, self.spec) for target in self.spec.targets]
        return self._made

    async def _encoded(self, circuit: Circuit, body: Body) -> bytes:
        if isinstance(body, bytes):
            return body
        model = circuit.model or await self._discovery.only_model(circuit)
        if callable(body):
            return body(model)
        return _encode({**body, "model": model} if model else body)

    async def _ask(self, circuit: Circuit, method: str, path: str, body: bytes) -> UpstreamAnswer:
        """One request to one target, without any effect on its circuit."""
        circuit.in_flight += 1
        try:
            return await self._exchange(circuit, method, path, body, None)
        finally:
            circuit.in_flight -= 1

    async def _exchange(
        self, circuit: Circuit, method: str, path: str, body: bytes, headers: Mapping[str, str] | None
    ) -> UpstreamAnswer:
        connection = await circuit.open(method, path, body, headers)
        try:
            ok = 200 <= connection.status < 300
            content = await connection.read_all(self.spec.max_answer_bytes if ok else MAX_ERROR_BYTES)
        finally:
            connection.finish()
        if not ok:
            raise UpstreamError(circuit.url, connection.status, content, connection.headers)
        return UpstreamAnswer(connection.status, content, connection.headers)


async def _events(circuit: Circuit, connection: Connection) -> AsyncGenerator[list[bytes], None]:
    """The events' payloads of one answer, up to the last one."""
    kind = connection.headers.get("content-type", "")
    if not kind.startswith("text/event-stream"):
        raise EngineFailed(f"{circuit.url} answered {kind or 'without a content type'} in place of an event stream")
    events = EventSplitter()
    while not events.done:
        received = await connection.read()
        if not received:
            raise ConnectionFailed(f"{circuit.url} ended a stream before it was done")
        if batch := events.feed(received):
            yield batch
    if events.error is not None:
        raise UpstreamError(circuit.url, error_status(events.error), events.error)


async def _pieces(circuit: Circuit, connection: Connection) -> AsyncGenerator[bytes, None]:
    """The bytes of one answer."""
    while received := await connection.read():
        yield received


class _Attempts:
    """The walk of one request over the targets."""

    def __init__(self, circuits: list[Circuit], retries: int) -> None:
        self._circuits = circuits
        self._left = retries
        self._tried: list[Circuit] = []
        self._trial: Circuit | None = None

    def next(self) -> Circuit:
        """The target to ask. Raises ``UpstreamError`` (429) when all of them have asked for time."""
        best = self._circuits[0]
        if len(self._circuits) > 1 or best.failures:
            best = self._choose()
        if best.failures:
            best.trial = True
            self._trial = best
        return best

    def _choose(self) -> Circuit:
        untried = [circuit for circuit in self._circuits if circuit not in self._tried]
        for some in (untried, self._circuits):
            if ready := [circuit for circuit in some if circuit.available]:
                return min(ready, key=lambda circuit: circuit.in_flight)
            if failing := [circuit for circuit in some if circuit.still_limited() is None]:
                return min(failing, key=lambda circuit: circuit.opens_at)
        limits = [limit for circuit in self._circuits if (limit := circuit.still_limited()) is not None]
        raise min(limits, key=lambda limit: limit.retry_after or 0.0)

    def leave(self, circuit: Circuit) -> None:
        circuit.in_flight -= 1
        if self._trial is circuit:
            circuit.trial = False
            self._trial = None

    @staticmethod
    def record(circuit: Circuit, error: EngineFailed) -> bool:
        """Count a failure against the target. Returns whether another attempt may do better."""
        if isinstance(error, UpstreamError) and not error.transient:
            circuit.succeeded()  # it works; the request is what it refused
            return False
        if not isinstance(error, EngineBusy):
            circuit.failed(error)
        return True

    async def failed(self, circuit: Circuit, error: EngineFailed) -> None:
        """Prepare the next attempt, or raise ``error`` if there is none."""
        again = self.record(circuit, error)
        self._tried.append(circuit)
        if not again or self._left <= 0:
            raise error
        self._left -= 1
        if any(other not in self._tried and other.still_limited() is None for other in self._circuits):
            return
        if not _worth_repeating(error):
            raise error
        await asyncio.sleep(SAME_TARGET_PAUSE * 2.0 ** (len(self._tried) - 1))


def _worth_repeating(error: EngineFailed) -> bool:
    """Whether a target that has just failed so may answer in a moment."""
    if isinstance(error, UpstreamError):
        return error.status != 429
    return isinstance(error, ConnectionFailed) and not error.timed_out
