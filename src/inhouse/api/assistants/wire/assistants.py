"""Shapes of assistants."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.assistants.wire.base import (
    AssistantTools,
    NewToolResources,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolResources,
    Updating,
)
from inhouse.api.wire import Deleted, Metadata, Page, RequestObject, ResponseObject, Temperature, TopP, doc

Name = Annotated[str, Meta(max_length=256)]
Description = Annotated[str, Meta(max_length=512)]
Instructions = Annotated[str, Meta(max_length=256_000)]


class CreateAssistant(RequestObject, kw_only=True):
    """A new assistant."""

    model: Annotated[str, doc("Id of the model: a snapshot, or an alias of one.")]
    name: Annotated[Name | None, doc("What it is called.")] = None
    description: Annotated[Description | None, doc("What it is for.")] = None
    instructions: Annotated[Instructions | None, doc("What the model is told first.")] = None
    reasoning_effort: ReasoningEffort = None
    tools: AssistantTools = []  # noqa: RUF012
    tool_resources: Annotated[NewToolResources | None, doc("What the tools have to work with.")] = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    response_format: ResponseFormat | None = None


class UpdateAssistant(Updating, kw_only=True):
    """What to change of an assistant."""

    model: Annotated[str | UnsetType, doc("Id of the model.")] = UNSET
    name: Annotated[Name | UnsetType | None, doc("What it is called.")] = UNSET
    description: Annotated[Description | UnsetType | None, doc("What it is for.")] = UNSET
    instructions: Annotated[Instructions | UnsetType | None, doc("What the model is told first.")] = UNSET
    reasoning_effort: ReasoningEffort | UnsetType = UNSET
    tools: AssistantTools | UnsetType = UNSET
    tool_resources: Annotated[ToolResources | UnsetType | None, doc("What the tools have to work with.")] = UNSET
    metadata: Annotated[Metadata | UnsetType | None, doc("Pairs of your own.")] = UNSET
    temperature: Temperature | UnsetType = UNSET
    top_p: TopP | UnsetType = UNSET
    response_format: ResponseFormat | UnsetType | None = UNSET


class Assistant(ResponseObject, kw_only=True):
    """An assistant: a model with instructions and tools."""

    id: Annotated[str, doc("Id of the assistant.")]
    object: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    name: Annotated[str | None, doc("What it is called.")] = None
    description: Annotated[str | None, doc("What it is for.")] = None
    model: Annotated[str, doc("The model.")]
    instructions: Annotated[str | None, doc("What the model is told first.")] = None
    tools: Annotated[list[Tool], doc("What the model may use.")] = []  # noqa: RUF012
    tool_resources: Annotated[ToolResources | None, doc("What the tools have to work with.")] = None
    metadata: Annotated[dict[str, str] | None, doc("Pairs of your own.")] = None
    temperature: Annotated[float | None, doc("Spread of the sampling distribution.")] = None
    top_p: Annotated[float | None, doc("Share of the probability mass that is sampled from.")] = None
    response_format: ResponseFormat | None = None
    reasoning_effort: Annotated[
        ReasoningEffort | UnsetType, doc("How much a reasoning model thinks, where it was set.")
    ] = UNSET


class AssistantList(Page[Assistant], kw_only=True):
    """One page of assistants."""


class AssistantDeleted(Deleted, kw_only=True):
    """An assistant that is gone."""

    object: Annotated[Literal["assistant.deleted"], doc("Always `assistant.deleted`.")] = "assistant.deleted"
