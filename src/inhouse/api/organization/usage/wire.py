"""Shapes of the usage and costs operations."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.wire import ResponseObject, doc

Seconds = Annotated[int, Meta(ge=0, le=253_402_300_799)]
"""Unix seconds up to the year 9999."""
Names = Annotated[list[str], Meta(max_length=1000)]
Width = Literal["1m", "1h", "1d"]


class RangeQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which time, in which steps. Buckets are minutes, hours and days of UTC."""

    start_time: Annotated[Seconds, doc("Start of the range in Unix seconds. The bucket it lies in is the first.")]
    end_time: Annotated[Seconds | None, doc("End of the range in Unix seconds, exclusive. Defaults to now.")] = None
    bucket_width: Annotated[Width, doc("Width of a bucket.")] = "1d"
    project_ids: Annotated[Names | None, doc("Only these projects.")] = None
    limit: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        doc(
            "Buckets in a page: of days 7 and at most 31, of hours 24 and at most 168, of minutes 60 and at most 1440."
        ),
    ] = None
    page: Annotated[str | None, doc("`next_page` of the page before.")] = None


class ProjectUsageQuery(RangeQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage that is told apart by project alone."""

    group_by: Annotated[list[Literal["project_id"]] | None, doc("What to tell apart.")] = None


class CallerQuery(RangeQuery, kw_only=True, forbid_unknown_fields=True):
    user_ids: Annotated[Names | None, doc("Only these users and service accounts.")] = None
    api_key_ids: Annotated[Names | None, doc("Only these API keys.")] = None


class ModelUsageQuery(CallerQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage of models."""

    models: Annotated[Names | None, doc("Only these models: snapshots, or aliases for all their snapshots.")] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "api_key_id", "model"]] | None, doc("What to tell apart.")
    ] = None


class CompletionsUsageQuery(CallerQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage of models that write text."""

    models: Annotated[Names | None, doc("Only these models: snapshots, or aliases for all their snapshots.")] = None
    batch: Annotated[bool | None, doc("Only batches, or only what is not a batch.")] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"]] | None,
        doc("What to tell apart."),
    ] = None


class ImagesUsageQuery(CallerQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage of models that make images."""

    models: Annotated[Names | None, doc("Only these models: snapshots, or aliases for all their snapshots.")] = None
    sources: Annotated[
        list[Literal["image.generation", "image.edit", "image.variation"]] | None, doc("Only made in these ways.")
    ] = None
    sizes: Annotated[
        list[Literal["256x256", "512x512", "1024x1024", "1792x1792", "1024x1792"]] | None, doc("Only of these sizes.")
    ] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "api_key_id", "model", "size", "source"]] | None,
        doc("What to tell apart."),
    ] = None


class FileSearchUsageQuery(CallerQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage of file search."""

    vector_store_ids: Annotated[Names | None, doc("Only these vector stores.")] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "api_key_id", "vector_store_id"]] | None, doc("What to tell apart.")
    ] = None


class WebSearchUsageQuery(CallerQuery, kw_only=True, forbid_unknown_fields=True):
    """Usage of web search."""

    models: Annotated[Names | None, doc("Only these models: snapshots, or aliases for all their snapshots.")] = None
    context_levels: Annotated[
        list[Literal["low", "medium", "high"]] | None, doc("Only these sizes of search context.")
    ] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "api_key_id", "model", "context_level"]] | None,
        doc("What to tell apart."),
    ] = None


class CostsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which days of UTC."""

    start_time: Annotated[Seconds, doc("Start of the range in Unix seconds. The day it lies in is the first.")]
    end_time: Annotated[Seconds | None, doc("End of the range in Unix seconds, exclusive. Defaults to now.")] = None
    bucket_width: Annotated[Literal["1d"], doc("Width of a bucket.")] = "1d"
    project_ids: Annotated[Names | None, doc("Only these projects.")] = None
    api_key_ids: Annotated[Names | None, doc("Only these API keys.")] = None
    group_by: Annotated[
        list[Literal["project_id", "user_id", "line_item", "api_key_id", "api_source"]] | None,
        doc("What to tell apart."),
    ] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=180)], doc("Days in a page.")] = 7
    page: Annotated[str | None, doc("`next_page` of the page before.")] = None


class Result(ResponseObject, kw_only=True, tag_field="object"):
    """One sum of a bucket. What was not grouped by is null."""

    project_id: Annotated[str | None, doc("The project, when grouped by it.")] = None


class CallerResult(Result, kw_only=True):
    user_id: Annotated[str | None, doc("The user or service account whose key was used, when grouped by it.")] = None
    api_key_id: Annotated[str | None, doc("The API key, when grouped by it.")] = None


class ModelResult(CallerResult, kw_only=True):
    num_model_requests: Annotated[int, doc("Requests that reached a model.")]
    model: Annotated[str | None, doc("The model's snapshot, when grouped by it.")] = None


class CompletionsResult(ModelResult, kw_only=True, tag="organization.usage.completions.result"):
    """Usage of models that write text."""

    input_tokens: Annotated[int, doc("Tokens of prompts, cached ones too.")]
    input_cached_tokens: Annotated[int, doc("Tokens of prompts whose work was reused.")]
    input_uncached_tokens: Annotated[int, doc("Tokens of prompts that were not cached.")]
    output_tokens: Annotated[int, doc("Tokens written.")]
    input_cache_write_tokens: Annotated[int | UnsetType, doc("Tokens written to the cache at a price.")] = UNSET
    input_text_tokens: Annotated[int | UnsetType, doc("Tokens of text in prompts, where told apart.")] = UNSET
    output_text_tokens: Annotated[int | UnsetType, doc("Tokens of text written, where told apart.")] = UNSET
    input_cached_text_tokens: Annotated[int | UnsetType, doc("Cached tokens of text, where told apart.")] = UNSET
    input_audio_tokens: Annotated[int | UnsetType, doc("Tokens of audio in prompts, where told apart.")] = UNSET
    input_cached_audio_tokens: Annotated[int | UnsetType, doc("Cached tokens of audio, where told apart.")] = UNSET
    output_audio_tokens: Annotated[int | UnsetType, doc("Tokens of audio made, where told apart.")] = UNSET
    input_image_tokens: Annotated[int | UnsetType, doc("Tokens of images in prompts, where told apart.")] = UNSET
    input_cached_image_tokens: Annotated[int | UnsetType, doc("Cached tokens of images, where told apart.")] = UNSET
    output_image_tokens: Annotated[int | UnsetType, doc("Tokens of images made, where told apart.")] = UNSET
    batch: Annotated[bool | None, doc("Whether in batches, when grouped by it.")] = None
    service_tier: Annotated[str | None, doc("The service tier, when grouped by it.")] = None
    api_source: Annotated[str | None, doc("`unlabeled` when grouped by it: no source is recorded here.")] = None


class EmbeddingsResult(ModelResult, kw_only=True, tag="organization.usage.embeddings.result"):
    """Usage of models that embed."""

    input_tokens: Annotated[int, doc("Tokens embedded.")]


class ModerationsResult(ModelResult, kw_only=True, tag="organization.usage.moderations.result"):
    """Usage of models that moderate."""

    input_tokens: Annotated[int, doc("Tokens judged.")]


class ImagesResult(ModelResult, kw_only=True, tag="organization.usage.images.result"):
    """Usage of models that make images."""

    images: Annotated[int, doc("Images made.")]
    source: Annotated[str | None, doc("How they were made, when grouped by it.")] = None
    size: Annotated[str | None, doc("Their size, when grouped by it.")] = None


class AudioSpeechesResult(ModelResult, kw_only=True, tag="organization.usage.audio_speeches.result"):
    """Usage of models that speak."""

    characters: Annotated[int, doc("Characters spoken.")]


class AudioTranscriptionsResult(ModelResult, kw_only=True, tag="organization.usage.audio_transcriptions.result"):
    """Usage of models that transcribe."""

    seconds: Annotated[int, doc("Seconds transcribed.")]


class VectorStoresResult(Result, kw_only=True, tag="organization.usage.vector_stores.result"):
    """Storage of vector stores."""

    usage_bytes: Annotated[int, doc("Bytes stored.")]


class CodeInterpreterSessionsResult(Result, kw_only=True, tag="organization.usage.code_interpreter_sessions.result"):
    """Sessions of the code interpreter."""

    num_sessions: Annotated[int, doc("Sessions begun.")]


class FileSearchesResult(CallerResult, kw_only=True, tag="organization.usage.file_searches.result"):
    """Searches of files."""

    num_requests: Annotated[int, doc("Searches.")]
    vector_store_id: Annotated[str | None, doc("The vector store, when grouped by it.")] = None


class WebSearchesResult(ModelResult, kw_only=True, tag="organization.usage.web_searches.result"):
    """Searches of the web."""

    num_requests: Annotated[int, doc("Searches.")]
    context_level: Annotated[str | None, doc("Size of the search context, when grouped by it.")] = None


class Amount(ResponseObject, kw_only=True):
    """Money."""

    value: Annotated[float, doc("How much.")]
    currency: Annotated[str, doc("Always `usd`.")] = "usd"


QuantityUnit = Literal[
    "tokens",
    "1000_tokens",
    "duration_seconds",
    "duration_minutes",
    "duration_hours",
    "gibibyte_hours",
    "images",
    "characters",
]


class CostsResult(CallerResult, kw_only=True, tag="organization.costs.result"):
    """What was spent."""

    amount: Annotated[Amount, doc("The sum, with the prices that were in force for each request.")]
    line_item: Annotated[str | None, doc("What it was spent for, when grouped by it.")] = None
    quantity: Annotated[float | None, doc("How much of it, when grouped by line item.")] = None
    quantity_unit: Annotated[str | QuantityUnit | None, doc("What `quantity` counts.")] = None
    api_source: Annotated[str | None, doc("`unlabeled` when grouped by it: no source is recorded here.")] = None


AnyResult = (
    CompletionsResult
    | EmbeddingsResult
    | ModerationsResult
    | ImagesResult
    | AudioSpeechesResult
    | AudioTranscriptionsResult
    | VectorStoresResult
    | CodeInterpreterSessionsResult
    | FileSearchesResult
    | WebSearchesResult
    | CostsResult
)


class TimeBucket(ResponseObject, kw_only=True):
    """What happened in one minute, hour or day."""

    object: Annotated[Literal["bucket"], doc("Always `bucket`.")] = "bucket"
    start_time: Annotated[int, doc("Its beginning in Unix seconds.")]
    end_time: Annotated[int, doc("Its end in Unix seconds, exclusive.")]
    results: Annotated[list[AnyResult], doc("The sums; none if nothing was used.")]


class UsagePage(ResponseObject, kw_only=True):
    """Consecutive buckets."""

    object: Annotated[Literal["page"], doc("Always `page`.")] = "page"
    data: Annotated[list[TimeBucket], doc("The buckets, oldest first.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]
    next_page: Annotated[str | None, doc("Pass it as `page` for the next page; null on the last.")]
