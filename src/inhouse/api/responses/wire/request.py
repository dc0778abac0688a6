"""Requests of the Responses operations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from inhouse.api.responses.wire.base import SharedObject
from inhouse.api.responses.wire.content import InputFile, InputImage, InputText
from inhouse.api.responses.wire.input_items import InputItem, add_types
from inhouse.api.responses.wire.tool_choice import ToolChoice
from inhouse.api.responses.wire.tools import Tool
from inhouse.api.wire import Metadata, PageQuery, RequestObject, Temperature, TopP, doc

_INCLUDED = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
]
Include = Annotated[
    list[Annotated[str, Meta(extra_json_schema={"enum": _INCLUDED})]] | None,
    doc("What else to tell. What this model cannot tell, or what is not known here, is passed over."),
]
Instructions = Annotated[str | None, doc("What the model is told first. Not carried over by `previous_response_id`.")]
PreviousResponseId = Annotated[str | None, doc("The stored response to go on from.")]
CacheKey = Annotated[
    Annotated[str, Meta(max_length=64)] | None, doc("Requests with the same key share a prompt cache.")
]
CacheRetention = Annotated[Literal["in_memory", "24h"] | None, doc("How long to keep the cache.")]
Input = Annotated[str | list[InputItem] | None, doc("Items of the conversation, or text for one message of the user.")]
ServiceTier = Annotated[
    Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None,
    doc("How urgently to serve it. Defaults to auto."),
]
ParallelToolCalls = Annotated[bool | None, doc("Whether one turn may call several tools. Defaults to true.")]


class TextFormatText(SharedObject, kw_only=True, tag_field="type", tag="text"):
    """Free text."""


class TextFormatJSONObject(SharedObject, kw_only=True, tag_field="type", tag="json_object"):
    """Any JSON object. The input must ask for JSON."""


class TextFormatJSONSchema(SharedObject, kw_only=True, tag_field="type", tag="json_schema"):
    """JSON that matches a schema."""

    name: Annotated[
        str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$", description="Name of the schema.")
    ]
    schema: Annotated[dict[str, Any], doc("The JSON Schema.")]
    description: Annotated[str | None, doc("What the answer is for: the model reads this.")] = None
    strict: Annotated[bool | None, doc("Whether the answer must always match. Defaults to false.")] = None


class TextConfig(SharedObject, kw_only=True):
    """What form the text of the answer has."""

    format: Annotated[
        TextFormatText | TextFormatJSONSchema | TextFormatJSONObject | None, doc("The form. Defaults to free text.")
    ] = None
    verbosity: Annotated[Literal["low", "medium", "high"] | None, doc("How wordy the answer is.")] = None


class ReasoningConfig(SharedObject, kw_only=True):
    """How a reasoning model thinks."""

    effort: Annotated[Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None, doc("How long.")] = (
        None
    )
    summary: Annotated[Literal["auto", "concise", "detailed"] | None, doc("Whether to tell what it thought.")] = None
    generate_summary: Annotated[Literal["auto", "concise", "detailed"] | None, doc("Old form of `summary`.")] = None
    context: Annotated[Literal["auto", "current_turn", "all_turns"] | None, doc("Which earlier reasoning it sees.")] = (
        None
    )
    mode: Annotated[str | None, doc("How much goes into it, such as `standard` or `pro`.")] = None


class PromptTemplate(SharedObject, kw_only=True):
    """A saved prompt, with what to fill in."""

    id: Annotated[str, doc("Id of the prompt.")]
    version: Annotated[str | None, doc("Its version; by default the one in use.")] = None
    variables: Annotated[
        dict[str, str | InputText | InputImage | InputFile] | None, doc("What to fill in, by name.")
    ] = None


class ConversationReference(RequestObject, kw_only=True):
    """A conversation, by its id."""

    id: Annotated[str, doc("Id of the conversation.")]


class ResponseStreamOptions(RequestObject, kw_only=True):
    """What a stream carries besides the events. Only with `stream: true`."""

    include_obfuscation: Annotated[
        bool | None, doc("Pad every delta with random characters, to hide token lengths. Defaults to true.")
    ] = None


class ModerationMode(RequestObject, kw_only=True):
    """What to do on a verdict."""

    mode: Annotated[Literal["score", "block"], doc("Only report, or also stop.")]


class ModerationPolicy(RequestObject, kw_only=True):
    """What to do with each side."""

    input: Annotated[ModerationMode | None, doc("With the input.")] = None
    output: Annotated[ModerationMode | None, doc("With the answer.")] = None


class ModerationOptions(RequestObject, kw_only=True):
    """Moderation along with the answer."""

    model: Annotated[str, doc("The moderation model.")]
    policy: Annotated[ModerationPolicy | None, doc("What to do on a verdict.")] = None


class ContextManagement(RequestObject, kw_only=True):
    """How a long conversation is kept within the window."""

    type: Annotated[str, doc("What to do, such as `compaction`.")]
    compact_threshold: Annotated[
        Annotated[int, Meta(ge=1000)] | None, doc("From how many tokens on the conversation is made shorter.")
    ] = None


class CacheOptions(RequestObject, kw_only=True):
    """How the prompt is cached."""

    ttl: Annotated[Literal["30m"] | None, doc("How long to keep it.")] = None
    mode: Annotated[Literal["implicit", "explicit"] | None, doc("By itself, or only at breakpoints.")] = None


Conversation = Annotated[
    str | ConversationReference | None, doc("The conversation to go on with; input and output are added to it.")
]


class CreateResponse(RequestObject, kw_only=True):
    """Answer items. A parameter that is null counts as left out."""

    model: Annotated[str | None, doc("Id of the model: a snapshot, or an alias of one.")] = None
    input: Input = None
    instructions: Instructions = None
    previous_response_id: PreviousResponseId = None
    conversation: Conversation = None
    store: Annotated[bool | None, doc("Keep the response for later retrieval. Defaults to true.")] = None
    stream: Annotated[bool | None, doc("Answer with server-sent events, as the answer is generated.")] = None
    stream_options: Annotated[ResponseStreamOptions | None, doc("What the stream carries besides the events.")] = None
    background: Annotated[bool | None, doc("Answer later; poll for it, or stream it.")] = None
    tools: Annotated[Annotated[list[Tool], Meta(max_length=128)] | None, doc("What the model may call.")] = None
    tool_choice: Annotated[
        ToolChoice | None, doc("Whether the model may, must or must not use tools, and which. Defaults to auto.")
    ] = None
    parallel_tool_calls: ParallelToolCalls = None
    max_tool_calls: Annotated[
        Annotated[int, Meta(ge=1)] | None, doc("The most calls of hosted tools in one response.")
    ] = None
    text: Annotated[TextConfig | None, doc("What form the text of the answer has.")] = None
    temperature: Temperature = None
    top_p: TopP = None
    top_logprobs: Annotated[
        Annotated[int, Meta(ge=0, le=20)] | None,
        doc("How many likeliest tokens to tell at each place, where log probabilities are included."),
    ] = None
    max_output_tokens: Annotated[
        Annotated[int, Meta(ge=16)] | None, doc("The most tokens to generate, reasoning included.")
    ] = None
    truncation: Annotated[
        Literal["auto", "disabled"] | None,
        doc(
            "What to do with more input than the window holds: drop the oldest items, or refuse. Defaults to disabled."
        ),
    ] = None
    include: Include = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own, kept with the response.")] = None
    reasoning: Annotated[ReasoningConfig | None, doc("How a reasoning model thinks.")] = None
    prompt: Annotated[PromptTemplate | None, doc("A saved prompt to begin with.")] = None
    service_tier: ServiceTier = None
    safety_identifier: Annotated[
        Annotated[str, Meta(max_length=64)] | None, doc("Stable identifier of the end user, best hashed.")
    ] = None
    prompt_cache_key: CacheKey = None
    prompt_cache_retention: CacheRetention = None
    prompt_cache_options: Annotated[CacheOptions | None, doc("How the prompt is cached.")] = None
    context_management: Annotated[
        Annotated[list[ContextManagement], Meta(min_length=1)] | None, doc("How to keep within the window.")
    ] = None
    moderation: Annotated[ModerationOptions | None, doc("Judge the input and the answer.")] = None
    user: Annotated[str | None, doc("Old form of `safety_identifier` and `prompt_cache_key`.")] = None
    client_metadata: Annotated[dict[str, Any] | None, doc("What a client tells of itself. Taken, and not kept.")] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("input"))


class CountInputTokens(RequestObject, kw_only=True):
    """Count the tokens that a request would have. A parameter that is null counts as left out."""

    model: Annotated[str | None, doc("Id of the model: a snapshot, or an alias of one.")] = None
    input: Annotated[
        Annotated[str, Meta(max_length=10_485_760)] | list[InputItem] | None,
        doc("Items of the conversation, or text for one message of the user."),
    ] = None
    instructions: Instructions = None
    previous_response_id: PreviousResponseId = None
    conversation: Conversation = None
    tools: Annotated[Annotated[list[Tool], Meta(max_length=128)] | None, doc("What the model may call.")] = None
    tool_choice: Annotated[ToolChoice | None, doc("Which tools the model may or must use.")] = None
    parallel_tool_calls: ParallelToolCalls = None
    text: Annotated[TextConfig | None, doc("What form the text of the answer has.")] = None
    reasoning: Annotated[ReasoningConfig | None, doc("How a reasoning model thinks.")] = None
    truncation: Annotated[
        Literal["auto", "disabled"] | None, doc("Whether the oldest items are dropped where they do not fit.")
    ] = None
    personality: Annotated[str | None, doc("The manner of the answer, for models that have several.")] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("input"))


class CompactResponse(RequestObject, kw_only=True):
    """Make a conversation shorter. A parameter that is null counts as left out."""

    model: Annotated[str | None, doc("Id of the model that writes the summary.")]
    input: Annotated[
        Annotated[str, Meta(max_length=10_485_760)] | list[InputItem] | None,
        doc("Items of the conversation, or text for one message of the user."),
    ] = None
    previous_response_id: PreviousResponseId = None
    instructions: Instructions = None
    prompt_cache_key: CacheKey = None
    prompt_cache_retention: CacheRetention = None
    prompt_cache_options: Annotated[CacheOptions | None, doc("How the prompt is cached.")] = None
    service_tier: Annotated[
        Literal["auto", "default", "flex", "priority", "fast"] | None, doc("How urgently to serve it.")
    ] = None

    @staticmethod
    def mend(value: Any) -> bool:
        """See ``kit.validation.decode``."""
        return isinstance(value, dict) and add_types(value.get("input"))


class RetrieveResponseQuery(RequestObject, kw_only=True):
    """How to get a stored response."""

    include: Include = None
    stream: Annotated[bool | None, doc("Get its events, as they come. Only of background responses.")] = None
    starting_after: Annotated[int | None, doc("With `stream`: only events after this sequence number.")] = None
    include_obfuscation: Annotated[bool | None, doc("With `stream`: pad every delta. Defaults to true.")] = None


class ListInputItemsQuery(PageQuery, kw_only=True):
    """Which items of a response's input to list: the last ones first unless asked otherwise."""

    include: Include = None
