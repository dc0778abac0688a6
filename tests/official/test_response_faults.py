"""A server that is killed at every stage of a response that calls an MCP server, and started again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from tests.between import Between, between
from tests.ecosystem.model import rule_model
from tests.mcp_servers import MCPServer, serve_streamable

from .running import CHAT, Server, until

__all__ = ["serve_streamable"]

STAGES = {
    "listing": b'"tools/list"',
    "calling": b'"tools/call"',
    "between turns": b'"role":"tool"',
    "writing": b'"content": "tool ',
}
"""What passes when a stage is reached: to the MCP server, to the model, and from it."""


class Line:
    """A server, the MCP server that it calls and the model that it asks, with something between them."""

    def __init__(self, server: Server, tool: Between, model: Between) -> None:
        self.server = server
        self.tool = tool
        self.model = model

    def ask(self, client: OpenAI, **options: Any) -> Any:
        tool: Any = {"type": "mcp", "server_label": "numbers", "server_url": self.tool.url, "require_approval": "never"}
        return client.responses.create(
            model=CHAT, input="What is 20 plus 22?", tools=[{**tool, "allowed_tools": ["add"]}], **options
        )


@pytest.fixture(scope="module")
def line(start_server: Any, streamable: MCPServer) -> Iterator[Line]:
    with rule_model() as url, between(url) as model, between(streamable.url) as tool:
        server: Server = start_server(engines__preload=",")
        server.cli("models", "use", CHAT, "--upstream", model.url)
        yield Line(server, tool, model)
        server.stop()


@pytest.mark.parametrize(("stage", "background"), [*((stage, True) for stage in STAGES), ("calling", False)])
def test_a_server_killed_at_a_stage_of_a_call(line: Line, stage: str, background: bool) -> None:
    server = line.server if line.server.running else line.server.start()
    held = line.tool if stage in ("listing", "calling") else line.model
    held.watch(STAGES[stage])
    seen: list[Any] = []

    def read() -> None:
        with server.client() as client:
            try:
                seen.extend(line.ask(client, stream=True, background=background))
            except Exception as broken:  # the connection, whichever way it tells
                seen.append(broken)

    reading = threading.Thread(target=read)
    reading.start()
    assert held.reached.wait(90), seen
    server.kill()
    reading.join(90)
    held.release()
    server.start()
    with server.client() as client:
        if background:
            id = seen[0].response.id
            until(lambda: client.responses.retrieve(id).status not in ("queued", "in_progress"), "it does not end")
            response = client.responses.retrieve(id)
            assert response.status == "completed", response
            (call,) = [item for item in response.output if item.type == "mcp_call"]
            assert (call.status, call.output) == ("completed", "42")
            assert "tool said '42'" in response.output_text
            told = list(client.responses.retrieve(id, stream=True))
            assert [event.sequence_number for event in told] == list(range(len(told)))
        else:
            assert line.ask(client).status == "completed"
    assert server.rows("SELECT id FROM responses WHERE status IN ('queued', 'in_progress')") == []
    until(lambda: server.rows("SELECT id FROM calls WHERE state = 'open'") == [], "a call stays open")
    assert server.tracebacks == []
