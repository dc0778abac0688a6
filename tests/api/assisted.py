"""Assistants on an engine that writes what a test says."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from inhouse.api.assistants import wire
from inhouse.api.assistants.faces import assistants_faces
from inhouse.api.operation import operations_of
from inhouse.api.responses.hosting import NO_HOSTED_TOOLS, HostedTools
from inhouse.kit.sse import EventStream
from inhouse.storage.database import Database
from scripted import Platform, ScriptedEngine

ACTIVE = ("queued", "in_progress", "cancelling")
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


class Assisted(Platform):
    def __init__(
        self,
        database: Database,
        engine: ScriptedEngine,
        hosts: HostedTools = NO_HOSTED_TOOLS,
        *,
        expires_s: float = 600,
        stores: Any = None,
    ) -> None:
        super().__init__(database, engine, hosts)
        faces = assistants_faces(self.calls, database, self.runner, hosts, None, stores, expires_s=expires_s)
        self.operations |= {operation.id: operation for operation in operations_of(*faces)}

    async def assistant(self, **body: Any) -> str:
        made = await self.call("createAssistant", {"model": "gpt-4.1", **body})
        return str(made["id"])

    async def thread(self, *texts: str) -> str:
        messages = [{"role": "user", "content": text} for text in texts]
        return str((await self.call("createThread", {"messages": messages}))["id"])

    async def run(self, thread_id: str, assistant_id: str, **body: Any) -> Any:
        return await self.call("createRun", {"assistant_id": assistant_id, **body}, thread_id=thread_id)

    async def told(self, id: str, body: dict[str, Any], **path: str) -> list[dict[str, Any]]:
        """The events of a stream, each with its name."""
        result = await self._result(id, {**body, "stream": True}, "proj_one", "", path)
        assert isinstance(result, EventStream)
        return await read(result)

    async def ended(self, thread_id: str, run_id: str) -> dict[str, Any]:
        """The run, once nothing happens any more without the client."""
        async with asyncio.timeout(120):
            while True:
                run: dict[str, Any] = await self.call("getRun", thread_id=thread_id, run_id=run_id)
                if run["status"] not in ACTIVE:
                    return run
                await asyncio.sleep(0.02)

    async def said(self, thread_id: str) -> list[tuple[str, str]]:
        """Who said what, the oldest first."""
        page = await self.call("listMessages", thread_id=thread_id, query="order=asc")
        return [(each["role"], "".join(part["text"]["value"] for part in each["content"])) for each in page["data"]]

    async def steps(self, thread_id: str, run_id: str) -> list[dict[str, Any]]:
        page = await self.call("listRunSteps", thread_id=thread_id, run_id=run_id, query="order=asc")
        return list(page["data"])


async def read(stream: EventStream[Any]) -> list[dict[str, Any]]:
    """The events as a client reads them off the wire; each fits the contract."""
    told: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(120):
            async for batch in stream.batches:
                for frame in stream.frame(batch).decode().split("\n\n")[:-1]:
                    name, data = frame.split("\n", 1)
                    event = {"event": name.removeprefix("event: "), "data": msgspec.json.decode(data[6:])}
                    msgspec.convert(event, wire.AssistantStreamEvent)
                    told.append(event)
    finally:
        await stream.batches.aclose()
    return told


def names(told: list[dict[str, Any]]) -> list[str]:
    """Events without the repeated deltas."""
    found: list[str] = []
    for event in told:
        name = event["event"].removeprefix("thread.")
        if not (name.endswith(".delta") and found and found[-1] == name):
            found.append(name)
    return found
