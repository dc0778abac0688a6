"""What servers tell about themselves beyond the contract: models, windows, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream.circuit import Circuit
from inhouse.engines.upstream.spec import UpstreamAnswer, UpstreamError, UpstreamModel

UNSUPPORTED_SECONDS = 600.0
"""How long a server that lacks an endpoint is not asked for it again."""
READY_SECONDS = 5.0
_LACKING = (400, 404, 405, 422, 501)
_UNSHAPED = (400, 422)
"""It has the endpoint, but not for what was sent."""

_T = TypeVar("_T")
Ask = Callable[[Circuit, str, str, bytes], Awaitable[UpstreamAnswer]]


class _Meta(msgspec.Struct, frozen=True):
    n_ctx: int | None = None


class _Model(msgspec.Struct):
    id: str
    max_model_len: int | None = None  # vLLM, SGLang
    meta: _Meta | None = None  # llama.cpp


class _Models(msgspec.Struct):
    data: list[_Model] = []


class _Tokens(msgspec.Struct):
    tokens: list[int] = []


class _Count(msgspec.Struct):
    count: int | None = None


class _Prompt(msgspec.Struct):
    prompt: str


class _Props(msgspec.Struct):
    default_generation_settings: _Meta = _Meta()


class Discovery:
    """Asks targets one by one. What a server turned out to lack is remembered for a while."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lacking: dict[tuple[str, str], float] = {}
        self._only_model: dict[str, tuple[str | None, float]] = {}

    async def ready(self, circuits: Sequence[Circuit]) -> bool:
        return any(await asyncio.gather(*(self._is_ready(circuit) for circuit in circuits)))

    async def _is_ready(self, circuit: Circuit) -> bool:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ask(circuit, "GET", "/models", b"")
        except UpstreamError as error:
            return error.status in (404, 405)  # it answers, and has no such list
        except (EngineFailed, TimeoutError):
            return False
        return True

    async def models(self, circuits: Sequence[Circuit]) -> list[UpstreamModel]:
        found: list[UpstreamModel] = []
        failure: EngineFailed | None = None
        for circuit in circuits:
            try:
                listed = await self._list(circuit)
            except EngineFailed as error:
                failure = error
                continue
            found += [UpstreamModel(model.id, _window(model), circuit.url) for model in listed]
        if not found and failure is not None:
            raise failure
        return found

    async def window(self, circuits: Sequence[Circuit]) -> int | None:
        windows: list[int] = []
        models = await self.models(circuits)
        for circuit in circuits:
            listed = [model for model in models if model.url == circuit.url]
            if len(listed) > 1:
                listed = [model for model in listed if model.id == circuit.model]
            told = [model.window for model in listed if model.window]
            if not told and len(listed) == 1 and (size := await self._slot_size(circuit)):
                told = [size]
            windows += told
        return min(windows, default=None)

    async def _slot_size(self, circuit: Circuit) -> int | None:
        """The window of one slot, as llama.cpp servers of all versions tell it; their list of models may not."""
        now = asyncio.get_running_loop().time()
        if self._lacking.get((circuit.url, "//props"), 0.0) > now:
            return None
        try:
            answer = await self._ask(circuit, "GET", "//props", b"")
            if found := msgspec.json.decode(answer.body, type=_Props).default_generation_settings.n_ctx:
                return found
        except UpstreamError as error:
            if error.status not in (*_LACKING, 401, 403):
                raise
        except msgspec.MsgspecError:
            pass
        self._lacking[circuit.url, "//props"] = now + UNSUPPORTED_SECONDS
        return None

    async def only_model(self, circuit: Circuit) -> str | None:
        """The name of the model on a server that lists exactly one; None otherwise. Raises ``EngineFailed``."""
        now = asyncio.get_running_loop().time()
        known = self._only_model.get(circuit.url)
        if known is not None and known[1] > now:
            return known[0]
        try:
            models = await self._list(circuit)
        except UpstreamError as error:
            if error.transient:
                raise
            models = []
        name = models[0].id if len(models) == 1 else None
        self._only_model[circuit.url] = (name, now + UNSUPPORTED_SECONDS)
        return name

    async def tokenize(self, circuits: Sequence[Circuit], text: str, special: bool) -> list[int] | None:
        for circuit in circuits:
            tokens = await self._tokenize(circuit, text, special)
            if tokens is not None:
                return tokens
        return None

    async def count(
        self,
        circuits: Sequence[Circuit],
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
    ) -> int | None:
        for circuit in circuits:
            chat: dict[str, Any] = {"messages": messages}
            if tools:
                chat["tools"] = tools
            # vLLM counts a chat itself. A llama.cpp server ignores the messages and finds no text; it renders apart.
            # One that takes texts alone (SGLang), or whose template refuses this chat, is asked again all the same.
            whole = {**chat, "add_generation_prompt": True}
            answer = await self._post(circuit, "//tokenize", whole, _Count, forgive=_UNSHAPED)
            if answer is not None and answer.count:
                return answer.count
            prompt = await self._post(circuit, "//apply-template", chat, _Prompt, forgive=_UNSHAPED)
            if prompt is not None:
                tokens = await self._tokenize(circuit, prompt.prompt, True)
                if tokens is not None:
                    return len(tokens)
        return None

    async def _tokenize(self, circuit: Circuit, text: str, special: bool) -> list[int] | None:
        # Two dialects in one request: vLLM and SGLang read ``prompt``, llama.cpp ``content``.
        body = {
            "prompt": text,
            "content": text,
            "add_special_tokens": False,
            "add_special": False,
            "parse_special": special,
        }
        answer = await self._post(circuit, "//tokenize", body, _Tokens)
        return None if answer is None or (text and not answer.tokens) else answer.tokens

    async def _list(self, circuit: Circuit) -> list[_Model]:
        answer = await self._ask(circuit, "GET", "/models", b"")
        try:
            return msgspec.json.decode(answer.body, type=_Models).data
        except msgspec.MsgspecError as error:
            raise EngineFailed(f"{circuit.url} lists models in a shape of its own: {error}") from error

    async def _post(
        self, circuit: Circuit, path: str, body: dict[str, Any], shape: type[_T], forgive: Sequence[int] = ()
    ) -> _T | None:
        """None if the server lacks the endpoint, which is remembered but for the statuses that are forgiven."""
        now = asyncio.get_running_loop().time()
        if self._lacking.get((circuit.url, path), 0.0) > now:
            return None
        model = circuit.model or await self.only_model(circuit)
        try:
            answer = await self._ask(
                circuit, "POST", path, msgspec.json.encode({**body, "model": model} if model else body)
            )
            return msgspec.json.decode(answer.body, type=shape)
        except UpstreamError as error:
            if error.status not in (*_LACKING, 401, 403):
                raise
            if error.status in forgive:
                return None
        except msgspec.MsgspecError:
            pass
        self._lacking[circuit.url, path] = now + UNSUPPORTED_SECONDS
        return None


def _window(model: _Model) -> int | None:
    return model.max_model_len or (model.meta.n_ctx if model.meta else None)
