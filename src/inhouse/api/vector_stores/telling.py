"""From what ``tools.file_search`` keeps to what clients see."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from inhouse.api.vector_stores import wire
from inhouse.tools.file_search import Found
from inhouse.tools.file_search.service import is_expired
from inhouse.tools.file_search.store import Batch, Counts, Store, StoreFile


def told_store(store: Store, counts: Counts) -> wire.VectorStore:
    expired = is_expired(store)
    return wire.VectorStore(
        id=store.id,
        created_at=store.created_at // 1_000_000,
        name=store.name,
        description=msgspec.UNSET if store.description is None else store.description,
        usage_bytes=counts.usage_bytes,
        file_counts=_counts(counts),
        status="expired" if expired else "in_progress" if counts.in_progress else "completed",
        expires_after=msgspec.UNSET if store.days is None else wire.ExpirationAfter(days=store.days),
        expires_at=None if store.expires_at is None else store.expires_at // 1_000_000,
        last_active_at=store.last_active_at // 1_000_000,
        metadata=msgspec.json.decode(store.metadata),
    )


def told_file(file: StoreFile) -> wire.VectorStoreFile:
    error = None
    if file.error_code is not None:
        error = wire.LastError(code=file.error_code, message=file.error_message or "")
    return wire.VectorStoreFile(
        id=file.file_id,
        usage_bytes=file.usage_bytes,
        created_at=file.created_at // 1_000_000,
        vector_store_id=file.store_id,
        status=file.status,
        last_error=error,
        chunking_strategy=wire.ToldStatic(
            static=wire.ToldStaticChunking(
                max_chunk_size_tokens=file.chunk_tokens, chunk_overlap_tokens=file.overlap_tokens
            )
        ),
        attributes=msgspec.json.decode(file.attributes),
    )


def told_batch(batch: Batch, counts: Counts) -> wire.VectorStoreFileBatch:
    return wire.VectorStoreFileBatch(
        id=batch.id,
        created_at=batch.created_at // 1_000_000,
        vector_store_id=batch.store_id,
        status=(
            "cancelled"
            if batch.cancelled
            else "in_progress"
            if counts.in_progress
            else "failed"
            if counts.failed and counts.failed == counts.total
            else "completed"
        ),
        file_counts=_counts(counts),
    )


def told_result(found: Found) -> wire.SearchResult:
    return wire.SearchResult(
        file_id=found.file_id,
        filename=found.filename,
        score=found.score,
        attributes=found.attributes,
        content=[wire.TextContent(text=found.text)],
    )


def files_page(files: Sequence[StoreFile], more: bool) -> wire.VectorStoreFilePage:
    return wire.VectorStoreFilePage(
        data=[told_file(file) for file in files],
        first_id=files[0].file_id if files else None,
        last_id=files[-1].file_id if files else None,
        has_more=more,
    )


def stores_page(found: Sequence[tuple[Store, Counts]], more: bool) -> wire.VectorStorePage:
    return wire.VectorStorePage(
        data=[told_store(store, counts) for store, counts in found],
        first_id=found[0][0].id if found else None,
        last_id=found[-1][0].id if found else None,
        has_more=more,
    )


def _counts(counts: Counts) -> wire.FileCounts:
    return wire.FileCounts(
        in_progress=counts.in_progress,
        completed=counts.completed,
        failed=counts.failed,
        cancelled=counts.cancelled,
        total=counts.total,
    )
