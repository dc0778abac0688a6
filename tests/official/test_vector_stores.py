"""Vector stores and file search with the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types import VectorStore

from .conftest import StartServer
from .running import CHAT, Server, until

BUDGET = b"The quarterly budget for marketing is 3400 euros. It was approved by Maria Lopez."
OTTERS = b"# Otters\n\nOtters hold hands while they sleep, so that they do not drift apart."
FAST = {"poll_interval_ms": 100}


@pytest.fixture(scope="module")
def store(client: OpenAI) -> Iterator[VectorStore]:
    made = client.vector_stores.create(name="facts", description="For tests", metadata={"a": "b"})
    files: Any = [("budget.txt", BUDGET), ("otters.md", OTTERS)]
    batch = client.vector_stores.file_batches.upload_and_poll(vector_store_id=made.id, files=files, **FAST)
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 2, 2)
    names = {client.files.retrieve(each.id).filename: each.id for each in client.vector_stores.files.list(made.id)}
    for name, year in (("budget.txt", 2024), ("otters.md", 2025)):
        client.vector_stores.files.update(names[name], vector_store_id=made.id, attributes={"year": year, "x": True})
    yield made
    client.vector_stores.delete(made.id)
    with pytest.raises(NotFoundError, match="No vector store found"):
        client.vector_stores.retrieve(made.id)


def test_a_store(client: OpenAI, store: VectorStore) -> None:
    found = client.vector_stores.retrieve(store.id)
    assert (found.name, found.status, found.metadata, found.expires_at) == ("facts", "completed", {"a": "b"}, None)
    assert (found.file_counts.completed, found.file_counts.total) == (2, 2)
    assert found.usage_bytes == sum(each.usage_bytes for each in client.vector_stores.files.list(store.id))
    changed = client.vector_stores.update(
        store.id, name="Facts", expires_after={"anchor": "last_active_at", "days": 7}, metadata={}
    )
    assert (changed.name, changed.metadata) == ("Facts", {})
    assert changed.expires_after is not None
    assert changed.last_active_at is not None
    assert changed.expires_at == changed.last_active_at + 7 * 86_400
    assert store.id in [each.id for each in client.vector_stores.list(limit=1)]


def test_a_search(client: OpenAI, store: VectorStore) -> None:
    page = client.vector_stores.search(store.id, query="How much money may marketing spend?")
    first, second = page.data
    assert (first.filename, first.content[0].text) == ("budget.txt", BUDGET.decode())
    assert 1 >= first.score > second.score >= 0
    assert first.attributes == {"year": 2024, "x": True}
    both = client.vector_stores.search(store.id, query=["marketing", "animals asleep"], max_num_results=2)
    assert {each.filename for each in both} == {"budget.txt", "otters.md"}
    newer: Any = {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2025}]}
    only = client.vector_stores.search(store.id, query="marketing budget", filters=newer)
    assert [each.filename for each in only] == ["otters.md"]
    good: Any = {"ranker": "none", "score_threshold": 0.3}
    assert [
        each.filename for each in client.vector_stores.search(store.id, query="sea otter", ranking_options=good)
    ] == ["otters.md"]
    rewritten = client.vector_stores.with_raw_response.search(
        store.id, query="Can you tell me what the marketing budget is?", rewrite_query=True
    )
    assert rewritten.http_response.json()["search_query"] == ["marketing budget is"]


def test_files_that_cannot_be_searched(client: OpenAI, store: VectorStore) -> None:
    for name, data, code in (
        ("empty.txt", b" ", "invalid_file"),
        ("program.exe", b"MZ\0\1", "unsupported_file"),
        ("broken.pdf", b"%PDF-1.7 nothing", "invalid_file"),
    ):
        file = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=(name, data), **FAST)
        assert file.status == "failed"
        assert file.last_error is not None
        assert file.last_error.code == code
        failed = [each.id for each in client.vector_stores.files.list(store.id, filter="failed")]
        assert failed == [file.id]
        client.vector_stores.files.delete(file.id, vector_store_id=store.id)
        client.files.delete(file.id)


def test_content_and_chunks(client: OpenAI, store: VectorStore) -> None:
    text = " ".join(f"Sentence number {number} says something." for number in range(200))
    file = client.files.create(file=("long.txt", text.encode()), purpose="assistants")
    static: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
    added = client.vector_stores.files.create_and_poll(
        file.id, vector_store_id=store.id, chunking_strategy=static, attributes={"n": 1.5}, **FAST
    )
    assert (added.status, added.attributes) == ("completed", {"n": 1.5})
    assert added.chunking_strategy is not None
    assert added.chunking_strategy.to_dict() == static
    pieces = client.vector_stores.files.content(file.id, vector_store_id=store.id).data
    assert len(pieces) > 10
    assert "".join(each.text or "" for each in pieces) == text
    client.files.delete(file.id)
    with pytest.raises(NotFoundError, match="No file found"):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store.id)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("/search", {"query": ""}),
    ("/search", {"query": []}),
    ("/search", {"query": "x", "max_num_results": 51}),
    ("/search", {"query": "x", "filters": {"type": "in", "key": "a", "value": "b"}}),
    ("/search", {"query": "x", "filters": {"type": "eq", "key": "a", "value": ["b"]}}),
    ("/search", {"query": "x", "filters": {"type": "like", "key": "a", "value": "b"}}),
    ("/search", {"query": "x", "ranking_options": {"score_threshold": 2}}),
    ("/file_batches", {}),
    ("/file_batches", {"file_ids": ["file-1"], "files": [{"file_id": "file-1"}]}),
    ("/files", {"file_id": "file-1", "attributes": {"a": "b" * 513}}),
    ("/files", {"file_id": "file-1", "attributes": {str(n): n for n in range(17)}}),
    (
        "/files",
        {
            "file_id": "file-1",
            "chunking_strategy": {
                "type": "static",
                "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51},
            },
        },
    ),
    ("", {"expires_after": {"anchor": "last_active_at", "days": 366}}),
]


@pytest.mark.parametrize(("path", "body"), REFUSED)
def test_refusals(client: OpenAI, store: VectorStore, path: str, body: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError):
        client.post(f"/vector_stores/{store.id}{path}", body=body, cast_to=object)


def test_another_project_reaches_nothing(client: OpenAI, stranger: OpenAI, store: VectorStore) -> None:
    (file, *_) = client.vector_stores.files.list(store.id)
    tries: list[Any] = [
        lambda: stranger.vector_stores.retrieve(store.id),
        lambda: stranger.vector_stores.search(store.id, query="budget"),
        lambda: stranger.vector_stores.files.list(store.id),
        lambda: stranger.vector_stores.files.content(file.id, vector_store_id=store.id),
        lambda: stranger.vector_stores.files.delete(file.id, vector_store_id=store.id),
        lambda: stranger.vector_stores.create(file_ids=[file.id]),
        lambda: stranger.vector_stores.delete(store.id),
        lambda: stranger.responses.create(
            model=CHAT, input="x", tools=[{"type": "file_search", "vector_store_ids": [store.id]}]
        ),
    ]
    for each in tries:
        with pytest.raises(NotFoundError):
            each()
    assert store.id not in [each.id for each in stranger.vector_stores.list()]


def test_the_tool(client: OpenAI, server: Server, store: VectorStore) -> None:
    with client.responses.stream(
        model=CHAT,
        input="How large is the marketing budget?",
        tools=[{"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 1}],
        tool_choice={"type": "file_search"},
        include=["file_search_call.results"],
        max_output_tokens=160,
        max_tool_calls=1,
        temperature=0,
    ) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    started = kinds.index("response.file_search_call.in_progress")
    assert kinds[started : started + 3] == [
        "response.file_search_call.in_progress",
        "response.file_search_call.searching",
        "response.file_search_call.completed",
    ]
    (call,) = [item for item in response.output if item.type == "file_search_call"]
    assert (call.status, len(call.queries) >= 1) == ("completed", True)
    (result,) = call.results or []
    assert result.filename in ("budget.txt", "otters.md")
    fees = "SELECT cost_nanos FROM calls WHERE family = 'file_search_calls' AND detail = ?"
    until(lambda: server.rows(fees, store.id) == [(2_500_000,)], "the search is not on the books")


def test_a_server_killed_while_it_takes_files_in(start_server: StartServer) -> None:
    server = start_server(engines__preload=",")
    with server.client() as client:
        store = client.vector_stores.create()
        text = "\n\n".join(
            f"Fact {number}: item{number} weighs {number} grams, says the book." for number in range(1200)
        )
        ids = [client.files.create(file=(f"{name}.txt", text.encode()), purpose="assistants").id for name in ("a", "b")]
        ids.append(client.files.create(file=("empty.txt", b" "), purpose="assistants").id)
        small: Any = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
        batch = client.vector_stores.file_batches.create(store.id, file_ids=ids, chunking_strategy=small)
        until(lambda: client.vector_stores.retrieve(store.id).usage_bytes > 0, "nothing is taken in")
        server.kill()
        server.start()
        ended = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, **FAST)
        assert (ended.file_counts.completed, ended.file_counts.failed) == (2, 1)
        runs = server.rows("SELECT count(*), count(DISTINCT run || '/' || number) FROM vector_store_chunks")
        assert runs[0][0] == runs[0][1] > 100
        assert server.rows("SELECT count(*) FROM jobs WHERE kind = 'vector_store_file'") == [(0,)]
        for id in ids[:2]:
            pieces = client.vector_stores.files.content(id, vector_store_id=store.id).data
            assert "".join(each.text or "" for each in pieces) == text
