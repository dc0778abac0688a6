"""An application as the documentation of 2024 showed them: a weather bot. It knows nothing of this project.

OPENAI_BASE_URL=… OPENAI_API_KEY=… python assistants_app.py
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any, ClassVar

import openai
from openai import AssistantEventHandler, OpenAI
from typing_extensions import override

# The SDK says that these operations are retired.
warnings.simplefilter("ignore", DeprecationWarning)

client = OpenAI(max_retries=0)
CALLS: list[str] = []


def get_current_temperature(location: str) -> str:
    CALLS.append(location)
    return json.dumps({"location": location, "temperature": "57", "unit": "Fahrenheit"})


TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "get_current_temperature",
            "description": "Get the current temperature for a specific location",
            "parameters": {
                "type": "object",
                "properties": {"location": {"type": "string", "description": "The city, e.g., Paris"}},
                "required": ["location"],
            },
        },
    }
]


class EventHandler(AssistantEventHandler):
    """Runs the functions that a run asks for, and collects what is said."""

    said = ""
    seen: ClassVar[list[str]] = []

    @override
    def on_event(self, event: Any) -> None:
        self.seen.append(event.event)
        if event.event == "thread.run.requires_action":
            self.handle_requires_action(event.data, event.data.id)

    @override
    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        EventHandler.said += delta.value or ""

    @override
    def on_tool_call_created(self, tool_call: Any) -> None:
        self.seen.append(f"tool:{tool_call.type}")

    def handle_requires_action(self, data: Any, run_id: str) -> None:
        tool_outputs: list[Any] = []
        for tool in data.required_action.submit_tool_outputs.tool_calls:
            if tool.function.name == "get_current_temperature":
                output = get_current_temperature(**json.loads(tool.function.arguments))
                tool_outputs.append({"tool_call_id": tool.id, "output": output})
        with client.beta.threads.runs.submit_tool_outputs_stream(
            thread_id=data.thread_id, run_id=run_id, tool_outputs=tool_outputs, event_handler=EventHandler()
        ) as stream:
            stream.until_done()


def streaming(assistant: Any) -> None:
    thread = client.beta.threads.create()
    client.beta.threads.messages.create(
        thread_id=thread.id, role="user", content="What is the temperature in Paris right now?"
    )
    with client.beta.threads.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=EventHandler()
    ) as stream:
        stream.until_done()
    assert [location.split(",")[0] for location in CALLS] == ["Paris"], CALLS
    assert "57" in EventHandler.said, EventHandler.said
    assert {"thread.run.created", "tool:function", "thread.run.requires_action", "thread.run.completed"} <= set(
        EventHandler.seen
    )
    messages = client.beta.threads.messages.list(thread_id=thread.id)
    assert messages.data[0].content[0].text.value == EventHandler.said
    assert messages.data[0].role == "assistant"


def polling(assistant: Any) -> None:
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "What is the temperature in Rome?"}])
    run = client.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=assistant.id, poll_interval_ms=100)
    assert run.status == "requires_action", run
    calls = run.required_action.submit_tool_outputs.tool_calls
    outputs: Any = [
        {"tool_call_id": call.id, "output": get_current_temperature(**json.loads(call.function.arguments))}
        for call in calls
    ]
    run = client.beta.threads.runs.submit_tool_outputs_and_poll(
        thread_id=thread.id, run_id=run.id, tool_outputs=outputs, poll_interval_ms=100
    )
    assert run.status == "completed", run
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens
    assert "57" in client.beta.threads.messages.list(thread_id=thread.id).data[0].content[0].text.value
    steps = client.beta.threads.runs.steps.list(thread_id=thread.id, run_id=run.id, order="asc").data
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    step = client.beta.threads.runs.steps.retrieve(steps[0].id, thread_id=thread.id, run_id=run.id)
    assert json.loads(step.step_details.tool_calls[0].function.output)["temperature"] == "57"


def wait_on_run(run: Any, thread: Any) -> Any:
    while run.status in ("queued", "in_progress"):
        run = client.beta.threads.runs.retrieve(thread_id=thread.id, run_id=run.id)
        time.sleep(0.1)
    return run


def cookbook(assistant: Any) -> None:
    """The loop that everybody copied."""
    thread = client.beta.threads.create(metadata={"user": "abc123"})
    message = client.beta.threads.messages.create(thread_id=thread.id, role="user", content="Say hello.")
    run = client.beta.threads.runs.create(
        thread_id=thread.id, assistant_id=assistant.id, tool_choice="none", max_completion_tokens=256
    )
    run = wait_on_run(run, thread)
    assert run.status in ("completed", "incomplete"), run
    answers = client.beta.threads.messages.list(thread_id=thread.id, order="asc", after=message.id)
    assert answers.data[0].content[0].text.value
    assert [each.id for each in client.beta.threads.runs.list(thread.id)] == [run.id]
    assert client.beta.threads.retrieve(thread.id).metadata == {"user": "abc123"}
    assert client.beta.threads.delete(thread.id).deleted


def housekeeping(assistant: Any) -> None:
    updated = client.beta.assistants.update(assistant.id, name="Renamed", metadata={"a": "b"})
    assert (updated.name, updated.metadata, updated.instructions) == ("Renamed", {"a": "b"}, assistant.instructions)
    assert assistant.id in [each.id for each in client.beta.assistants.list(limit=1)]
    assert client.beta.assistants.retrieve(assistant.id).tools[0].function.name == "get_current_temperature"
    assert client.beta.assistants.delete(assistant.id).deleted
    try:
        client.beta.assistants.retrieve(assistant.id)
    except openai.NotFoundError as error:
        assert error.message.endswith("None}}") or "No assistant found" in error.message  # noqa: PT017
    else:
        raise AssertionError("it is still there")


def main() -> None:
    assistant = client.beta.assistants.create(
        name="Weather Bot",
        instructions="You are a weather bot. Use the provided functions to answer questions.",
        model="gpt-4.1",
        tools=TOOLS,
        temperature=0,
    )
    for part in (streaming, polling, cookbook, housekeeping):
        part(assistant)
        print(part.__name__)
    print(openai.__version__)


if __name__ == "__main__":
    sys.exit(main())
