"""How much a chat request may use, as the rate limits estimate it at the door."""

from __future__ import annotations

import msgspec

from inhouse.api.chat import wire
from inhouse.limits import Demand, estimate

_json = msgspec.json.Encoder()


def demand(body: wire.CreateChatCompletionRequest) -> Demand:
    """By the characters of its messages, tools and schema. Recordings and files count when they have been read."""
    characters = low = high = 0
    for message in body.messages:
        content = message.content
        if isinstance(content, str):
            characters += len(content)
        elif content is not None:
            for part in content:
                if isinstance(part, wire.TextPart):
                    characters += len(part.text)
                elif isinstance(part, wire.RefusalPart):
                    characters += len(part.refusal)
                elif isinstance(part, wire.ImagePart):
                    if part.image_url.detail == "low":
                        low += 1
                    else:
                        high += 1
        if isinstance(message, wire.AssistantMessage):
            characters += len(message.refusal or "")
            for described in (message.tool_calls, message.function_call):
                if described is not None:
                    characters += len(_json.encode(described))
    # The model reads these as text, too.
    for definition in (body.tools, body.functions, body.response_format):
        if definition is not None:
            characters += len(_json.encode(definition))
    return Demand(
        input_tokens=estimate(characters, images_low=low, images_high=high),
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        answers=body.n or 1,
    )
