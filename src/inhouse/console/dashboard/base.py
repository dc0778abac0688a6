"""What the pages of the dashboard share: who may see one, its navigation, its forms."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from inhouse.console.finding import Found, Kind
from inhouse.console.gateway import Answer
from inhouse.console.pages import GUARDS
from inhouse.console.session import SignedIn, read_form
from inhouse.console.signing import to_sign_in

if TYPE_CHECKING:
    from inhouse.console.site import Site

Need = Literal["project", "admin", "any"]
ENTRIES = (
    ("Overview", "/dashboard"),
    ("Usage and costs", "/dashboard/usage"),
    ("Limits", "/dashboard/limits"),
    ("Budgets", "/dashboard/budgets"),
    ("Keys", "/dashboard/keys"),
    ("Projects", "/dashboard/projects"),
    ("Members", "/dashboard/members"),
    ("Logs", "/dashboard/logs"),
    ("Batches", "/dashboard/batches"),
    ("Files", "/dashboard/files"),
    ("Vector stores", "/dashboard/stores"),
    ("Webhooks", "/dashboard/webhooks"),
    ("Audit log", "/dashboard/audit"),
    ("Engines", "/dashboard/engines"),
)
MOST_OF_A_LIST = 1000
LIVE_EVERY_S = 1.0
LIVE_FOR_S = 10.0
"""Then the browser asks again: a stream must not hold a server that wants to stop."""


class Section:
    """Pages of the dashboard; a subclass has routes."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def enter(self, request: Request, need: Need = "any") -> SignedIn | Response:
        """The session, or the answer for who has none that may see the page."""
        signed_in = await self.site.door.who(request)
        if signed_in is None:
            return to_sign_in(request)
        lacking = {"admin": signed_in.admin is None, "project": signed_in.project is None, "any": False}[need]
        if lacking:
            return await self.page(request, signed_in, "dashboard/key_needed.html.jinja", 403, need=need)
        return signed_in

    async def form(self, request: Request, need: Need) -> tuple[SignedIn, dict[str, str]] | Response:
        """The session and the fields of a form that changes something; else the answer: refused, or sign in first."""
        signed_in = await self.enter(request, need)
        if isinstance(signed_in, Response):
            return signed_in
        fields = await read_form(request, signed_in.token)
        if fields is None:
            return await self.page(request, signed_in, "dashboard/refused.html.jinja", 403)
        return signed_in, fields

    async def page(
        self, request: Request, signed_in: SignedIn, template: str, status: int = 200, **context: Any
    ) -> Response:
        response = self.site.pages.answer(
            request,
            template,
            status,
            here_in="Dashboard",
            viewer=await self.site.viewer_of(signed_in),
            entries=ENTRIES,
            path=request.url.path,
            query_with=lambda **more: _query(request, more),
            **context,
        )
        response.headers["cache-control"] = "no-store"
        return response

    async def live(
        self, request: Request, need: Need, template: str, gather: Callable[[SignedIn], Awaitable[dict[str, Any]]]
    ) -> Response:
        """A part of a page as server-sent events, each time it has changed; until the session ends."""
        entered = await self.enter(request, need)
        if isinstance(entered, Response):
            return Response(status_code=204)  # tells the browser not to come again

        async def events() -> AsyncIterator[str]:
            signed_in: SignedIn | None = entered
            shown, until = "", time.monotonic() + LIVE_FOR_S
            yield "retry: 500\n\n"
            while signed_in is not None and time.monotonic() < until:
                part = self.site.pages.render(template, **await gather(signed_in))
                if part != shown:
                    shown = part
                    yield f"data: {json.dumps(part)}\n\n"
                await asyncio.sleep(LIVE_EVERY_S)
                signed_in = await self.site.door.who(request)

        headers = {"cache-control": "no-store", "x-accel-buffering": "no", **GUARDS}
        return StreamingResponse(events(), media_type="text/event-stream", headers=headers)

    async def get(self, signed_in: SignedIn, path: str, **query: Any) -> Answer:
        return await self.site.operations.call(signed_in, "GET", path, query=query)

    async def call(self, signed_in: SignedIn, method: str, path: str, **body: Any) -> Answer:
        """An operation that changes something. Without a body where there is nothing to say."""
        return await self.site.operations.call(signed_in, method, path, body=body or None)

    async def all_of(self, signed_in: SignedIn, path: str, **query: Any) -> list[dict[str, Any]]:
        """A list whole, to choose from: the first thousand; none where it cannot be read."""
        found: list[dict[str, Any]] = []
        while len(found) < MOST_OF_A_LIST:
            answer = await self.get(signed_in, path, limit=100, **query)
            if not answer.ok:
                break
            page = answer.json
            found += page["data"]
            if not page.get("has_more") or not page["data"]:
                break
            query["after"] = page["data"][-1]["id"]
        return found

    async def found(
        self,
        request: Request,
        signed_in: SignedIn,
        kind: Kind,
        within: str,
        operation: Callable[[str, str], str],
        whole: str,
        page: int | None = None,
        **conditions: Any,
    ) -> tuple[list[dict[str, Any]], Found, str]:
        """The page of a list that a request asks for with ``q`` and ``page``.

        Args:
            operation: path of what retrieves one, by its id and that of what it belongs to.
            page: this one, whatever the request says.
            whole: path of the operation that lists them, which says whether they may be seen where there are none.

        Returns:
            What the operation answered for each, where in the list that is, and what stands against seeing it.
        """
        asked = request.query_params if request.method == "GET" else {}
        number = asked.get("page", "")
        if page is None:
            page = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1
        found = await self.site.finding.find(kind, within, asked.get("q", ""), page, **conditions)
        records: list[dict[str, Any]] = []
        for id, of in found.ids:
            answer = await self.get(signed_in, operation(id, of))
            if answer.ok:
                records.append(answer.json)
            elif answer.status != 404:  # that one was deleted meanwhile
                return [], await self.site.finding.find(kind, "", found.words), answer.message
        refused = ""
        if not found.ids:
            answer = await self.get(signed_in, whole, limit=1)
            refused = "" if answer.ok else answer.message
        return records, found, refused


def _query(request: Request, more: dict[str, Any]) -> str:
    """The query of the page that is shown, with some of it otherwise; None leaves something out."""
    asked = (dict(request.query_params) if request.method == "GET" else {}) | more
    return urlencode({name: value for name, value in asked.items() if value is not None})


def back(path: str) -> Response:
    """After a change: the page again, by GET."""
    return RedirectResponse(path, 303)
