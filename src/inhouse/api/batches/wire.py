"""Shapes of Batches."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.wire import Metadata, RequestObject, ResponseObject, doc

Endpoint = Literal[
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
Ending = Literal["completed", "failed", "expired", "cancelled"]


class OutputExpiresAfter(RequestObject, kw_only=True):
    """When the files of a batch expire."""

    anchor: Annotated[Literal["created_at"], doc("What the time counts from: each file's creation.")]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000, description="Seconds from then: an hour to 30 days.")]


class CreateBatch(RequestObject, kw_only=True):
    """Have the requests of a file answered."""

    input_file_id: Annotated[
        str, doc("Id of an uploaded JSONL file of purpose `batch`: up to 50,000 requests and 200 MB.")
    ]
    endpoint: Annotated[Endpoint, doc("What all requests of the file ask.")]
    completion_window: Annotated[Literal["24h"], doc("Time in which it is to be done; always `24h`.")]
    metadata: Annotated[Metadata | None, doc("Your own pairs.")] = None
    output_expires_after: Annotated[
        OutputExpiresAfter | None, doc("When the output and the error file expire; 30 days by default.")
    ] = None


class ListBatchesQuery(RequestObject, kw_only=True):
    """Which page, newest first."""

    after: Annotated[str | None, doc("Id of the last batch of the page before.")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Batches in a page.")] = 20


class BatchError(ResponseObject, kw_only=True):
    """Something that is wrong with the input file."""

    code: Annotated[str, doc("What it is.")]
    message: Annotated[str, doc("For people.")]
    param: Annotated[str | None, doc("The field that is wrong, if it is one.")] = None
    line: Annotated[int | None, doc("Line of the input file, from 1, if it is one.")] = None


class BatchErrors(ResponseObject, kw_only=True):
    """Why a batch failed."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[BatchError], doc("What is wrong, the first 100.")]


class BatchRequestCounts(ResponseObject, kw_only=True):
    """Requests of a batch by what became of them."""

    total: Annotated[int, doc("All.")]
    completed: Annotated[int, doc("Answered.")]
    failed: Annotated[int, doc("Answered with an error, or not in time.")]


class InputTokensDetails(ResponseObject, kw_only=True):
    """Input tokens by kind."""

    cached_tokens: Annotated[int, doc("Whose work was reused from an earlier request.")]


class OutputTokensDetails(ResponseObject, kw_only=True):
    """Output tokens by kind."""

    reasoning_tokens: Annotated[int, doc("Spent on reasoning.")]


class BatchUsage(ResponseObject, kw_only=True):
    """Tokens that the requests of a batch took so far."""

    input_tokens: Annotated[int, doc("Of prompts.")]
    input_tokens_details: Annotated[InputTokensDetails, doc("By kind.")]
    output_tokens: Annotated[int, doc("Generated.")]
    output_tokens_details: Annotated[OutputTokensDetails, doc("By kind.")]
    total_tokens: Annotated[int, doc("Both.")]


def _when(what: str) -> Meta:
    return doc(f"When it {what}, Unix seconds.")


class Batch(ResponseObject, kw_only=True):
    """A batch."""

    id: Annotated[str, doc("Id of the batch.")]
    object: Annotated[Literal["batch"], doc("Always `batch`.")] = "batch"
    endpoint: Annotated[str, doc("What its requests ask.")]
    model: Annotated[str | UnsetType, doc("Which model, once the file is validated.")] = UNSET
    errors: Annotated[BatchErrors | None, doc("Why it failed.")] = None
    input_file_id: Annotated[str, doc("Id of the file of its requests.")]
    completion_window: Annotated[str, doc("Time in which it is to be done.")] = "24h"
    status: Annotated[Status, doc("How far it is.")]
    output_file_id: Annotated[str | None, doc("Id of the file of answers.")] = None
    error_file_id: Annotated[str | None, doc("Id of the file of requests that were not answered.")] = None
    created_at: Annotated[int, _when("was created")]
    in_progress_at: Annotated[int | None, _when("was validated, and work began")] = None
    expires_at: Annotated[int, _when("expires, if it is not done before")]
    finalizing_at: Annotated[int | None, _when("had no more requests to do")] = None
    completed_at: Annotated[int | None, _when("was completed")] = None
    failed_at: Annotated[int | None, _when("failed")] = None
    expired_at: Annotated[int | None, _when("expired")] = None
    cancelling_at: Annotated[int | None, _when("was asked to stop")] = None
    cancelled_at: Annotated[int | None, _when("had stopped")] = None
    request_counts: Annotated[BatchRequestCounts, doc("Its requests.")]
    usage: Annotated[BatchUsage, doc("What they took.")]
    metadata: Annotated[Metadata | None, doc("Your own pairs.")] = None


class ListBatchesResponse(ResponseObject, kw_only=True):
    """Some batches."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[Batch], doc("The batches of this page.")]
    first_id: Annotated[str | None, doc("Id of the first batch here; null on an empty page.")]
    last_id: Annotated[str | None, doc("Id of the last batch here: pass it as `after` for the next page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]
