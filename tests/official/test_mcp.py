"""The official SDK against the running server with MCP servers, on the embedded model."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types.responses import ResponseOutputMessage
from openai.types.responses.response_output_item import McpApprovalRequest, McpCall, McpListTools
from tests.mcp_servers import MCPServer, serve_guarded, serve_streamable

from .running import CHAT, Server

__all__ = ["serve_guarded", "serve_streamable"]

ASK = "What is 20 plus 22? Use the tool."


def tool(server: MCPServer, **fields: Any) -> Any:
    return {
        "type": "mcp",
        "server_label": "numbers",
        "server_url": server.url,
        "server_description": "Sums of whole numbers.",
        "allowed_tools": ["add"],
        "require_approval": "never",
        **fields,
    }


def test_a_tool_is_listed_called_and_read(client: openai.OpenAI, streamable: MCPServer) -> None:
    response = client.responses.create(
        model=CHAT,
        input=ASK,
        tools=[tool(streamable)],
        tool_choice={"type": "mcp", "server_label": "numbers", "name": "add"},
        max_output_tokens=200,
        temperature=0,
    )
    listed, called, message = response.output[:3]
    assert isinstance(listed, McpListTools)
    assert [each.name for each in listed.tools] == ["add"]
    assert isinstance(called, McpCall)
    assert (called.name, called.status, called.output) == ("add", "completed", "42")
    assert isinstance(message, ResponseOutputMessage)
    assert "42" in response.output_text
    again = client.responses.retrieve(response.id)
    assert again.output == response.output
    # The list is in the chain: it is not told again.
    lists = streamable.seen()["methods"].count("tools/list")
    more = client.responses.create(
        model=CHAT,
        input="Thank you.",
        previous_response_id=response.id,
        tools=[tool(streamable)],
        max_output_tokens=32,
        tool_choice="none",
    )
    assert not [item for item in more.output if isinstance(item, McpListTools)]
    assert streamable.seen()["methods"].count("tools/list") == lists


async def test_the_stream_and_its_helper(aclient: openai.AsyncOpenAI, streamable: MCPServer) -> None:
    async with aclient.responses.stream(
        model=CHAT, input=ASK, tools=[tool(streamable)], tool_choice="required", max_output_tokens=200, temperature=0
    ) as stream:
        seen = [event.type async for event in stream]
        final = await stream.get_final_response()
    steps = [kind for kind in dict.fromkeys(seen) if "mcp" in kind]
    assert steps == [
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.completed",
        "response.mcp_call.in_progress",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.completed",
    ]
    assert [type(item) for item in final.output[:2]] == [McpListTools, McpCall]
    assert final.output_text


def test_a_call_is_approved(client: openai.OpenAI, streamable: MCPServer) -> None:
    guarded = tool(streamable, require_approval={"never": {"tool_names": ["remember"]}})
    first = client.responses.create(
        model=CHAT, input=ASK, tools=[guarded], tool_choice="required", max_output_tokens=200, temperature=0
    )
    asked = first.output[-1]
    assert isinstance(asked, McpApprovalRequest)
    second = client.responses.create(
        model=CHAT,
        previous_response_id=first.id,
        tools=[guarded],
        input=[{"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}],
        max_output_tokens=200,
        temperature=0,
    )
    called = second.output[0]
    assert isinstance(called, McpCall)
    assert (called.approval_request_id, called.arguments) == (asked.id, asked.arguments)
    assert called.output == "42"
    kept = client.responses.input_items.list(second.id, order="asc")
    assert "mcp_approval_response" in [item.type for item in kept]


def test_a_server_that_refuses_is_a_424(client: openai.OpenAI, guarded: MCPServer) -> None:
    with pytest.raises(openai.APIStatusError) as failed:
        client.responses.create(model=CHAT, input="Hi", tools=[tool(guarded, authorization="wrong-secret")])
    assert failed.value.status_code == 424
    assert failed.value.body == {
        "message": "Error retrieving tool list from MCP server: 'numbers'. Http status code: 401 (Unauthorized)",
        "type": "external_connector_error",
        "param": "tools",
        "code": "http_error",
    }
    response = client.responses.create(
        model=CHAT, input="Hi", tools=[tool(guarded, authorization="open-sesame")], tool_choice="none",
        max_output_tokens=16,
    )  # fmt: skip
    assert "open-sesame" not in response.to_json()


def test_a_connector_is_refused(client: openai.OpenAI) -> None:
    connector: Any = {"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail", "authorization": "x"}
    with pytest.raises(openai.BadRequestError, match="not available here"):
        client.responses.create(model=CHAT, input="Hi", tools=[connector])


def test_the_model_page_shows_it_served(server: Server) -> None:
    page = server.http("GET", f"/models/{CHAT}").body.decode()
    cell = page.split("<h3>MCP</h3>")[1].split("</li>")[0]
    assert "Supported" in cell
    assert "Not served here yet" not in cell
