"""Parts of messages: what goes in, what the model writes, what it rests on."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.base import FileId, ImageURL, SharedObject
from inhouse.api.wire import doc


class CacheBreakpoint(SharedObject, kw_only=True):
    """A place up to which the prompt is worth caching."""

    mode: Annotated[Literal["explicit"], doc("Always `explicit`.")]


CacheHere = Annotated[CacheBreakpoint, doc("Ends a reusable part of the prompt after this part.")]


class InputText(SharedObject, kw_only=True, tag_field="type", tag="input_text"):
    """Text."""

    text: Annotated[str, doc("The text.")]
    prompt_cache_breakpoint: CacheHere | UnsetType | None = UNSET


class InputImage(SharedObject, kw_only=True, tag_field="type", tag="input_image"):
    """An image."""

    detail: Annotated[Literal["low", "high", "auto", "original"] | None, doc("Resolution that the model sees.")] = (
        "auto"
    )
    image_url: ImageURL | UnsetType | None = UNSET
    file_id: FileId | UnsetType | None = UNSET
    prompt_cache_breakpoint: CacheHere | UnsetType | None = UNSET


class InputFile(SharedObject, kw_only=True, tag_field="type", tag="input_file"):
    """A document."""

    file_id: FileId | UnsetType | None = UNSET
    filename: Annotated[str | UnsetType | None, doc("Name of the file.")] = UNSET
    file_data: Annotated[str | UnsetType | None, doc("The file itself, as a base64 data URL.")] = UNSET
    prompt_cache_breakpoint: CacheHere | UnsetType | None = UNSET
    file_url: Annotated[str | UnsetType | None, doc("Where to fetch the file.")] = UNSET
    detail: Annotated[Literal["auto", "low", "high"] | UnsetType | None, doc("Resolution that the model sees.")] = UNSET


class FileCitation(SharedObject, kw_only=True, tag_field="type", tag="file_citation"):
    """A file that the text rests on."""

    file_id: FileId
    index: Annotated[int, doc("Where in the text, in characters.")]
    filename: Annotated[str, doc("Name of the file.")]


class URLCitation(SharedObject, kw_only=True, tag_field="type", tag="url_citation"):
    """A page that a span of the text rests on."""

    url: Annotated[str, doc("The address.")]
    start_index: Annotated[int, doc("Where the span begins, in characters.")]
    end_index: Annotated[int, doc("Where the span ends, in characters.")]
    title: Annotated[str, doc("Title of the page.")]


class ContainerFileCitation(SharedObject, kw_only=True, tag_field="type", tag="container_file_citation"):
    """A file that the text refers to, made in a container."""

    container_id: Annotated[str, doc("Id of the container.")]
    file_id: FileId
    start_index: Annotated[int, doc("Where the span begins, in characters.")]
    end_index: Annotated[int, doc("Where the span ends, in characters.")]
    filename: Annotated[str, doc("Name of the file.")]


class FilePath(SharedObject, kw_only=True, tag_field="type", tag="file_path"):
    """A file that was made along with the text."""

    file_id: FileId
    index: Annotated[int, doc("Where in the text, in characters.")]


class TopLogprob(SharedObject, kw_only=True):
    """A likely token at one place."""

    token: Annotated[str, doc("The token.")]
    logprob: Annotated[float, doc("Natural logarithm of its probability.")]
    bytes: Annotated[list[int], doc("The token's bytes.")]


class Logprob(SharedObject, kw_only=True):
    """The log probability of one token of the text."""

    token: Annotated[str, doc("The token.")]
    logprob: Annotated[float, doc("Natural logarithm of its probability.")]
    bytes: Annotated[list[int], doc("The token's bytes.")]
    top_logprobs: Annotated[list[TopLogprob], doc("The likeliest tokens at this place.")]


class OutputText(SharedObject, kw_only=True, tag_field="type", tag="output_text"):
    """Text that the model wrote."""

    text: Annotated[str, doc("The text.")]
    annotations: Annotated[list[Annotation], doc("What the text rests on.")] = []  # noqa: RUF012
    logprobs: Annotated[list[Logprob], doc("Log probabilities of the tokens, where they were asked for.")] = []  # noqa: RUF012


class Refusal(SharedObject, kw_only=True, tag_field="type", tag="refusal"):
    """What the model said instead of an answer."""

    refusal: Annotated[str, doc("The refusal.")]


class SummaryText(SharedObject, kw_only=True, tag_field="type", tag="summary_text"):
    """A summary of reasoning."""

    text: Annotated[str, doc("The text.")]


class ReasoningText(SharedObject, kw_only=True, tag_field="type", tag="reasoning_text"):
    """Reasoning in full."""

    text: Annotated[str, doc("The text.")]


class PlainText(SharedObject, kw_only=True, tag_field="type", tag="text"):
    """Text of neither side."""

    text: Annotated[str, doc("The text.")]


class ComputerScreenshot(SharedObject, kw_only=True, tag_field="type", tag="computer_screenshot"):
    """A picture of a screen."""

    image_url: ImageURL | None
    file_id: FileId | None
    detail: Annotated[Literal["low", "high", "auto", "original"], doc("Resolution that the model sees.")]
    prompt_cache_breakpoint: CacheHere | UnsetType | None = UNSET


Annotation = FileCitation | URLCitation | ContainerFileCitation | FilePath
InputContent = InputText | InputImage | InputFile
OutputContent = OutputText | Refusal | ReasoningText
