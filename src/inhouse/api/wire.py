"""Shapes that several operations share: the bases, sampling parameters, metadata, usage, pages.

Decode a request with ``msgspec.json.decode(body, type=...)``: whatever breaks a shape, a bound or a pattern raises
``msgspec.ValidationError``, which names the place (``$.messages[0].content``). Decode a query string with
``msgspec.convert(..., strict=False)``, since its values are all text.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")


def doc(text: str) -> Meta:
    """The description of a field in ``/openapi.json``."""
    return Meta(description=text)


class RequestObject(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of everything a client sends: an unknown field is refused, an absent one reads as None.

    Where it is sent back, as in stored completions, what was absent stays absent.
    """

    optional_tag: ClassVar[bool] = False
    """Whether a client may leave its tag out, or null: the request's ``mend`` puts it in. Told in ``/openapi.json``."""


class ResponseObject(Struct, kw_only=True, gc=False):
    """Base of everything a client receives: a field left UNSET is absent from the JSON."""


# Sampling parameters of both completion operations.
Temperature = Annotated[
    Annotated[float, Meta(ge=0, le=2)] | None,
    doc("Spread of the sampling distribution: 0 always takes the likeliest token. Defaults to 1."),
]
TopP = Annotated[
    Annotated[float, Meta(ge=0, le=1)] | None,
    doc("Share of the probability mass that is sampled from (nucleus sampling). Defaults to 1."),
]
FrequencyPenalty = Annotated[
    Annotated[float, Meta(ge=-2, le=2)] | None,
    doc("Subtracted from a token's logit once for each time it has already appeared. Defaults to 0."),
]
PresencePenalty = Annotated[
    Annotated[float, Meta(ge=-2, le=2)] | None,
    doc("Subtracted once from the logit of every token that has already appeared. Defaults to 0."),
]
LogitBias = Annotated[
    dict[str, Annotated[int, Meta(ge=-100, le=100)]] | None,
    doc("Added to the logits, by token id: -100 bans a token, 100 all but forces it."),
]
Seed = Annotated[
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None,
    doc("With the same seed, request and `system_fingerprint`, sampling repeats as far as the engine allows."),
]
Stop = Annotated[
    str | Annotated[list[str], Meta(max_length=4)] | None,
    doc("Up to 4 texts that end the generation; the text that matched is not returned."),
]
Choices = Annotated[
    Annotated[int, Meta(ge=1, le=128)] | None, doc("How many choices to generate for each prompt. Defaults to 1.")
]
EndUser = Annotated[
    Annotated[str, Meta(max_length=64)] | None,
    doc("Identifier of the end user. Superseded by `safety_identifier` and `prompt_cache_key`."),
]

ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast"]

MetadataKey = Annotated[str, Meta(max_length=64)]
MetadataValue = Annotated[str, Meta(max_length=512)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Meta(max_length=16, description="Up to 16 pairs of your own: keys up to 64 characters long, values up to 512."),
]


class StreamOptions(RequestObject, kw_only=True):
    """What a stream carries besides the deltas. Only with `stream: true`."""

    include_usage: Annotated[
        bool | None, doc("Send one more chunk before the end, with the usage of the whole request and no choices.")
    ] = None
    include_obfuscation: Annotated[
        bool | None, doc("Pad every chunk with random characters, to hide token lengths. Defaults to true.")
    ] = None


class PromptTokensDetails(ResponseObject, kw_only=True):
    """What the prompt's tokens were."""

    cached_tokens: Annotated[int, doc("Tokens whose work was reused from an earlier request.")] = 0
    audio_tokens: Annotated[int, doc("Tokens of audio.")] = 0
    text_tokens: Annotated[int | UnsetType, doc("Tokens of text.")] = UNSET
    image_tokens: Annotated[int | UnsetType, doc("Tokens of images.")] = UNSET
    cache_write_tokens: Annotated[int | UnsetType, doc("Tokens written to the cache for later requests.")] = UNSET
    read_tokens: Annotated[
        int | UnsetType, doc("Tokens that the model read, where it read only passages of a longer prompt.")
    ] = UNSET


class CompletionTokensDetails(ResponseObject, kw_only=True):
    """What the generated tokens were."""

    reasoning_tokens: Annotated[int, doc("Tokens spent on reasoning.")] = 0
    audio_tokens: Annotated[int, doc("Tokens of audio.")] = 0
    accepted_prediction_tokens: Annotated[int, doc("Tokens of the prediction that the answer used.")] = 0
    rejected_prediction_tokens: Annotated[
        int, doc("Tokens of the prediction that the answer did not use; they count as generated.")
    ] = 0
    text_tokens: Annotated[int | UnsetType, doc("Tokens of text.")] = UNSET


class CompletionUsage(ResponseObject, kw_only=True):
    """Tokens that one request took."""

    prompt_tokens: Annotated[int, doc("Tokens of the prompt.")]
    completion_tokens: Annotated[int, doc("Tokens generated, over all choices.")]
    total_tokens: Annotated[int, doc("Prompt and completion together.")]
    prompt_tokens_details: Annotated[PromptTokensDetails | UnsetType, doc("The prompt's tokens by kind.")] = UNSET
    completion_tokens_details: Annotated[CompletionTokensDetails | UnsetType, doc("The generated tokens by kind.")] = (
        UNSET
    )


class PageQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to walk a list: newest first, 20 at a time, from where the last page ended."""

    after: Annotated[str | None, doc("Id of the last object of the page before.")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Objects in a page.")] = 20
    order: Annotated[Literal["asc", "desc"], doc("By time of creation: oldest or newest first.")] = "desc"


class Page(ResponseObject, Generic[T], kw_only=True):
    """One page of a list."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[T], doc("The objects of this page.")]
    first_id: Annotated[str | None, doc("Id of the first object here; null on an empty page.")]
    last_id: Annotated[str | None, doc("Id of the last object here: pass it as `after` for the next page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]


class Deleted(ResponseObject, kw_only=True):
    """What was deleted. Each kind of object names its own `object`."""

    id: Annotated[str, doc("Id of the deleted object.")]
    deleted: Annotated[bool, doc("Whether it is gone.")] = True
