"""Uploads in parts over HTTP."""

from __future__ import annotations

from inhouse.api.files.checks import check_name
from inhouse.api.operation import Request, operation
from inhouse.api.uploads import wire
from inhouse.files.uploads import Uploads
from inhouse.kit.errors import NotFound

MOST_PART_BYTES = 64 * 1024 * 1024
UPLOAD = "/uploads/{upload_id}"


class UploadsFace:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    @operation("POST", "/uploads", id="createUpload", tag="Uploads")
    async def create(self, request: Request, body: wire.CreateUploadRequest) -> wire.Upload:
        """Begin to upload a file in parts.

        It expires in an hour unless it is completed.
        """
        check_name(body.filename, body.purpose)
        upload = await self._uploads.create(
            request.caller.project_id,
            filename=body.filename,
            purpose=body.purpose,
            media_type=body.mime_type,
            size=body.bytes,
            lifetime_s=body.expires_after.seconds if body.expires_after else None,
        )
        return wire.told(upload)

    @operation(
        "POST", f"{UPLOAD}/parts", id="addUploadPart", tag="Uploads", errors=(NotFound,), max_bytes=MOST_PART_BYTES
    )
    async def add_part(self, request: Request, upload_id: str, body: wire.AddUploadPartRequest) -> wire.UploadPart:
        """Add a part.

        Parts can be sent in any order, and at the same time.
        """
        return wire.told_part(await self._uploads.add_part(request.caller.project_id, upload_id, body.data.spool))

    @operation("POST", f"{UPLOAD}/complete", id="completeUpload", tag="Uploads", errors=(NotFound,))
    async def complete(self, request: Request, upload_id: str, body: wire.CompleteUploadRequest) -> wire.Upload:
        """Make a file of the parts, in the order given."""
        upload, file = await self._uploads.complete(request.caller.project_id, upload_id, body.part_ids, body.md5)
        return wire.told(upload, file)

    @operation("POST", f"{UPLOAD}/cancel", id="cancelUpload", tag="Uploads", errors=(NotFound,))
    async def cancel(self, request: Request, upload_id: str) -> wire.Upload:
        """Give an upload up."""
        return wire.told(await self._uploads.cancel(request.caller.project_id, upload_id))
