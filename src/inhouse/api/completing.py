"""What the faces that generate text have in common on the wire."""

from __future__ import annotations

import functools
import hashlib
import random
import string

from msgspec import UNSET, UnsetType

from inhouse.api.operation import Request
from inhouse.api.wire import CompletionTokensDetails, CompletionUsage, PromptTokensDetails
from inhouse.kit.errors import InvalidRequest
from inhouse.metering.usage import Usage

TEMPLATE_TOKENS = 512
"""Allowed for what a chat template says by itself."""

_PADDING = "".join(random.choices(string.ascii_letters + string.digits, k=4096))  # noqa: S311 - hides lengths only


def padding(length: int) -> str:
    """Random characters that bring a delta to a round length, so that its size does not tell the token's."""
    start = int(random.random() * (4096 - 64))  # noqa: S311 - cheaper than randrange, and there is one for every delta
    return _PADDING[start : start + 16 - length % 16]


def stop_sequences(stop: str | list[str] | None) -> tuple[str, ...]:
    """``stop`` as a tuple; empty texts stop nothing."""
    given = [stop] if isinstance(stop, str) else stop or []
    return tuple(text for text in given if text)


def token_biases(biases: dict[str, int] | None) -> dict[int, float]:
    """``logit_bias`` by token id.

    Raises:
        InvalidRequest: a key is not a token id.
    """
    read: dict[int, float] = {}
    for key, bias in (biases or {}).items():
        if not (key.isascii() and key.isdecimal()):
            raise InvalidRequest(
                f"Invalid key in 'logit_bias': {key}. You should only be submitting non-negative integers.",
                param="logit_bias",
            )
        read[int(key)] = bias
    return read


def most_input_tokens(request: Request) -> int:
    """No text has more tokens than bytes, nor a template more than it takes to write its messages as JSON."""
    return request.body_bytes + TEMPLATE_TOKENS


def read_tokens(used: Usage) -> int | UnsetType:
    """Input tokens that the model read, if these are not all."""
    return used.input_tokens - used.unread_tokens if used.unread_tokens else UNSET


def usage(used: Usage) -> CompletionUsage:
    return CompletionUsage(
        prompt_tokens=used.input_tokens,
        completion_tokens=used.output_tokens,
        total_tokens=used.input_tokens + used.output_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=used.cached_tokens, read_tokens=read_tokens(used)),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=used.reasoning_tokens,
            accepted_prediction_tokens=used.accepted_prediction_tokens,
            rejected_prediction_tokens=used.rejected_prediction_tokens,
        ),
    )


@functools.lru_cache(maxsize=256)
def fingerprint(deployment: str) -> str:
    """Changes whenever anything that decides answers changes: weights, template, decoding defaults, engine settings."""
    return f"fp_{hashlib.sha256(deployment.encode()).hexdigest()[:10]}"
