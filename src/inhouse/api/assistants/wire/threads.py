"""Shapes of threads and their messages."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.assistants.wire.base import (
    AttachmentTool,
    NewToolResources,
    OldPageQuery,
    SharedObject,
    ToolResources,
    Updating,
)
from inhouse.api.wire import Deleted, Metadata, Page, RequestObject, ResponseObject, doc

Role = Annotated[Literal["user", "assistant"], doc("Who speaks.")]
Detail = Annotated[Literal["auto", "low", "high"] | UnsetType, doc("Resolution that the model sees.")]
Text = Annotated[str, Meta(min_length=1, max_length=256_000)]


class ImageFile(SharedObject, kw_only=True):
    """An uploaded image."""

    file_id: Annotated[str, doc("Id of the file.")]
    detail: Detail = UNSET


class ImageFilePart(SharedObject, kw_only=True, tag_field="type", tag="image_file"):
    """An uploaded image."""

    image_file: Annotated[ImageFile, doc("The image.")]


class ImageURL(SharedObject, kw_only=True):
    """Where an image is."""

    url: Annotated[str, doc("An http(s) URL.")]
    detail: Detail = UNSET


class ImageURLPart(SharedObject, kw_only=True, tag_field="type", tag="image_url"):
    """An image on the web."""

    image_url: Annotated[ImageURL, doc("The image.")]


class InputText(SharedObject, kw_only=True, tag_field="type", tag="text"):
    """Text."""

    text: Annotated[Text, doc("The text.")]


class Attachment(SharedObject, kw_only=True):
    """A file that comes with a message."""

    file_id: Annotated[str | UnsetType, doc("Id of the file.")] = UNSET
    tools: Annotated[list[AttachmentTool] | UnsetType, doc("The tools that may read it.")] = UNSET


InputPart = ImageFilePart | ImageURLPart | InputText


class CreateMessage(RequestObject, kw_only=True):
    """A new message."""

    role: Role
    content: Annotated[Text | Annotated[list[InputPart], Meta(min_length=1)], doc("What is said.")]
    attachments: Annotated[list[Attachment] | None, doc("Files that come with it.")] = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None


class UpdateMessage(Updating, kw_only=True):
    """What to change of a message."""

    metadata: Annotated[Metadata | UnsetType | None, doc("Pairs of your own.")] = UNSET


class CitedFile(ResponseObject, kw_only=True):
    """The file that is cited."""

    file_id: Annotated[str, doc("Id of the file.")]


class FileCitation(ResponseObject, kw_only=True, tag_field="type", tag="file_citation"):
    """A place of the text that stands for a file."""

    text: Annotated[str, doc("The place itself.")]
    file_citation: Annotated[CitedFile, doc("The file.")]
    start_index: Annotated[int, Meta(ge=0, description="Where it begins, in characters.")]
    end_index: Annotated[int, Meta(ge=0, description="Where it ends.")]


class FilePath(ResponseObject, kw_only=True, tag_field="type", tag="file_path"):
    """A place of the text that stands for a file that a program wrote."""

    text: Annotated[str, doc("The place itself.")]
    file_path: Annotated[CitedFile, doc("The file.")]
    start_index: Annotated[int, Meta(ge=0, description="Where it begins, in characters.")]
    end_index: Annotated[int, Meta(ge=0, description="Where it ends.")]


class TextContent(ResponseObject, kw_only=True):
    """A text and the places in it that stand for files."""

    value: Annotated[str, doc("The text.")]
    annotations: Annotated[list[FileCitation | FilePath], doc("Places that stand for files.")] = []  # noqa: RUF012


class TextPart(ResponseObject, kw_only=True, tag_field="type", tag="text"):
    """Text."""

    text: Annotated[TextContent, doc("The text.")]


class RefusalPart(ResponseObject, kw_only=True, tag_field="type", tag="refusal"):
    """What the assistant said instead of an answer."""

    refusal: Annotated[str, doc("The refusal.")]


MessagePart = ImageFilePart | ImageURLPart | TextPart | RefusalPart
IncompleteReason = Literal["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"]


class MessageIncomplete(ResponseObject, kw_only=True):
    """Why a message is not whole."""

    reason: Annotated[IncompleteReason, doc("The cause.")]


class Message(ResponseObject, kw_only=True):
    """A message of a thread."""

    id: Annotated[str, doc("Id of the message.")]
    object: Annotated[Literal["thread.message"], doc("Always `thread.message`.")] = "thread.message"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    assistant_id: Annotated[str | None, doc("The assistant that wrote it.")] = None
    thread_id: Annotated[str, doc("The thread.")]
    run_id: Annotated[str | None, doc("The run that wrote it.")] = None
    status: Annotated[Literal["in_progress", "incomplete", "completed"], doc("How far it got.")] = "completed"
    incomplete_details: Annotated[MessageIncomplete | None, doc("Why it is not whole.")] = None
    incomplete_at: Annotated[int | None, doc("When it was cut short, Unix seconds.")] = None
    completed_at: Annotated[int | None, doc("When it was whole, Unix seconds.")] = None
    role: Role
    content: Annotated[list[MessagePart], doc("What is said.")] = []  # noqa: RUF012
    attachments: Annotated[list[Attachment] | None, doc("Files that come with it.")] = []  # noqa: RUF012
    metadata: Annotated[dict[str, str] | None, doc("Pairs of your own.")] = None


class MessageList(Page[Message], kw_only=True):
    """One page of messages."""


class MessageDeleted(Deleted, kw_only=True):
    """A message that is gone."""

    object: Annotated[Literal["thread.message.deleted"], doc("Always `thread.message.deleted`.")] = (
        "thread.message.deleted"
    )


class ListMessagesQuery(OldPageQuery, kw_only=True):
    """Which messages to list."""

    run_id: Annotated[str | None, doc("Only messages that this run wrote.")] = None


class CreateThread(RequestObject, kw_only=True):
    """A new thread."""

    messages: Annotated[list[CreateMessage] | None, doc("What it begins with.")] = None
    tool_resources: Annotated[NewToolResources | None, doc("What the tools have to work with.")] = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None


class UpdateThread(Updating, kw_only=True):
    """What to change of a thread."""

    tool_resources: Annotated[ToolResources | UnsetType | None, doc("What the tools have to work with.")] = UNSET
    metadata: Annotated[Metadata | UnsetType | None, doc("Pairs of your own.")] = UNSET


class Thread(ResponseObject, kw_only=True):
    """A conversation with assistants."""

    id: Annotated[str, doc("Id of the thread.")]
    object: Annotated[Literal["thread"], doc("Always `thread`.")] = "thread"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    metadata: Annotated[dict[str, str] | None, doc("Pairs of your own.")] = None
    tool_resources: Annotated[ToolResources | None, doc("What the tools have to work with.")] = None


class ThreadDeleted(Deleted, kw_only=True):
    """A thread that is gone."""

    object: Annotated[Literal["thread.deleted"], doc("Always `thread.deleted`.")] = "thread.deleted"
