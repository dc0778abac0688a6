"""Files, uploads and vector stores."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from inhouse.storage.schema.base import metadata

# Contents are in the blob store, under a key of their own: a blob is written before its row and removed after it.
files = Table(
    "files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),  # in hex
    Column("blob", Text, nullable=False, unique=True),
    Index(None, "project_id", "created_at", "id"),
    Index(None, "expires_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("filename", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),  # that the parts together must have
    Column("lifetime_s", BigInteger),  # of the file to be
    Column("status", Text, nullable=False),
    Column("file_id", Text),
    CheckConstraint("status IN ('pending', 'completed', 'cancelled')", name="status"),
    Index(None, "status", "expires_at"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("upload_id", Text, ForeignKey("uploads.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("blob", Text, nullable=False, unique=True),
)

# Their counts, sizes and statuses are those of their files, so they cannot differ.
vector_stores = Table(
    "vector_stores",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),  # JSON
    Column("days", BigInteger),  # without use until it expires
    Column("last_active_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revision", BigInteger, nullable=False),  # one more with every change of what can be found
    Index(None, "project_id", "created_at", "id"),
    Index(None, "expires_at"),
)

vector_store_batches = Table(
    "vector_store_batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("store_id", Text, ForeignKey("vector_stores.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("cancelled", Boolean, nullable=False),
)

# A file in a store. ``run`` names one ingestion of it: its job, and what belongs to it.
vector_store_files = Table(
    "vector_store_files",
    metadata,
    Column("store_id", Text, ForeignKey("vector_stores.id"), primary_key=True),
    Column("file_id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("run", Text, nullable=False, unique=True),
    Column("batch_id", Text, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("filename", Text, nullable=False),
    Column("attributes", Text, nullable=False),  # JSON
    Column("chunk_tokens", BigInteger, nullable=False),
    Column("overlap_tokens", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("usage_bytes", BigInteger, nullable=False),
    CheckConstraint("status IN ('in_progress', 'completed', 'failed', 'cancelled')", name="status"),
    Index(None, "file_id"),
    Index(None, "store_id", "status"),
)

vector_store_chunks = Table(
    "vector_store_chunks",
    metadata,
    Column("run", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("repeated", BigInteger, nullable=False),  # characters at its start that end the chunk before
)

# Vectors and words of some chunks of a run that follow one another.
vector_store_segments = Table(
    "vector_store_segments",
    metadata,
    Column("run", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # number of its first chunk
    Column("chunks", BigInteger, nullable=False),
    Column("embedder", Text, nullable=False),  # what made the vectors; those of others cannot be compared
    Column("vectors", LargeBinary, nullable=False),  # rows of 16-bit floats, little-endian
    Column("words", LargeBinary, nullable=False),
)
