"""A batch that outlives its server: killed again and again, every request is answered and billed exactly once.

``KILLS=10`` in the environment makes it ten times, of a thousand requests; `make soak` does.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .answering import answering
from .running import Server, until

KILLS = int(os.environ.get("KILLS", "4"))
LINES = KILLS * 100


def said(body: dict[str, Any]) -> dict[str, Any]:
    time.sleep(0.02)
    return {"content": f"said {body['messages'][-1]['content']}"}


@pytest.fixture(scope="module")
def upstream_url() -> Iterator[str]:
    with answering(said) as url:
        yield url


def line(number: int) -> bytes:
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": f"c{number}"}]}
    request = {"custom_id": f"c{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(request).encode() + b"\n"


@pytest.fixture(scope="module")
def batching(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("batching") / "data", engines__preload="none")
    server.cli("models", "use", "gpt-4.1", "--upstream", upstream_url)
    yield server.start()
    server.stop()


def test_killed_again_and_again(batching: Server) -> None:
    server = batching
    with server.client() as client:
        file = client.files.create(file=("in.jsonl", b"".join(map(line, range(LINES)))), purpose="batch")
        id = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h").id
    chance = random.Random(6)
    interrupted = 0
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.0, 0.12))
        server.kill()
        interrupted += server.rows(f"SELECT completed < {LINES} FROM batches")[0][0]
        server.start()
    assert interrupted >= KILLS // 2, "the batch was over before it was killed often enough"
    with server.client() as client:
        until(lambda: client.batches.retrieve(id).status == "completed", "the batch does not end", 120)
        batch = client.batches.retrieve(id)
        told = [json.loads(text) for text in client.files.content(batch.output_file_id or "").text.splitlines()]
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": LINES, "completed": LINES, "failed": 0}
    assert Counter(each["custom_id"] for each in told) == Counter(f"c{number}" for number in range(LINES))
    for each in told:
        assert each["response"]["body"]["choices"][0]["message"]["content"] == f"said {each['custom_id']}"
    rows = server.rows("SELECT id, state, cost_nanos FROM calls")
    assert {id for id, _, _ in rows} == {each["response"]["request_id"] for each in told}
    assert len(rows) == LINES
    assert {(state, cost) for _, state, cost in rows} == {("settled", 10 * 1000 + 3 * 4000)}
    assert batch.usage is not None
    assert batch.usage.input_tokens == 10 * LINES
    server.cli("ledger", "verify")
    assert not server.tracebacks


def test_run_and_watch(batching: Server, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(
        b"".join(map(line, range(20))) + line(0).replace(b"c0", b"c-bad").replace(b'"messages"', b'"n": 0, "messages"')
    )

    def cli(*arguments: str, status: int) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "inhouse.cli", "batches", *arguments, "--base-url", batching.base_url],
            env={**batching.environment, "OPENAI_API_KEY": batching.key},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr

    told = cli("run", str(source), "--output", str(target), status=1)
    assert "20 answered, 1 failed" in told
    assert len(target.read_text().splitlines()) == 20
    assert len((tmp_path / "out.errors.jsonl").read_text().splitlines()) == 1
    id = next(word for word in told.split() if word.startswith("batch_"))
    assert "completed" in cli("watch", id, status=1)
    assert "No batch found" in cli("watch", "batch_none", status=1)
    source.write_bytes(b"nonsense\n")
    assert "line 1: This line is not parseable as valid JSON." in cli("run", str(source), status=1)
    assert "no such file" in cli("run", str(tmp_path / "none.jsonl"), status=1)
