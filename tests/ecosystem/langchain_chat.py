"""LangChain on the Responses API: answers, streams, tools, chains of responses, structured output."""

from __future__ import annotations

from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is 21 degrees in {city}."


def model(**more: object) -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4.1", use_responses_api=True, max_retries=0, timeout=60, **more)


answer = model().invoke("Hello")
assert answer.usage_metadata["total_tokens"] == 15
assert answer.response_metadata["status"] == "completed"

whole: AIMessageChunk | None = None
for chunk in model().stream("Hello"):
    whole = chunk if whole is None else whole + chunk
assert whole.text.strip() == answer.text
assert whole.usage_metadata["total_tokens"] == 15

bound = model().bind_tools([get_weather])
said = [HumanMessage("Weather?")]
said.append(bound.invoke(said))
assert [(call["name"], call["args"]) for call in said[-1].tool_calls] == [("get_weather", {"city": "Paris"})]
said += [get_weather.invoke(call) for call in said[-1].tool_calls]
assert "It is 21 degrees in Paris." in bound.invoke(said).text

chained = model(use_previous_response_id=True)
first = chained.invoke("First")
second = chained.invoke([HumanMessage("First"), first, HumanMessage("Second")])
assert "'Second' in message 3" in second.text

assert model().with_structured_output(City).invoke("A city") == City(name="Paris", country="France")
stateless = model(store=False, include=["reasoning.encrypted_content"], output_version="responses/v1")
assert stateless.invoke("Hello").text
print("passed")
