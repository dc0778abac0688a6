"""Shapes of runs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.assistants.wire.base import (
    ReasoningEffort,
    ResponseFormat,
    RunTools,
    Tool,
    ToolChoice,
    ToolResources,
    Truncation,
    Updating,
)
from inhouse.api.assistants.wire.threads import CreateMessage, CreateThread
from inhouse.api.wire import Metadata, Page, RequestObject, ResponseObject, Temperature, TopP, doc

Instructions = Annotated[str, Meta(max_length=256_000)]
Budget = Annotated[int, Meta(ge=256)]


class RunSettings(RequestObject, kw_only=True):
    """What a run may do differently from its assistant."""

    assistant_id: Annotated[str, doc("Id of the assistant.")]
    model: Annotated[str | None, doc("Another model than the assistant's.")] = None
    instructions: Annotated[Instructions | None, doc("Other instructions than the assistant's.")] = None
    tools: RunTools | None = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    stream: Annotated[bool | None, doc("Tell what happens as server-sent events.")] = None
    max_prompt_tokens: Annotated[Budget | None, doc("The most tokens of prompts, over all turns.")] = None
    max_completion_tokens: Annotated[Budget | None, doc("The most tokens to generate, over all turns.")] = None
    truncation_strategy: Annotated[Truncation | None, doc("Which messages the model reads.")] = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: Annotated[bool | None, doc("Whether one turn may call several functions.")] = None
    response_format: ResponseFormat | None = None


class CreateRun(RunSettings, kw_only=True):
    """Have an assistant answer a thread."""

    reasoning_effort: ReasoningEffort = None
    additional_instructions: Annotated[Instructions | None, doc("Put behind the instructions.")] = None
    additional_messages: Annotated[list[CreateMessage] | None, doc("Put at the end of the thread first.")] = None


class CreateThreadAndRun(RunSettings, kw_only=True):
    """Begin a thread, and have an assistant answer it."""

    thread: Annotated[CreateThread | None, doc("The thread; left out, it is empty.")] = None
    tool_resources: Annotated[ToolResources | None, doc("What the tools have to work with.")] = None


class UpdateRun(Updating, kw_only=True):
    """What to change of a run."""

    metadata: Annotated[Metadata | UnsetType | None, doc("Pairs of your own.")] = UNSET


class ToolOutput(RequestObject, kw_only=True):
    """What a call gave."""

    tool_call_id: Annotated[str | None, doc("Id of the call.")] = None
    output: Annotated[str | None, doc("What it gave.")] = None


class SubmitToolOutputs(RequestObject, kw_only=True):
    """What the calls gave that a run waits for: all of them at once."""

    tool_outputs: Annotated[list[ToolOutput], doc("The outputs.")]
    stream: Annotated[bool | None, doc("Tell what happens as server-sent events.")] = None


class CalledFunction(ResponseObject, kw_only=True):
    """What to call."""

    name: Annotated[str, doc("The function.")]
    arguments: Annotated[str, doc("The arguments as JSON text, which the model wrote: check them before use.")]


class RequiredCall(ResponseObject, kw_only=True):
    """A call that the client has to make."""

    id: Annotated[str, doc("Id of the call.")]
    type: Annotated[Literal["function"], doc("Always `function`.")] = "function"
    function: Annotated[CalledFunction, doc("What to call.")]


class RequiredOutputs(ResponseObject, kw_only=True):
    """The calls whose outputs are waited for."""

    tool_calls: Annotated[list[RequiredCall], doc("The calls.")]


class RequiredAction(ResponseObject, kw_only=True):
    """What the client has to do before the run goes on."""

    type: Annotated[Literal["submit_tool_outputs"], doc("Always `submit_tool_outputs`.")] = "submit_tool_outputs"
    submit_tool_outputs: Annotated[RequiredOutputs, doc("The calls.")]


ErrorCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]


class RunError(ResponseObject, kw_only=True):
    """Why a run failed."""

    code: Annotated[ErrorCode, doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class RunIncomplete(ResponseObject, kw_only=True):
    """Why a run is not whole."""

    reason: Annotated[
        Literal["max_completion_tokens", "max_prompt_tokens"] | UnsetType, doc("The bound that it met.")
    ] = UNSET


class RunUsage(ResponseObject, kw_only=True):
    """Tokens that a run took."""

    prompt_tokens: Annotated[int, doc("Tokens of prompts.")]
    completion_tokens: Annotated[int, doc("Tokens generated.")]
    total_tokens: Annotated[int, doc("Both together.")]
    read_tokens: Annotated[
        int | UnsetType, doc("Tokens that the model read, where it read only passages of longer prompts.")
    ] = UNSET


Status = Literal[
    "queued",
    "in_progress",
    "requires_action",
    "cancelling",
    "cancelled",
    "failed",
    "completed",
    "incomplete",
    "expired",
]


class Run(ResponseObject, kw_only=True):
    """An assistant's work on a thread."""

    id: Annotated[str, doc("Id of the run.")]
    object: Annotated[Literal["thread.run"], doc("Always `thread.run`.")] = "thread.run"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    assistant_id: Annotated[str, doc("The assistant.")]
    thread_id: Annotated[str, doc("The thread.")]
    status: Annotated[Status, doc("How far it got.")] = "queued"
    started_at: Annotated[int | None, doc("When it began, Unix seconds.")] = None
    expires_at: Annotated[int | None, doc("When it expires unless it ends before, Unix seconds.")] = None
    cancelled_at: Annotated[int | None, doc("When it was cancelled, Unix seconds.")] = None
    failed_at: Annotated[int | None, doc("When it failed, Unix seconds.")] = None
    completed_at: Annotated[int | None, doc("When it ended well, Unix seconds.")] = None
    required_action: Annotated[RequiredAction | None, doc("What the client has to do first.")] = None
    last_error: Annotated[RunError | None, doc("Why it failed.")] = None
    model: Annotated[str, doc("The model.")]
    instructions: Annotated[str, doc("What the model was told first.")] = ""
    tools: Annotated[list[Tool], doc("What the model may use.")] = []  # noqa: RUF012
    metadata: Annotated[dict[str, str] | None, doc("Pairs of your own.")] = None
    temperature: Annotated[float | None, doc("Spread of the sampling distribution.")] = None
    top_p: Annotated[float | None, doc("Share of the probability mass that is sampled from.")] = None
    max_completion_tokens: Annotated[int | None, doc("The most tokens to generate.")] = None
    max_prompt_tokens: Annotated[int | None, doc("The most tokens of prompts.")] = None
    truncation_strategy: Annotated[Truncation | None, doc("Which messages the model reads.")] = None
    incomplete_details: Annotated[RunIncomplete | None, doc("Why it is not whole.")] = None
    usage: Annotated[RunUsage | None, doc("Tokens it took, once it has ended.")] = None
    response_format: ResponseFormat | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: Annotated[bool, doc("Whether one turn may call several functions.")] = True


class RunList(Page[Run], kw_only=True):
    """One page of runs."""
