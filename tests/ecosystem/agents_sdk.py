"""The Agents SDK for Python: tools, streams, handoffs, sessions, structured output."""

from __future__ import annotations

import asyncio
import os

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"

from agents import (
    Agent,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
)
from agents.memory import OpenAIResponsesCompactionSession
from openai import AsyncOpenAI
from pydantic import BaseModel

client = AsyncOpenAI(max_retries=0, timeout=60)
model = OpenAIResponsesModel("gpt-4.1", client)
settings = ModelSettings(max_tokens=200)
asked: list[str] = []


class City(BaseModel):
    name: str
    country: str


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    asked.append(city)
    return f"It is 21 degrees in {city}."


async def tools() -> None:
    agent = Agent(name="Weather", instructions="Use it.", model=model, tools=[get_weather], model_settings=settings)
    result = await Runner.run(agent, "Weather?", max_turns=3)
    assert asked == ["Paris"]
    assert "It is 21 degrees in Paris." in result.final_output
    streamed = Runner.run_streamed(agent, "Weather?", max_turns=3)
    kinds = [event.data.type async for event in streamed.stream_events() if event.type == "raw_response_event"]
    assert asked == ["Paris", "Paris"]
    assert kinds.count("response.completed") == 2
    assert {"response.function_call_arguments.done", "response.output_text.delta"} <= set(kinds)
    assert "21 degrees" in streamed.final_output


async def handoff() -> None:
    spanish = Agent(name="Spanish", instructions="Answer in Spanish.", model=model)
    triage = Agent(name="Triage", instructions="Hand off.", model=model, handoffs=[spanish])
    result = await Runner.run(triage, "Hola", max_turns=3)
    assert result.last_agent.name == "Spanish"


async def sessions() -> None:
    agent = Agent(name="Plain", instructions="Be brief.", model=model, model_settings=settings)
    kept = OpenAIConversationsSession(openai_client=client)
    for session in (SQLiteSession("one"), kept):
        await Runner.run(agent, "First", session=session)
        result = await Runner.run(agent, "Second", session=session)
        # Instructions, two messages before it, and itself.
        assert "'Second' in message 4" in result.final_output, result.final_output
        assert len(await session.get_items()) == 4
    await kept.pop_item()
    assert len(await kept.get_items()) == 3
    await kept.clear_session()
    compacting = OpenAIResponsesCompactionSession(
        "two",
        underlying_session=SQLiteSession("two"),
        client=client,
        model="gpt-4.1",
        should_trigger_compaction=lambda _: True,
    )
    await Runner.run(agent, "First", session=compacting)
    assert [item.get("type") for item in await compacting.get_items()][-1] == "compaction"
    await Runner.run(agent, "Second", session=compacting)


async def chained() -> None:
    agent = Agent(name="Plain", model=model)
    first = await Runner.run(agent, "First")
    second = await Runner.run(agent, "Second", previous_response_id=first.last_response_id)
    assert "'Second' in message 3" in second.final_output


async def structured() -> None:
    agent = Agent(name="Out", model=model, output_type=City)
    result = await Runner.run(agent, "A city")
    assert result.final_output == City(name="Paris", country="France")


async def main() -> None:
    for part in (tools, handoff, sessions, chained, structured):
        await part()
    print("passed")


asyncio.run(main())
