"""Shapes of the legacy completions operation. Streamed and whole answers share one shape."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.wire import (
    Choices,
    CompletionUsage,
    EndUser,
    FrequencyPenalty,
    LogitBias,
    PresencePenalty,
    RequestObject,
    ResponseObject,
    Seed,
    Stop,
    StreamOptions,
    Temperature,
    TopP,
    doc,
)
from inhouse.kit.errors import InvalidRequest

TokenId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Tokens = Annotated[list[TokenId], Meta(min_length=1)]
# One list type, since msgspec takes one list in a union: `__post_init__` keeps the kinds apart.
PromptList = Annotated[list[str | TokenId | Tokens], Meta(min_length=1)]


class CreateCompletionRequest(RequestObject, kw_only=True):
    """Continue one prompt or several.

    Raises `InvalidRequest` (param `prompt`) for a list that mixes texts, token ids and lists of token ids.
    """

    model: Annotated[str, doc("Id of the model.")]
    prompt: Annotated[
        str | PromptList | None,
        doc("A text, a list of texts, a list of token ids, or a list of such lists. Each one is a prompt of its own."),
    ]
    best_of: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        doc("Generate this many on the server and return the `n` with the highest log probability per token."),
    ] = None
    echo: Annotated[bool | None, doc("Return the prompt in front of the completion.")] = None
    frequency_penalty: FrequencyPenalty = None
    logit_bias: LogitBias = None
    logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=5)] | None,
        doc("Return the log probability of each token, and of this many alternatives."),
    ] = None
    max_tokens: Annotated[
        Annotated[int, Meta(ge=0)] | None, doc("The most tokens to generate for each choice. Defaults to 16.")
    ] = None
    n: Choices = None
    presence_penalty: PresencePenalty = None
    seed: Seed = None
    stop: Stop = None
    stream: Annotated[bool | None, doc("Answer with server-sent events, as the text is generated.")] = None
    stream_options: Annotated[StreamOptions | None, doc("What the stream carries besides the text.")] = None
    suffix: Annotated[str | None, doc("Text that follows the completion (fill in the middle).")] = None
    temperature: Temperature = None
    top_p: TopP = None
    user: EndUser = None

    def __post_init__(self) -> None:
        prompt = self.prompt
        if isinstance(prompt, list) and len({type(part) for part in prompt}) > 1:
            raise InvalidRequest(
                "Invalid type for 'prompt': expected one of a string, array of strings, array of integers, or array of "
                "arrays of integers, but got an array of mixed types instead.",
                param="prompt",
                code="invalid_type",
            )


class CompletionLogprobs(ResponseObject, kw_only=True):
    """Log probabilities of a choice: four lists with one entry a token."""

    tokens: Annotated[list[str], doc("The tokens.")]
    token_logprobs: Annotated[
        list[float | None], doc("Log probability of each token; null for the first token of an echoed prompt.")
    ]
    top_logprobs: Annotated[
        list[dict[str, float] | None] | None, doc("The likeliest alternatives at each place; null if none were asked.")
    ]
    text_offset: Annotated[list[int], doc("Where each token starts, in characters.")]


class CompletionChoice(ResponseObject, kw_only=True):
    """One continuation, or the next piece of it in a stream."""

    text: Annotated[str, doc("The generated text.")]
    index: Annotated[int, doc("Place of this choice, over all prompts.")]
    logprobs: Annotated[CompletionLogprobs | None, doc("Log probabilities, if asked for.")] = None
    finish_reason: Annotated[
        Literal["stop", "length", "content_filter"] | None,
        doc("Why the text ended; null while a stream goes on."),
    ] = None


class Completion(ResponseObject, kw_only=True):
    """The answer to a completion request; also each event of its stream."""

    id: Annotated[str, doc("Id of the completion.")]
    object: Annotated[Literal["text_completion"], doc("Always `text_completion`.")] = "text_completion"
    created: Annotated[int, doc("When it was made, in Unix seconds.")]
    model: Annotated[str, doc("The snapshot that answered.")]
    choices: Annotated[list[CompletionChoice], doc("The continuations; empty in a stream's usage event.")]
    usage: Annotated[
        CompletionUsage | UnsetType | None,
        doc("Tokens used. In a stream only with `include_usage`: null until the last event."),
    ] = UNSET
    system_fingerprint: Annotated[
        str | UnsetType, doc("Changes when weights, engine or settings change; compare it when you use `seed`.")
    ] = UNSET
