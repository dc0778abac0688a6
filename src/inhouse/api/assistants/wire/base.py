"""What the shapes of Assistants share: tools, what tools read, formats, choices, truncation."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from inhouse.api.chat.wire.tools import FunctionName, JSONSchema, ToolDescription
from inhouse.api.wire import Metadata, RequestObject, doc


class SharedObject(Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of what is told as it was sent: an absent field stays absent, an unknown one is refused."""


class FunctionDefinition(SharedObject, kw_only=True):
    """A function of yours."""

    name: FunctionName
    description: Annotated[ToolDescription | UnsetType, doc("When and how to call it: the model reads this.")] = UNSET
    parameters: Annotated[JSONSchema | UnsetType, doc("JSON Schema of the arguments; left out, it takes none.")] = UNSET
    strict: Annotated[bool | UnsetType | None, doc("Whether the arguments must always match the schema.")] = UNSET


class FunctionTool(SharedObject, kw_only=True, tag_field="type", tag="function"):
    """A function that the model may call."""

    function: Annotated[FunctionDefinition, doc("The function.")]


class CodeInterpreterTool(SharedObject, kw_only=True, tag_field="type", tag="code_interpreter"):
    """Programs that the model writes and the service runs."""


Threshold = Annotated[float, Meta(ge=0, le=1, description="Least score of a result, from 0 to 1.")]
Ranker = Annotated[Literal["auto", "default_2024_08_21"], doc("What ranks results.")]


class RankingOptions(SharedObject, kw_only=True):
    """How results are ranked."""

    ranker: Ranker | UnsetType = UNSET
    score_threshold: Threshold


class FileSearchOptions(SharedObject, kw_only=True):
    """How to search."""

    max_num_results: Annotated[Annotated[int, Meta(ge=1, le=50)] | UnsetType, doc("The most results of a search.")] = (
        UNSET
    )
    ranking_options: Annotated[RankingOptions | UnsetType, doc("How results are ranked.")] = UNSET


class FileSearchTool(SharedObject, kw_only=True, tag_field="type", tag="file_search"):
    """Search in vector stores."""

    file_search: Annotated[FileSearchOptions | UnsetType, doc("How to search.")] = UNSET


Tool = CodeInterpreterTool | FileSearchTool | FunctionTool
AssistantTools = Annotated[list[Tool], Meta(max_length=128, description="What the model may use.")]
RunTools = Annotated[list[Tool], Meta(max_length=20, description="What the model may use.")]


class AttachmentFileSearch(SharedObject, kw_only=True, tag_field="type", tag="file_search"):
    """The file can be searched."""


AttachmentTool = CodeInterpreterTool | AttachmentFileSearch


class CodeInterpreterResources(SharedObject, kw_only=True):
    """What programs can read."""

    file_ids: Annotated[Annotated[list[str], Meta(max_length=20)] | UnsetType, doc("Ids of files.")] = UNSET


class FileSearchResources(SharedObject, kw_only=True):
    """What can be searched."""

    vector_store_ids: Annotated[Annotated[list[str], Meta(max_length=1)] | UnsetType, doc("Id of a vector store.")] = (
        UNSET
    )


class ToolResources(SharedObject, kw_only=True):
    """What the tools have to work with."""

    code_interpreter: Annotated[CodeInterpreterResources | UnsetType, doc("What programs can read.")] = UNSET
    file_search: Annotated[FileSearchResources | UnsetType, doc("What can be searched.")] = UNSET


class AutoChunking(SharedObject, kw_only=True, tag_field="type", tag="auto"):
    """Chunks of 800 tokens that share 400 with the next one."""


class ChunkSizes(SharedObject, kw_only=True):
    """Sizes in tokens."""

    max_chunk_size_tokens: Annotated[int, Meta(ge=100, le=4096, description="The most tokens of a chunk.")]
    chunk_overlap_tokens: Annotated[int, Meta(ge=0, description="Tokens that a chunk shares with the next one.")]


class StaticChunking(SharedObject, kw_only=True, tag_field="type", tag="static"):
    """Chunks of a size of your own."""

    static: Annotated[ChunkSizes, doc("The sizes.")]


class NewVectorStore(SharedObject, kw_only=True):
    """A vector store to be made."""

    file_ids: Annotated[list[str] | UnsetType, doc("Ids of the files to put into it.")] = UNSET
    chunking_strategy: Annotated[AutoChunking | StaticChunking | UnsetType, doc("How to cut files into chunks.")] = (
        UNSET
    )
    metadata: Annotated[Metadata | UnsetType | None, doc("Pairs of your own.")] = UNSET


class NewFileSearchResources(SharedObject, kw_only=True):
    """What can be searched: a vector store that exists, or one to be made."""

    vector_store_ids: Annotated[Annotated[list[str], Meta(max_length=1)] | UnsetType, doc("Id of a vector store.")] = (
        UNSET
    )
    vector_stores: Annotated[
        Annotated[list[NewVectorStore], Meta(max_length=1)] | UnsetType, doc("A vector store to make.")
    ] = UNSET


class NewToolResources(SharedObject, kw_only=True):
    """What the tools have to work with."""

    code_interpreter: Annotated[CodeInterpreterResources | UnsetType, doc("What programs can read.")] = UNSET
    file_search: Annotated[NewFileSearchResources | UnsetType, doc("What can be searched.")] = UNSET


class TextFormat(SharedObject, kw_only=True, tag_field="type", tag="text"):
    """Plain text."""


class JSONObjectFormat(SharedObject, kw_only=True, tag_field="type", tag="json_object"):
    """Any JSON object. Instructions or messages must ask for JSON."""


class NamedSchema(SharedObject, kw_only=True):
    """The schema that an answer must match."""

    name: FunctionName
    description: Annotated[str | UnsetType, doc("What the answer is for: the model reads this.")] = UNSET
    schema: Annotated[JSONSchema | UnsetType, doc("The JSON Schema.")] = UNSET
    strict: Annotated[bool | UnsetType | None, doc("Whether the answer must always match.")] = UNSET


class JSONSchemaFormat(SharedObject, kw_only=True, tag_field="type", tag="json_schema"):
    """JSON that matches a schema."""

    json_schema: Annotated[NamedSchema, doc("The schema.")]


ResponseFormat = Annotated[
    Literal["auto"] | TextFormat | JSONObjectFormat | JSONSchemaFormat, doc("What form the answer has.")
]


class ChosenFunction(SharedObject, kw_only=True):
    """The name of a function."""

    name: Annotated[str, doc("The name.")]


class NamedToolChoice(SharedObject, kw_only=True):
    """One tool: the model has to use it."""

    type: Annotated[Literal["function", "code_interpreter", "file_search"], doc("The kind of tool.")]
    function: Annotated[ChosenFunction | UnsetType, doc("The function.")] = UNSET


ToolChoice = Annotated[
    Literal["none", "auto", "required"] | NamedToolChoice, doc("Which tools the model may or must use.")
]


class Truncation(SharedObject, kw_only=True):
    """Which messages of the thread the model reads."""

    type: Annotated[
        Literal["auto", "last_messages"],
        doc("`auto` drops messages where they do not fit, `last_messages` keeps only the newest ones."),
    ]
    last_messages: Annotated[Annotated[int, Meta(ge=1)] | UnsetType | None, doc("How many of the newest messages.")] = (
        UNSET
    )


ReasoningEffort = Annotated[
    Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None,
    doc("How much a reasoning model thinks."),
]


class OldPageQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """How to walk a list: newest first, 20 at a time, forward from `after` or backward from `before`."""

    limit: Annotated[Annotated[int, Meta(ge=1, le=100)], doc("Objects in a page.")] = 20
    order: Annotated[Literal["asc", "desc"], doc("By time of creation: oldest or newest first.")] = "desc"
    after: Annotated[str | None, doc("Id of the last object of the page before.")] = None
    before: Annotated[str | None, doc("Id of the first object of the page after.")] = None


Include = Literal["step_details.tool_calls[*].file_search.results[*].content"]


IncludeList = Annotated[list[Include] | None, doc("`…results[*].content`: the text of what a search found.")]


class IncludeQuery(Struct, kw_only=True, forbid_unknown_fields=True, rename={"include": "include[]"}):
    """What else to tell."""

    include: IncludeList = None


class Updating(RequestObject, kw_only=True, omit_defaults=False):
    """Base of changes: what is absent stays as it is, what is null is taken away."""
