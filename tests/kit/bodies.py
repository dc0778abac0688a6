"""A body with every kind of field, and what becomes of what is sent as one."""

from __future__ import annotations

import enum
import json
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from inhouse.kit.errors import InvalidRequest
from inhouse.kit.validation import decode

Metadata = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]],
    Meta(max_length=16, extra={"noun": "metadata object"}),
]


class TextPart(Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: str


class ImageURL(Struct, forbid_unknown_fields=True):
    url: str
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePart(Struct, tag_field="type", tag="image_url", forbid_unknown_fields=True):
    image_url: ImageURL


class System(Struct, tag_field="role", tag="system", forbid_unknown_fields=True):
    content: str


class User(Struct, tag_field="role", tag="user", forbid_unknown_fields=True):
    content: str | Annotated[list[TextPart | ImagePart], Meta(min_length=1)]
    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]+$", min_length=1)] | None = None


class Tier(enum.Enum):
    AUTO = "auto"
    FLEX = "flex"


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    model: str
    messages: Annotated[list[System | User], Meta(min_length=1, max_length=50)]
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, lt=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=8)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    prompt: str | list[str] | None = None
    store: bool = False
    metadata: Metadata | None = None
    logit_bias: dict[str, int] | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    tier: Tier = Tier.AUTO
    tool_choice: Literal["none", "auto", "required"] | ImageURL | None = None
    effort: Literal["low", "high"] | int | None = None
    prompt_cache_key: Annotated[str, Meta(max_length=64)] | None = None
    box: tuple[int, str] | None = None
    extra: dict[str, list[TextPart | ImagePart]] | None = None
    anything: Any = None
    data: bytes | None = None
    even: Annotated[int, Meta(multiple_of=2)] = 0
    parent: Body | None = None

    def __post_init__(self) -> None:
        if self.n is not None and self.temperature == 0 and self.n > 1:
            raise ValueError("n must be 1 when using greedy sampling.")


def refusal(fields: dict[str, Any] | str | bytes, **more: Any) -> InvalidRequest:
    if isinstance(fields, dict):
        fields = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields})
    data = fields if isinstance(fields, bytes) else fields.encode()
    with pytest.raises(InvalidRequest) as refused:
        decode(data, Body, **more)
    return refused.value


def outcome(data: bytes, **more: Any) -> InvalidRequest | None:
    """The refusal, or None for a value; any other exception fails the test."""
    try:
        decode(data, Body, **more)
    except InvalidRequest as error:
        return error
    return None
