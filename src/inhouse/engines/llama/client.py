"""The HTTP face of llama.cpp's server: its calls, its shapes, its errors turned into ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import aiohttp
import msgspec

from inhouse.engines.protocol import BadConstraint, Completion, DecodingDefaults, EngineFailed, TokenLogprob
from inhouse.engines.supervisor import Endpoint, Supervisor

T = TypeVar("T")

CACHE_FULL = "Context size has been exceeded"
IMPOSSIBLE = -9999.0
"""Stands for a log probability of minus infinity, which JSON has not; the official contract uses the same number."""


class Overflow(Exception):
    """The shared KV cache is full; llama.cpp gave up every running request."""


class Probability(msgspec.Struct):
    id: int
    token: str
    bytes: list[int]
    logprob: float | None = None
    top_logprobs: list[Probability] = []

    def as_logprob(self, top: int) -> TokenLogprob:
        return TokenLogprob(
            token=self.token,
            logprob=IMPOSSIBLE if self.logprob is None else self.logprob,
            bytes=self.bytes,
            id=self.id,
            top=[other.as_logprob(0) for other in self.top_logprobs[:top]],
        )


class Timings(msgspec.Struct):
    cache_n: int = 0
    prompt_ms: float = 0.0
    predicted_ms: float = 0.0


class Progress(msgspec.Struct):
    """How far the prompt is computed; ``cache`` tokens of it were reused."""

    cache: int = 0


class Fault(msgspec.Struct):
    message: str = ""
    type: str = ""
    code: int = 500


class Chunk(msgspec.Struct):
    """One event of a streamed completion; the last one has ``stop``."""

    content: str = ""
    tokens: list[int] = []
    stop: bool = False
    tokens_predicted: int = 0
    completion_probabilities: list[Probability] = []
    stop_type: str = "none"
    stopping_word: str = ""
    timings: Timings = msgspec.field(default_factory=Timings)
    prompt_progress: Progress | None = None
    error: Fault | None = None
    id_slot: int = -1


class Refusal(msgspec.Struct):
    error: Fault


class Tokens(msgspec.Struct):
    tokens: list[int]


class Content(msgspec.Struct):
    content: str


class Prompt(msgspec.Struct):
    prompt: str


_decode_chunk = msgspec.json.Decoder(Chunk).decode


def completion_body(request: Completion, defaults: DecodingDefaults) -> dict[str, Any]:
    """The body of ``POST /completion`` for ``request``."""

    def choose(wish: float | None, default: float) -> float:
        return default if wish is None else wish

    body: dict[str, Any] = {
        "prompt": request.prompt,
        "n_predict": request.max_tokens,
        "return_tokens": True,
        # A word after each batch of the prompt: llama.cpp notices a closed connection only when it writes.
        "return_progress": True,
        "temperature": choose(request.temperature, defaults.temperature),
        "top_p": choose(request.top_p, defaults.top_p),
        "top_k": choose(request.top_k, defaults.top_k),
        "min_p": choose(request.min_p, defaults.min_p),
        "repeat_penalty": choose(request.repeat_penalty, defaults.repeat_penalty),
        "repeat_last_n": defaults.penalty_window,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
    }
    if request.seed is not None:
        body["seed"] = request.seed % 0xFFFFFFFF  # 32 bits, of which all ones mean "random".
    if request.stop:
        body["stop"] = request.stop
    if request.logit_bias:
        body["logit_bias"] = list(request.logit_bias.items())
    if request.logprobs is not None:
        body["n_probs"] = max(1, request.logprobs)
    return {**body, **constraint(request)}


def constraint(request: Completion) -> dict[str, Any]:
    """The part of the body that says what text is allowed; empty for any."""
    return {} if request.grammar is None else {"grammar": request.grammar}


class Client:
    """Calls to one supervised llama.cpp server.

    Every call has its own connection: llama.cpp binds a thread to each open one, and may close a kept one under a new
    request. On loopback a connection costs a fraction of a millisecond.

    Args:
        stall_timeout: seconds without a byte after which the engine counts as hung. A streamed call gets a keep-alive
            comment every 30 s, so a long prompt does not trip it.
    """

    def __init__(self, supervisor: Supervisor, stall_timeout: float) -> None:
        self._supervisor = supervisor
        self._timeout = aiohttp.ClientTimeout(total=None, connect=10.0, sock_read=stall_timeout)
        self._session: aiohttp.ClientSession | None = None
        self.own_tokens = 0
        """Tokens generated for the engine's own ends, see ``counts``."""

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def call(self, endpoint: Endpoint, path: str, body: dict[str, Any], answer: type[T]) -> T:
        """POST and decode.

        Raises:
            ValueError: the server refuses the request (4xx).
            EngineFailed: it fails or is gone.
        """
        try:
            async with self._post(endpoint, path, body) as response:
                data = await response.read()
                if response.status != 200:
                    raise _refused(response.status, data, body)
                self.own_tokens += body.get("n_predict", 0)
                return msgspec.json.decode(data, type=answer)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise await self._failed(endpoint, error) from error

    async def stream(self, endpoint: Endpoint, body: dict[str, Any]) -> AsyncGenerator[list[Chunk], None]:
        """The chunks of a streamed completion, one list for each network read. Closing it ends the engine's work.

        Raises:
            Overflow: the shared cache is full.
            ValueError, BadConstraint: the server refuses the request.
            EngineFailed: it fails, hangs or is gone.
        """
        try:
            async with self._post(endpoint, "/completion", {**body, "stream": True}) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.read(), body)
                rest = b""
                async for data in response.content.iter_any():
                    *events, rest = (rest + data).split(b"\n\n")
                    chunks = [_decode_chunk(event[6:]) for event in events if event.startswith(b"data: {")]
                    for chunk in chunks:
                        if chunk.error:
                            raise _fault(chunk.error, body)
                    if chunks:
                        yield chunks
                        if chunks[-1].stop:
                            return
            raise await self._failed(endpoint, None)
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise await self._failed(endpoint, error) from error

    def _post(self, endpoint: Endpoint, path: str, body: dict[str, Any]) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=self._timeout,
                headers={"Content-Type": "application/json"},
            )
        headers = {"Authorization": f"Bearer {endpoint.key}"}
        return self._session.post(endpoint.url + path, data=msgspec.json.encode(body), headers=headers)

    async def _failed(self, endpoint: Endpoint, error: Exception | None) -> EngineFailed:
        if isinstance(error, TimeoutError):
            return EngineFailed(f"{self._supervisor.name} gave no answer for {self._timeout.sock_read:.0f} s")
        reason = await self._supervisor.why_dead(endpoint)
        return EngineFailed(reason or f"{self._supervisor.name} broke off: {error or 'the stream ended early'}")


def _refused(status: int, data: bytes, body: dict[str, Any]) -> Exception:
    try:
        fault = msgspec.json.decode(data, type=Refusal).error
    except msgspec.DecodeError:
        fault = Fault(message=data[:500].decode("utf-8", "replace"))
    return _fault(msgspec.structs.replace(fault, code=status), body)


def _fault(fault: Fault, body: dict[str, Any]) -> Exception:
    if fault.message.startswith(CACHE_FULL):
        return Overflow(fault.message)
    if 400 <= fault.code < 500 and fault.code not in (401, 403, 404):
        if "grammar" in body and "grammar" in fault.message:
            return BadConstraint(fault.message.removeprefix("Failed to initialize samplers: "))
        return ValueError(fault.message)
    return EngineFailed(f"llama.cpp answered {fault.code}: {fault.message}")
