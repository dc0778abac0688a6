"""What the rooms above ask of an engine that runs a model.

Two kinds exist. A ``TextEngine`` takes tokens and gives tokens: templates, tool calls and structured output are added
above it, in ``generation``. An upstream server already speaks the Chat Completions contract; see ``engines.upstream``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, Protocol

import msgspec


class TokenLogprob(msgspec.Struct):
    """Log probability of one token, before any sampler touched the distribution."""

    token: str
    logprob: float
    bytes: list[int]
    id: int | None = None
    top: list[TokenLogprob] = []


class DecodingDefaults(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Sampling where a request says nothing."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps the whole vocabulary."""
    min_p: float = 0.05
    """Keeps tokens at least this likely relative to the likeliest; spares small models the noise of the far tail."""
    repeat_penalty: float = 1.0
    penalty_window: int = 64
    """How many last tokens, of the prompt too, repeat, presence and frequency penalties look at."""


class Completion(msgspec.Struct, kw_only=True):
    """One sequence to continue. ``None`` means: the deployment's decoding default."""

    prompt: list[int]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: list[str] = []
    logit_bias: dict[int, float] = {}
    logprobs: int | None = None
    """How many alternatives to report for each token; None reports no log probabilities, 0 only the token's own."""
    grammar: str | None = None
    """What the text must fit: GBNF, or llguidance's Lark after a line ``%llguidance {}``, which embeds JSON schemas."""
    priority: int = 0
    """Higher goes first in the queue before the slots."""
    tenant: str = ""
    """Whose request it is. Tenants of the same priority take turns in the queue, and none reuses what was computed for
    another's prompt."""


class Piece(msgspec.Struct, tag="piece"):
    """Text that one or more tokens gave. Multi-byte characters are never split across pieces."""

    text: str
    tokens: list[int] = []
    """Ids that the engine tells; it may leave out those whose bytes only begin a character, so see ``count``."""
    logprobs: list[TokenLogprob] = []
    """Aligned with ``tokens``."""
    count: int = 0
    """Tokens generated for this piece. Text that ends up empty (an end token, say) counts too."""
    cached_tokens: int = 0
    """As in ``Finished``, for readers that do not stay until then."""


class Finished(msgspec.Struct, tag="finished"):
    """The last event of a completion."""

    reason: Literal["stop", "length"]
    prompt_tokens: int
    cached_tokens: int
    """Prompt tokens whose state the engine really reused."""
    completion_tokens: int
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    stop_sequence: str | None = None
    """The stop sequence that ended it, if one did."""


class EngineFailed(Exception):
    """The engine could not do the work: it died, refused, or did not answer. The message is fit for a log."""


class EngineBusy(EngineFailed):
    """No place in the queue before the engine; try again later."""


class BadConstraint(EngineFailed):
    """The grammar or schema cannot be compiled. The message is fit for the client."""


class Refused(ValueError):
    """A host of ``engines.hosting`` does not take this request. The message is fit for the client.

    Args:
        code: the machine-readable cause, or None.
        param: the parameter of the host's request that is to blame, or None.
    """

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


class TextEngine(Protocol):
    """A model behind a tokenizer."""

    @property
    def window(self) -> int:
        """Tokens that prompt and completion may fill together."""

    @property
    def vocabulary(self) -> int:
        """How many tokens there are: ids go from 0 to one less. 0 if that is not known."""

    async def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of ``text``. With ``special``, control tokens written in the text are recognised."""

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """Text of ``tokens``. Raises ValueError for ids that the vocabulary lacks."""

    async def render(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
        """The model's own chat template over ``messages``, ready for the assistant's turn."""

    def complete(self, request: Completion) -> AsyncGenerator[list[Piece | Finished], None]:
        """Events in the batches they arrived in. Closing the generator stops the engine's work at once.

        Raises:
            ValueError: the request can never fit the window, or holds tokens that the vocabulary lacks.
            EngineBusy, BadConstraint, EngineFailed
        """

    async def infill_prompt(self, prefix: str, suffix: str) -> list[int] | None:
        """Tokens after which the model writes what stands between two texts; None if it never learned to."""

    async def prompt_logprobs(
        self, tokens: Sequence[int], top: int = 0, *, tenant: str = ""
    ) -> list[TokenLogprob | None]:
        """Log probability of each token given those before it, with ``top`` alternatives. The first is None.

        Args:
            tenant: as in ``Completion``.

        Raises:
            ValueError: too many tokens.
            EngineBusy, EngineFailed
        """
