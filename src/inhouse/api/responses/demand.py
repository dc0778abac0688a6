"""What a Responses request asks of its limits."""

from __future__ import annotations

import re

import msgspec

from inhouse.api.responses import wire
from inhouse.limits import Demand
from inhouse.limits.demand import estimate

_json = msgspec.json.Encoder()
_ATTACHED = re.compile(rb'"data:[^"]*"')
"""Attached files and images, which count when they have been read."""


def demand(body: wire.CreateResponse | wire.CountInputTokens | wire.CompactResponse) -> Demand:
    """By the characters of its items, instructions, tools and schema."""
    characters = low = high = 0
    shape = () if isinstance(body, wire.CompactResponse) else (body.tools, body.text)
    for part in (body.input, body.instructions, *shape):
        if isinstance(part, str):
            characters += len(part)
        elif part is not None:
            told = _ATTACHED.sub(b"", _json.encode(part))
            images = told.count(b'"type":"input_image"')
            roughly = min(images, told.count(b'"detail":"low"'))
            low, high = low + roughly, high + images - roughly
            characters += len(told)
    return Demand(
        input_tokens=estimate(characters, images_low=low, images_high=high),
        max_tokens=body.max_output_tokens if isinstance(body, wire.CreateResponse) else None,
    )
