"""Files over HTTP."""

from __future__ import annotations

from inhouse.api.files import wire
from inhouse.api.files.checks import check_name
from inhouse.api.files.ranges import RangeNotSatisfiable, wanted
from inhouse.api.operation import Download, Request, operation
from inhouse.files import Files
from inhouse.kit.errors import NotFound

MOST_BYTES = 512 * 1024 * 1024
FILE = "/files/{file_id}"


class FilesFace:
    def __init__(self, files: Files) -> None:
        self._files = files

    @operation("POST", "/files", id="createFile", tag="Files", max_bytes=MOST_BYTES)
    async def create(self, request: Request, body: wire.CreateFileRequest) -> wire.OpenAIFile:
        """Upload a file."""
        check_name(body.file.filename, body.purpose)
        file = await self._files.add(
            request.caller.project_id,
            body.file.spool,
            filename=body.file.filename,
            purpose=body.purpose,
            media_type=body.file.media_type,
            lifetime_s=body.expires_after.seconds if body.expires_after else None,
        )
        return wire.told(file)

    @operation("GET", "/files", id="listFiles", tag="Files", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListFilesQuery) -> wire.ListFilesResponse:
        """List files."""
        found, more = await self._files.page(
            request.caller.project_id,
            after=query.after,
            limit=query.limit,
            order=query.order,
            purpose=query.purpose,
        )
        return wire.ListFilesResponse(
            data=[wire.told(file) for file in found],
            first_id=found[0].id if found else None,
            last_id=found[-1].id if found else None,
            has_more=more,
        )

    @operation("GET", FILE, id="retrieveFile", tag="Files", errors=(NotFound,))
    async def retrieve(self, request: Request, file_id: str) -> wire.OpenAIFile:
        """Get what is known of a file."""
        return wire.told(await self._files.get(request.caller.project_id, file_id))

    @operation("DELETE", FILE, id="deleteFile", tag="Files", errors=(NotFound,))
    async def delete(self, request: Request, file_id: str) -> wire.FileDeleted:
        """Delete a file, also from all vector stores."""
        await self._files.delete(request.caller.project_id, file_id)
        return wire.FileDeleted(id=file_id)

    @operation("GET", f"{FILE}/content", id="downloadFile", tag="Files", errors=(NotFound, RangeNotSatisfiable))
    async def content(self, request: Request, file_id: str) -> Download:
        """Get the contents of a file.

        One range of bytes can be asked for with the `Range` header.
        """
        file = await self._files.get(request.caller.project_id, file_id)
        etag = f'"{file.sha256}"'
        request.respond.update({"accept-ranges": "bytes", "etag": etag, "x-content-type-options": "nosniff"})
        conditional = request.headers.get("if-range")
        part = wanted(request.headers.get("range") if conditional in (None, etag) else None, file.bytes)
        start, end = part or (0, file.bytes)
        if part is not None:
            request.respond["content-range"] = f"bytes {start}-{end - 1}/{file.bytes}"
        return Download(
            self._files.content(file, start, end),
            filename=file.filename,
            length=end - start,
            status=200 if part is None else 206,
        )
