"""Vector stores over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.vector_stores import wire
from inhouse.api.vector_stores.reading import changes, chunk_size, new_file, new_files, search_of
from inhouse.api.vector_stores.telling import (
    files_page,
    stores_page,
    told_batch,
    told_file,
    told_result,
    told_store,
)
from inhouse.generation.errors import engine_errors
from inhouse.kit.errors import InvalidRequest, NotFound, RateLimited
from inhouse.limits import Limits
from inhouse.tools.file_search import NewFile, VectorStores

STORES = "/vector_stores"
STORE = f"{STORES}/{{vector_store_id}}"
FILES = f"{STORE}/files"
FILE = f"{FILES}/{{file_id}}"
BATCHES = f"{STORE}/file_batches"
BATCH = f"{BATCHES}/{{batch_id}}"
TAG = "Vector stores"


class VectorStoresFace:
    def __init__(self, stores: VectorStores, limits: Limits) -> None:
        self._stores = stores
        self._limits = limits

    @operation("POST", STORES, id="createVectorStore", tag=TAG, errors=(NotFound,))
    async def create(self, request: Request, body: wire.CreateVectorStoreRequest | None) -> wire.VectorStore:
        """Make a vector store."""
        body = body or wire.CreateVectorStoreRequest()
        most, overlap = chunk_size(body.chunking_strategy)
        made = await self._stores.create(
            request.caller.project_id,
            name=body.name or "",
            description=body.description,
            metadata=body.metadata or {},
            days=body.expires_after.days if body.expires_after else None,
            files=[NewFile(id, {}, most, overlap) for id in body.file_ids or ()],
        )
        return told_store(*made)

    @operation("GET", STORES, id="listVectorStores", tag=TAG, errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListVectorStoresQuery) -> wire.VectorStorePage:
        """List vector stores."""
        found = await self._stores.page(
            request.caller.project_id, after=query.after, before=query.before, limit=query.limit, order=query.order
        )
        return stores_page(*found)

    @operation("GET", STORE, id="getVectorStore", tag=TAG, errors=(NotFound,))
    async def retrieve(self, request: Request, vector_store_id: str) -> wire.VectorStore:
        """Get a vector store."""
        return told_store(*await self._stores.get(request.caller.project_id, vector_store_id))

    @operation("POST", STORE, id="modifyVectorStore", tag=TAG, errors=(NotFound, InvalidRequest))
    async def update(
        self, request: Request, vector_store_id: str, body: wire.UpdateVectorStoreRequest
    ) -> wire.VectorStore:
        """Change a vector store."""
        return told_store(*await self._stores.update(request.caller.project_id, vector_store_id, changes(body)))

    @operation("DELETE", STORE, id="deleteVectorStore", tag=TAG, errors=(NotFound,))
    async def delete(self, request: Request, vector_store_id: str) -> wire.VectorStoreDeleted:
        """Delete a vector store with all that was made of its files; the files themselves stay."""
        await self._stores.delete(request.caller.project_id, vector_store_id)
        return wire.VectorStoreDeleted(id=vector_store_id)

    @operation(
        "POST",
        f"{STORE}/search",
        id="searchVectorStore",
        tag=TAG,
        scope="api.vector_stores.read",
        errors=(NotFound, InvalidRequest),
    )
    async def search(self, request: Request, vector_store_id: str, body: wire.SearchRequest) -> wire.SearchResultsPage:
        """Search in a vector store, by meaning and by words."""
        search = search_of(body)
        with engine_errors(request.request_id):
            found = await self._stores.search(request.caller.project_id, [vector_store_id], search)
        return wire.SearchResultsPage(search_query=search.asked, data=[told_result(each) for each in found])

    @operation("POST", FILES, id="createVectorStoreFile", tag=TAG, errors=(NotFound, InvalidRequest, RateLimited))
    async def add_file(
        self, request: Request, vector_store_id: str, body: wire.CreateVectorStoreFileRequest
    ) -> wire.VectorStoreFile:
        """Add a file to a vector store; one that is in it already is taken in anew."""
        await self._limits.admit_addition(request.caller, vector_store_id)
        return told_file(await self._stores.add_file(request.caller.project_id, vector_store_id, new_file(body)))

    @operation("GET", FILES, id="listVectorStoreFiles", tag=TAG, errors=(NotFound,))
    async def list_files(
        self, request: Request, vector_store_id: str, query: wire.ListFilesQuery
    ) -> wire.VectorStoreFilePage:
        """List the files of a vector store."""
        return await self._files(request, vector_store_id, None, query)

    @operation("GET", FILE, id="getVectorStoreFile", tag=TAG, errors=(NotFound,))
    async def retrieve_file(self, request: Request, vector_store_id: str, file_id: str) -> wire.VectorStoreFile:
        """Get a file of a vector store: how far it is taken in, and why it failed if it did."""
        return told_file(await self._stores.file(request.caller.project_id, vector_store_id, file_id))

    @operation("POST", FILE, id="updateVectorStoreFileAttributes", tag=TAG, errors=(NotFound,))
    async def update_file(
        self, request: Request, vector_store_id: str, file_id: str, body: wire.UpdateAttributesRequest
    ) -> wire.VectorStoreFile:
        """Replace the attributes of a file in a vector store."""
        project_id = request.caller.project_id
        return told_file(await self._stores.set_attributes(project_id, vector_store_id, file_id, body.attributes or {}))

    @operation("DELETE", FILE, id="deleteVectorStoreFile", tag=TAG, errors=(NotFound,))
    async def delete_file(self, request: Request, vector_store_id: str, file_id: str) -> wire.VectorStoreFileDeleted:
        """Take a file out of a vector store; the file itself stays."""
        await self._stores.remove_file(request.caller.project_id, vector_store_id, file_id)
        return wire.VectorStoreFileDeleted(id=file_id)

    @operation("GET", f"{FILE}/content", id="retrieveVectorStoreFileContent", tag=TAG, errors=(NotFound,))
    async def content(self, request: Request, vector_store_id: str, file_id: str) -> wire.FileContentPage:
        """Get the text of a file, as it is searched."""
        pieces = await self._stores.content(request.caller.project_id, vector_store_id, file_id)
        return wire.FileContentPage(data=[wire.TextContent(text=piece) for piece in pieces])

    @operation(
        "POST", BATCHES, id="createVectorStoreFileBatch", tag=TAG, errors=(NotFound, InvalidRequest, RateLimited)
    )
    async def add_batch(
        self, request: Request, vector_store_id: str, body: wire.CreateVectorStoreFileBatchRequest
    ) -> wire.VectorStoreFileBatch:
        """Add several files to a vector store."""
        await self._limits.admit_addition(request.caller, vector_store_id)
        project_id = request.caller.project_id
        return told_batch(*await self._stores.add_batch(project_id, vector_store_id, new_files(body)))

    @operation("GET", BATCH, id="getVectorStoreFileBatch", tag=TAG, errors=(NotFound,))
    async def retrieve_batch(self, request: Request, vector_store_id: str, batch_id: str) -> wire.VectorStoreFileBatch:
        """Get a batch of files."""
        return told_batch(*await self._stores.batch(request.caller.project_id, vector_store_id, batch_id))

    @operation("POST", f"{BATCH}/cancel", id="cancelVectorStoreFileBatch", tag=TAG, errors=(NotFound,))
    async def cancel_batch(self, request: Request, vector_store_id: str, batch_id: str) -> wire.VectorStoreFileBatch:
        """Stop a batch: files that are not done are left out, the others stay."""
        return told_batch(*await self._stores.cancel_batch(request.caller.project_id, vector_store_id, batch_id))

    @operation("GET", f"{BATCH}/files", id="listFilesInVectorStoreBatch", tag=TAG, errors=(NotFound,))
    async def list_batch(
        self, request: Request, vector_store_id: str, batch_id: str, query: wire.ListFilesQuery
    ) -> wire.VectorStoreFilePage:
        """List the files of a batch."""
        return await self._files(request, vector_store_id, batch_id, query)

    async def _files(
        self, request: Request, store_id: str, batch_id: str | None, query: wire.ListFilesQuery
    ) -> wire.VectorStoreFilePage:
        found = await self._stores.files(
            request.caller.project_id,
            store_id,
            batch_id=batch_id,
            status=query.filter,
            after=query.after,
            before=query.before,
            limit=query.limit,
            order=query.order,
        )
        return files_page(*found)
