"""What belongs to another project or organization does not exist: for every operation and every field that names
something, the answer is that for an id which nobody has."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection, insert
from tests.scripted import Say, ScriptedEngine
from tests.walking import Walk, walking

from inhouse.api.operation import operations_of
from inhouse.api.surface import FACES
from inhouse.kit.ids import new_id
from inhouse.storage.schema import organizations, projects

OFFERED = [
    each for each in operations_of(*FACES) if not each.path.startswith(("/organization", "/projects", "/models"))
]
OPERATIONS = [each for each in OFFERED if "{" in each.path]
LISTS = [each.path for each in OFFERED if each.method == "GET" and "{" not in each.path]
SAID = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, Any] = {
    "updateChatCompletion": {"metadata": {"a": "b"}},
    "updateConversation": {"metadata": {"a": "b"}},
    "createConversationItems": {"items": SAID},
    "modifyAssistant": {"name": "Taken over"},
    "modifyThread": {"metadata": {"a": "b"}},
    "createMessage": {"role": "user", "content": "Hi"},
    "modifyMessage": {"metadata": {"a": "b"}},
    "createRun": {"assistant_id": "asst_of_ones_own"},
    "modifyRun": {"metadata": {"a": "b"}},
    "submitToolOuputsToRun": {"tool_outputs": []},
    "completeUpload": {"part_ids": ["part_of_ones_own"]},
    "modifyVectorStore": {"name": "Taken over"},
    "searchVectorStore": {"query": "secrets"},
    "createVectorStoreFile": {"file_id": "file-of-ones-own"},
    "updateVectorStoreFileAttributes": {"attributes": {"a": "b"}},
    "createVectorStoreFileBatch": {"file_ids": ["file-of-ones-own"]},
    "updateWebhookEndpoint": {"name": "Taken over"},
    "testWebhookEndpoint": {"event_type": "batch.completed"},
}
FIELDS: list[tuple[str, str, Any]] = [
    ("/chat/completions", "file_id", lambda id: chat({"type": "file", "file": {"file_id": id}})),
    ("/responses", "response_id", lambda id: {"model": "gpt-4.1", "input": "Hi", "previous_response_id": id}),
    ("/responses", "conversation_id", lambda id: {"model": "gpt-4.1", "input": "Hi", "conversation": id}),
    ("/responses", "item_id", lambda id: {"model": "gpt-4.1", "input": [{"type": "item_reference", "id": id}]}),
    ("/responses", "file_id", lambda id: said({"type": "input_file", "file_id": id})),
    ("/responses", "vector_store_id", lambda id: searching(id)),
    ("/batches", "file_id", lambda id: batch(id)),
    ("/vector_stores", "file_id", lambda id: {"file_ids": [id]}),
    ("/assistants", "vector_store_id", lambda id: {"model": "gpt-4.1", "tool_resources": resources(id)}),
    ("/threads", "vector_store_id", lambda id: {"tool_resources": resources(id)}),
    ("/threads", "file_id", lambda id: {"messages": [{**SAID[0], "attachments": attached(id)}]}),
    ("/threads/runs", "assistant_id", lambda id: {"assistant_id": id, "thread": {"messages": SAID}}),
    ("/threads/{thread_id}/runs", "assistant_id", lambda id: {"assistant_id": id}),
    ("/threads/{thread_id}/messages", "file_id", lambda id: {**SAID[0], "attachments": attached(id)}),
    ("/vector_stores/{vector_store_id}/files", "file_id", lambda id: {"file_id": id}),
    ("/vector_stores/{vector_store_id}/file_batches", "file_id", lambda id: {"file_ids": [id]}),
    ("/uploads/{upload_id}/complete", "part_id", lambda id: {"part_ids": [id]}),
]
"""Where a body names something: path, what, and the body."""


def chat(part: Any) -> Any:
    return {"model": "gpt-4.1", "messages": [{"role": "user", "content": [part]}]}


def said(part: Any) -> Any:
    return {"model": "gpt-4.1", "input": [{"role": "user", "content": [part]}]}


def searching(id: str) -> Any:
    tools = [{"type": "file_search", "vector_store_ids": [id]}]
    return {"model": "gpt-4.1", "input": "Hi", "tools": tools}


def batch(id: str) -> Any:
    return {"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h"}


def resources(id: str) -> Any:
    return {"file_search": {"vector_store_ids": [id]}}


def attached(id: str) -> Any:
    return [{"file_id": id, "tools": [{"type": "file_search"}]}]


class Tenant:
    """A project with a key, and one of everything in it."""

    def __init__(self, http: httpx2.AsyncClient, key: str) -> None:
        self.http = http
        self.key = key
        self.ids: dict[str, str] = {}

    async def send(self, method: str, path: str, body: Any = None, files: Any = None) -> Any:
        headers = {"authorization": f"Bearer {self.key}", "openai-beta": "assistants=v2"}
        return await self.http.request(method, path, headers=headers, json=body, files=files)

    async def made(self, path: str, body: Any = None, files: Any = None) -> Any:
        answer = await self.send("POST", path, body, files)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    async def ended(self, path: str) -> None:
        while (await self.send("GET", path)).json()["status"] not in ("completed", "failed"):
            await asyncio.sleep(0.02)

    async def furnish(self) -> None:
        ids = self.ids
        file = {"file": ("a.jsonl", b"\n")}
        ids["file_id"] = (await self.made("/files", files={**file, "purpose": (None, "batch")}))["id"]
        ids["completion_id"] = (await self.made("/chat/completions", {**chat_body(), "store": True}))["id"]
        ids["response_id"] = (await self.made("/responses", {"model": "gpt-4.1", "input": "Hi"}))["id"]
        conversation = await self.made("/conversations", {"items": SAID})
        ids["conversation_id"] = conversation["id"]
        items = await self.send("GET", f"/conversations/{conversation['id']}/items")
        ids["item_id"] = items.json()["data"][0]["id"]
        ids["assistant_id"] = (await self.made("/assistants", {"model": "gpt-4.1"}))["id"]
        ids["thread_id"] = thread = (await self.made("/threads", {"messages": SAID}))["id"]
        ids["message_id"] = (await self.made(f"/threads/{thread}/messages", SAID[0]))["id"]
        ids["run_id"] = run = (await self.made(f"/threads/{thread}/runs", {"assistant_id": ids["assistant_id"]}))["id"]
        await self.ended(f"/threads/{thread}/runs/{run}")
        steps = await self.send("GET", f"/threads/{thread}/runs/{run}/steps")
        ids["step_id"] = steps.json()["data"][0]["id"]
        ids["vector_store_id"] = store = (await self.made("/vector_stores", {"name": "facts"}))["id"]
        files = {"file_ids": [ids["file_id"]]}
        ids["file_batch_id"] = (await self.made(f"/vector_stores/{store}/file_batches", files))["id"]
        await self.ended(f"/vector_stores/{store}/file_batches/{ids['file_batch_id']}")
        ids["batch_id"] = (await self.made("/batches", batch(ids["file_id"])))["id"]
        await self.ended(f"/batches/{ids['batch_id']}")
        size = {"bytes": 3, "filename": "b.txt", "mime_type": "text/plain", "purpose": "user_data"}
        ids["upload_id"] = upload = (await self.made("/uploads", size))["id"]
        ids["part_id"] = (await self.made(f"/uploads/{upload}/parts", files={"data": ("p", b"abc")}))["id"]
        hook = {"url": "https://example.com/hook", "name": "hook", "event_types": ["batch.completed"]}
        ids["webhook_endpoint_id"] = (await self.made("/webhook_endpoints", hook))["id"]


def chat_body() -> Any:
    return {"model": "gpt-4.1", "messages": SAID}


def path_of(path: str, ids: dict[str, str]) -> str:
    if "/file_batches/" in path:
        ids = {**ids, "batch_id": ids["file_batch_id"]}
    return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], path)


def absent(ids: dict[str, str]) -> dict[str, str]:
    return {name: id[:-5] + "zzzzz" for name, id in ids.items()}


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    async with walking(tmp_path) as walk:
        walk.engine(ScriptedEngine(lambda request: Say(["Hello."])))
        yield walk


@pytest.fixture
async def http(walk: Walk) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=walk.platform)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test/v1", timeout=30) as http:
        yield http


async def stranger(walk: Walk, http: httpx2.AsyncClient, *, elsewhere: bool) -> Tenant:
    """A tenant of another project, of the same organization or of another."""
    access = walk.platform.access
    made = await access.bootstrap()
    project, organization = new_id("proj_"), new_id("org-") if elsewhere else made.organization_id

    def work(connection: Connection) -> None:
        if elsewhere:
            connection.execute(insert(organizations).values(id=organization, name="Other", created_at=1))
        connection.execute(
            insert(projects).values(id=project, organization_id=organization, name="Other", created_at=1)
        )

    await walk.platform.database.write(work)
    key = await access.create_key("theirs", project_id=project)
    return Tenant(http, key.secret)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["project", "organization"])
async def test_what_is_anothers_does_not_exist(walk: Walk, http: httpx2.AsyncClient, elsewhere: bool) -> None:
    theirs = Tenant(http, (await walk.platform.access.create_key("owner")).secret)
    mine = await stranger(walk, http, elsewhere=elsewhere)
    await theirs.furnish()
    await mine.furnish()
    before = await everything(theirs)

    async def same(what: str, method: str, path: str, named: list[str], body: Any) -> None:
        """Everything another's, and then only what is named last."""
        for kept in {0, len(named) - 1}:
            around = {name: mine.ids[name] for name in named[:kept]}
            answers = []
            for ids in (theirs.ids, absent(theirs.ids)):
                ids = {**ids, **around}
                content = body(ids) if callable(body) else body
                files = {"data": ("p", b"abc")} if path.endswith("/parts") else None
                answer = await mine.send(method, path_of(path, ids), None if files else content, files)
                told = answer.text
                for name, id in theirs.ids.items():
                    told = told.replace(id, name).replace(absent(theirs.ids)[name], name)
                answers.append((answer.status_code, re.sub(r"req_\w+", "", told)))
            assert answers[0] == answers[1], what
            assert 400 <= answers[0][0] < 500, (what, answers[0])
            if not body or not callable(body):
                assert answers[0][0] == 404, (what, answers[0])

    for operation in OPERATIONS:
        names = re.findall(r"\{(\w+)\}", operation.path)
        await same(operation.id, operation.method, operation.path, names, BODIES.get(operation.id))
    for path, name, body in FIELDS:
        around = re.findall(r"\{(\w+)\}", path)
        await same(f"{path}: {name}", "POST", path, [*around, name], lambda ids, name=name, body=body: body(ids[name]))
    for path in LISTS:
        for name, id in theirs.ids.items():
            after, nowhere = await mine.send("GET", f"{path}?after={id}"), absent(theirs.ids)[name]
            other = await mine.send("GET", f"{path}?after={nowhere}")
            assert after.status_code == other.status_code, (path, name)
            assert after.text.replace(id, nowhere) == other.text, (path, name)
        listed = await mine.send("GET", path)
        assert not [id for id in theirs.ids.values() if id in listed.text], path
    assert len(LISTS) >= 5
    assert await everything(theirs) == before


async def everything(tenant: Tenant) -> list[Any]:
    found = []
    for operation in OPERATIONS:
        if operation.method == "GET":
            answer = await tenant.send("GET", path_of(operation.path, tenant.ids))
            found.append((operation.id, answer.status_code, answer.text))
    return found
