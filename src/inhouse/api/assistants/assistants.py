"""Assistants: made, changed, listed, deleted."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from inhouse.access import Caller
from inhouse.api.assistants import store, wire
from inhouse.api.assistants.telling import (
    assistant_of,
    cursor,
    listed,
    named_cursor,
    not_found,
    text,
    with_defaults,
)
from inhouse.api.assistants.tools import Keeping, check_tools, kept_resources
from inhouse.api.responses.hosting import HostedTools
from inhouse.calls import Calls
from inhouse.generation.schema import check_lenient, check_strict
from inhouse.kit.errors import InvalidRequest
from inhouse.kit.ids import new_id, request_id
from inhouse.limits import Demand
from inhouse.storage.database import Database


class AssistantsService:
    def __init__(self, calls: Calls, database: Database, hosts: HostedTools, keeping: Keeping) -> None:
        self._calls = calls
        self._database = database
        self._hosts = hosts
        self._keeping = keeping

    async def create(self, caller: Caller, body: wire.CreateAssistant) -> wire.Assistant:
        now = store.now()
        assistant = wire.Assistant(
            id=new_id("asst_"),
            created_at=now // 1_000_000,
            tool_resources=await kept_resources(body.tool_resources, caller.project_id, self._keeping),
            **_same(body, "tool_resources"),
        )
        self._check(caller, assistant)
        await self._database.write(
            partial(
                store.add_assistant,
                project_id=caller.project_id,
                id=assistant.id,
                created_at=now,
                body=text(assistant),
            )
        )
        return with_defaults(assistant)

    async def retrieve(self, caller: Caller, assistant_id: str) -> wire.Assistant:
        return with_defaults(
            await self._database.read(partial(find_assistant, project_id=caller.project_id, id=assistant_id))
        )

    async def update(self, caller: Caller, assistant_id: str, body: wire.UpdateAssistant) -> wire.Assistant:
        given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
        if "tool_resources" in given:
            given["tool_resources"] = await kept_resources(
                body.tool_resources or None, caller.project_id, self._keeping
            )

        finding = partial(find_assistant, project_id=caller.project_id, id=assistant_id)
        self._check(caller, msgspec.structs.replace(await self._database.read(finding), **given))

        def work(connection: Connection) -> wire.Assistant:
            changed = msgspec.structs.replace(finding(connection), **given)
            store.set_assistant(connection, assistant_id, text(changed))
            return changed

        return with_defaults(await self._database.write(work))

    async def delete(self, caller: Caller, assistant_id: str) -> wire.AssistantDeleted:
        deleting = partial(store.delete_assistant, project_id=caller.project_id, id=assistant_id)
        if not await self._database.write(deleting):
            raise not_found("assistant", assistant_id)
        return wire.AssistantDeleted(id=assistant_id)

    async def list(self, caller: Caller, query: wire.OldPageQuery) -> wire.AssistantList:
        with named_cursor("assistant"):
            found = await self._database.read(
                partial(store.assistants_page, project_id=caller.project_id, cursor=cursor(query))
            )
        page: wire.AssistantList = listed(wire.AssistantList, found, lambda body: with_defaults(assistant_of(body)))
        return page

    def _check(self, caller: Caller, assistant: wire.Assistant) -> None:
        check_settings(self._calls, caller, assistant.model, assistant, self._hosts)


def find_assistant(connection: Connection, project_id: str, id: str) -> wire.Assistant:
    """An assistant of a project, as it is kept. Raises NotFound."""
    body = store.get_assistant(connection, project_id, id)
    if body is None:
        raise not_found("assistant", id)
    return assistant_of(body)


def check_settings(
    calls: Calls,
    caller: Caller,
    model: str,
    given: wire.Assistant | wire.Run,
    hosts: HostedTools,
    *,
    reasoning_effort: str | None = None,
) -> None:
    """Refuse what the model, or this server, does not take.

    Raises:
        NotFound: no such model here, or it is not deployed.
        Forbidden: the caller's project may not use it.
        InvalidRequest: a parameter, a tool or a schema is not taken.
    """
    call = calls.open(
        caller,
        "createRun",
        model,
        request_id=request_id(),
        endpoint="assistants",
        demand=Demand(input_tokens=0),
        respond={},
    )
    for refused in call.card.parameters.refused:
        asked = getattr(given, refused.name, None) or (reasoning_effort if refused.name == "reasoning_effort" else None)
        if asked not in (None, UNSET):
            raise InvalidRequest(
                f"Unsupported parameter: '{refused.name}' is not supported with this model.",
                param=refused.name,
                code="unsupported_parameter",
            )
    check_tools(given.tools, hosts, call.card.id)
    form = given.response_format
    if isinstance(form, wire.JSONSchemaFormat):
        named = form.json_schema
        if named.schema is UNSET:
            raise InvalidRequest(
                "Missing required parameter: 'response_format.json_schema.schema'.",
                param="response_format.json_schema.schema",
                code="missing_required_parameter",
            )
        check = check_strict if named.strict is True else check_lenient
        check(named.schema, context_param="response_format", name=named.name)


def _same(body: msgspec.Struct, *without: str) -> dict[str, Any]:
    return {name: getattr(body, name) for name in body.__struct_fields__ if name not in without}
