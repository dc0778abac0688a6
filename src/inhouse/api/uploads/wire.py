"""Shapes of Uploads."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from inhouse.api.files.wire import ExpiresAfter, OpenAIFile, Purpose
from inhouse.api.files.wire import told as told_file
from inhouse.api.forms import UploadedFile
from inhouse.api.wire import RequestObject, ResponseObject, doc
from inhouse.files import StoredFile
from inhouse.files.store import StoredPart, StoredUpload
from inhouse.files.uploads import is_expired


class CreateUploadRequest(RequestObject, kw_only=True):
    """Begin to upload a file in parts."""

    filename: Annotated[str, doc("The file's name.")]
    purpose: Annotated[Purpose, doc("What it is for.")]
    bytes: Annotated[int, Meta(ge=1, le=8 * 1024**3, description="Its size, up to 8 GB.")]
    mime_type: Annotated[str, Meta(max_length=255, description="Its media type.")]
    expires_after: Annotated[ExpiresAfter | None, doc("When the file expires.")] = None


class AddUploadPartRequest(RequestObject, kw_only=True):
    """A part of an upload."""

    data: Annotated[UploadedFile, doc("Bytes of this part, up to 64 MB.")]


class CompleteUploadRequest(RequestObject, kw_only=True):
    """Make a file of the parts."""

    part_ids: Annotated[list[str], Meta(min_length=1, max_length=10_000, description="Ids of the parts, in order.")]
    md5: Annotated[str | None, doc("MD5 checksum that the file must have, in hex.")] = None


class Upload(ResponseObject, kw_only=True):
    """An upload in parts."""

    id: Annotated[str, doc("Id of the upload.")]
    object: Annotated[Literal["upload"], doc("Always `upload`.")] = "upload"
    bytes: Annotated[int, doc("Bytes that it is to have.")]
    created_at: Annotated[int, doc("When it was begun, Unix seconds.")]
    filename: Annotated[str, doc("Name of the file to be.")]
    purpose: Annotated[str, doc("What the file is for.")]
    status: Annotated[Literal["pending", "completed", "cancelled", "expired"], doc("What has become of it.")]
    expires_at: Annotated[int, doc("When it expires unless it is completed, Unix seconds.")]
    file: Annotated[OpenAIFile | None, doc("The file, once it is completed.")] = None


class UploadPart(ResponseObject, kw_only=True):
    """A part of an upload."""

    id: Annotated[str, doc("Id of the part.")]
    object: Annotated[Literal["upload.part"], doc("Always `upload.part`.")] = "upload.part"
    created_at: Annotated[int, doc("When it was added, Unix seconds.")]
    upload_id: Annotated[str, doc("The upload that it belongs to.")]


def told(upload: StoredUpload, file: StoredFile | None = None) -> Upload:
    """An upload as clients see it."""
    return Upload(
        id=upload.id,
        bytes=upload.bytes,
        created_at=upload.created_at // 1_000_000,
        filename=upload.filename,
        purpose=upload.purpose,
        status="expired" if is_expired(upload) else upload.status,
        expires_at=upload.expires_at // 1_000_000,
        file=None if file is None else told_file(file),
    )


def told_part(part: StoredPart) -> UploadPart:
    return UploadPart(id=part.id, created_at=part.created_at // 1_000_000, upload_id=part.upload_id)
