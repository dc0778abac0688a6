"""Batches and how far they are, as it happens."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.session import SignedIn

BATCHES = "/v1/batches"


class Batches(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/batches", self.list, methods=["GET"]),
            Route("/dashboard/batches", self.cancel, methods=["POST"]),
            Route("/dashboard/batches/live", self.follow, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        return await self._list(request, signed_in)

    async def follow(self, request: Request) -> Response:
        return await self.live(request, "project", "dashboard/batches_table.jinja", self._gather)

    async def cancel(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        answer = await self.call(signed_in, "POST", f"{BATCHES}/{quote(fields.get('batch', ''), safe='')}/cancel")
        if answer.ok:
            return back("/dashboard/batches")
        return await self._list(request, signed_in, problem=answer.message, status=400)

    async def _list(self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200) -> Response:
        if only := request.query_params.get("batch"):
            answer = await self.get(signed_in, f"{BATCHES}/{quote(only, safe='')}")
            one = {"records": [answer.json] if answer.ok else [], "more": None, "csrf_token": signed_in.csrf}
            status, problem = (status, problem) if answer.ok else (answer.status, answer.message)
            template = "dashboard/batches.html.jinja"
            return await self.page(request, signed_in, template, status, problem=problem, first=False, only=True, **one)
        after = request.query_params.get("after") or None
        found = await self._gather(signed_in, after)
        return await self.page(
            request,
            signed_in,
            "dashboard/batches.html.jinja",
            status,
            problem=problem,
            first=not after,
            only=False,
            **found,
        )

    async def _gather(self, signed_in: SignedIn, after: str | None = None) -> dict[str, Any]:
        answer = await self.get(signed_in, BATCHES, limit=20, after=after)
        page = answer.json if answer.ok else {}
        return {
            "records": page.get("data", []),
            "more": page.get("last_id") if page.get("has_more") else None,
            "csrf_token": signed_in.csrf,
        }
