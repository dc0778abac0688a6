"""An engine that says what a test wrote: everything of a ``TextEngine`` but the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from inhouse.engines.protocol import Completion, Finished, Piece, TokenLogprob

PLAIN = 0x110000
CONTROLS = ("<|im_start|>", "<|im_end|>", "<file_sep>", "</s>")


@dataclass
class Say:
    """One completion: pieces of text, a batch each, or several pieces in a batch when they stand in a list."""

    pieces: Sequence[str | list[str]] = ()
    reason: str = "stop"
    cached: int = 0
    error: Exception | None = None
    """Raised after the pieces, in place of an end."""
    hangs: bool = False
    """Never ends after the pieces."""


@dataclass
class ScriptedEngine:
    """A token for each character, and one for each of ``CONTROLS``. Limits, stops and ends as an engine does.

    ``script`` gives the completions in the order they are asked for, or one for each request.
    """

    script: Sequence[Say] | Callable[[Completion], Say] = ()
    window: int = 4096
    speaks_tools: bool = False
    refuses: Callable[[list[dict[str, Any]]], str | None] = lambda messages: None
    """Why the template takes no such messages."""
    middle: bool = False
    """Whether it fills in before a suffix."""
    asked: list[Completion] = field(default_factory=list)
    rendered: list[tuple[list[dict[str, Any]], list[dict[str, Any]] | None]] = field(default_factory=list)
    stopped: int = 0
    """Completions that were closed before their end."""
    running: int = 0

    vocabulary = PLAIN + len(CONTROLS)

    # Engines are told apart, and remembered weakly, by identity.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        tokens: list[int] = []
        at = 0
        while at < len(text):
            found = next((each for each in CONTROLS if special and text.startswith(each, at)), None)
            tokens.append(ord(text[at]) if found is None else PLAIN + CONTROLS.index(found))
            at += len(found or text[at])
        return tokens

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(chr(token) if token < PLAIN else CONTROLS[token - PLAIN] for token in tokens)

    async def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        self.rendered.append((messages, tools))
        if (reason := self.refuses(messages)) is not None:
            raise ValueError(reason)
        shown = f"<|im_start|>tools\n{tools}<|im_end|>\n" if tools and self.speaks_tools else ""
        for message in messages:
            calls = "".join(
                f"\n<tool_call>{call['function']['name']} {call['function']['arguments']}</tool_call>"
                for call in message.get("tool_calls", ())
            )
            shown += f"<|im_start|>{message['role']}\n{message['content']}{calls}<|im_end|>\n"
        return shown + "<|im_start|>assistant\n"

    async def complete(self, request: Completion) -> AsyncGenerator[list[Piece | Finished], None]:
        if len(request.prompt) + request.max_tokens > self.window:
            raise ValueError("they do not fit the window")
        self.asked.append(request)
        say = self.script(request) if callable(self.script) else self.script[len(self.asked) - 1]
        self.running += 1
        left, whole = request.max_tokens, False
        told = ""
        reason, stop = say.reason, None
        try:
            for given in say.pieces:
                batch: list[Piece | Finished] = []
                for text in given if isinstance(given, list) else [given]:
                    text = text[:left]
                    for each in request.stop:
                        if (at := (told + text).find(each)) >= 0:
                            text, reason, stop, left = text[: max(0, at - len(told))], "stop", each, len(text)
                    told += text
                    left -= len(text)
                    piece = self._piece(text, request)
                    piece.cached_tokens = say.cached
                    batch.append(piece)
                    if left <= 0 or stop is not None:
                        break
                yield batch
                if stop is not None or (left <= 0 and (reason := "length")):
                    break
                await asyncio.sleep(0)
            else:
                if say.error is not None:
                    raise say.error
                if say.hangs:
                    await asyncio.Event().wait()
            whole = True
            yield [
                Finished(
                    reason="length" if reason == "length" else "stop",
                    prompt_tokens=len(request.prompt),
                    cached_tokens=say.cached,
                    completion_tokens=len(told) + (reason == "stop"),  # the end token counts, too
                    prefill_ms=10.0,
                    decode_ms=20.0,
                    stop_sequence=stop,
                )
            ]
        finally:
            self.running -= 1
            self.stopped += not whole

    def _piece(self, text: str, request: Completion) -> Piece:
        tokens = [ord(char) for char in text]
        logprobs = []
        if request.logprobs is not None:
            logprobs = [
                TokenLogprob(
                    char,
                    -ord(char) / 100,
                    list(char.encode()),
                    ord(char),
                    top=[TokenLogprob(char, -ord(char) / 100, list(char.encode()))][: request.logprobs],
                )
                for char in text
            ]
        return Piece(text, tokens, logprobs, len(tokens))

    async def infill_prompt(self, prefix: str, suffix: str) -> list[int] | None:
        return [*map(ord, f"{prefix}<>{suffix}")] if self.middle else None

    async def prompt_logprobs(
        self, tokens: Sequence[int], top: int = 0, *, tenant: str = ""
    ) -> list[TokenLogprob | None]:
        if len(tokens) > 100:
            raise ValueError("log probabilities of a prompt are told for at most 100 tokens, got more")
        texts = [await self.detokenize([token]) for token in tokens]
        scored = [TokenLogprob(text, -1.5, list(text.encode())) for text in texts[1:]]
        for entry in scored:
            entry.top = [TokenLogprob("?", -0.5, [63])][:top]
        return [None, *scored]
