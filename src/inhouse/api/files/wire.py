"""Shapes of Files."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from inhouse.api.forms import UploadedFile
from inhouse.api.wire import RequestObject, ResponseObject, doc
from inhouse.files import StoredFile

Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
"""What clients may upload files for."""
FilePurpose = Literal[
    "assistants",
    "assistants_output",
    "batch",
    "batch_output",
    "fine-tune",
    "fine-tune-results",
    "vision",
    "user_data",
    "evals",
]


class ExpiresAfter(RequestObject, kw_only=True):
    """When a file expires."""

    anchor: Annotated[Literal["created_at"], doc("What the time counts from.")]
    seconds: Annotated[int, Meta(ge=3600, le=2_592_000, description="Seconds from then: an hour to 30 days.")]


class CreateFileRequest(RequestObject, kw_only=True):
    """Upload a file."""

    file: Annotated[UploadedFile, doc("The file, up to 512 MB.")]
    purpose: Annotated[Purpose, doc("What it is for.")]
    expires_after: Annotated[
        ExpiresAfter | None,
        doc("When it expires. By default files of purpose `batch` do so after 30 days, and others never."),
    ] = None


class ListFilesQuery(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which files to list."""

    purpose: Annotated[str | None, doc("Only files of this purpose.")] = None
    limit: Annotated[Annotated[int, Meta(ge=1, le=10_000)], doc("Files in a page.")] = 10_000
    order: Annotated[Literal["asc", "desc"], doc("By time of creation: oldest or newest first.")] = "desc"
    after: Annotated[str | None, doc("Id of the last file of the page before.")] = None


class OpenAIFile(ResponseObject, kw_only=True):
    """A file."""

    id: Annotated[str, doc("Id of the file.")]
    object: Annotated[Literal["file"], doc("Always `file`.")] = "file"
    bytes: Annotated[int, doc("Its size.")]
    created_at: Annotated[int, doc("When it was made, Unix seconds.")]
    expires_at: Annotated[int | None, doc("When it expires, Unix seconds; null for never.")]
    filename: Annotated[str, doc("Its name.")]
    purpose: Annotated[FilePurpose, doc("What it is for.")]
    status: Annotated[Literal["uploaded", "processed", "error"], doc("Deprecated; always `processed`.")] = "processed"
    status_details: Annotated[str | None, doc("Deprecated; always null.")] = None


class ListFilesResponse(ResponseObject, kw_only=True):
    """Some files."""

    object: Annotated[Literal["list"], doc("Always `list`.")] = "list"
    data: Annotated[list[OpenAIFile], doc("The files of this page.")]
    first_id: Annotated[str | None, doc("Id of the first file here; null on an empty page.")]
    last_id: Annotated[str | None, doc("Id of the last file here: pass it as `after` for the next page.")]
    has_more: Annotated[bool, doc("Whether another page follows.")]


class FileDeleted(ResponseObject, kw_only=True):
    """A file that is gone."""

    id: Annotated[str, doc("Id of the file.")]
    object: Annotated[Literal["file"], doc("Always `file`.")] = "file"
    deleted: Annotated[bool, doc("Whether it is gone.")] = True


def told(file: StoredFile) -> OpenAIFile:
    """A file as clients see it."""
    return OpenAIFile(
        id=file.id,
        bytes=file.bytes,
        created_at=file.created_at // 1_000_000,
        expires_at=None if file.expires_at is None else file.expires_at // 1_000_000,
        filename=file.filename,
        purpose=file.purpose,  # type: ignore[arg-type]
    )
