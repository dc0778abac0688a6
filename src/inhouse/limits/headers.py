"""Rate limits as clients read them: headers, and the official answer when a limit is reached."""

from __future__ import annotations

import math

from inhouse.catalog.cards import Card
from inhouse.kit.errors import Overloaded, RateLimited
from inhouse.limits.buckets import REQUESTS, Amounts, Bucket, Taken, refused, remaining
from inhouse.limits.plans import Plan

VISIT = "Visit https://platform.openai.com/account/rate-limits to learn more."


def duration(milliseconds: int) -> str:
    """A time as Go writes it, like the official headers: ``120ms``, ``2.572s``, ``7m12s``, ``6m0s``."""
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds > 0 else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    whole, fraction = divmod(rest, 1000)
    seconds = f"{whole}.{fraction:03d}".rstrip("0") if fraction else str(whole)
    if not minutes:
        return f"{seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


def limit_headers(plan: Plan, taken: Taken) -> dict[str, str]:
    """``x-ratelimit-*`` of an answer, for as many of its buckets as the contract has headers for.

    Where a model has a limit a day, the official requests headers show that one and not the minute's (seen in public
    records of answers: limit 10000, reset 8.64s, which is a day over 10,000). Resets are cut to whole milliseconds, as
    in those records.
    """
    now = taken.now
    headers: dict[str, str] = {}
    for name, index in plan.shown:
        bucket = plan.buckets[index]
        full_at = taken.full_at[index]
        headers[f"x-ratelimit-limit-{name}"] = str(bucket.limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(remaining(bucket, full_at, now))
        headers[f"x-ratelimit-reset-{name}"] = duration(int((full_at - now) * 1000 + 1e-4))
    return headers


def limit_reached(card: Card | None, plan: Plan, amounts: Amounts, taken: Taken) -> RateLimited:
    """The 429 for a request that has to wait. The wait it tells is the published one: it follows from its numbers."""
    index = refused(plan.buckets, amounts, taken)
    bucket = plan.buckets[index]
    requested = amounts[bucket.unit]
    # More than the limit where calls used more than was taken for them.
    used = math.ceil((taken.full_at[index] - taken.now) / bucket.per_unit - 0.01)
    lacking = max(1, used + requested * taken.parts - bucket.limit)
    wait = math.ceil(round(lacking * bucket.per_unit * 1000, 3))
    return RateLimited(
        f"Rate limit reached for {_subject(card, plan, bucket)} on {bucket.name}: Limit {bucket.limit}, Used {used}, "
        f"Requested {requested}. Please try again in {duration(wait)}. {VISIT}",
        type=_type(bucket),
        code="rate_limit_exceeded",
        headers={
            **limit_headers(plan, taken),
            "retry-after": str(max(1, math.ceil(wait / 1000))),
            "retry-after-ms": str(wait),
        },
    )


def too_large(card: Card, plan: Plan, bucket: Bucket, requested: int) -> RateLimited:
    """The 429 for a request that no waiting would help."""
    return RateLimited(
        f"Request too large for {_subject(card, plan, bucket)} on {bucket.name}: Limit {bucket.limit}, "
        f"Requested {requested}. The input or output tokens must be reduced in order to run successfully. {VISIT}",
        type=_type(bucket),
        code="rate_limit_exceeded",
        headers={"x-should-retry": "false"},
    )


def store_down() -> Overloaded:
    """The answer while nobody can tell whether a request is within its limits."""
    return Overloaded(
        "The engine is currently overloaded, please try again later.",
        code="server_is_overloaded",
        headers={"retry-after": "1"},
    )


def _type(bucket: Bucket) -> str:
    return "requests" if bucket.unit == REQUESTS else "tokens"


def _subject(card: Card | None, plan: Plan, bucket: Bucket) -> str:
    limit = f" (for limit {plan.group})" if card is not None and plan.group != card.family else ""
    project = f"project {plan.project_id} " if bucket.project else ""
    return f"{plan.group if card is None else card.id}{limit} in {project}organization {plan.organization_id}"
