"""Shapes of the operations on a project's rate limits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.wire import Page, RequestObject, ResponseObject, doc

Amount = Annotated[int, Meta(ge=1, le=2**53)]


class RateLimit(ResponseObject, kw_only=True):
    """What a project may use of one family of models."""

    object: Annotated[Literal["project.rate_limit"], doc("Always `project.rate_limit`.")] = "project.rate_limit"
    id: Annotated[str, doc("Its id: `rl-` and the name of the family.")]
    model: Annotated[str, doc("The family; `-long-context` at its end for prompts that count as such.")]
    max_requests_per_1_minute: Annotated[int, doc("Requests a minute.")]
    max_tokens_per_1_minute: Annotated[int, doc("Tokens a minute; 0 where tokens are not limited.")] = 0
    max_images_per_1_minute: Annotated[int | UnsetType, doc("Images a minute, where they are limited.")] = UNSET
    max_audio_megabytes_per_1_minute: Annotated[int | UnsetType, doc("Never told: audio is not limited by size.")] = (
        UNSET
    )
    max_requests_per_1_day: Annotated[int | UnsetType, doc("Requests a day, where they are limited.")] = UNSET
    batch_1_day_max_input_tokens: Annotated[
        int | UnsetType, doc("Tokens that may wait in the batch queue, where they are limited.")
    ] = UNSET


class RateLimitList(Page[RateLimit], kw_only=True):
    """A page of rate limits, in the order of the catalog."""


class ListRateLimitsQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Objects in a page.")] = 100
    after: Annotated[str | None, doc("Id of the last object of the page before.")] = None
    before: Annotated[str | None, doc("Id of the first object of the page after.")] = None


class UpdateRateLimit(RequestObject, kw_only=True):
    """What is to change. No limit can be above the organization's; one that is as high is the organization's again."""

    max_requests_per_1_minute: Annotated[Amount | UnsetType, doc("Requests a minute.")] = UNSET
    max_tokens_per_1_minute: Annotated[Amount | UnsetType, doc("Tokens a minute.")] = UNSET
    max_images_per_1_minute: Annotated[Amount | UnsetType, doc("Images a minute.")] = UNSET
    max_audio_megabytes_per_1_minute: Annotated[int | UnsetType, doc("Not offered here.")] = UNSET
    max_requests_per_1_day: Annotated[Amount | UnsetType, doc("Requests a day.")] = UNSET
    batch_1_day_max_input_tokens: Annotated[Amount | UnsetType, doc("Tokens that may wait in the batch queue.")] = UNSET
