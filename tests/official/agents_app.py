"""The Agents SDK for Python on the embedded model: tools, a handoff, a stream, sessions, MCP.

python agents_app.py MCP_URL
"""

from __future__ import annotations

import asyncio
import os
import sys

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

from agents import (
    Agent,
    HostedMCPTool,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
)
from agents.mcp import MCPServerStreamableHttp, create_static_tool_filter
from openai import AsyncOpenAI

client = AsyncOpenAI(max_retries=0, timeout=120)
model = OpenAIResponsesModel("gpt-4.1", client)
brief = ModelSettings(temperature=0, max_tokens=300)
WEATHER = "What is the weather in Paris?"
asked: list[str] = []


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    asked.append(city)
    return f"It is 21 degrees in {city}."


def using(tool: str) -> ModelSettings:
    """The first turn calls this; then the SDK lets the model choose."""
    return ModelSettings(temperature=0, max_tokens=300, tool_choice=tool)


async def tools() -> None:
    agent = Agent("Weather", instructions="Be brief.", model=model, tools=[get_weather])
    agent.model_settings = using("get_weather")
    result = await Runner.run(agent, WEATHER, max_turns=4)
    assert "Paris" in asked[0], asked
    assert "21" in result.final_output, result.final_output


async def stream() -> None:
    agent = Agent("Weather", instructions="Be brief.", model=model, tools=[get_weather])
    agent.model_settings = using("get_weather")
    streamed = Runner.run_streamed(agent, WEATHER, max_turns=4)
    kinds = [event.data.type async for event in streamed.stream_events() if event.type == "raw_response_event"]
    assert {"response.function_call_arguments.delta", "response.output_text.delta"} <= set(kinds), kinds
    assert kinds.count("response.created") == kinds.count("response.completed") >= 2
    assert "21" in streamed.final_output, streamed.final_output


async def handoff() -> None:
    spanish = Agent("Spanish", instructions="You answer in Spanish.", model=model, model_settings=brief)
    triage = Agent("Triage", model=model, handoffs=[spanish], model_settings=using("required"))
    result = await Runner.run(triage, "Hola, buenos días.", max_turns=3)
    assert result.last_agent is spanish
    assert result.final_output


async def sessions() -> None:
    agent = Agent("Plain", instructions="Be brief.", model=model, model_settings=brief)
    for session in (SQLiteSession("one"), OpenAIConversationsSession(openai_client=client)):
        await Runner.run(agent, "My name is Ada.", session=session)
        result = await Runner.run(agent, "What is my name?", session=session)
        assert "Ada" in result.final_output, result.final_output
        assert len(await session.get_items()) == 4


async def mcp(url: str) -> None:
    question = "What is 20 plus 22? Use the tool."
    only = create_static_tool_filter(allowed_tool_names=["add"])
    async with MCPServerStreamableHttp({"url": url}, tool_filter=only) as server:
        agent = Agent("Sums", model=model, mcp_servers=[server], model_settings=using("add"))
        result = await Runner.run(agent, question, max_turns=4)
        # What the model then makes of it is a matter of its wits.
        outputs = [str(item.output) for item in result.new_items if item.type == "tool_call_output_item"]
        assert "42" in outputs[0], outputs
        assert result.final_output
    numbers = {"type": "mcp", "server_label": "numbers", "server_url": url, "allowed_tools": ["add"]}
    hosted = HostedMCPTool({**numbers, "require_approval": "never"})
    agent = Agent("Sums", model=model, tools=[hosted], model_settings=using("required"))
    result = await Runner.run(agent, question, max_turns=4)
    assert "mcp_call" in {item.raw_item.type for item in result.new_items}
    assert "42" in result.final_output, result.final_output


async def main() -> None:
    for part in (tools, stream, handoff, sessions):
        await part()
    await mcp(sys.argv[1])
    print("passed")


asyncio.run(main())
