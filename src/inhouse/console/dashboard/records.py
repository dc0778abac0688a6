"""What a project keeps: stored completions, responses, files; and the organization's audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.behind import Listed
from inhouse.console.dashboard.base import Need, Section, back
from inhouse.console.session import SignedIn

NO_NAMES: Mapping[str, str] = MappingProxyType({})


class Records(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/logs", self.logs),
            Route("/dashboard/logs/{id}", self.log),
            Route("/dashboard/files", self.files, methods=["GET"]),
            Route("/dashboard/files", self.delete_file, methods=["POST"]),
            Route("/dashboard/audit", self.audit),
        ]

    async def logs(self, request: Request) -> Response:
        asked = request.query_params.get("id", "").strip()[:200]
        if asked:
            return await self._log(request, asked)
        if request.query_params.get("kind") == "responses":
            return await self._responses(request)
        after = request.query_params.get("after")
        return await self._list(
            request, "project", "logs", "/v1/chat/completions", limit=30, order="desc", after=after or None
        )

    async def _responses(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        found: Sequence[Listed] = ()
        more = False
        caller = signed_in.project
        if caller is not None and caller.may("api.responses.read"):
            after = request.query_params.get("after") or None
            found, more = await self.site.behind.recent_responses(caller.project_id, after, 30)
        return await self.page(
            request,
            signed_in,
            "dashboard/responses.html.jinja",
            records=found,
            more=found[-1].id if more else None,
            problem="",
        )

    async def log(self, request: Request) -> Response:
        return await self._log(request, request.path_params["id"])

    async def files(self, request: Request) -> Response:
        after = request.query_params.get("after")
        return await self._list(request, "project", "files", "/v1/files", limit=50, order="desc", after=after or None)

    async def delete_file(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        answer = await self.call(signed_in, "DELETE", f"/v1/files/{quote(fields.get('file', ''), safe='')}")
        if answer.ok:
            return back("/dashboard/files")
        return await self.page(
            request,
            signed_in,
            "dashboard/files.html.jinja",
            answer.status if answer.status < 500 else 400,
            records=[],
            more=None,
            problem=answer.message,
        )

    async def audit(self, request: Request) -> Response:
        after = request.query_params.get("after")
        signed_in = await self.enter(request, "admin")
        if isinstance(signed_in, Response):
            return signed_in
        keys = {each["id"]: each["name"] for each in await self.all_of(signed_in, "/v1/organization/admin_api_keys")}
        path = "/v1/organization/audit_logs"
        return await self._list(request, "admin", "audit", path, signed_in, keys, limit=50, after=after or None)

    async def _list(
        self,
        request: Request,
        need: Need,
        name: str,
        path: str,
        signed_in: SignedIn | Response | None = None,
        keys: Mapping[str, str] = NO_NAMES,
        **query: Any,
    ) -> Response:
        signed_in = signed_in or await self.enter(request, need)
        if isinstance(signed_in, Response):
            return signed_in
        answer = await self.get(signed_in, path, **query)
        page = answer.json if answer.ok else {}
        return await self.page(
            request,
            signed_in,
            f"dashboard/{name}.html.jinja",
            records=page.get("data", []),
            more=page.get("last_id") if page.get("has_more") else None,
            problem="" if answer.ok else answer.message,
            actor_of=lambda entry: _actor(entry, keys),
            project_of=lambda entry: (entry.get("project") or {}).get("name") or "–",
        )

    async def _log(self, request: Request, id: str) -> Response:
        """A stored completion or a response, with its items, by its id."""
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        safe = quote(id, safe="")
        if id.startswith("resp_"):
            found = await self.get(signed_in, f"/v1/responses/{safe}")
            inputs = await self.get(signed_in, f"/v1/responses/{safe}/input_items", order="asc", limit=100)
        else:
            found = await self.get(signed_in, f"/v1/chat/completions/{safe}")
            inputs = await self.get(signed_in, f"/v1/chat/completions/{safe}/messages", limit=100)
        if not found.ok:
            return await self.page(request, signed_in, "dashboard/log_missing.html.jinja", 404, id=id)
        record = found.json
        output = record.get("output") or [choice["message"] for choice in record.get("choices", ())]
        items = [*(inputs.json["data"] if inputs.ok else ()), *output]
        return await self.page(
            request,
            signed_in,
            "dashboard/log.html.jinja",
            record=record,
            items=[(_speaker(item), _said(item)) for item in items],
            whole=json.dumps(record, indent=2, ensure_ascii=False),
        )


def _speaker(item: dict[str, Any]) -> str:
    return str(item.get("role") or item.get("type") or "item").replace("_", " ")


def _said(item: dict[str, Any]) -> str:
    """What an item says, as text: its words, or itself where it has none."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        words = [str(part.get("text") or part.get("refusal") or f"[{part.get('type')}]") for part in content]
        return "\n".join(words)
    if item.get("type") == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    return json.dumps(item, indent=2, ensure_ascii=False)


def _actor(entry: dict[str, Any], keys: Mapping[str, str]) -> str:
    """Who did what an entry of the audit log tells: a person's address, a key's name or id, or the kind of actor."""
    actor = entry.get("actor") or {}
    if user := (actor.get("session") or {}).get("user"):
        return str(user.get("email") or user.get("id"))
    key = str((actor.get("api_key") or {}).get("id") or "")
    return keys.get(key) or key or str(actor.get("type") or "–")
