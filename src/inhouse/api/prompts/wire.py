"""Shapes of saved prompts. The contract has no operations for them: its vendor made them in its dashboard."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from inhouse.api.responses.wire import InputMessage, ReasoningConfig, TextConfig, Tool, ToolChoice, add_types
from inhouse.api.wire import RequestObject, Temperature, TopP, doc


class PromptContent(RequestObject, kw_only=True):
    """What a version of a prompt says. A request may set anything but the messages differently."""

    messages: Annotated[
        Annotated[list[InputMessage], Meta(min_length=1)],
        doc("What the conversation begins with. Texts may hold variables: `{{name}}`."),
    ]
    model: Annotated[str | None, doc("The model, where the request names none.")] = None
    tools: Annotated[list[Tool] | None, doc("What the model may call.")] = None
    tool_choice: Annotated[ToolChoice | None, doc("Which tools it may or must use.")] = None
    text: Annotated[TextConfig | None, doc("What form the text of the answer has.")] = None
    reasoning: Annotated[ReasoningConfig | None, doc("How a reasoning model thinks.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    max_output_tokens: Annotated[Annotated[int, Meta(ge=16)] | None, doc("The most tokens to generate.")] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("messages"))


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A saved prompt. Times are Unix microseconds."""

    id: str
    project_id: str
    created_at: int
    name: str
    published: int
    """The version that is used where a request names none."""
    versions: int


class PromptVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a prompt. It never changes."""

    prompt_id: str
    version: int
    created_at: int
    content: PromptContent
