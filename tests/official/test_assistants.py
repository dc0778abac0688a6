"""Assistants by the official SDK, the newest and a 1.x, and what a killed server leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from .running import CHAT, FAST, Server, until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
APPLICATION = Path(__file__).with_name("assistants_app.py")
OLD_PACKAGES = Path(sys.prefix) / "official-1"
BETA = {"openai-beta": "assistants=v2"}
PING: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "ping",
        # Held to one value, so that the smallest model comes to an end.
        "parameters": {
            "type": "object",
            "properties": {"times": {"type": "integer", "enum": [1]}},
            "required": ["times"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


@pytest.mark.parametrize("version", ["3", "1"])
def test_an_application_of_2024_runs_unmodified(server: Server, version: str) -> None:
    environment = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": server.key}
    if version == "1":
        assert OLD_PACKAGES.is_dir(), (
            f"{OLD_PACKAGES} is missing: `make test` installs requirements/official-1.txt there"
        )
        environment["PYTHONPATH"] = str(OLD_PACKAGES)
    done = subprocess.run([sys.executable, APPLICATION], env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[-1].startswith(f"{version}.")


def test_the_header_is_asked_for(server: Server) -> None:
    refused = server.http("GET", "/v1/assistants")
    assert refused.status == 400
    assert refused.error == {
        "message": "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by "
        "setting the header 'OpenAI-Beta: assistants=v2'.",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_beta",
    }
    assert server.http("POST", "/v1/threads/runs", {}, {"openai-beta": "assistants=v1"}).error["code"] == "invalid_beta"
    assert server.http("GET", "/v1/assistants", headers=BETA).status == 200


def test_the_stream_on_the_wire(server: Server, client: OpenAI) -> None:
    assistant = client.beta.assistants.create(model=FAST)
    body = {
        "assistant_id": assistant.id,
        "stream": True,
        "max_completion_tokens": 256,
        "thread": {"messages": [{"role": "user", "content": "Say hi."}]},
    }
    answer = server.http("POST", "/v1/threads/runs", body, BETA)
    assert answer.headers["content-type"].startswith("text/event-stream")
    frames = answer.body.decode().split("\n\n")
    assert frames[0].startswith("event: thread.created\ndata: {")
    assert frames[-2:] == ["event: done\ndata: [DONE]", ""]


def test_what_is_not_served_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Hosted tool 'code_interpreter' is not supported"):
        client.beta.assistants.create(model=CHAT, tools=[{"type": "code_interpreter"}])
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.beta.assistants.create(model="gpt-nope")
    thread = client.beta.threads.create()
    with pytest.raises(openai.NotFoundError, match="No such File object: file-nope"):
        client.beta.threads.messages.create(
            thread.id, role="user", content=[{"type": "image_file", "image_file": {"file_id": "file-nope"}}]
        )


def test_strangers_find_nothing(client: OpenAI, stranger: OpenAI) -> None:
    assistant = client.beta.assistants.create(model=FAST)
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hi"}])
    (message,) = client.beta.threads.messages.list(thread.id).data
    run = client.beta.threads.runs.create_and_poll(
        thread_id=thread.id, assistant_id=assistant.id, max_completion_tokens=256, poll_interval_ms=100
    )
    (step,) = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id).data
    threads, runs = stranger.beta.threads, stranger.beta.threads.runs
    own = threads.create()
    attempts: list[Any] = [
        lambda: stranger.beta.assistants.retrieve(assistant.id),
        lambda: stranger.beta.assistants.update(assistant.id, name="Mine"),
        lambda: stranger.beta.assistants.delete(assistant.id),
        lambda: threads.retrieve(thread.id),
        lambda: threads.update(thread.id, metadata={"a": "b"}),
        lambda: threads.delete(thread.id),
        lambda: threads.messages.list(thread.id),
        lambda: threads.messages.create(thread.id, role="user", content="Hi"),
        lambda: threads.messages.retrieve(message.id, thread_id=thread.id),
        lambda: threads.messages.retrieve(message.id, thread_id=own.id),
        lambda: threads.messages.update(message.id, thread_id=own.id, metadata={"a": "b"}),
        lambda: threads.messages.delete(message.id, thread_id=own.id),
        lambda: runs.create(own.id, assistant_id=assistant.id),
        lambda: runs.list(thread.id),
        lambda: runs.retrieve(run.id, thread_id=own.id),
        lambda: runs.update(run.id, thread_id=own.id, metadata={"a": "b"}),
        lambda: runs.cancel(run.id, thread_id=own.id),
        lambda: runs.submit_tool_outputs(run.id, thread_id=own.id, tool_outputs=[]),
        lambda: runs.steps.list(run.id, thread_id=own.id),
        lambda: runs.steps.retrieve(step.id, thread_id=own.id, run_id=run.id),
    ]
    for attempt in attempts:
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert client.beta.threads.retrieve(thread.id).metadata == {}
    assert assistant.id not in [each.id for each in stranger.beta.assistants.list()]


@pytest.fixture
def mortal(start_server: Any) -> Server:
    server: Server = start_server(engines__preload=FAST)
    return server


def test_runs_outlive_a_killed_server(mortal: Server) -> None:
    with mortal.client() as client:
        assistant = client.beta.assistants.create(model=FAST, tools=[PING])
        threads = client.beta.threads
        # One waits for outputs, one writes.
        waiting = threads.create_and_run_poll(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": "Ping."}]},
            tool_choice={"type": "function", "function": {"name": "ping"}},
            max_completion_tokens=300,
            temperature=0,
            poll_interval_ms=50,
        )
        assert waiting.status == "requires_action", waiting
        (call,) = waiting.required_action.submit_tool_outputs.tool_calls
        stream = threads.create_and_run(
            assistant_id=assistant.id,
            thread={"messages": [{"role": "user", "content": "Tell me a very long story about the sea."}]},
            tool_choice="none",
            max_completion_tokens=300,
            stream=True,
        )
        writing = next(event.data for event in stream if event.event == "thread.run.created")
        next(event for event in stream if event.event == "thread.message.delta")
        mortal.kill()
        mortal.start()
        threads.runs.submit_tool_outputs(
            waiting.id, thread_id=waiting.thread_id, tool_outputs=[{"tool_call_id": call.id, "output": "pong"}]
        )

        def statuses() -> set[str]:
            runs = (waiting, writing)
            return {threads.runs.retrieve(run.id, thread_id=run.thread_id).status for run in runs}

        # A small model may well ping again.
        until(lambda: not statuses() & {"queued", "in_progress"}, "the runs do not end", 90)
        assert statuses() <= {"completed", "incomplete", "requires_action"}
        messages = threads.messages.list(writing.thread_id, order="asc", run_id=writing.id).data
        assert messages[0].status == "incomplete"
        assert messages[0].incomplete_details.reason == "run_failed"
        assert messages[-1].content[0].text.value
        steps = threads.runs.steps.list(writing.id, thread_id=writing.thread_id, order="asc").data
        assert [each.status for each in steps] == ["failed", "completed"]
