"""Off to Responses: an assistant becomes a saved prompt, its threads become conversations.

Nothing is taken away, so that an application can move at its own pace. What cannot be carried over is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.assistants import store, wire
from inhouse.api.assistants.assistants import find_assistant
from inhouse.api.assistants.store import Entry
from inhouse.api.assistants.telling import message_of, step_of, thread_in
from inhouse.api.conversations import store as conversations
from inhouse.api.conversations.store import StoredConversation
from inhouse.api.prompts.service import PromptsService
from inhouse.api.prompts.wire import PromptContent
from inhouse.api.responses import wire as responses
from inhouse.api.responses.stored import stored_item
from inhouse.kit.ids import new_id
from inhouse.storage.database import Database

_VARIABLE = re.compile(r"\{\{.*?\}\}", re.DOTALL)
MOST_PAIRS = 16
"""Of metadata."""


class Migrations:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._prompts = PromptsService(database)

    async def migrate(self, caller: Caller, assistant_id: str) -> wire.Migration:
        """Move an assistant and the threads that it has answered. Raises NotFound."""
        project_id = caller.project_id
        assistant = await self._database.read(partial(find_assistant, project_id=project_id, id=assistant_id))
        content, left_behind = prompt_of(assistant)
        name = assistant.name or assistant.id
        prompt = await self._prompts.create(project_id, name, content)
        threads = await self._database.read(partial(store.thread_ids, project_id=project_id, assistant_id=assistant_id))
        return wire.Migration(
            assistant_id=assistant_id,
            prompt_id=prompt.id,
            left_behind=left_behind,
            threads=[await self.move_thread(project_id, each) for each in threads],
        )

    async def migrate_all(self, project_id: str) -> list[wire.Migration]:
        """Move every assistant, and every thread once, also those that no assistant has answered."""
        moved: list[wire.Migration] = []
        done: set[str] = set()
        after: str | None = None
        while True:
            cursor = store.Cursor(100, "asc", after)
            found = await self._database.read(partial(store.assistants_page, project_id=project_id, cursor=cursor))
            for body in found.bodies:
                assistant = msgspec.json.decode(body, type=wire.Assistant)
                content, left_behind = prompt_of(assistant)
                prompt = await self._prompts.create(project_id, assistant.name or assistant.id, content)
                answered = partial(store.thread_ids, project_id=project_id, assistant_id=assistant.id)
                threads = [each for each in await self._database.read(answered) if each not in done]
                done.update(threads)
                moved.append(
                    wire.Migration(
                        assistant_id=assistant.id,
                        prompt_id=prompt.id,
                        left_behind=left_behind,
                        threads=[await self.move_thread(project_id, each) for each in threads],
                    )
                )
                after = assistant.id
            if not found.more:
                break
        others = await self._database.read(partial(store.thread_ids, project_id=project_id))
        rest = [await self.move_thread(project_id, each) for each in others if each not in done]
        return [*moved, wire.Migration(threads=rest)] if rest else moved

    async def move_thread(self, project_id: str, thread_id: str) -> wire.MovedThread:
        """Make a conversation of a thread. Raises NotFound."""

        def work(connection: Connection) -> wire.MovedThread:
            thread = thread_in(connection, project_id, thread_id)
            items, left_behind = conversation_items(store.entries(connection, thread_id))
            metadata = dict(thread.metadata or {})
            if len(metadata) < MOST_PAIRS:
                metadata.setdefault("thread_id", thread_id)
            if thread.tool_resources is not None:
                left_behind.append("the thread's own tool resources: name its files or vector stores in the request")
            conversation = StoredConversation(
                new_id("conv_"), thread.created_at * 1_000_000, msgspec.json.encode(metadata).decode()
            )
            conversations.add_conversation(connection, project_id, conversation, [stored_item(item) for item in items])
            return wire.MovedThread(
                thread_id=thread_id, conversation_id=conversation.id, items=len(items), left_behind=left_behind
            )

        return await self._database.write(work)


def prompt_of(assistant: wire.Assistant) -> tuple[PromptContent, list[str]]:
    """The content of a saved prompt, and what could not be carried over."""
    left_behind: list[str] = []
    instructions = assistant.instructions or ""
    if _VARIABLE.search(instructions):
        left_behind.append("the instructions hold {{…}}, which a saved prompt takes for a variable")
    if assistant.description:
        left_behind.append("the description: a saved prompt has none")
    if assistant.metadata:
        left_behind.append("the metadata: a saved prompt has none")
    told: dict[str, Any] = {
        "messages": [{"type": "message", "role": "developer", "content": instructions}],
        "model": assistant.model,
        "temperature": assistant.temperature,
        "top_p": assistant.top_p,
        "tools": _tools(assistant, left_behind) or None,
    }
    if assistant.reasoning_effort:
        told["reasoning"] = {"effort": assistant.reasoning_effort}
    form = assistant.response_format
    if isinstance(form, wire.JSONObjectFormat):
        told["text"] = {"format": {"type": "json_object"}}
    elif isinstance(form, wire.JSONSchemaFormat):
        named = {name: value for name, value in msgspec.to_builtins(form.json_schema).items() if value is not None}
        told["text"] = {"format": {"type": "json_schema", **named}}
    return msgspec.convert(told, PromptContent), left_behind


def _tools(assistant: wire.Assistant, left_behind: list[str]) -> list[dict[str, Any]]:
    resources = assistant.tool_resources or wire.ToolResources()
    tools: list[dict[str, Any]] = []
    for tool in assistant.tools:
        match tool:
            case wire.FunctionTool(function=function):
                # A function that did not say so was never held to its schema.
                told = msgspec.to_builtins(function)
                tools.append({"parameters": None, **told, "type": "function", "strict": function.strict is True})
            case wire.FileSearchTool(file_search=options):
                search = resources.file_search
                ids = [] if search is UNSET or search.vector_store_ids is UNSET else search.vector_store_ids
                if not ids:
                    left_behind.append("file search: the assistant names no vector store")
                    continue
                found: dict[str, Any] = {"type": "file_search", "vector_store_ids": ids}
                if options is not UNSET and options.max_num_results is not UNSET:
                    found["max_num_results"] = options.max_num_results
                if options is not UNSET and options.ranking_options is not UNSET:
                    found["ranking_options"] = {"score_threshold": options.ranking_options.score_threshold}
                tools.append(found)
            case wire.CodeInterpreterTool():
                code = resources.code_interpreter
                files = [] if code is UNSET or code.file_ids is UNSET else code.file_ids
                tools.append({"type": "code_interpreter", "container": {"type": "auto", "file_ids": files}})
    return tools


def conversation_items(entries: Sequence[Entry]) -> tuple[list[responses.InputItem], list[str]]:
    """The items of a conversation, and what could not be carried over."""
    items: list[responses.InputItem] = []
    left_behind: list[str] = []
    for entry in entries:
        if entry.kind == "message":
            items += _message(message_of(entry.body), left_behind)
            continue
        step = step_of(entry.body)
        if not isinstance(step.step_details, wire.ToolCalls):
            continue
        for call in step.step_details.tool_calls:
            if not isinstance(call, wire.FunctionCall):
                left_behind.append(f"{call.id}: what a hosted tool did")
            elif call.function.output is None:
                left_behind.append(f"{call.id}: a call that was never answered")
            else:
                name, arguments = call.function.name, call.function.arguments
                items.append(responses.InputFunctionCall(call_id=call.id, name=name, arguments=arguments))
                items.append(responses.InputFunctionCallOutput(call_id=call.id, output=call.function.output))
    return items, left_behind


def _message(message: wire.Message, left_behind: list[str]) -> list[responses.InputItem]:
    if message.attachments:
        files = ", ".join(each.file_id or "?" for each in message.attachments)
        left_behind.append(f"{message.id}: its attachments ({files})")
    if message.metadata:
        left_behind.append(f"{message.id}: its metadata")
    if message.status != "completed":
        left_behind.append(f"{message.id}: that it was cut short")
    parts: list[dict[str, Any]] = []
    for part in message.content:
        match part:
            case wire.TextPart(text=text) if message.role == "assistant":
                parts.append({"type": "output_text", "text": text.value, "annotations": [], "logprobs": []})
                if text.annotations:
                    left_behind.append(f"{message.id}: its annotations")
            case wire.TextPart(text=text):
                parts.append({"type": "input_text", "text": text.value})
            case wire.RefusalPart(refusal=refusal):
                parts.append({"type": "refusal", "refusal": refusal})
            case _ if message.role == "assistant":
                left_behind.append(f"{message.id}: an image of the assistant's")
            case wire.ImageURLPart(image_url=image):
                detail = "auto" if image.detail is UNSET else image.detail
                parts.append({"type": "input_image", "image_url": image.url, "detail": detail})
            case wire.ImageFilePart(image_file=image):
                detail = "auto" if image.detail is UNSET else image.detail
                parts.append({"type": "input_image", "file_id": image.file_id, "detail": detail})
    if not parts:
        return []
    return [msgspec.convert({"type": "message", "role": message.role, "content": parts}, responses.InputMessage)]
