"""Assistants, threads, messages, runs and steps over HTTP."""

from __future__ import annotations

from typing import Any

from inhouse.api.assistants import wire
from inhouse.api.assistants.assistants import AssistantsService
from inhouse.api.assistants.migrating import Migrations
from inhouse.api.assistants.runs import RunsService
from inhouse.api.assistants.threads import ThreadsService
from inhouse.api.operation import Request, operation
from inhouse.kit.errors import NotFound, Overloaded
from inhouse.kit.sse import EventStream

ASSISTANT = "/assistants/{assistant_id}"
THREAD = "/threads/{thread_id}"
MESSAGE = f"{THREAD}/messages/{{message_id}}"
RUN = f"{THREAD}/runs/{{run_id}}"
STEP = f"{RUN}/steps/{{step_id}}"
COMMON: Any = {"tag": "Assistants", "deprecated": True, "beta": "assistants=v2", "errors": (NotFound, Overloaded)}


class Assistants:
    def __init__(self, service: AssistantsService, migrations: Migrations) -> None:
        self._service = service
        self._migrations = migrations

    @operation("POST", "/assistants", id="createAssistant", **COMMON)
    async def create(self, request: Request, body: wire.CreateAssistant) -> wire.Assistant:
        """Make an assistant."""
        return await self._service.create(request.caller, body)

    @operation("GET", "/assistants", id="listAssistants", **COMMON)
    async def list(self, request: Request, query: wire.OldPageQuery) -> wire.AssistantList:
        """List assistants."""
        return await self._service.list(request.caller, query)

    @operation("GET", ASSISTANT, id="getAssistant", **COMMON)
    async def retrieve(self, request: Request, assistant_id: str) -> wire.Assistant:
        """Get an assistant."""
        return await self._service.retrieve(request.caller, assistant_id)

    @operation("POST", ASSISTANT, id="modifyAssistant", **COMMON)
    async def update(self, request: Request, assistant_id: str, body: wire.UpdateAssistant) -> wire.Assistant:
        """Change an assistant."""
        return await self._service.update(request.caller, assistant_id, body)

    @operation("DELETE", ASSISTANT, id="deleteAssistant", **COMMON)
    async def delete(self, request: Request, assistant_id: str) -> wire.AssistantDeleted:
        """Delete an assistant.

        Threads and runs stay.
        """
        return await self._service.delete(request.caller, assistant_id)

    @operation("POST", f"{ASSISTANT}/migrate", id="migrateAssistant", **COMMON)
    async def migrate(self, request: Request, assistant_id: str) -> wire.Migration:
        """Make a saved prompt of an assistant, and conversations of its threads.

        Nothing is taken away. What cannot be carried over is told.
        """
        return await self._migrations.migrate(request.caller, assistant_id)


class Threads:
    def __init__(self, service: ThreadsService) -> None:
        self._service = service

    @operation("POST", "/threads", id="createThread", **COMMON)
    async def create(self, request: Request, body: wire.CreateThread | None) -> wire.Thread:
        """Begin a thread."""
        return await self._service.create(request.caller, body or wire.CreateThread())

    @operation("GET", THREAD, id="getThread", **COMMON)
    async def retrieve(self, request: Request, thread_id: str) -> wire.Thread:
        """Get a thread."""
        return await self._service.retrieve(request.caller, thread_id)

    @operation("POST", THREAD, id="modifyThread", **COMMON)
    async def update(self, request: Request, thread_id: str, body: wire.UpdateThread) -> wire.Thread:
        """Change a thread."""
        return await self._service.update(request.caller, thread_id, body)

    @operation("DELETE", THREAD, id="deleteThread", **COMMON)
    async def delete(self, request: Request, thread_id: str) -> wire.ThreadDeleted:
        """Delete a thread and all that is in it."""
        return await self._service.delete(request.caller, thread_id)

    @operation("POST", f"{THREAD}/messages", id="createMessage", **COMMON)
    async def add_message(self, request: Request, thread_id: str, body: wire.CreateMessage) -> wire.Message:
        """Add a message to a thread.

        Refused while a run of the thread is active.
        """
        return await self._service.add_message(request.caller, thread_id, body)

    @operation("GET", f"{THREAD}/messages", id="listMessages", **COMMON)
    async def messages(self, request: Request, thread_id: str, query: wire.ListMessagesQuery) -> wire.MessageList:
        """List the messages of a thread."""
        return await self._service.messages(request.caller, thread_id, query)

    @operation("GET", MESSAGE, id="getMessage", **COMMON)
    async def retrieve_message(self, request: Request, thread_id: str, message_id: str) -> wire.Message:
        """Get a message."""
        return await self._service.retrieve_message(request.caller, thread_id, message_id)

    @operation("POST", MESSAGE, id="modifyMessage", **COMMON)
    async def update_message(
        self, request: Request, thread_id: str, message_id: str, body: wire.UpdateMessage
    ) -> wire.Message:
        """Change the metadata of a message."""
        return await self._service.update_message(request.caller, thread_id, message_id, body)

    @operation("DELETE", MESSAGE, id="deleteMessage", **COMMON)
    async def delete_message(self, request: Request, thread_id: str, message_id: str) -> wire.MessageDeleted:
        """Delete a message."""
        return await self._service.delete_message(request.caller, thread_id, message_id)


class Runs:
    def __init__(self, service: RunsService) -> None:
        self._service = service

    @operation("POST", "/threads/runs", id="createThreadAndRun", **COMMON)
    async def create_thread_and_run(
        self, request: Request, body: wire.CreateThreadAndRun
    ) -> wire.Run | EventStream[wire.AssistantStreamEvent]:
        """Begin a thread, and have an assistant answer it."""
        run = await self._service.begin(request.caller, body)
        return self._service.told(run, after=0) if body.stream else run.run

    @operation("POST", f"{THREAD}/runs", id="createRun", **COMMON)
    async def create(
        self, request: Request, thread_id: str, query: wire.IncludeQuery, body: wire.CreateRun
    ) -> wire.Run | EventStream[wire.AssistantStreamEvent]:
        """Have an assistant answer a thread.

        With `stream`, what happens is told as server-sent events. The run goes on if the client leaves.
        """
        run = await self._service.create(request.caller, thread_id, body, query.include)
        return self._service.told(run, after=0) if body.stream else run.run

    @operation("GET", f"{THREAD}/runs", id="listRuns", **COMMON)
    async def list(self, request: Request, thread_id: str, query: wire.OldPageQuery) -> wire.RunList:
        """List the runs of a thread."""
        return await self._service.list(request.caller, thread_id, query)

    @operation("GET", RUN, id="getRun", **COMMON)
    async def retrieve(self, request: Request, thread_id: str, run_id: str) -> wire.Run:
        """Get a run."""
        return await self._service.retrieve(request.caller, thread_id, run_id)

    @operation("POST", RUN, id="modifyRun", **COMMON)
    async def update(self, request: Request, thread_id: str, run_id: str, body: wire.UpdateRun) -> wire.Run:
        """Change the metadata of a run."""
        return await self._service.update(request.caller, thread_id, run_id, body)

    @operation("POST", f"{RUN}/cancel", id="cancelRun", **COMMON)
    async def cancel(self, request: Request, thread_id: str, run_id: str) -> wire.Run:
        """Cancel a run that is active."""
        return await self._service.cancel(request.caller, thread_id, run_id)

    @operation("POST", f"{RUN}/submit_tool_outputs", id="submitToolOuputsToRun", **COMMON)
    async def submit_tool_outputs(
        self, request: Request, thread_id: str, run_id: str, body: wire.SubmitToolOutputs
    ) -> wire.Run | EventStream[wire.AssistantStreamEvent]:
        """Give a run what the calls gave that it waits for."""
        run = await self._service.submit(request.caller, thread_id, run_id, body)
        return self._service.told(run, after=run.told) if body.stream else run.run

    @operation("GET", f"{RUN}/steps", id="listRunSteps", **COMMON)
    async def steps(
        self, request: Request, thread_id: str, run_id: str, query: wire.ListRunStepsQuery
    ) -> wire.RunStepList:
        """List the steps of a run."""
        return await self._service.steps(request.caller, thread_id, run_id, query)

    @operation("GET", STEP, id="getRunStep", **COMMON)
    async def retrieve_step(
        self, request: Request, thread_id: str, run_id: str, step_id: str, query: wire.IncludeQuery
    ) -> wire.RunStep:
        """Get a step of a run."""
        return await self._service.retrieve_step(request.caller, thread_id, run_id, step_id, query)
