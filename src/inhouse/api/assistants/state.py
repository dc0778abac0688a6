"""What a run remembers that its client is not told."""

from __future__ import annotations

import msgspec

from inhouse.api.assistants import wire


class RunState(msgspec.Struct, kw_only=True):
    """Whose the run is, what it has used so far, and what its tools have to work with."""

    organization_id: str
    key_id: str
    reasoning_effort: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    """As they were asked for; None leaves them to the deployment."""
    resources: wire.ToolResources | None = None
    """Of the assistant, or of the request."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unread_tokens: int = 0
    """Of all turns that have ended; the last of prompts of which only passages were read."""
    usages: dict[str, wire.RunUsage] = {}
    """Of steps that are told it when they end."""
    queries: dict[str, list[str]] = {}
    """What searches looked for, by the ids of their calls: steps do not tell it, the model reads it again."""
    tells_content: bool = False
    """Whether streams tell what searches found with its text, as ``include`` asked."""


def usage(prompt_tokens: int, completion_tokens: int, unread_tokens: int = 0) -> wire.RunUsage:
    return wire.RunUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        read_tokens=prompt_tokens - unread_tokens if unread_tokens else msgspec.UNSET,
    )
