"""Messages of a chat request: one Struct a role, told apart by `role`; content parts, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from inhouse.api.chat.wire.tools import CallId, FunctionCall, FunctionName, ToolCall
from inhouse.api.wire import RequestObject, doc

Text = Annotated[str, Meta(max_length=10_485_760)]
ParticipantName = Annotated[
    Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\s<|\\/>]+$")] | None,
    doc("Tells participants of the same role apart."),
]


class PromptCacheBreakpoint(RequestObject, kw_only=True):
    """A place up to which the prompt is worth caching."""

    mode: Annotated[Literal["explicit"], doc("Always `explicit`.")] = "explicit"
    ttl: Annotated[Literal["30m", "12h"] | None, doc("How long to keep it.")] = None


CacheBreakpoint = Annotated[PromptCacheBreakpoint | None, doc("Ends a reusable part of the prompt after this part.")]


class TextPart(RequestObject, kw_only=True, tag_field="type", tag="text"):
    """Text."""

    text: Annotated[Text, doc("The text.")]
    prompt_cache_breakpoint: CacheBreakpoint = None


class RefusalPart(RequestObject, kw_only=True, tag_field="type", tag="refusal"):
    """What the assistant said instead of an answer."""

    refusal: Annotated[Text, doc("The refusal.")]


class ImageURL(RequestObject, kw_only=True):
    """Where an image is and how closely to look."""

    url: Annotated[str, doc("An http(s) URL, or the image itself as a base64 data URL.")]
    detail: Annotated[
        Literal["auto", "low", "high", "original"] | None, doc("Resolution that the model sees. Defaults to auto.")
    ] = None


class ImagePart(RequestObject, kw_only=True, tag_field="type", tag="image_url"):
    """An image."""

    image_url: Annotated[ImageURL, doc("The image.")]
    prompt_cache_breakpoint: CacheBreakpoint = None


class InputAudio(RequestObject, kw_only=True):
    """A recording."""

    data: Annotated[str, doc("The file, in base64.")]
    format: Annotated[Literal["wav", "mp3"], doc("Its format.")]


class AudioPart(RequestObject, kw_only=True, tag_field="type", tag="input_audio"):
    """Audio."""

    input_audio: Annotated[InputAudio, doc("The recording.")]
    prompt_cache_breakpoint: CacheBreakpoint = None


class InputFile(RequestObject, kw_only=True):
    """A file: uploaded before, or sent along."""

    filename: Annotated[str | None, doc("The file's name, with `file_data`.")] = None
    file_data: Annotated[str | None, doc("The file as a base64 data URL.")] = None
    file_id: Annotated[str | None, doc("Id of an uploaded file.")] = None


class FilePart(RequestObject, kw_only=True, tag_field="type", tag="file"):
    """A document."""

    file: Annotated[InputFile, doc("The file.")]
    prompt_cache_breakpoint: CacheBreakpoint = None


TextParts = Annotated[list[TextPart], Meta(min_length=1)]
UserPart = TextPart | ImagePart | AudioPart | FilePart
UserParts = Annotated[list[UserPart], Meta(min_length=1)]
AssistantParts = Annotated[list[TextPart | RefusalPart], Meta(min_length=1)]


class DeveloperMessage(RequestObject, kw_only=True, tag_field="role", tag="developer"):
    """Instructions that stand above what users say."""

    content: Annotated[Text | TextParts, doc("The instructions.")]
    name: ParticipantName = None


class SystemMessage(RequestObject, kw_only=True, tag_field="role", tag="system"):
    """Instructions that stand above what users say; newer models call this role `developer`."""

    content: Annotated[Text | TextParts, doc("The instructions.")]
    name: ParticipantName = None


class UserMessage(RequestObject, kw_only=True, tag_field="role", tag="user"):
    """What a user says or shows."""

    content: Annotated[Text | UserParts, doc("Text, or parts of text, image, audio and file.")]
    name: ParticipantName = None


class AssistantAudio(RequestObject, kw_only=True):
    """Audio that the assistant spoke earlier. Only its id counts."""

    id: Annotated[str, doc("Id of the audio in the earlier answer.")]
    data: Annotated[str | None, doc("Taken, since answers carry it, and not read.")] = None
    expires_at: Annotated[int | None, doc("Taken, since answers carry it, and not read.")] = None
    transcript: Annotated[str | None, doc("Taken, since answers carry it, and not read.")] = None


class AssistantMessage(RequestObject, kw_only=True, tag_field="role", tag="assistant"):
    """What the model said earlier. An answer's message can be sent back as it came."""

    content: Annotated[
        Text | AssistantParts | None, doc("The words; may only be missing beside calls, a refusal or audio.")
    ] = None
    refusal: Annotated[Text | None, doc("The refusal, if it refused.")] = None
    name: ParticipantName = None
    audio: Annotated[AssistantAudio | None, doc("What it spoke.")] = None
    tool_calls: Annotated[
        Annotated[list[ToolCall], Meta(min_length=1)] | None, doc("The tool calls it made; their results follow.")
    ] = None
    function_call: Annotated[FunctionCall | None, doc("Old form of `tool_calls`.")] = None
    annotations: Annotated[list[dict[str, Any]] | None, doc("Taken, since answers carry it, and not read.")] = None


class ToolMessage(RequestObject, kw_only=True, tag_field="role", tag="tool"):
    """The result of a tool call."""

    content: Annotated[Text | TextParts, doc("The result.")]
    tool_call_id: CallId
    name: ParticipantName = None


class FunctionMessage(RequestObject, kw_only=True, tag_field="role", tag="function"):
    """The result of a call in the old form; `tool` has taken its place."""

    content: Annotated[Text | None, doc("The result.")]
    name: Annotated[FunctionName, doc("The function that was called.")]


Message = DeveloperMessage | SystemMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage
