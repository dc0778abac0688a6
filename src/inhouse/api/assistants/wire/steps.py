"""Shapes of the steps of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.assistants.wire.base import IncludeList, OldPageQuery, Ranker, Threshold
from inhouse.api.assistants.wire.runs import RunUsage
from inhouse.api.wire import Page, ResponseObject, doc


class CreatedMessage(ResponseObject, kw_only=True):
    """The message that was written."""

    message_id: Annotated[str, doc("Id of the message.")]


class MessageCreation(ResponseObject, kw_only=True, tag_field="type", tag="message_creation"):
    """A message was written."""

    message_creation: Annotated[CreatedMessage, doc("The message.")]


class Logs(ResponseObject, kw_only=True, tag_field="type", tag="logs"):
    """What a program printed."""

    logs: Annotated[str, doc("The text.")]


class OutputImageFile(ResponseObject, kw_only=True):
    """A file."""

    file_id: Annotated[str, doc("Id of the file.")]


class OutputImage(ResponseObject, kw_only=True, tag_field="type", tag="image"):
    """What a program drew."""

    image: Annotated[OutputImageFile, doc("The file.")]


class CodeInterpreterWork(ResponseObject, kw_only=True):
    """A program and what came of it."""

    input: Annotated[str, doc("The program.")]
    outputs: Annotated[list[Logs | OutputImage], doc("What came of it.")]


class CodeInterpreterCall(ResponseObject, kw_only=True, tag_field="type", tag="code_interpreter"):
    """A program that was run."""

    id: Annotated[str, doc("Id of the call.")]
    code_interpreter: Annotated[CodeInterpreterWork, doc("The program and what came of it.")]


class SearchRanking(ResponseObject, kw_only=True):
    """How results were ranked."""

    ranker: Ranker
    score_threshold: Threshold


class FoundText(ResponseObject, kw_only=True):
    """A text that was found."""

    type: Annotated[Literal["text"] | UnsetType, doc("Always `text`.")] = UNSET
    text: Annotated[str | UnsetType, doc("The text.")] = UNSET


class SearchResult(ResponseObject, kw_only=True):
    """A place that was found."""

    file_id: Annotated[str, doc("Id of the file.")]
    file_name: Annotated[str, doc("Its name.")]
    score: Annotated[float, doc("How well it fits, from 0 to 1.")]
    content: Annotated[list[FoundText] | UnsetType, doc("The text; only where it is asked for.")] = UNSET


class SearchWork(ResponseObject, kw_only=True):
    """A search and what it found."""

    ranking_options: Annotated[SearchRanking | UnsetType, doc("How results were ranked.")] = UNSET
    results: Annotated[list[SearchResult] | UnsetType, doc("What it found.")] = UNSET


class FileSearchCall(ResponseObject, kw_only=True, tag_field="type", tag="file_search"):
    """A search in vector stores."""

    id: Annotated[str, doc("Id of the call.")]
    file_search: Annotated[SearchWork, doc("What it found.")]


class FunctionWork(ResponseObject, kw_only=True):
    """A call of a function and what it gave."""

    name: Annotated[str, doc("The function.")]
    arguments: Annotated[str, doc("The arguments as JSON text.")]
    output: Annotated[str | None, doc("What it gave, once that is known.")] = None


class FunctionCall(ResponseObject, kw_only=True, tag_field="type", tag="function"):
    """A call of a function of the client."""

    id: Annotated[str, doc("Id of the call.")]
    function: Annotated[FunctionWork, doc("The call.")]


StepCall = CodeInterpreterCall | FileSearchCall | FunctionCall


class ToolCalls(ResponseObject, kw_only=True, tag_field="type", tag="tool_calls"):
    """Tools were called."""

    tool_calls: Annotated[list[StepCall], doc("The calls.")]


class StepError(ResponseObject, kw_only=True):
    """Why a step failed."""

    code: Annotated[Literal["server_error", "rate_limit_exceeded"], doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class RunStep(ResponseObject, kw_only=True):
    """A step of a run: a message that was written, or tools that were called."""

    id: Annotated[str, doc("Id of the step.")]
    object: Annotated[Literal["thread.run.step"], doc("Always `thread.run.step`.")] = "thread.run.step"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    run_id: Annotated[str, doc("The run.")]
    assistant_id: Annotated[str, doc("The assistant.")]
    thread_id: Annotated[str, doc("The thread.")]
    type: Annotated[Literal["message_creation", "tool_calls"], doc("The kind of step.")]
    status: Annotated[Literal["in_progress", "cancelled", "failed", "completed", "expired"], doc("How far it got.")] = (
        "in_progress"
    )
    cancelled_at: Annotated[int | None, doc("When it was cancelled, Unix seconds.")] = None
    completed_at: Annotated[int | None, doc("When it ended well, Unix seconds.")] = None
    expired_at: Annotated[int | None, doc("When it expired, Unix seconds.")] = None
    failed_at: Annotated[int | None, doc("When it failed, Unix seconds.")] = None
    last_error: Annotated[StepError | None, doc("Why it failed.")] = None
    step_details: Annotated[MessageCreation | ToolCalls, doc("What was done.")]
    usage: Annotated[RunUsage | None, doc("Tokens it took, once it has ended.")] = None
    metadata: Annotated[dict[str, str] | None, doc("Pairs of your own.")] = None


class RunStepList(Page[RunStep], kw_only=True):
    """One page of steps."""


class ListRunStepsQuery(OldPageQuery, kw_only=True, rename={"include": "include[]"}):
    """Which steps to list, and what else to tell of them."""

    include: IncludeList = None
