"""LlamaIndex in front of Chat Completions and of Responses: answers, streams, tools, an agent's loop."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is 21 degrees in {city}."


async def check(model: Any) -> None:
    hello = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="Hello")]
    whole = model.chat(hello).message.content
    assert "'Hello'" in whole, whole
    pieces = [piece.delta or "" for piece in model.stream_chat(hello)]
    assert len([piece for piece in pieces if piece]) > 1, pieces
    assert "".join(pieces).strip() == whole.strip()
    assert (await model.achat(hello)).message.content == whole
    told = [piece.delta or "" async for piece in await model.astream_chat(hello)]
    assert "".join(told).strip() == whole.strip()

    tool = FunctionTool.from_defaults(get_weather)
    called = model.chat_with_tools([tool], user_msg="Weather?")
    (selection,) = model.get_tool_calls_from_response(called)
    assert (selection.tool_name, selection.tool_kwargs) == ("get_weather", {"city": "Paris"})
    agent = FunctionAgent(tools=[tool], llm=model, system_prompt="Use the tool.")
    said = str(await agent.run("Weather?"))
    assert "It is 21 degrees in Paris." in said, said
    assert model.structured_predict(City, PromptTemplate("A city")) == City(name="Paris", country="France")


for kind in (OpenAI, OpenAIResponses):
    asyncio.run(check(kind(model="gpt-4.1", api_base=os.environ["OPENAI_BASE_URL"], max_retries=0, timeout=60)))
print("passed")
