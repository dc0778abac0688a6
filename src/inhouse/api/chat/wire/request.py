"""What Chat Completions is asked: the create request, and the requests on stored completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from inhouse.api.chat.wire.messages import Message, Text, TextPart
from inhouse.api.chat.wire.tools import FunctionName, JSONSchema, Tool, ToolChoice, ToolDescription, ToolName
from inhouse.api.wire import (
    Choices,
    EndUser,
    FrequencyPenalty,
    LogitBias,
    Metadata,
    PageQuery,
    PresencePenalty,
    RequestObject,
    Seed,
    ServiceTier,
    Stop,
    StreamOptions,
    Temperature,
    TopP,
    doc,
)
from inhouse.kit.errors import InvalidRequest


class ResponseFormatText(RequestObject, kw_only=True, tag_field="type", tag="text"):
    """Plain text, the default."""


class ResponseFormatJSONObject(RequestObject, kw_only=True, tag_field="type", tag="json_object"):
    """Any JSON object. The messages must ask for JSON."""


class NamedSchema(RequestObject, kw_only=True):
    """The schema that an answer must match."""

    name: FunctionName
    description: Annotated[str | None, doc("What the answer is for: the model reads this.")] = None
    schema: Annotated[JSONSchema | None, doc("The JSON Schema.")] = None
    strict: Annotated[bool | None, doc("Whether the answer must always match. Defaults to false.")] = None


class ResponseFormatJSONSchema(RequestObject, kw_only=True, tag_field="type", tag="json_schema"):
    """JSON that matches a schema."""

    json_schema: Annotated[NamedSchema, doc("The schema.")]


ResponseFormat = ResponseFormatText | ResponseFormatJSONObject | ResponseFormatJSONSchema


class VoiceId(RequestObject, kw_only=True):
    """A voice of your own."""

    id: Annotated[str, doc("Id of the voice.")]


class AudioOutput(RequestObject, kw_only=True):
    """How a spoken answer sounds."""

    voice: Annotated[str | VoiceId, doc("A built-in voice by name, or one of your own.")]
    format: Annotated[Literal["wav", "aac", "mp3", "flac", "opus", "pcm16"], doc("Format of the audio.")]


class Prediction(RequestObject, kw_only=True):
    """Text that much of the answer is likely to repeat, such as a file being edited."""

    type: Annotated[Literal["content"], doc("Always `content`.")]
    content: Annotated[Text | Annotated[list[TextPart], Meta(min_length=1)], doc("The expected text.")]


class ModerationMode(RequestObject, kw_only=True):
    """What to do on a verdict."""

    mode: Annotated[Literal["score", "block"], doc("Only report, or also stop.")]


class ModerationPolicy(RequestObject, kw_only=True):
    """What to do with each side."""

    input: Annotated[ModerationMode | None, doc("With the messages.")] = None
    output: Annotated[ModerationMode | None, doc("With the answer.")] = None


class ModerationOptions(RequestObject, kw_only=True):
    """Moderation along with the answer."""

    model: Annotated[str, doc("The moderation model.")]
    policy: Annotated[ModerationPolicy | None, doc("What to do on a verdict.")] = None


class PromptCacheOptions(RequestObject, kw_only=True):
    """How the prompt is cached."""

    mode: Annotated[Literal["implicit", "explicit"] | None, doc("By itself, or only at breakpoints.")] = None
    ttl: Annotated[Literal["30m"] | None, doc("How long to keep it.")] = None


class WebSearchPlace(RequestObject, kw_only=True):
    """Roughly where the user is."""

    country: Annotated[str | None, doc("Two-letter country code.")] = None
    region: Annotated[str | None, doc("Region or state.")] = None
    city: Annotated[str | None, doc("City.")] = None
    timezone: Annotated[str | None, doc("IANA time zone.")] = None


class WebSearchLocation(RequestObject, kw_only=True):
    """Where results should be relevant."""

    type: Annotated[Literal["approximate"], doc("Always `approximate`.")]
    approximate: Annotated[WebSearchPlace, doc("The place.")]


class WebSearchOptions(RequestObject, kw_only=True):
    """A web search before the answer."""

    search_context_size: Annotated[Literal["low", "medium", "high"] | None, doc("How much of the pages to read.")] = (
        None
    )
    user_location: Annotated[WebSearchLocation | None, doc("Where the user is.")] = None


class FunctionDeclaration(RequestObject, kw_only=True):
    """A function in the old form."""

    name: FunctionName
    description: Annotated[ToolDescription | None, doc("When and how to call it: the model reads this.")] = None
    parameters: Annotated[JSONSchema | None, doc("JSON Schema of the arguments.")] = None


class CreateChatCompletionRequest(RequestObject, kw_only=True):
    """Answer a conversation. A parameter that is null counts as left out."""

    model: Annotated[str, doc("Id of the model: a snapshot, or an alias of one.")]
    messages: Annotated[list[Message], Meta(min_length=1, description="The conversation so far.")]
    audio: Annotated[AudioOutput | None, doc("How to speak, when `modalities` has audio.")] = None
    frequency_penalty: FrequencyPenalty = None
    function_call: Annotated[Literal["none", "auto"] | ToolName | None, doc("Old form of `tool_choice`.")] = None
    functions: Annotated[
        Annotated[list[FunctionDeclaration], Meta(min_length=1, max_length=128)] | None, doc("Old form of `tools`.")
    ] = None
    logit_bias: LogitBias = None
    logprobs: Annotated[bool | None, doc("Return the log probability of every token of the answer.")] = None
    max_completion_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, doc("The most tokens to generate for each choice, reasoning included.")
    ] = None
    max_tokens: Annotated[Annotated[int, Meta(ge=1)] | None, doc("Old form of `max_completion_tokens`.")] = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own, kept with a stored completion.")] = None
    modalities: Annotated[list[Literal["text", "audio"]] | None, doc("What to answer with. Defaults to text.")] = None
    moderation: Annotated[ModerationOptions | None, doc("Judge the messages and the answer.")] = None
    n: Choices = None
    parallel_tool_calls: Annotated[bool | None, doc("Whether one turn may call several tools. Defaults to true.")] = (
        None
    )
    prediction: Annotated[Prediction | None, doc("Text that the answer is likely to repeat.")] = None
    presence_penalty: PresencePenalty = None
    prompt_cache_key: Annotated[
        Annotated[str, Meta(max_length=64)] | None, doc("Requests with the same key share a prompt cache.")
    ] = None
    prompt_cache_options: Annotated[PromptCacheOptions | None, doc("How the prompt is cached.")] = None
    prompt_cache_retention: Annotated[Literal["in_memory", "24h"] | None, doc("How long to keep the cache.")] = None
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None,
        doc("How long a reasoning model thinks."),
    ] = None
    response_format: Annotated[ResponseFormat | None, doc("What form the answer must have.")] = None
    safety_identifier: Annotated[
        Annotated[str, Meta(max_length=64)] | None, doc("Stable identifier of the end user, best hashed.")
    ] = None
    seed: Seed = None
    service_tier: Annotated[ServiceTier | None, doc("How urgently to serve it. Defaults to auto.")] = None
    stop: Stop = None
    store: Annotated[bool | None, doc("Keep the completion for later retrieval.")] = None
    stream: Annotated[bool | None, doc("Answer with server-sent events, as the answer is generated.")] = None
    stream_options: Annotated[StreamOptions | None, doc("What the stream carries besides the deltas.")] = None
    temperature: Temperature = None
    tool_choice: Annotated[
        ToolChoice | None,
        doc("Whether the model may, must or must not call tools, and which. Defaults to auto if there are tools."),
    ] = None
    tools: Annotated[
        Annotated[list[Tool], Meta(min_length=1, max_length=128)] | None, doc("What the model may call.")
    ] = None
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        doc("With `logprobs`, also return this many likeliest tokens at each place."),
    ] = None
    top_p: TopP = None
    user: EndUser = None
    verbosity: Annotated[Literal["low", "medium", "high"] | None, doc("How wordy the answer is.")] = None
    web_search_options: Annotated[WebSearchOptions | None, doc("Search the web first.")] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``. What helpers of the official SDKs leave in an answer's message comes back with
        it, and is taken out.

        Raises:
            InvalidRequest: content is null, which has a refusal of its own.
        """
        messages = value.get("messages") if isinstance(value, dict) else None
        mended = False
        for index, message in enumerate(messages if isinstance(messages, list) else ()):
            if not isinstance(message, dict):
                continue
            if message.get("role") in _SPEAKERS and message.get("content", "") is None:
                raise null_content(index)
            if message.get("role") == "assistant":
                mended = _without_helpers(message) or mended
        return mended


_SPEAKERS = ("developer", "system", "user", "tool")
"""Roles whose messages are nothing without content."""


def _without_helpers(message: dict[str, Any]) -> bool:
    """Whether there was something of them: ``parsed``, ``parsed_arguments``, and the place of a streamed call."""
    made = message.get("tool_calls")
    holders: list[tuple[Any, str]] = [(message, "parsed")]
    for call in made if isinstance(made, list) else ():
        if isinstance(call, dict):
            holders += [(call, "index"), (call.get("function"), "parsed_arguments")]
    found = [(holder, name) for holder, name in holders if isinstance(holder, dict) and name in holder]
    for holder, name in found:
        del holder[name]
    return bool(found)


def null_content(index: int) -> InvalidRequest:
    """What is told of a message without words; its ``param`` is written as nowhere else."""
    return InvalidRequest(
        "Invalid value for 'content': expected a string, got null.", param=f"messages.[{index}].content"
    )


class UpdateChatCompletionRequest(RequestObject, kw_only=True):
    """Replace the metadata of a stored completion."""

    metadata: Annotated[Metadata | None, doc("The new pairs; null removes all.")]


class ListChatCompletionsQuery(PageQuery, kw_only=True):
    """Which stored completions to list: oldest first unless asked otherwise."""

    order: Annotated[Literal["asc", "desc"], doc("By time of creation: oldest or newest first.")] = "asc"
    model: Annotated[str | None, doc("Only completions of this model.")] = None
    metadata: Annotated[dict[str, str] | None, doc("Only completions with all these pairs: `metadata[key]=value`.")] = (
        None
    )


class ListChatMessagesQuery(PageQuery, kw_only=True):
    """Which messages of a stored completion to list: oldest first unless asked otherwise."""

    order: Annotated[Literal["asc", "desc"], doc("By place: first or last message first.")] = "asc"
