"""Receivers of a project's events, and what was told to them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.gateway import Answer
from inhouse.console.session import SignedIn
from inhouse.kit.errors import APIError

ENDPOINTS = "/v1/webhook_endpoints"
_DELIVERIES = 50


class Hooks(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/webhooks", self.show, methods=["GET"]),
            Route("/dashboard/webhooks", self.change, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        return signed_in if isinstance(signed_in, Response) else await self._show(request, signed_in)

    async def change(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        path = f"{ENDPOINTS}/{quote(fields.get('endpoint', ''), safe='')}"
        done = ""
        answer: Answer
        match fields.get("do"):
            case "create":
                kinds = await self._event_types(signed_in)
                chosen = [kind for kind in kinds if fields.get(f"event {kind}")] or kinds
                answer = await self.call(
                    signed_in, "POST", ENDPOINTS, name=fields.get("name"), url=fields.get("url"), event_types=chosen
                )
            case "rotate":
                answer = await self.call(
                    signed_in, "POST", f"{path}/rotate_secret", keep_old_secret_active_for_24_hours=True
                )
            case "enable":
                answer = await self.call(signed_in, "POST", path, name=fields.get("name"))
            case "delete":
                answer = await self.call(signed_in, "DELETE", path)
            case "test":
                answer = await self.call(signed_in, "POST", f"{path}/test", event_type=fields.get("event"))
                done = f"It answered {answer.json['status_code']}." if answer.ok else ""
            case _:
                return back("/dashboard/webhooks")
        secret = answer.json.get("signing_secret", "") if answer.ok else ""
        if answer.ok and not secret and not done:
            return back("/dashboard/webhooks")
        problem = "" if answer.ok else answer.message
        return await self._show(
            request, signed_in, secret=secret, done=done, problem=problem, status=200 if answer.ok else 400
        )

    async def _event_types(self, signed_in: SignedIn) -> list[str]:
        answer = await self.get(signed_in, "/v1/webhook_event_types")
        if not answer.ok:
            return []
        return [each if isinstance(each, str) else each["id"] for each in answer.json["data"]]

    async def _show(
        self,
        request: Request,
        signed_in: SignedIn,
        *,
        secret: str = "",
        done: str = "",
        problem: str = "",
        status: int = 200,
    ) -> Response:
        answer = await self.get(signed_in, ENDPOINTS, limit=100)
        records: list[dict[str, Any]] = answer.json["data"] if answer.ok else []
        told: list[Any] = []
        disabled: dict[str, str] = {}
        caller, webhooks = signed_in.project, self.site.behind.webhooks
        if answer.ok and caller is not None:
            # What no operation tells: who may list the endpoints may see what was told to them.
            try:
                told, _ = await webhooks.deliveries(caller.project_id, limit=_DELIVERIES)
                for each in (await webhooks.endpoints(caller.project_id, limit=100))[0]:
                    if each.disabled_at is not None:
                        disabled[each.id] = each.disabled_because or "disabled"
            except APIError as error:
                problem = problem or error.message
        return await self.page(
            request,
            signed_in,
            "dashboard/webhooks.html.jinja",
            status,
            records=records,
            names={each["id"]: each["name"] or each["id"] for each in records},
            disabled=disabled,
            deliveries=told,
            event_types=await self._event_types(signed_in),
            secret=secret,
            done=done,
            problem=problem or ("" if answer.ok else answer.message),
        )
