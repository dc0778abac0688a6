"""What Chat Completions answers: whole completions, chunks of a stream, stored completions.

Field order is the order on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.chat.wire.messages import ImagePart, TextPart
from inhouse.api.chat.wire.tools import FunctionCall, FunctionCallDelta, ToolCall, ToolCallDelta
from inhouse.api.wire import CompletionUsage, Deleted, Metadata, Page, ResponseObject, ServiceTier, doc

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
Role = Literal["developer", "system", "user", "assistant", "tool"]
Fingerprint = Annotated[
    str | UnsetType | None,
    doc("Changes when weights, engine or settings change; compare it when you use `seed`."),
]
UsedTier = Annotated[ServiceTier | UnsetType | None, doc("The tier that served the request.")]


class URLSpan(ResponseObject, kw_only=True):
    """A web page and the words that rest on it."""

    start_index: Annotated[int, doc("First character of the words.")]
    end_index: Annotated[int, doc("Last character of the words.")]
    url: Annotated[str, doc("The page.")]
    title: Annotated[str, doc("Its title.")]


class URLCitation(ResponseObject, kw_only=True):
    """A source from the web."""

    type: Annotated[Literal["url_citation"], doc("Always `url_citation`.")] = "url_citation"
    url_citation: Annotated[URLSpan, doc("The source.")]


class AnswerAudio(ResponseObject, kw_only=True):
    """A spoken answer."""

    id: Annotated[str, doc("Send it back to refer to this audio.")]
    expires_at: Annotated[int, doc("Until when the id can be used, in Unix seconds.")]
    data: Annotated[str, doc("The audio in base64, in the format asked for.")]
    transcript: Annotated[str, doc("What was said.")]


class AnswerMessage(ResponseObject, kw_only=True):
    """What the model said."""

    role: Annotated[Literal["assistant"], doc("Always `assistant`.")] = "assistant"
    content: Annotated[str | None, doc("The words; null when it only called tools or refused.")]
    tool_calls: Annotated[list[ToolCall] | UnsetType, doc("The tools it wants called.")] = UNSET
    function_call: Annotated[FunctionCall | UnsetType, doc("Old form, when the request used `functions`.")] = UNSET
    refusal: Annotated[str | None, doc("Why it refused; null if it did not.")] = None
    annotations: Annotated[list[URLCitation] | UnsetType, doc("Sources of a web search.")] = UNSET
    audio: Annotated[AnswerAudio | UnsetType | None, doc("The spoken answer, if audio was asked for.")] = UNSET


class TopLogprob(ResponseObject, kw_only=True):
    """A token that could have stood at this place."""

    token: Annotated[str, doc("The token.")]
    logprob: Annotated[float, doc("Its log probability; -9999 for a very unlikely one.")]
    bytes: Annotated[list[int] | None, doc("Its UTF-8 bytes; null if it has none.")]


class TokenLogprob(ResponseObject, kw_only=True):
    """A token of the answer."""

    token: Annotated[str, doc("The token.")]
    logprob: Annotated[float, doc("Its log probability; -9999 for a very unlikely one.")]
    bytes: Annotated[list[int] | None, doc("Its UTF-8 bytes; null if it has none.")]
    top_logprobs: Annotated[list[TopLogprob], doc("The likeliest tokens at this place, likeliest first.")]


class ChoiceLogprobs(ResponseObject, kw_only=True):
    """Log probabilities of a choice."""

    content: Annotated[list[TokenLogprob] | None, doc("Of the words.")]
    refusal: Annotated[list[TokenLogprob] | None, doc("Of the refusal.")] = None


class ModerationVerdict(ResponseObject, kw_only=True):
    """What a moderation model found."""

    type: Annotated[Literal["moderation_result"], doc("Always `moderation_result`.")] = "moderation_result"
    model: Annotated[str, doc("The model that judged.")]
    flagged: Annotated[bool, doc("Whether any category applies.")]
    categories: Annotated[dict[str, bool], doc("Which categories apply.")]
    category_scores: Annotated[dict[str, float], doc("How sure the model is, from 0 to 1.")]
    category_applied_input_types: Annotated[
        dict[str, list[Literal["text", "image"]]], doc("The kinds of input that each category was judged on.")
    ]


class ModerationResults(ResponseObject, kw_only=True, tag_field="type", tag="moderation_results"):
    """Moderation that was carried out."""

    model: Annotated[str, doc("The model that judged.")]
    results: Annotated[list[ModerationVerdict], doc("One verdict an input.")]


class ModerationFailure(ResponseObject, kw_only=True, tag_field="type", tag="error"):
    """Moderation that failed."""

    code: Annotated[str, doc("The cause.")]
    message: Annotated[str, doc("The cause in words.")]


class Moderation(ResponseObject, kw_only=True):
    """Verdicts on what went in and what came out."""

    input: Annotated[ModerationResults | ModerationFailure, doc("On the messages.")]
    output: Annotated[ModerationResults | ModerationFailure, doc("On the answer.")]


class Choice(ResponseObject, kw_only=True):
    """One of the `n` answers."""

    index: Annotated[int, doc("Which of the answers.")]
    message: Annotated[AnswerMessage, doc("What the model said.")]
    logprobs: Annotated[ChoiceLogprobs | None, doc("Log probabilities, if asked for.")] = None
    finish_reason: Annotated[FinishReason, doc("Why it ended.")]


class ChatCompletion(ResponseObject, kw_only=True):
    """The answer to a chat request."""

    id: Annotated[str, doc("Id of the completion.")]
    object: Annotated[Literal["chat.completion"], doc("Always `chat.completion`.")] = "chat.completion"
    created: Annotated[int, doc("When it was made, in Unix seconds.")]
    model: Annotated[str, doc("The snapshot that answered.")]
    choices: Annotated[list[Choice], doc("The answers.")]
    usage: Annotated[CompletionUsage | UnsetType, doc("Tokens used.")] = UNSET
    service_tier: UsedTier = UNSET
    system_fingerprint: Fingerprint = UNSET
    metadata: Annotated[Metadata | UnsetType | None, doc("Your own pairs, on stored completions.")] = UNSET
    moderation: Annotated[Moderation | UnsetType | None, doc("Verdicts, if moderation was asked for.")] = UNSET


class Delta(ResponseObject, kw_only=True):
    """What a chunk adds to a choice. The last chunk of a choice adds nothing."""

    role: Annotated[
        Role | UnsetType,
        doc("`assistant`, with the first chunk of a choice."),
    ] = UNSET
    content: Annotated[str | UnsetType | None, doc("More words.")] = UNSET
    tool_calls: Annotated[list[ToolCallDelta] | UnsetType, doc("More of the tool calls.")] = UNSET
    function_call: Annotated[FunctionCallDelta | UnsetType, doc("More of the call, in the old form.")] = UNSET
    refusal: Annotated[str | UnsetType | None, doc("More of the refusal.")] = UNSET


class ChunkChoice(ResponseObject, kw_only=True):
    """One of the `n` answers, a chunk further."""

    index: Annotated[int, doc("Which of the answers.")]
    delta: Annotated[Delta, doc("What is new.")]
    logprobs: Annotated[ChoiceLogprobs | None, doc("Log probabilities of what is new, if asked for.")] = None
    finish_reason: Annotated[FinishReason | None, doc("Why it ended; null before the last chunk.")] = None


class ChatCompletionChunk(ResponseObject, kw_only=True):
    """One event of a streamed answer."""

    id: Annotated[str, doc("Id of the completion, the same on every chunk.")]
    object: Annotated[Literal["chat.completion.chunk"], doc("Always `chat.completion.chunk`.")] = (
        "chat.completion.chunk"
    )
    created: Annotated[int, doc("When the completion began, in Unix seconds: the same on every chunk.")]
    model: Annotated[str, doc("The snapshot that answers.")]
    service_tier: UsedTier = UNSET
    system_fingerprint: Fingerprint = UNSET
    choices: Annotated[list[ChunkChoice], doc("What is new; empty on the usage chunk.")]
    usage: Annotated[
        CompletionUsage | UnsetType | None,
        doc("Only with `include_usage`: null until the last chunk, which has the usage of the whole request."),
    ] = UNSET
    obfuscation: Annotated[str | UnsetType, doc("Random padding, to hide token lengths.")] = UNSET
    moderation: Annotated[Moderation | UnsetType | None, doc("Verdicts, if moderation was asked for.")] = UNSET


class StoredChatCompletion(ChatCompletion, kw_only=True):
    """A completion that was stored, with the parameters that made it."""

    request_id: Annotated[str | UnsetType, doc("The `x-request-id` of the request.")] = UNSET
    seed: Annotated[int | None, doc("The seed used.")] = None
    temperature: Annotated[float | None, doc("The temperature used.")] = None
    top_p: Annotated[float | None, doc("The nucleus used.")] = None
    presence_penalty: Annotated[float | None, doc("The presence penalty used.")] = None
    frequency_penalty: Annotated[float | None, doc("The frequency penalty used.")] = None
    input_user: Annotated[str | None, doc("The request's `user`.")] = None
    tools: Annotated[list[dict[str, Any]] | None, doc("The tools offered.")] = None
    tool_choice: Annotated[str | dict[str, Any] | None, doc("How they could be chosen.")] = None
    response_format: Annotated[dict[str, Any] | None, doc("The format asked for.")] = None


class StoredMessage(ResponseObject, kw_only=True):
    """A message of a stored completion's request."""

    id: Annotated[str, doc("The completion's id, a dash and the message's place.")]
    role: Annotated[Role | Literal["function"], doc("Who said it.")]
    content: Annotated[str | None, doc("The words, if they were one text.")]
    name: Annotated[str | None, doc("Which participant of that role.")] = None
    content_parts: Annotated[
        list[TextPart | ImagePart] | None, doc("The parts, if the content was made of parts; else null.")
    ] = None
    refusal: Annotated[str | None, doc("Why the assistant refused; null if it did not.")] = None
    tool_calls: Annotated[list[ToolCall] | UnsetType, doc("The tool calls of an assistant message.")] = UNSET
    tool_call_id: Annotated[str | UnsetType, doc("The call that a tool message answers.")] = UNSET
    function_call: Annotated[FunctionCall | UnsetType, doc("The call of an assistant message, in the old form.")] = (
        UNSET
    )
    annotations: Annotated[list[URLCitation] | UnsetType, doc("Sources of a web search.")] = UNSET
    audio: Annotated[AnswerAudio | UnsetType | None, doc("What an assistant message spoke.")] = UNSET


class ChatCompletionList(Page[StoredChatCompletion], kw_only=True):
    """Stored completions."""


class ChatCompletionMessageList(Page[StoredMessage], kw_only=True):
    """Messages of a stored completion."""


class ChatCompletionDeleted(Deleted, kw_only=True):
    """A stored completion that is gone."""

    object: Annotated[Literal["chat.completion.deleted"], doc("Always `chat.completion.deleted`.")] = (
        "chat.completion.deleted"
    )
