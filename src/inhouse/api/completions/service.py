"""Legacy Completions: continue texts."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from msgspec import UNSET

from inhouse.api.completing import fingerprint, most_input_tokens, stop_sequences, token_biases, usage
from inhouse.api.completions import wire
from inhouse.api.operation import Request
from inhouse.calls import Call, Calls
from inhouse.engines.protocol import TokenLogprob
from inhouse.generation.events import ChoiceFinished, EchoedPrompt, FinishReason, TextDelta, TextEvent
from inhouse.generation.items import Sampling
from inhouse.generation.text import DEFAULT_MAX_TOKENS, Prompt, TextRequest, generate_text
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id
from inhouse.limits import Demand, estimate
from inhouse.metering.pricing import Bound

MAX_PROMPTS = 128
NO_PROMPT = "<|endoftext|>"


class CompletionsService:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def _open(self, request: Request, body: wire.CreateCompletionRequest) -> Call:
        return self._calls.open(
            request.caller,
            request.operation.id,
            body.model,
            request_id=request.request_id,
            endpoint="completions",
            demand=demand(body),
            respond=request.respond,
            streams=bool(body.stream),
            most=_most(request, body),
        )

    async def complete(self, request: Request, body: wire.CreateCompletionRequest) -> wire.Completion:
        async with self._open(request, body) as call:
            asked = read(body)
            writer = _Writer(call, body, asked)
            choices = [_Collected() for _ in range(len(asked.prompts) * asked.choices)]
            async with aclosing(generate_text(call, asked)) as batches:
                async for batch in batches:
                    for event in batch:
                        if isinstance(event, TextDelta | EchoedPrompt):
                            choices[event.choice].add(event)
                        elif isinstance(event, ChoiceFinished):
                            choices[event.choice].reason = event.reason
            return writer.whole(choices)

    async def stream(
        self, request: Request, body: wire.CreateCompletionRequest
    ) -> AsyncGenerator[list[wire.Completion], None]:
        async with self._open(request, body) as call:
            asked = read(body)
            writer = _Writer(call, body, asked)
            async with aclosing(generate_text(call, asked)) as batches:
                async for batch in batches:
                    if out := writer.pieces(batch):
                        yield out


def demand(body: wire.CreateCompletionRequest) -> Demand:
    """What the request may use at most. Prompts that are given as tokens need no estimate."""
    prompts = _prompts(body.prompt)
    tokens = sum(len(prompt) for prompt in prompts if not isinstance(prompt, str))
    characters = sum(len(prompt) for prompt in prompts if isinstance(prompt, str)) + len(body.suffix or "")
    return Demand(
        input_tokens=tokens + estimate(characters),
        max_tokens=DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens,
        answers=len(prompts) * max(body.n or 1, body.best_of or 1),
    )


def read(body: wire.CreateCompletionRequest) -> TextRequest:
    """The request in the core's terms.

    Raises:
        InvalidRequest: parameters that do not go together.
    """
    choices = body.n or 1
    best_of = body.best_of or choices
    if best_of < choices:
        raise InvalidRequest(
            "You requested that the server return more choices than it will generate (HINT: you must set 'n' "
            f"(currently {choices}) to be at most 'best_of' (currently {best_of})).",
            param="best_of",
        )
    if body.stream and best_of > choices:
        raise InvalidRequest("Cannot stream results with best_of > n.", param="best_of")
    if body.suffix is not None and body.echo:
        raise InvalidRequest("'echo' cannot be used together with 'suffix'.", param="echo")
    if body.stream_options is not None and not body.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    prompts = _prompts(body.prompt)
    if len(prompts) > MAX_PROMPTS:
        raise InvalidRequest(f"Too many prompts: {len(prompts)}. At most {MAX_PROMPTS} are allowed.", param="prompt")
    return TextRequest(
        prompts=prompts,
        suffix=body.suffix,
        echo=bool(body.echo),
        best_of=best_of,
        choices=choices,
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
            seed=body.seed,
            stop=stop_sequences(body.stop),
            logit_bias=token_biases(body.logit_bias),
            logprobs=body.logprobs,
            max_tokens=body.max_tokens,
        ),
        stream=bool(body.stream),
    )


def _prompts(prompt: str | list[Any] | None) -> tuple[Prompt, ...]:
    """A text, tokens, texts, or lists of tokens: always as a tuple of prompts."""
    if prompt is None:
        return (NO_PROMPT,)
    if isinstance(prompt, str):
        return (prompt or NO_PROMPT,)
    if isinstance(prompt[0], int):
        return (tuple(prompt),)
    return tuple((part or NO_PROMPT) if isinstance(part, str) else tuple(part) for part in prompt)


class _Collected:
    """One choice while its events come in."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.first_token: str | None = None
        self.reason: FinishReason = "stop"

    def add(self, event: TextDelta | EchoedPrompt) -> None:
        self.text.append(event.text)
        self.logprobs += event.logprobs
        if isinstance(event, EchoedPrompt):
            self.first_token = event.first_token


def _most(request: Request, body: wire.CreateCompletionRequest) -> Bound:
    prompts = len(_prompts(body.prompt))
    return Bound(
        input_tokens=most_input_tokens(request),
        output_tokens=DEFAULT_MAX_TOKENS if body.max_tokens is None else body.max_tokens,
        choices=max(body.best_of or 1, body.n or 1) * prompts,
        prompts=prompts,
    )


class _Writer:
    """Writes completions in the wire format."""

    def __init__(self, call: Call, body: wire.CreateCompletionRequest, asked: TextRequest) -> None:
        self._call = call
        self._id = new_id("cmpl-")
        self._created = int(time.time())
        self._fingerprint = fingerprint(call.deployment.id)
        self._top = asked.sampling.logprobs
        self._include_usage = bool(body.stream_options and body.stream_options.include_usage)
        self._offsets: dict[int, int] = {}

    def whole(self, choices: list[_Collected]) -> wire.Completion:
        return self._completion(
            [
                wire.CompletionChoice(
                    text="".join(choice.text),
                    index=index,
                    logprobs=self._logprobs(index, choice.logprobs, choice.first_token),
                    finish_reason=choice.reason,  # type: ignore[arg-type]
                )
                for index, choice in enumerate(choices)
            ],
            usage=usage(self._call.usage),
        )

    def pieces(self, batch: list[TextEvent]) -> list[wire.Completion]:
        out: list[wire.Completion] = []
        told = None if self._include_usage else UNSET
        for event in batch:
            if isinstance(event, TextDelta | EchoedPrompt):
                first = event.first_token if isinstance(event, EchoedPrompt) else None
                choice = wire.CompletionChoice(
                    text=event.text, index=event.choice, logprobs=self._logprobs(event.choice, event.logprobs, first)
                )
                out.append(self._completion([choice], usage=told))
            elif isinstance(event, ChoiceFinished):
                reason: Any = event.reason
                choice = wire.CompletionChoice(text="", index=event.choice, finish_reason=reason)
                out.append(self._completion([choice], usage=told))
            elif self._include_usage:
                out.append(self._completion([], usage=usage(self._call.usage)))
        return out

    def _completion(self, choices: list[wire.CompletionChoice], usage: Any) -> wire.Completion:
        return wire.Completion(
            id=self._id,
            created=self._created,
            model=self._call.snapshot.id,
            choices=choices,
            usage=usage,
            system_fingerprint=self._fingerprint,
        )

    def _logprobs(self, choice: int, entries: list[TokenLogprob], first: str | None) -> wire.CompletionLogprobs | None:
        if self._top is None:
            return None
        told = wire.CompletionLogprobs(
            tokens=[entry.token for entry in entries],
            token_logprobs=[entry.logprob for entry in entries],
            top_logprobs=[{top.token: top.logprob for top in entry.top} for entry in entries] if self._top else None,
            text_offset=[],
        )
        if first is not None:
            told.tokens.insert(0, first)
            told.token_logprobs.insert(0, None)
            if told.top_logprobs is not None:
                told.top_logprobs.insert(0, None)
        offset = self._offsets.get(choice, 0)
        for token in told.tokens:
            told.text_offset.append(offset)
            offset += len(token)
        self._offsets[choice] = offset
        return told
