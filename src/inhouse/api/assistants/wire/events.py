"""Events of a run's stream: 24 kinds, and the one that ends it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.assistants.wire.runs import Run
from inhouse.api.assistants.wire.steps import RunStep
from inhouse.api.assistants.wire.threads import Detail, Message, Role, Thread
from inhouse.api.wire import ResponseObject, doc
from inhouse.kit.errors import ErrorObject

Index = Annotated[int, doc("Its place in the list.")]


class CitedFileDelta(ResponseObject, kw_only=True):
    """The file that is cited."""

    file_id: Annotated[str | UnsetType, doc("Id of the file.")] = UNSET
    quote: Annotated[str | UnsetType, doc("The words that are cited.")] = UNSET


class FilePathDelta(ResponseObject, kw_only=True):
    """The file."""

    file_id: Annotated[str | UnsetType, doc("Id of the file.")] = UNSET


TextIndex = Annotated[Annotated[int, Meta(ge=0)] | UnsetType, doc("A place in the text, in characters.")]


class FileCitationDelta(ResponseObject, kw_only=True, tag_field="type", tag="file_citation"):
    """A place of the text that stands for a file."""

    index: Index
    text: Annotated[str | UnsetType, doc("The place itself.")] = UNSET
    file_citation: Annotated[CitedFileDelta | UnsetType, doc("The file.")] = UNSET
    start_index: TextIndex = UNSET
    end_index: TextIndex = UNSET


class FilePathAnnotationDelta(ResponseObject, kw_only=True, tag_field="type", tag="file_path"):
    """A place of the text that stands for a file that a program wrote."""

    index: Index
    text: Annotated[str | UnsetType, doc("The place itself.")] = UNSET
    file_path: Annotated[FilePathDelta | UnsetType, doc("The file.")] = UNSET
    start_index: TextIndex = UNSET
    end_index: TextIndex = UNSET


class TextDelta(ResponseObject, kw_only=True):
    """More of a text."""

    value: Annotated[str | UnsetType, doc("The next piece.")] = UNSET
    annotations: Annotated[
        list[FileCitationDelta | FilePathAnnotationDelta] | UnsetType, doc("Places that stand for files.")
    ] = UNSET


class TextPartDelta(ResponseObject, kw_only=True, tag_field="type", tag="text"):
    """More of a text."""

    index: Index
    text: Annotated[TextDelta | UnsetType, doc("What comes.")] = UNSET


class RefusalDelta(ResponseObject, kw_only=True, tag_field="type", tag="refusal"):
    """More of a refusal."""

    index: Index
    refusal: Annotated[str | UnsetType, doc("The next piece.")] = UNSET


class ImageFileDelta(ResponseObject, kw_only=True):
    """An image."""

    file_id: Annotated[str | UnsetType, doc("Id of the file.")] = UNSET
    detail: Detail = UNSET


class ImageFilePartDelta(ResponseObject, kw_only=True, tag_field="type", tag="image_file"):
    """An image."""

    index: Index
    image_file: Annotated[ImageFileDelta | UnsetType, doc("The image.")] = UNSET


class ImageURLDelta(ResponseObject, kw_only=True):
    """An image."""

    url: Annotated[str | UnsetType, doc("Where it is.")] = UNSET
    detail: Detail = UNSET


class ImageURLPartDelta(ResponseObject, kw_only=True, tag_field="type", tag="image_url"):
    """An image."""

    index: Index
    image_url: Annotated[ImageURLDelta | UnsetType, doc("The image.")] = UNSET


class MessageChange(ResponseObject, kw_only=True):
    """What comes to a message."""

    role: Role | UnsetType = UNSET
    content: Annotated[
        list[ImageFilePartDelta | TextPartDelta | RefusalDelta | ImageURLPartDelta] | UnsetType, doc("By part.")
    ] = UNSET


class MessageDelta(ResponseObject, kw_only=True):
    """More of a message."""

    id: Annotated[str, doc("Id of the message.")]
    object: Annotated[Literal["thread.message.delta"], doc("Always `thread.message.delta`.")] = "thread.message.delta"
    delta: Annotated[MessageChange, doc("What comes.")]


class CreatedMessageDelta(ResponseObject, kw_only=True):
    """The message that is written."""

    message_id: Annotated[str | UnsetType, doc("Id of the message.")] = UNSET


class MessageCreationDelta(ResponseObject, kw_only=True, tag_field="type", tag="message_creation"):
    """A message is written."""

    message_creation: Annotated[CreatedMessageDelta | UnsetType, doc("The message.")] = UNSET


class LogsDelta(ResponseObject, kw_only=True, tag_field="type", tag="logs"):
    """What a program printed."""

    index: Index
    logs: Annotated[str | UnsetType, doc("The text.")] = UNSET


class OutputImageFileDelta(ResponseObject, kw_only=True):
    """A file."""

    file_id: Annotated[str | UnsetType, doc("Id of the file.")] = UNSET


class OutputImageDelta(ResponseObject, kw_only=True, tag_field="type", tag="image"):
    """What a program drew."""

    index: Index
    image: Annotated[OutputImageFileDelta | UnsetType, doc("The file.")] = UNSET


class CodeInterpreterWorkDelta(ResponseObject, kw_only=True):
    """More of a program, or of what came of it."""

    input: Annotated[str | UnsetType, doc("The next piece of the program.")] = UNSET
    outputs: Annotated[list[LogsDelta | OutputImageDelta] | UnsetType, doc("What came of it.")] = UNSET


class CodeInterpreterCallDelta(ResponseObject, kw_only=True, tag_field="type", tag="code_interpreter"):
    """More of a program that is run."""

    index: Index
    id: Annotated[str | UnsetType, doc("Id of the call.")] = UNSET
    code_interpreter: Annotated[CodeInterpreterWorkDelta | UnsetType, doc("What comes.")] = UNSET


class FileSearchCallDelta(ResponseObject, kw_only=True, tag_field="type", tag="file_search"):
    """A search in vector stores."""

    index: Index
    id: Annotated[str | UnsetType, doc("Id of the call.")] = UNSET
    file_search: Annotated[dict[str, Any], doc("Empty until the search is done.")] = {}  # noqa: RUF012


class FunctionWorkDelta(ResponseObject, kw_only=True):
    """More of a call: the name comes whole, the arguments in pieces."""

    name: Annotated[str | UnsetType, doc("The function.")] = UNSET
    arguments: Annotated[str | UnsetType, doc("The next piece of the arguments.")] = UNSET
    output: Annotated[str | UnsetType | None, doc("What it gave.")] = UNSET


class FunctionCallDelta(ResponseObject, kw_only=True, tag_field="type", tag="function"):
    """More of a call of a function of the client."""

    index: Index
    id: Annotated[str | UnsetType, doc("Id of the call.")] = UNSET
    function: Annotated[FunctionWorkDelta | UnsetType, doc("What comes.")] = UNSET


class ToolCallsDelta(ResponseObject, kw_only=True, tag_field="type", tag="tool_calls"):
    """More of the calls of a step."""

    tool_calls: Annotated[
        list[CodeInterpreterCallDelta | FileSearchCallDelta | FunctionCallDelta] | UnsetType, doc("By call.")
    ] = UNSET


class RunStepChange(ResponseObject, kw_only=True):
    """What comes to a step."""

    step_details: Annotated[MessageCreationDelta | ToolCallsDelta | UnsetType, doc("What is done.")] = UNSET


class RunStepDelta(ResponseObject, kw_only=True):
    """More of a step."""

    id: Annotated[str, doc("Id of the step.")]
    object: Annotated[Literal["thread.run.step.delta"], doc("Always `thread.run.step.delta`.")] = (
        "thread.run.step.delta"
    )
    delta: Annotated[RunStepChange, doc("What comes.")]


# Each kind of event is a class of its own, so that the document tells them apart.


class _Event(Struct, kw_only=True, tag_field="event"):
    pass


class ThreadCreated(_Event, kw_only=True, tag="thread.created"):
    """A thread was made."""

    enabled: Annotated[bool | UnsetType, doc("Whether input by audio is enabled.")] = UNSET
    data: Annotated[Thread, doc("The thread.")]


class RunCreated(_Event, kw_only=True, tag="thread.run.created"):
    """A run was made."""

    data: Annotated[Run, doc("The run.")]


class RunQueued(_Event, kw_only=True, tag="thread.run.queued"):
    """The run waits."""

    data: Annotated[Run, doc("The run.")]


class RunInProgress(_Event, kw_only=True, tag="thread.run.in_progress"):
    """The run goes on."""

    data: Annotated[Run, doc("The run.")]


class RunRequiresAction(_Event, kw_only=True, tag="thread.run.requires_action"):
    """The client has to act."""

    data: Annotated[Run, doc("The run.")]


class RunCompleted(_Event, kw_only=True, tag="thread.run.completed"):
    """The run ended well."""

    data: Annotated[Run, doc("The run.")]


class RunIncompleteEvent(_Event, kw_only=True, tag="thread.run.incomplete"):
    """The run met a bound."""

    data: Annotated[Run, doc("The run.")]


class RunFailed(_Event, kw_only=True, tag="thread.run.failed"):
    """The run failed."""

    data: Annotated[Run, doc("The run.")]


class RunCancelling(_Event, kw_only=True, tag="thread.run.cancelling"):
    """The run is being cancelled."""

    data: Annotated[Run, doc("The run.")]


class RunCancelled(_Event, kw_only=True, tag="thread.run.cancelled"):
    """The run was cancelled."""

    data: Annotated[Run, doc("The run.")]


class RunExpired(_Event, kw_only=True, tag="thread.run.expired"):
    """The run took too long."""

    data: Annotated[Run, doc("The run.")]


class StepCreated(_Event, kw_only=True, tag="thread.run.step.created"):
    """A step was made."""

    data: Annotated[RunStep, doc("The step.")]


class StepInProgress(_Event, kw_only=True, tag="thread.run.step.in_progress"):
    """The step goes on."""

    data: Annotated[RunStep, doc("The step.")]


class StepDelta(_Event, kw_only=True, tag="thread.run.step.delta"):
    """More of the step."""

    data: Annotated[RunStepDelta, doc("What comes.")]


class StepCompleted(_Event, kw_only=True, tag="thread.run.step.completed"):
    """The step ended well."""

    data: Annotated[RunStep, doc("The step.")]


class StepFailed(_Event, kw_only=True, tag="thread.run.step.failed"):
    """The step failed."""

    data: Annotated[RunStep, doc("The step.")]


class StepCancelled(_Event, kw_only=True, tag="thread.run.step.cancelled"):
    """The step was cancelled."""

    data: Annotated[RunStep, doc("The step.")]


class StepExpired(_Event, kw_only=True, tag="thread.run.step.expired"):
    """The step took too long."""

    data: Annotated[RunStep, doc("The step.")]


class MessageCreated(_Event, kw_only=True, tag="thread.message.created"):
    """A message was made."""

    data: Annotated[Message, doc("The message.")]


class MessageInProgress(_Event, kw_only=True, tag="thread.message.in_progress"):
    """The message is being written."""

    data: Annotated[Message, doc("The message.")]


class MessageDeltaEvent(_Event, kw_only=True, tag="thread.message.delta"):
    """More of the message."""

    data: Annotated[MessageDelta, doc("What comes.")]


class MessageCompleted(_Event, kw_only=True, tag="thread.message.completed"):
    """The message is whole."""

    data: Annotated[Message, doc("The message.")]


class MessageIncompleteEvent(_Event, kw_only=True, tag="thread.message.incomplete"):
    """The message was cut short."""

    data: Annotated[Message, doc("The message.")]


class ErrorEvent(_Event, kw_only=True, tag="error"):
    """The stream failed."""

    data: Annotated[ErrorObject, doc("The error.")]


class Done(_Event, kw_only=True, tag="done"):
    """Nothing more comes."""

    data: Annotated[Literal["[DONE]"], doc("Always `[DONE]`.")] = "[DONE]"


AssistantStreamEvent = (
    ThreadCreated
    | RunCreated
    | RunQueued
    | RunInProgress
    | RunRequiresAction
    | RunCompleted
    | RunIncompleteEvent
    | RunFailed
    | RunCancelling
    | RunCancelled
    | RunExpired
    | StepCreated
    | StepInProgress
    | StepDelta
    | StepCompleted
    | StepFailed
    | StepCancelled
    | StepExpired
    | MessageCreated
    | MessageInProgress
    | MessageDeltaEvent
    | MessageCompleted
    | MessageIncompleteEvent
    | ErrorEvent
    | Done
)
