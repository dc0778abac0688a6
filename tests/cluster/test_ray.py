"""Batches on a real Ray cluster of two nodes, before a PostgreSQL server: what can die, dies in the middle of one."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from openai import OpenAI
from tests.official.running import Server, until

import inhouse

if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is missing: `make ray` installs it, some 500 MB", allow_module_level=True)

LINES = 1500
CHAT = "/v1/chat/completions"
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
PATIENCE_S = 150


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seconds = 0.05

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(self.seconds)
        message = {"role": "assistant", "content": f"said {body['messages'][-1]['content']}"}
        answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def upstream_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    source = str(Path(inhouse.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")])))
    cluster = Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=1, num_gpus=0, object_store_memory=80 << 20, include_dashboard=False)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def server(tmp_path: Path, cluster: Any, postgres_url: str, upstream_url: str) -> Iterator[Server]:
    server = Server(
        tmp_path / "data",
        database__url=postgres_url,
        engines__preload="none",
        engines__pull="false",
        limits__tier="off",
        batches__runner="ray",
        batches__ray_address=cluster.address,
    )
    server.cli("models", "use", "gpt-4.1", "--upstream", upstream_url)
    yield server.start()
    server.stop()


def create(client: OpenAI, count: int) -> str:
    bodies = ({"model": "gpt-4.1", "messages": [{"role": "user", "content": f"c{n}"}]} for n in range(count))
    lines = (
        {"custom_id": f"c{number}", "method": "POST", "url": CHAT, "body": body} for number, body in enumerate(bodies)
    )
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h").id


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def told(client: OpenAI, file_id: str | None) -> list[Any]:
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()] if file_id else []


@pytest.mark.timeout(600)
def test_two_nodes(server: Server, cluster: Any, postgres_url: str) -> None:
    def done(id: str) -> int:
        return rows(postgres_url, f"SELECT completed FROM batches WHERE id = '{id}'")[0][0]  # type: ignore[no-any-return]

    def nothing_is_left() -> bool:
        return not rows(postgres_url, "SELECT id FROM jobs") and not rows(postgres_url, "SELECT * FROM batch_results")

    with server.client() as client:
        # A node is killed, and then the server.
        id = create(client, LINES)
        until(lambda: done(id) > 0, "no worker begins", PATIENCE_S)
        until(lambda: len(rows(postgres_url, "SELECT id FROM instances")) == 3, "there are no two workers", PATIENCE_S)
        owners = "SELECT DISTINCT owner FROM jobs WHERE kind = 'batches.requests' AND owner IS NOT NULL"
        until(lambda: len(rows(postgres_url, owners)) == 2, "only one worker has work", PATIENCE_S)
        cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)
        before = done(id)
        assert before < LINES
        until(lambda: done(id) > before, "nobody goes on without the node", PATIENCE_S)
        server.kill()
        assert done(id) < LINES
        server.start()
        until(lambda: client.batches.retrieve(id).status == "completed", "the batch does not end", PATIENCE_S)
        batch = client.batches.retrieve(id)
        assert batch.request_counts is not None
        assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES, "failed": 0}
        output = told(client, batch.output_file_id)
        assert [line["custom_id"] for line in output] == [f"c{number}" for number in range(LINES)]
        assert all(
            line["response"]["body"]["choices"][0]["message"]["content"] == f"said {line['custom_id']}"
            for line in output
        )
        ledger = rows(postgres_url, "SELECT id, state, cost_nanos FROM calls")
        assert Counter(id for id, _, _ in ledger) == Counter(line["response"]["request_id"] for line in output)
        assert {(state, cost) for _, state, cost in ledger} == {("settled", 10 * 1000 + 3 * 4000)}
        until(nothing_is_left, "something is left of a batch")

        # One is cancelled, and one expires, each while it is worked on.
        for ending in ("cancelled", "expired"):
            known = len(rows(postgres_url, "SELECT id FROM calls"))
            id = create(client, LINES)
            until(lambda id=id: done(id) > 0, "no worker begins", PATIENCE_S)  # type: ignore[misc]
            if ending == "cancelled":
                client.batches.cancel(id)
            else:
                with psycopg.connect(postgres_url) as connection:
                    connection.execute("UPDATE jobs SET due_at = 0 WHERE id = %s", (f"{id}:expire",))
            wanted = (id, ending)
            until(
                lambda wanted=wanted: client.batches.retrieve(wanted[0]).status == wanted[1],  # type: ignore[misc]
                f"the batch is not {ending}",
                PATIENCE_S,
            )
            batch = client.batches.retrieve(id)
            answered, refused = told(client, batch.output_file_id), told(client, batch.error_file_id)
            assert 0 < len(answered) < LINES
            assert len(refused) == (LINES - len(answered) if ending == "expired" else 0)
            assert {line["error"]["code"] for line in refused} <= {"batch_expired"}
            assert len(rows(postgres_url, "SELECT id FROM calls")) == known + len(answered)
            until(nothing_is_left, "something is left of a batch")
    server.cli("ledger", "verify")
    assert not server.tracebacks
