"""``inhouse models evaluate``: a batch of a real server, whose upstream answers right, wrong or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inhouse.storage.database import Database

from .answering import Refusal, answering
from .running import Server, until

WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
OBJECT = {
    "type": "json_schema",
    "json_schema": {"name": "city", "schema": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


ASKED: list[dict[str, Any]] = []


def said(body: dict[str, Any]) -> dict[str, Any]:
    """What it is told to say; it calls the function with it where there is one."""
    ASKED.append(body)
    text = body["messages"][-1]["content"]
    if text == "refuse":
        raise Refusal("It is too much.")
    if "tools" not in body:
        return {"content": text}
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": text}}
    return {"content": None, "tool_calls": [call]}


@pytest.fixture(scope="module")
def upstream_url() -> Iterator[str]:
    with answering(said) as url:
        yield url


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("evaluated") / "data", engines__preload="none")
    server.cli("models", "use", "gpt-4.1", "--upstream", upstream_url)
    yield server.start()
    server.stop()
    assert not server.tracebacks


def task(id: str, said: str, grade: dict[str, Any], group: str = "talk", **more: Any) -> str:
    messages = [{"role": "user", "content": said}]
    return json.dumps({"id": id, "group": group, "messages": messages, "grade": grade, **more}) + "\n"


def test_from_the_command_to_the_page(evaluated: Server, upstream_url: str, tmp_path: Path) -> None:
    server, source = evaluated, tmp_path / "own-1.jsonl"

    def evaluate(*arguments: str, status: int, data_dir: Path = server.data_dir) -> str:
        command = [sys.executable, "-m", "inhouse.cli", "models", "evaluate", *arguments]
        done = subprocess.run(
            [*command, "--base-url", server.base_url, "--data-dir", str(data_dir)],
            env={**server.environment, "OPENAI_API_KEY": server.key},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr

    def page() -> str:
        return server.http("GET", "/models/gpt-4.1").body.decode()

    assert "inhouse models evaluate gpt-4.1" in page()
    city = {"city": "Oslo"}
    source.write_text(
        task("1", "Paris", {"by": "equals", "any": ["paris"]}, max_tokens=7)
        + task("2", "London", {"by": "equals", "any": ["paris"]})
        + task("3", "refuse", {"by": "contains", "any": ["refuse"]})
        + task("4", json.dumps(city), {"by": "json", "value": city}, "shapes", response_format=OBJECT)
        + task(
            "5", json.dumps(city), {"by": "call", "name": "get_weather", "arguments": city}, "calls", tools=[WEATHER]
        )
        + task(
            "6", '{"city": "Rome"}', {"by": "call", "name": "get_weather", "arguments": city}, "calls", tools=[WEATHER]
        )
    )
    told = evaluate("gpt-4.1", "--tasks", str(source), status=0)
    assert "3 of 6 tasks (own-1), 1 of them not answered" in told
    assert {body["temperature"] for body in ASKED} == {0}
    assert {body.get("max_completion_tokens", body.get("max_tokens")) for body in ASKED} == {7, 48}

    [(id, project, status)] = server.rows("SELECT id, project_id, status FROM batches")
    assert status == "completed"
    assert server.rows("SELECT model, tasks, passed, total, batch_id, project_id FROM evaluations") == [
        ("gpt-4.1-2025-04-14", "own-1", 3, 6, id, project)
    ]
    shown = page()
    assert "<b>3 of 6 tasks</b> (own-1)" in shown
    assert f'href="/dashboard/batches?batch={id}"' in shown
    for group in ("1 of 3", "1 of 1", "1 of 2"):
        assert group in shown
    assert "inhouse models evaluate" not in shown

    server.cli("models", "use", "gpt-4.1", "--upstream", upstream_url, "--window", "9000")
    until(lambda: "inhouse models evaluate gpt-4.1" in page(), "the new binding is not seen")
    assert "own-1" not in page(), "it was measured on another deployment"

    # nothing is kept of runs that say nothing
    source.write_text(task("1", "refuse", {"by": "contains", "any": ["refuse"]}))
    assert "no task was answered: It is too much." in evaluate("gpt-4.1", "--tasks", str(source), status=1)
    assert "there is no database" in evaluate("gpt-4.1", status=1, data_dir=tmp_path / "nowhere")
    Database(f"sqlite:///{tmp_path / 'elsewhere' / 'inhouse.db'}").migrate()
    assert "the server keeps its data elsewhere" in evaluate("gpt-4.1", status=1, data_dir=tmp_path / "elsewhere")
    (cancelled,) = server.rows("SELECT id FROM batches ORDER BY created_at DESC LIMIT 1")
    ended = ("cancelling", "cancelled")
    assert server.rows("SELECT status FROM batches WHERE id = ?", *cancelled)[0][0] in ended, "nobody waits for it"
    assert server.rows("SELECT count(*) FROM evaluations") == [(1,)]
