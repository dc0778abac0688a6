"""What the Responses operations answer with."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.input_items import InputItem
from inhouse.api.responses.wire.output_items import OutputItem, StoredItem
from inhouse.api.responses.wire.request import (
    PromptTemplate,
    ReasoningConfig,
    TextConfig,
    TextFormatText,
)
from inhouse.api.responses.wire.tool_choice import ToolChoice
from inhouse.api.responses.wire.tools import Tool
from inhouse.api.wire import ResponseObject, doc

ResponseStatus = Literal["completed", "failed", "in_progress", "cancelled", "queued", "incomplete"]
ErrorCode = Literal[
    "server_error",
    "rate_limit_exceeded",
    "invalid_prompt",
    "data_residency_mismatch",
    "bio_policy",
    "vector_store_timeout",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "invalid_image_mode",
    "image_file_too_large",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
    "image_file_not_found",
]


class InputTokensDetails(ResponseObject, kw_only=True):
    """What the input's tokens were."""

    cached_tokens: Annotated[int, doc("Tokens whose work was reused from an earlier request.")] = 0
    cache_write_tokens: Annotated[int, doc("Tokens written to the cache for later requests, where that is paid.")] = 0
    read_tokens: Annotated[
        int | UnsetType, doc("Tokens that the model read, where it read only passages of a longer input.")
    ] = UNSET


class OutputTokensDetails(ResponseObject, kw_only=True):
    """What the generated tokens were."""

    reasoning_tokens: Annotated[int, doc("Tokens spent on reasoning.")] = 0


class ResponseUsage(ResponseObject, kw_only=True):
    """Tokens that the response took."""

    input_tokens: Annotated[int, doc("Tokens of the input.")]
    input_tokens_details: Annotated[InputTokensDetails, doc("The input's tokens by kind.")]
    output_tokens: Annotated[int, doc("Tokens generated.")]
    output_tokens_details: Annotated[OutputTokensDetails, doc("The generated tokens by kind.")]
    total_tokens: Annotated[int, doc("Input and output together.")]


class ResponseError(ResponseObject, kw_only=True):
    """Why a response failed."""

    code: Annotated[ErrorCode, doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class IncompleteDetails(ResponseObject, kw_only=True):
    """Why a response ended early."""

    reason: Annotated[Literal["max_output_tokens", "content_filter"], doc("The cause.")]


class ResponseConversation(ResponseObject, kw_only=True):
    """The conversation that the response belongs to."""

    id: Annotated[str, doc("Id of the conversation.")]


class ResponseCacheOptions(ResponseObject, kw_only=True):
    """How the prompt was cached."""

    ttl: Annotated[Literal["30m"], doc("How long it is kept.")]
    mode: Annotated[Literal["implicit", "explicit"], doc("By itself, or only at breakpoints.")]


class ModerationVerdict(ResponseObject, kw_only=True, tag_field="type", tag="moderation_result"):
    """What a moderation model says."""

    model: Annotated[str, doc("The moderation model.")]
    flagged: Annotated[bool, doc("Whether any category applies.")]
    categories: Annotated[dict[str, bool], doc("Whether each category applies.")]
    category_scores: Annotated[dict[str, float], doc("How much each category applies.")]
    category_applied_input_types: Annotated[
        dict[str, list[Literal["text", "image"]]], doc("What each category was judged by.")
    ]


class ModerationFailure(ResponseObject, kw_only=True, tag_field="type", tag="error"):
    """Why there is no verdict."""

    code: Annotated[str, doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class ResponseModeration(ResponseObject, kw_only=True):
    """Verdicts on either side."""

    input: Annotated[ModerationVerdict | ModerationFailure, doc("On the input.")]
    output: Annotated[ModerationVerdict | ModerationFailure, doc("On the answer.")]


class Response(ResponseObject, kw_only=True):
    """A response: what was asked for, how far it got, and what came out."""

    id: Annotated[str, doc("Id of the response.")]
    object: Annotated[Literal["response"], doc("Always `response`.")] = "response"
    created_at: Annotated[int | float, doc("When it was made, Unix seconds.")]
    status: Annotated[ResponseStatus, doc("How far it got.")]
    background: Annotated[bool, doc("Whether it is answered in the background.")] = False
    completed_at: Annotated[int | float | None, doc("When it was completed, Unix seconds.")] = None
    error: Annotated[ResponseError | None, doc("Why it failed.")] = None
    incomplete_details: Annotated[IncompleteDetails | None, doc("Why it ended early.")] = None
    instructions: Annotated[str | list[InputItem] | None, doc("What the model was told first.")] = None
    max_output_tokens: Annotated[int | None, doc("The most tokens to generate.")] = None
    max_tool_calls: Annotated[int | None, doc("The most calls of hosted tools.")] = None
    model: Annotated[str, doc("The snapshot that answers.")]
    output: Annotated[list[OutputItem], doc("What came out.")]
    output_text: Annotated[str | UnsetType, doc("All text of the output; the SDKs put it together themselves.")] = UNSET
    parallel_tool_calls: Annotated[bool, doc("Whether one turn may call several tools.")] = True
    previous_response_id: Annotated[str | None, doc("The response that this one goes on from.")] = None
    conversation: Annotated[ResponseConversation | None, doc("The conversation that it belongs to.")] = None
    prompt: Annotated[PromptTemplate | None, doc("The saved prompt that it began with.")] = None
    prompt_cache_key: Annotated[str | None, doc("Key of the prompt cache.")] = None
    prompt_cache_retention: Annotated[Literal["in_memory", "24h"] | None, doc("How long the cache is kept.")] = None
    prompt_cache_options: Annotated[ResponseCacheOptions | UnsetType, doc("How the prompt was cached.")] = UNSET
    reasoning: Annotated[ReasoningConfig, doc("How a reasoning model thinks.")]
    moderation: Annotated[ResponseModeration | None, doc("Verdicts on either side.")] = None
    safety_identifier: Annotated[str | None, doc("Identifier of the end user.")] = None
    service_tier: Annotated[
        Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"], doc("How urgently it is served.")
    ]
    store: Annotated[bool, doc("Whether it is kept.")] = True
    temperature: Annotated[float, doc("Spread of the sampling distribution.")] = 1.0
    text: Annotated[TextConfig, doc("What form the text has.")]
    tool_choice: Annotated[ToolChoice, doc("Which tools the model may or must use.")] = "auto"
    tools: Annotated[list[Tool], doc("What the model may call.")]
    top_logprobs: Annotated[int, doc("How many likeliest tokens are told at each place.")] = 0
    top_p: Annotated[float, doc("Share of the probability mass that is sampled from.")] = 1.0
    truncation: Annotated[Literal["auto", "disabled"], doc("What happens to more input than fits.")] = "disabled"
    usage: Annotated[ResponseUsage | None, doc("Tokens that it took.")] = None
    user: Annotated[str | None, doc("Identifier of the end user.")] = None
    metadata: Annotated[dict[str, str], doc("Pairs of your own.")]


class ResponseItemList(ResponseObject, kw_only=True):
    """One page of a response's input."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[StoredItem], doc("The items of this page.")]
    first_id: Annotated[str | None, doc("Id of the first item here; null on an empty page.")]
    last_id: Annotated[str | None, doc("Id of the last item here: pass it as `after` for the next page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]


class CompactedResponse(ResponseObject, kw_only=True):
    """A conversation made shorter: pass its output on as the next request's input, as it is."""

    id: Annotated[str, doc("Id of the compaction.")]
    object: Annotated[Literal["response.compaction"], doc("Always `response.compaction`.")] = "response.compaction"
    output: Annotated[list[StoredItem], doc("The user's messages, and a compaction item for the rest.")]
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    usage: Annotated[ResponseUsage, doc("Tokens that it took.")]


class InputTokens(ResponseObject, kw_only=True):
    """How many tokens a request would have."""

    object: Annotated[Literal["response.input_tokens"], doc("Always `response.input_tokens`.")] = (
        "response.input_tokens"
    )
    input_tokens: Annotated[int, doc("Tokens of the input.")]


class ResponseDeleted(ResponseObject, kw_only=True):
    """A response that is gone."""

    id: Annotated[str, doc("Id of the response.")]
    object: Annotated[Literal["response"], doc("Always `response`.")] = "response"
    deleted: Annotated[bool, doc("Whether it is gone.")] = True


def free_text() -> TextConfig:
    """What `text` means where it is left out."""
    return TextConfig(format=TextFormatText(), verbosity="medium")
