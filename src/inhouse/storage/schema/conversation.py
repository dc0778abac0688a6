"""What is said: stored completions, responses, conversations, prompts, assistants and threads."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from inhouse.storage.schema.base import metadata

stored_completions = Table(
    "stored_completions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model", Text, nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Column("request", Text, nullable=False),  # JSON
    Column("response", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

responses = Table(
    "responses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("previous_response_id", Text),
    Column("conversation_id", Text),
    Column("body", Text, nullable=False),  # JSON, without the output
    Index(None, "project_id", "created_at", "id"),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

# Each item is stored once. It belongs to the response that it came with, to a conversation, or to both; a response
# that goes on from another one only names it.
response_items = Table(
    "response_items",
    metadata,
    Column("key", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("response_id", Text),
    Column("is_output", Integer, nullable=False),
    Column("conversation_id", Text),
    Column("place", BigInteger),  # in the conversation
    Column("body", Text, nullable=False),  # JSON
    Index(None, "response_id", "key"),
    Index(None, "conversation_id", "place"),
    Index(None, "project_id", "id"),
    sqlite_autoincrement=True,
)

# What the stream of a background response told so far, in pieces of several events.
response_events = Table(
    "response_events",
    metadata,
    Column("response_id", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # sequence number
    Column("last", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON array
)

prompts = Table(
    "prompts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("published", BigInteger, nullable=False),  # the version that is used where none is named
    Index(None, "project_id", "created_at", "id"),
)

# A version never changes.
prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("prompt_id", Text, ForeignKey("prompts.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
)

# The turn that a conversation is in. It counts while its job is open, or while the process lives that answers it.
conversation_turns = Table(
    "conversation_turns",
    metadata,
    Column("conversation_id", Text, primary_key=True),
    Column("turn", Text, nullable=False),  # the job, or the request
    Column("instance", Text),  # null: a job
)

assistants = Table(
    "assistants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON, without what other columns hold
    Index(None, "project_id", "created_at", "id"),
)

threads = Table(
    "threads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("places", BigInteger, nullable=False),  # given so far to messages and steps
    Column("body", Text, nullable=False),  # JSON
    Index(None, "project_id", "created_at", "id"),
)

# Messages and steps of runs stand in the order in which they came about: the places of a thread count both.
thread_messages = Table(
    "thread_messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("run_id", Text),
    Column("place", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Index(None, "thread_id", "place", unique=True),
)

thread_runs = Table(
    "thread_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("project_id", Text, nullable=False),
    Column("assistant_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON as a client receives it
    Column("state", Text, nullable=False),  # JSON: what the client is not told
    Index(None, "thread_id", "created_at", "id"),
    Index(None, "assistant_id"),
)

thread_run_steps = Table(
    "thread_run_steps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("thread_id", Text, ForeignKey("threads.id"), nullable=False),
    Column("run_id", Text, nullable=False),
    Column("place", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Index(None, "thread_id", "place", unique=True),
    Index(None, "run_id", "place"),
)

# What the stream of a thread's newest run told, in pieces of several events.
thread_run_events = Table(
    "thread_run_events",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # counts events from 0
    Column("last", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON array
)
