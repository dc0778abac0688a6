"""Shapes of Vector stores."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.responses.wire.hosted_tools import Filter
from inhouse.api.wire import Deleted, Metadata, Page, PageQuery, RequestObject, ResponseObject, doc

Attributes = Annotated[
    dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)] | int | float | bool],
    Meta(max_length=16, description="Up to 16 pairs of your own, which searches can filter by."),
]
FileIds = Annotated[list[str], Meta(min_length=1, max_length=2000)]


class AutoChunking(RequestObject, kw_only=True, tag_field="type", tag="auto"):
    """Chunks of 800 tokens that overlap by 400."""


class StaticChunking(RequestObject, kw_only=True):
    """How large chunks are."""

    max_chunk_size_tokens: Annotated[int, Meta(ge=100, le=4096, description="Most tokens of a chunk: 100 to 4,096.")]
    chunk_overlap_tokens: Annotated[
        int, Meta(ge=0, description="Tokens that a chunk repeats of the one before: at most half of its size.")
    ]


class StaticStrategy(RequestObject, kw_only=True, tag_field="type", tag="static"):
    """Chunks of a size of your own."""

    static: Annotated[StaticChunking, doc("How large they are.")]


ChunkingStrategy = Annotated[AutoChunking | StaticStrategy, doc("How text is cut into chunks. Defaults to `auto`.")]


class ExpiresAfter(RequestObject, kw_only=True):
    """When a store expires that is not used."""

    anchor: Annotated[Literal["last_active_at"], doc("What the time counts from.")]
    days: Annotated[int, Meta(ge=1, le=365, description="Days from then: 1 to 365.")]


class CreateVectorStoreRequest(RequestObject, kw_only=True):
    """Make a vector store."""

    file_ids: Annotated[Annotated[list[str], Meta(max_length=500)] | None, doc("Files to begin with, up to 500.")] = (
        None
    )
    name: Annotated[str | None, doc("Its name.")] = None
    description: Annotated[str | None, doc("What it is for.")] = None
    expires_after: Annotated[ExpiresAfter | None, doc("When it expires. By default it never does.")] = None
    chunking_strategy: ChunkingStrategy | None = None
    metadata: Annotated[Metadata | None, doc("Pairs of your own.")] = None


class UpdateVectorStoreRequest(RequestObject, kw_only=True):
    """Change a vector store; what is left out stays."""

    name: Annotated[str | UnsetType | None, doc("Its name.")] = UNSET
    expires_after: Annotated[ExpiresAfter | UnsetType | None, doc("When it expires; null for never.")] = UNSET
    metadata: Annotated[Metadata | UnsetType | None, doc("The new pairs; null removes all.")] = UNSET


class ListVectorStoresQuery(PageQuery, kw_only=True):
    """Which stores to list."""

    before: Annotated[str | None, doc("Id of the first object of the page after.")] = None


class ListFilesQuery(ListVectorStoresQuery, kw_only=True):
    """Which files to list."""

    filter: Annotated[
        Literal["in_progress", "completed", "failed", "cancelled"] | None, doc("Only files of this status.")
    ] = None


class CreateVectorStoreFileRequest(RequestObject, kw_only=True):
    """Add a file to a vector store."""

    file_id: Annotated[str, doc("Id of the file.")]
    chunking_strategy: ChunkingStrategy | None = None
    attributes: Attributes | None = None


class CreateVectorStoreFileBatchRequest(RequestObject, kw_only=True):
    """Add several files to a vector store. Give either `file_ids` or `files`."""

    file_ids: Annotated[FileIds | None, doc("Ids of the files, up to 2,000.")] = None
    files: Annotated[
        Annotated[list[CreateVectorStoreFileRequest], Meta(min_length=1, max_length=2000)] | None,
        doc("Files, each with attributes and chunks of its own, up to 2,000."),
    ] = None
    chunking_strategy: ChunkingStrategy | None = None
    attributes: Attributes | None = None


class UpdateAttributesRequest(RequestObject, kw_only=True):
    """Replace the attributes of a file in a vector store."""

    attributes: Annotated[Attributes | None, doc("The new pairs; null removes all.")]


class SearchRanking(RequestObject, kw_only=True):
    """How results are ranked."""

    ranker: Annotated[
        Literal["none", "auto", "default-2024-11-15"] | None,
        doc("`none` goes by meaning alone; the others weigh words, too. Defaults to `auto`."),
    ] = None
    score_threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, doc("Least score of a result. Defaults to 0.")
    ] = None


class SearchRequest(RequestObject, kw_only=True):
    """Search in a vector store."""

    query: Annotated[str | Annotated[list[str], Meta(min_length=1, max_length=32)], doc("What to look for.")]
    rewrite_query: Annotated[bool | None, doc("Whether to leave out what only makes it a question.")] = None
    max_num_results: Annotated[
        Annotated[int, Meta(ge=1, le=50)] | None, doc("Most results: 1 to 50. Defaults to 10.")
    ] = None
    filters: Annotated[Filter | None, doc("Which files count, by their attributes.")] = None
    ranking_options: Annotated[SearchRanking | None, doc("How results are ranked.")] = None


class FileCounts(ResponseObject, kw_only=True):
    """Files by status."""

    in_progress: Annotated[int, doc("Files that are being taken in.")]
    completed: Annotated[int, doc("Files that can be found.")]
    failed: Annotated[int, doc("Files that cannot be searched.")]
    cancelled: Annotated[int, doc("Files whose batch was cancelled before they were done.")]
    total: Annotated[int, doc("All files.")]


class ExpirationAfter(ResponseObject, kw_only=True):
    """When a store expires that is not used."""

    anchor: Annotated[Literal["last_active_at"], doc("What the time counts from.")] = "last_active_at"
    days: Annotated[int, doc("Days from then.")]


class VectorStore(ResponseObject, kw_only=True):
    """A vector store."""

    id: Annotated[str, doc("Id of the store.")]
    object: Annotated[Literal["vector_store"], doc("Always `vector_store`.")] = "vector_store"
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    name: Annotated[str, doc("Its name.")]
    description: Annotated[str | UnsetType, doc("What it is for, where that was said.")] = UNSET
    usage_bytes: Annotated[int, doc("Bytes of text, vectors and words that it holds.")]
    file_counts: Annotated[FileCounts, doc("Files by status.")]
    status: Annotated[
        Literal["expired", "in_progress", "completed"], doc("`in_progress` while files are being taken in.")
    ]
    expires_after: Annotated[ExpirationAfter | UnsetType, doc("When it expires, if it does.")] = UNSET
    expires_at: Annotated[int | None, doc("When it expires unless it is used, Unix seconds; null for never.")]
    last_active_at: Annotated[int | None, doc("When it was last used, Unix seconds.")]
    metadata: Annotated[dict[str, str], doc("Pairs of your own.")]


class VectorStorePage(Page[VectorStore], kw_only=True):
    """Some vector stores."""


class VectorStoreDeleted(Deleted, kw_only=True):
    """A vector store that is gone."""

    object: Annotated[Literal["vector_store.deleted"], doc("Always `vector_store.deleted`.")] = "vector_store.deleted"


class LastError(ResponseObject, kw_only=True):
    """Why a file cannot be searched."""

    code: Annotated[Literal["server_error", "unsupported_file", "invalid_file"], doc("The kind of reason.")]
    message: Annotated[str, doc("The reason.")]


class ToldStaticChunking(ResponseObject, kw_only=True):
    """How large chunks are."""

    max_chunk_size_tokens: Annotated[int, doc("Most tokens of a chunk.")]
    chunk_overlap_tokens: Annotated[int, doc("Tokens that a chunk repeats of the one before.")]


class ToldStatic(ResponseObject, kw_only=True, tag_field="type", tag="static"):
    """How the file was cut."""

    static: Annotated[ToldStaticChunking, doc("How large chunks are.")]


class ToldOther(ResponseObject, kw_only=True, tag_field="type", tag="other"):
    """The file was cut in a way that is not known."""


class VectorStoreFile(ResponseObject, kw_only=True):
    """A file in a vector store."""

    id: Annotated[str, doc("Id of the file.")]
    object: Annotated[Literal["vector_store.file"], doc("Always `vector_store.file`.")] = "vector_store.file"
    usage_bytes: Annotated[int, doc("Bytes of text, vectors and words that it takes; grows while it is taken in.")]
    created_at: Annotated[int, doc("When it was added, Unix seconds.")]
    vector_store_id: Annotated[str, doc("Id of the store.")]
    status: Annotated[Literal["in_progress", "completed", "cancelled", "failed"], doc("`completed` can be found.")]
    last_error: Annotated[LastError | None, doc("Why it failed, if it did.")]
    chunking_strategy: Annotated[ToldStatic | ToldOther, doc("How it is cut.")]
    attributes: Annotated[
        dict[str, Annotated[str, Meta(max_length=512)] | int | float | bool], doc("Pairs of your own.")
    ]


class VectorStoreFilePage(Page[VectorStoreFile], kw_only=True):
    """Some files of a vector store."""


class VectorStoreFileDeleted(Deleted, kw_only=True):
    """A file that is no longer in a vector store."""

    object: Annotated[Literal["vector_store.file.deleted"], doc("Always `vector_store.file.deleted`.")] = (
        "vector_store.file.deleted"
    )


class TextContent(ResponseObject, kw_only=True):
    """A piece of text."""

    type: Annotated[Literal["text"], doc("Always `text`.")] = "text"
    text: Annotated[str, doc("The text.")]


class FileContentPage(ResponseObject, kw_only=True):
    """The text of a file, as it is searched."""

    object: Annotated[Literal["vector_store.file_content.page"], doc("Always `vector_store.file_content.page`.")] = (
        "vector_store.file_content.page"
    )
    data: Annotated[list[TextContent], doc("Pieces that together make up the text.")]
    has_more: Annotated[bool, doc("Always false: all of it is here.")] = False
    next_page: Annotated[str | None, doc("Always null.")] = None


class VectorStoreFileBatch(ResponseObject, kw_only=True):
    """Files that were added together."""

    id: Annotated[str, doc("Id of the batch.")]
    object: Annotated[Literal["vector_store.files_batch"], doc("Always `vector_store.files_batch`.")] = (
        "vector_store.files_batch"
    )
    created_at: Annotated[int, doc("When they were added, Unix seconds.")]
    vector_store_id: Annotated[str, doc("Id of the store.")]
    status: Annotated[
        Literal["in_progress", "completed", "cancelled", "failed"],
        doc("`failed` if none of the files can be searched."),
    ]
    file_counts: Annotated[FileCounts, doc("Its files that are still in the store, by status.")]


class SearchResult(ResponseObject, kw_only=True):
    """A chunk that fits."""

    file_id: Annotated[str, doc("Id of the file that it is from.")]
    filename: Annotated[str, doc("Name of the file.")]
    score: Annotated[Annotated[float, Meta(ge=0, le=1)], doc("How well it fits, from 0 to 1.")]
    attributes: Annotated[
        dict[str, Annotated[str, Meta(max_length=512)] | int | float | bool], doc("Attributes of the file.")
    ]
    content: Annotated[list[TextContent], doc("The chunk.")]


class SearchResultsPage(ResponseObject, kw_only=True):
    """What was found, the best first."""

    object: Annotated[Literal["vector_store.search_results.page"], doc("Always so.")] = (
        "vector_store.search_results.page"
    )
    search_query: Annotated[list[str], doc("What was looked for.")]
    data: Annotated[list[SearchResult], doc("The results.")]
    has_more: Annotated[bool, doc("Always false.")] = False
    next_page: Annotated[str | None, doc("Always null.")] = None
