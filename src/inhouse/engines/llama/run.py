"""One completion on its way: what it has told so far, and from where to go on if it loses its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from inhouse.engines.llama.client import Chunk
from inhouse.engines.protocol import Completion, Finished, Piece


class Run:
    """A completion made in one part, or in several when its place in the cache was taken in between.

    Args:
        resumable: whether a further part may begin after text was told. A grammar cannot be entered in its middle, so a
            constrained completion ends with ``length`` instead, unless nothing was told yet.
        window: tokens that prompt and completion may fill together.
    """

    def __init__(self, request: Completion, *, resumable: bool, window: int) -> None:
        self.request = request
        self.finished: Finished | None = None
        self.predicted = 0
        """Tokens that the engine generated in this part."""
        self.parts = 0
        self.sent = False
        """Whether the engine was asked for any part."""
        self._resumable = resumable
        self._window = window
        self._before: list[int] = []
        """The completion's tokens of earlier parts."""
        self._told_before = 0
        self._told: list[Piece] = []
        self._held: list[Chunk] = []
        self._held_from = 0
        self._cached = 0

    @property
    def base(self) -> int:
        """Tokens in the cache before this part generates any."""
        return len(self.request.prompt) + len(self._before)

    @property
    def left(self) -> int:
        """Tokens that this part may generate."""
        return min(self.request.max_tokens - self._told_before, self._window - self.base)

    @property
    def part(self) -> Completion:
        """What to ask of the engine now."""
        if not self._before:
            return self.request
        return msgspec.structs.replace(self.request, prompt=self.request.prompt + self._before, max_tokens=self.left)

    @property
    def told(self) -> int:
        """Tokens that were told."""
        return self._told_before + sum(piece.count for piece in self._told)

    @property
    def held(self) -> int:
        """Tokens of this part that nothing was told of yet: lost if the place is."""
        return self.predicted - self._held_from

    def take(self, chunks: list[Chunk]) -> list[Piece | Finished]:
        """What ``chunks`` tell. Tokens without text yet, as in the beginning of a stop sequence, wait for it."""
        out: list[Piece | Finished] = []
        for chunk in chunks:
            if chunk.prompt_progress:
                if not self.parts:
                    self._cached = chunk.prompt_progress.cache
                continue
            if chunk.stop:
                self.predicted = chunk.tokens_predicted
                out.append(self._end(chunk))
                break
            self._held.append(chunk)
            self.predicted = chunk.tokens_predicted
            if chunk.content:
                piece = self._piece(chunk.content)
                self._told.append(piece)
                out.append(piece)
        return out

    async def lose_place(self, tokenize: Callable[[str], Awaitable[list[int]]]) -> Finished | None:
        """End this part early. The end of the completion if it cannot go on later."""
        told = self.told
        if told and not self._resumable:
            self.finished = self._finish("length", told)
            return self.finished
        for piece in self._told:
            # The engine keeps back the ids of tokens that only begin a character.
            self._before += piece.tokens if len(piece.tokens) == piece.count else await tokenize(piece.text)
        self._told, self._held, self._held_from, self.predicted = [], [], 0, 0
        self._told_before = told
        self.parts += 1
        if self.left <= 0:
            self.finished = self._finish("length", told)
        return self.finished

    def _piece(self, text: str) -> Piece:
        wanted = self.request.logprobs
        tokens = [token for chunk in self._held for token in chunk.tokens]
        known = [one for chunk in self._held for one in chunk.completion_probabilities]
        if wanted is not None:
            known = [one for one in known if one.bytes]  # A control token, such as the end's, has no text.
            tokens = [one.id for one in known]
        piece = Piece(
            text=text,
            tokens=tokens,
            logprobs=[one.as_logprob(wanted) for one in known] if wanted is not None else [],
            count=self.predicted - self._held_from,
            cached_tokens=self._cached,
        )
        self._held, self._held_from = [], self.predicted
        return piece

    def _end(self, last: Chunk) -> Finished:
        reason = "stop" if last.stop_type in ("eos", "word") else "length"
        finished = self._finish(reason, self._told_before + last.tokens_predicted)
        if not self.parts:
            finished.cached_tokens = last.timings.cache_n
        finished.prefill_ms, finished.decode_ms = last.timings.prompt_ms, last.timings.predicted_ms
        finished.stop_sequence = last.stopping_word or None
        self.finished = finished
        return finished

    def _finish(self, reason: str, completion_tokens: int) -> Finished:
        return Finished(
            reason="stop" if reason == "stop" else "length",
            prompt_tokens=len(self.request.prompt),
            cached_tokens=self._cached,
            completion_tokens=completion_tokens,
        )
