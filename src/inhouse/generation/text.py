"""Plain continuation of text, for the legacy Completions face: no template, no tools."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from inhouse.calls import Call
from inhouse.engines.protocol import EngineFailed, Finished, Piece, TextEngine, TokenLogprob
from inhouse.engines.upstream import Upstream, UpstreamError
from inhouse.generation.errors import engine_errors, refusals
from inhouse.generation.events import ChoiceFinished, EchoedPrompt, TextDelta, TextEvent
from inhouse.generation.items import Sampling
from inhouse.generation.merge import merged
from inhouse.generation.moderation.guarding import Guard
from inhouse.generation.remote import TokenCount, client_error
from inhouse.generation.sampling import check_biases, completion
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage, reported_cache

Prompt = str | tuple[int, ...]

COMPLETIONS = "/completions"
DEFAULT_MAX_TOKENS = 16

ChoiceEvent = TextDelta | EchoedPrompt | ChoiceFinished


class TextRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Prompts to continue. Token ids are those of the deployment's tokenizer."""

    prompts: tuple[Prompt, ...]
    suffix: str | None = None
    echo: bool = False
    best_of: int = 1
    choices: int = 1
    """Answers for each prompt; choice ``prompt * choices + i`` is the i-th answer to a prompt."""
    sampling: Sampling = Sampling()
    stream: bool = False


async def generate_text(call: Call, request: TextRequest) -> AsyncGenerator[list[TextEvent], None]:
    """Deltas and ``ChoiceFinished`` of all choices, then ``Usage``. With ``best_of``, all at the end.

    An echoed prompt is the first delta of its choice.

    Raises:
        APIError: what the client is to be told.
    """
    if not call.guardrails:
        async with aclosing(_answer(call, request)) as batches:
            async for batch in batches:
                yield batch
        return
    async with Guard(call) as guard:
        await guard.check([await _read_prompt(call, each) for each in request.prompts], [], param="prompt")
        choices = len(request.prompts) * request.choices
        async with aclosing(guard.watch(_answer(call, request), choices, stream=request.stream)) as guarded:
            async for batch in guarded:
                yield batch


async def _answer(call: Call, request: TextRequest) -> AsyncGenerator[list[TextEvent], None]:
    with engine_errors(call.id):
        if isinstance(call.text_engine, Upstream):
            events = _remote(call, call.text_engine, request)
        else:
            events = _local(call, call.text_engine, request)
        async with aclosing(events) as batches:
            async for batch in batches:
                await call.answering()
                yield batch


async def _read_prompt(call: Call, prompt: Prompt) -> str:
    """The words of a prompt, to moderate them.

    Raises:
        InvalidRequest: it is tokens of an upstream, which nobody here can read.
    """
    if isinstance(prompt, str):
        return prompt
    with engine_errors(call.id):
        engine = call.text_engine
        if isinstance(engine, Upstream):
            raise InvalidRequest("A prompt that is moderated must be given as text.", param="prompt")
        _check_tokens(prompt, engine)
        return await engine.detokenize(prompt)


async def _local(call: Call, engine: TextEngine, request: TextRequest) -> AsyncGenerator[list[TextEvent], None]:
    check_biases(request.sampling, engine.vocabulary)
    with refusals("prompt"):
        prompts = [await _prompt(call, engine, request, prompt) for prompt in request.prompts]
    for prompt in prompts:
        prompt.check(call, engine.window, _max_tokens(request.sampling))
    call.usage.input_tokens = sum(len(prompt.tokens) for prompt in prompts)
    streams = []
    for number, prompt in enumerate(prompts):
        first = number * request.choices
        if request.best_of > request.choices:
            streams.append(_best(call, engine, request, prompt, first))
        else:
            streams += [_one(call, engine, request, prompt, first + index, index) for index in range(request.choices)]
    with refusals("prompt"):
        async with aclosing(merged(streams)) as batches:
            async for batch in batches:
                yield batch
    yield [call.usage]


class _Prompt(msgspec.Struct):
    """One prompt, ready for the engine."""

    text: str
    tokens: list[int]
    first_token: str | None = None
    logprobs: list[TokenLogprob] = []

    def check(self, call: Call, window: int, wanted: int) -> None:
        """The legacy endpoint refuses what cannot fit whole, completion included."""
        limit = min(call.card.context_window, window)
        if len(self.tokens) + wanted > limit:
            raise InvalidRequest(
                f"This model's maximum context length is {limit} tokens, however you requested "
                f"{len(self.tokens) + wanted} tokens ({len(self.tokens)} in your prompt; {wanted} for the completion). "
                "Please reduce your prompt; or completion length.",
                code="context_length_exceeded",
            )


async def _prompt(call: Call, engine: TextEngine, request: TextRequest, prompt: Prompt) -> _Prompt:
    if request.suffix is not None:
        if not isinstance(prompt, str):
            raise InvalidRequest("suffix needs a prompt given as text.", param="suffix")
        tokens = await engine.infill_prompt(prompt, request.suffix)
        if tokens is None:
            raise InvalidRequest(
                "The model deployed here cannot fill in text before a suffix.",
                param="suffix",
                code="unsupported_parameter",
            )
        return _Prompt(prompt, tokens)
    if isinstance(prompt, str):
        text, tokens = prompt, await engine.tokenize(prompt, special=True)
    else:
        tokens = list(prompt)
        _check_tokens(tokens, engine)
        text = await engine.detokenize(tokens) if request.echo else ""
    ready = _Prompt(text, tokens)
    if request.echo and request.sampling.logprobs is not None:
        ready.first_token = await engine.detokenize(tokens[:1])
        ready.logprobs = await _scored(call, engine, tokens, request.sampling.logprobs)
    return ready


def _check_tokens(tokens: Sequence[int], engine: TextEngine) -> None:
    """
    Raises:
        InvalidRequest: the engine knows no such token.
    """
    if engine.vocabulary and (largest := max(tokens)) >= engine.vocabulary:
        raise InvalidRequest(
            "Invalid 'prompt': token id above maximum value. Expected a value <= "
            f"{engine.vocabulary - 1}, but got {largest} instead.",
            param="prompt",
            code="integer_above_max_value",
        )


async def _scored(call: Call, engine: TextEngine, tokens: list[int], top: int) -> list[TokenLogprob]:
    """Log probabilities of the prompt's tokens after the first."""
    try:
        scored = await engine.prompt_logprobs(tokens, top, tenant=call.project_id)
    except ValueError as error:
        raise InvalidRequest(f"'echo' with 'logprobs': {error}.", param="logprobs") from error
    return [entry for entry in scored if entry is not None]


async def _one(
    call: Call,
    engine: TextEngine,
    request: TextRequest,
    prompt: _Prompt,
    choice: int,
    draw: int,
    *,
    score: bool = False,
) -> AsyncGenerator[list[TextEvent], None]:
    """One continuation. ``draw`` numbers the draws from one prompt, so that a seed gives different ones."""
    if request.echo:
        yield [EchoedPrompt(prompt.text, choice, prompt.first_token, prompt.logprobs)]
    if request.sampling.max_tokens == 0:
        yield [ChoiceFinished("length", choice)]
        return
    usage = call.usage
    counted = 0
    sampling = request.sampling
    if score and sampling.logprobs is None:
        sampling = msgspec.structs.replace(sampling, logprobs=0)
    asked = completion(call, sampling, prompt.tokens, max_tokens=_max_tokens(sampling), draw=draw)
    async with aclosing(engine.complete(asked)) as batches:
        async for batch in batches:
            out: list[TextEvent] = []
            for event in batch:
                usage.cached_tokens = reported_cache(len(prompt.tokens), event.cached_tokens)
                if isinstance(event, Piece):
                    usage.output_tokens += event.count
                    counted += event.count
                    out.append(TextDelta(event.text, choice, event.logprobs))
                else:
                    usage.output_tokens += event.completion_tokens - counted
                    _note(call, request, event)
                    out.append(ChoiceFinished(event.reason, choice))
            yield out


def _max_tokens(sampling: Sampling) -> int:
    return DEFAULT_MAX_TOKENS if sampling.max_tokens is None else sampling.max_tokens


async def _best(
    call: Call, engine: TextEngine, request: TextRequest, prompt: _Prompt, first: int
) -> AsyncGenerator[list[TextEvent], None]:
    """Draw ``best_of`` continuations and give those whose tokens were likeliest on average."""
    draws = [_one(call, engine, request, prompt, draw, draw, score=True) for draw in range(request.best_of)]
    events: list[list[ChoiceEvent]] = [[] for _ in draws]
    async with aclosing(merged(draws)) as batches:
        async for batch in batches:
            for event in batch:
                if not isinstance(event, Usage):
                    events[event.choice].append(event)
    ranked = sorted(events, key=_mean_logprob, reverse=True)[: request.choices]
    for offset, chosen in enumerate(ranked):
        for event in chosen:
            event.choice = first + offset
            if isinstance(event, TextDelta) and request.sampling.logprobs is None:
                event.logprobs = []
        yield [*chosen]


def _mean_logprob(events: list[ChoiceEvent]) -> float:
    logprobs = [entry.logprob for event in events if isinstance(event, TextDelta) for entry in event.logprobs]
    return sum(logprobs) / len(logprobs) if logprobs else 0.0


def _note(call: Call, request: TextRequest, event: Finished) -> None:
    if len(request.prompts) == request.best_of == request.choices == 1:
        call.decode_ms = event.decode_ms
        if not event.cached_tokens:
            call.prefill_ms = event.prefill_ms


# Shapes of an upstream's answers, as far as they are read.


class _Logprobs(msgspec.Struct):
    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(msgspec.Struct):
    text: str = ""
    index: int = 0
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: TokenCount = 0
    completion_tokens: TokenCount = 0


class _Answer(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None


_answers = msgspec.json.Decoder(_Answer)


async def _remote(call: Call, upstream: Upstream, request: TextRequest) -> AsyncGenerator[list[TextEvent], None]:
    body = _body(call, request)
    unfinished = set(range(len(request.prompts) * request.choices))
    try:
        if request.stream:
            async with aclosing(upstream.stream(COMPLETIONS, body)) as batches:
                async for batch in batches:
                    if events := _read(call, batch, unfinished):
                        yield events
        else:
            yield _read(call, [(await upstream.post(COMPLETIONS, body)).body], unfinished)
    except UpstreamError as error:
        raise client_error(error) from error
    except msgspec.MsgspecError as error:
        raise EngineFailed(f"the upstream sent what is not the contract: {error}") from error
    if unfinished:
        raise EngineFailed(f"the upstream did not finish choices {sorted(unfinished)}")
    yield [call.usage]


def _body(call: Call, request: TextRequest) -> dict[str, Any]:
    sampling = request.sampling
    optional = {
        "suffix": request.suffix,
        "echo": request.echo or None,
        "best_of": request.best_of if request.best_of != request.choices else None,
        "n": request.choices if request.choices != 1 else None,
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "presence_penalty": sampling.presence_penalty or None,
        "frequency_penalty": sampling.frequency_penalty or None,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "logit_bias": {str(token): round(bias) for token, bias in sampling.logit_bias.items()} or None,
        "logprobs": sampling.logprobs,
        "stream": True if request.stream else None,
        "stream_options": {"include_usage": True} if request.stream else None,
    }
    prompts: list[Any] = [prompt if isinstance(prompt, str) else list(prompt) for prompt in request.prompts]
    return {
        "model": call.snapshot.id,
        "prompt": prompts[0] if len(prompts) == 1 else prompts,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _read(call: Call, payloads: list[bytes], unfinished: set[int]) -> list[TextEvent]:
    events: list[TextEvent] = []
    usage = call.usage
    for payload in payloads:
        answer = _answers.decode(payload)
        for choice in answer.choices:
            if choice.index not in unfinished:
                if choice.index >= 0 and not choice.text:
                    continue  # some servers end a choice twice, the second time with the usage
                raise EngineFailed(f"the upstream sent more than was asked for, in choice {choice.index}")
            if choice.text or choice.logprobs is not None:
                usage.output_tokens += 1  # until the upstream tells: about a token a chunk
                events.append(TextDelta(choice.text, choice.index, _told_logprobs(choice.logprobs)))
            if choice.finish_reason is not None:
                reason: Any = choice.finish_reason if choice.finish_reason in ("length", "content_filter") else "stop"
                events.append(ChoiceFinished(reason, choice.index))
                unfinished.discard(choice.index)
        if answer.usage is not None:
            usage.input_tokens = answer.usage.prompt_tokens
            usage.output_tokens = answer.usage.completion_tokens
    return events


def _told_logprobs(told: _Logprobs | None) -> list[TokenLogprob]:
    if told is None:
        return []
    tops = told.top_logprobs or [None] * len(told.tokens)
    return [
        TokenLogprob(
            token,
            logprob,
            list(token.encode()),
            top=[TokenLogprob(other, value, list(other.encode())) for other, value in (top or {}).items()],
        )
        for token, logprob, top in zip(told.tokens, told.token_logprobs, tops, strict=False)
        if logprob is not None
    ]
