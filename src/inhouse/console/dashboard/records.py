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
from inhouse.console.dashboard.saying import said, said_by
from inhouse.console.session import SignedIn

FILES = "/v1/files"
PURPOSES = {
    "user_data": "Models to read",
    "assistants": "Assistants and vector stores",
    "batch": "A batch",
    "batch_output": "Answers of a batch",
    "vision": "Pictures",
    "evals": "Evaluations",
    "fine-tune": "Fine-tuning",
}
_PARAMETERS = (
    "previous_response_id",
    "conversation",
    "instructions",
    "temperature",
    "top_p",
    "max_output_tokens",
    "tools",
    "tool_choice",
    "response_format",
    "text",
    "reasoning",
    "service_tier",
    "request_id",
)
_USUAL: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "temperature": (1.0,),
        "top_p": (1.0,),
        "tool_choice": ("auto",),
        "service_tier": ("default", "auto"),
        "text": ({"format": {"type": "text"}}, {"format": {"type": "text"}, "verbosity": "medium"}),
        "response_format": ({"type": "text"},),
    }
)
NO_NAMES: Mapping[str, str] = MappingProxyType({})
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Records(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/logs", self.logs, methods=["GET"]),
            Route("/dashboard/logs", self.delete_log, methods=["POST"]),
            Route("/dashboard/logs/{id}", self.log),
            Route("/dashboard/files", self.files, methods=["GET"]),
            Route("/dashboard/files", self.delete_file, methods=["POST"]),
            Route("/dashboard/files/{id}/content", self.download),
            Route("/dashboard/audit", self.audit),
        ]

    async def logs(self, request: Request) -> Response:
        if id := request.query_params.get("id", "").strip()[:200]:
            return await self._log(request, id)
        if request.query_params.get("kind") == "responses":
            return await self._responses(request)
        asked = {name: request.query_params.get(name, "").strip()[:600] for name in ("after", "model", "metadata")}
        key, _, value = asked["metadata"].partition("=")
        query: dict[str, Any] = {name: asked[name] or None for name in ("after", "model")}
        if key.strip():
            query[f"metadata[{key.strip()}]"] = value.strip()
        models = [each for card in self.site.view.cards for each in (card.id, *(one.id for one in card.snapshots))]
        shown = {"asked": asked, "models": models, "said_by": said_by}
        path = "/v1/chat/completions"
        return await self._list(request, "project", "logs", path, shown=shown, limit=30, order="desc", **query)

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
        words = {each.id: await self._words(signed_in, each.id) for each in found}
        return await self.page(
            request,
            signed_in,
            "dashboard/responses.html.jinja",
            records=found,
            words=words,
            more=found[-1].id if more else None,
            after=request.query_params.get("after", ""),
            problem="",
        )

    async def _words(self, signed_in: SignedIn, id: str) -> str:
        """What a stored response says, or why it failed."""
        answer = await self.get(signed_in, f"/v1/responses/{quote(id, safe='')}")
        return said_by(answer.json)[:300] if answer.ok else ""

    async def delete_log(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        id = fields.get("id", "")
        is_response = id.startswith("resp_")
        family = "responses" if is_response else "chat/completions"
        answer = await self.call(signed_in, "DELETE", f"/v1/{family}/{quote(id, safe='')}")
        if answer.ok:
            return back("/dashboard/logs" + ("?kind=responses" if is_response else ""))
        return await self.page(
            request, signed_in, "dashboard/log_missing.html.jinja", 400, id=id, problem=answer.message
        )

    async def log(self, request: Request) -> Response:
        return await self._log(request, request.path_params["id"])

    async def files(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        return signed_in if isinstance(signed_in, Response) else await self._files(request, signed_in)

    async def _files(self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200) -> Response:
        purpose = request.query_params.get("purpose", "")
        files, found, refused = await self.found(
            request,
            signed_in,
            "files",
            signed_in.project.project_id if signed_in.project else "",
            lambda id, _: f"{FILES}/{quote(id)}",
            FILES,
            purpose=purpose if purpose in PURPOSES else "",
        )
        return await self.page(
            request,
            signed_in,
            "dashboard/files.html.jinja",
            status,
            records=files,
            found=found,
            purpose=purpose,
            purposes=PURPOSES,
            problem=problem or refused,
        )

    async def download(self, request: Request) -> Response:
        """A file's content, to keep: browsers never show it as a page of this site."""
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        path = f"{FILES}/{quote(request.path_params['id'], safe='')}"
        known = await self.get(signed_in, path)
        if not known.ok:
            return await self._files(request, signed_in, problem=known.message, status=known.status)
        return self.site.operations.passed(signed_in, request, f"{path}/content")

    async def delete_file(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        answer = await self.call(signed_in, "DELETE", f"{FILES}/{quote(fields.get('file', ''), safe='')}")
        if answer.ok:
            return back("/dashboard/files")
        status = answer.status if answer.status < 500 else 400
        return await self._files(request, signed_in, problem=answer.message, status=status)

    async def audit(self, request: Request) -> Response:
        after = request.query_params.get("after")
        signed_in = await self.enter(request, "admin")
        if isinstance(signed_in, Response):
            return signed_in
        keys = {each["id"]: each["name"] for each in await self.all_of(signed_in, "/v1/organization/admin_api_keys")}
        asked = {name: request.query_params.get(name, "").strip()[:320] for name in ("type", "by")}
        types = await self.site.finding.audited(signed_in.admin.organization_id) if signed_in.admin else []
        asked["type"] = asked["type"] if asked["type"] in types else ""
        query = {"event_types[]": asked["type"] or None, "actor_emails[]": asked["by"] or None, "after": after or None}
        path = "/v1/organization/audit_logs"
        shown = {"asked": asked, "types": types}
        return await self._list(request, "admin", "audit", path, signed_in, keys, shown, limit=50, **query)

    async def _list(
        self,
        request: Request,
        need: Need,
        name: str,
        path: str,
        signed_in: SignedIn | Response | None = None,
        keys: Mapping[str, str] = NO_NAMES,
        shown: Mapping[str, Any] = NOTHING,
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
            after=query.get("after") or "",
            **shown,
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
            items=[said(item) for item in items],
            asked=_asked(record),
            whole=json.dumps(record, indent=2, ensure_ascii=False),
        )


def _asked(record: dict[str, Any]) -> list[tuple[str, str]]:
    """What was asked for besides the input: the parameters that say something."""
    pairs = []
    for name in _PARAMETERS:
        value = record.get(name)
        if value is None or value in ({}, [], *_USUAL.get(name, ())):
            continue
        if isinstance(value, dict) and all(each is None for each in value.values()):
            continue
        if name == "tools":
            value = ", ".join(str((one.get("function") or one).get("name") or one.get("type")) for one in value)
        pairs.append((name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return pairs


def _actor(entry: dict[str, Any], keys: Mapping[str, str]) -> str:
    """Who did what an entry of the audit log tells: a person's address, a key's name or id, or the kind of actor."""
    actor = entry.get("actor") or {}
    if user := (actor.get("session") or {}).get("user"):
        return str(user.get("email") or user.get("id"))
    key = str((actor.get("api_key") or {}).get("id") or "")
    return keys.get(key) or key or str(actor.get("type") or "–")
