"""Batches and how far they are, as it happens."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.dashboard.saying import said_by
from inhouse.console.session import SignedIn

BATCHES = "/v1/batches"
FILES = "/v1/files"
ENDPOINTS = ("/v1/responses", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations")
"""Those that this server answers in batches."""
_STEPS = (
    "created",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "cancelling",
    "cancelled",
    "expired",
)
_READ = 65_536
"""Bytes of the answers that are looked at for the first lines."""
_LINES = 20


class Batches(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/batches", self.show, methods=["GET"]),
            Route("/dashboard/batches", self.change, methods=["POST"]),
            Route("/dashboard/batches/live", self.follow, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        return await self._list(request, signed_in)

    async def follow(self, request: Request) -> Response:
        if only := request.query_params.get("batch"):
            return await self.live(
                request, "project", "dashboard/batch_state.jinja", lambda signed_in: self._one(signed_in, only)
            )
        return await self.live(request, "project", "dashboard/batches_table.jinja", self._gather)

    async def change(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        match fields.get("do"):
            case "create":
                body = {name: fields.get(name, "") for name in ("input_file_id", "endpoint")}
                answer = await self.call(signed_in, "POST", BATCHES, completion_window="24h", **body)
            case _:
                answer = await self.call(
                    signed_in, "POST", f"{BATCHES}/{quote(fields.get('batch', ''), safe='')}/cancel"
                )
        if answer.ok:
            return back(f"/dashboard/batches?batch={quote(answer.json['id'])}")
        return await self._list(request, signed_in, problem=answer.message, status=400)

    async def _list(self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200) -> Response:
        if request.method == "GET" and (only := request.query_params.get("batch")):
            return await self._page_of_one(request, signed_in, only)
        after = request.query_params.get("after") or ""
        gathered = await self._gather(signed_in, after or None)
        files = await self.get(signed_in, FILES, purpose="batch", limit=100, order="desc")
        return await self.page(
            request,
            signed_in,
            "dashboard/batches.html.jinja",
            status,
            after=after,
            files=files.json["data"] if files.ok else [],
            endpoints=ENDPOINTS,
            **gathered,
            problem=problem or gathered["refused"],
        )

    async def _gather(self, signed_in: SignedIn, after: str | None = None) -> dict[str, Any]:
        answer = await self.get(signed_in, BATCHES, limit=20, after=after)
        page = answer.json if answer.ok else {}
        return {
            "records": page.get("data", []),
            "more": page.get("last_id") if page.get("has_more") else None,
            "refused": "" if answer.ok else answer.message,
            "csrf_token": signed_in.csrf,
        }

    async def _page_of_one(self, request: Request, signed_in: SignedIn, id: str) -> Response:
        answer = await self.get(signed_in, f"{BATCHES}/{quote(id, safe='')}")
        if not answer.ok:
            return await self.page(
                request, signed_in, "dashboard/batch_missing.html.jinja", answer.status, problem=answer.message
            )
        return await self.page(
            request, signed_in, "dashboard/batch.html.jinja", **await self._one(signed_in, id, answer.json)
        )

    async def _one(self, signed_in: SignedIn, id: str, batch: dict[str, Any] | None = None) -> dict[str, Any]:
        if batch is None:
            answer = await self.get(signed_in, f"{BATCHES}/{quote(id, safe='')}")
            batch = answer.json if answer.ok else None
        output = (batch or {}).get("output_file_id") or (batch or {}).get("error_file_id")
        return {
            "one": batch,
            "moments": _moments(batch or {}),
            "lines": await self._first_lines(signed_in, output) if output else [],
            "csrf_token": signed_in.csrf,
        }

    async def _first_lines(self, signed_in: SignedIn, file: str) -> list[tuple[str, int, str]]:
        """Of a file of answers the first: its line's ``custom_id``, the status, and what was said."""
        wanted = [(b"range", f"bytes=0-{_READ - 1}".encode())]
        answer = await self.site.operations.call(signed_in, "GET", f"{FILES}/{quote(file)}/content", more=wanted)
        if not answer.ok:
            return []
        lines = answer.body.split(b"\n")
        whole = lines if len(answer.body) < _READ else lines[:-1]
        return [said for line in whole[:_LINES] if (said := _line(line)) is not None]


def _moments(batch: dict[str, Any]) -> list[tuple[str, int]]:
    """What happened when."""
    told = [(name, batch.get(f"{name}_at")) for name in _STEPS]
    return [(name.replace("_", " ").capitalize(), at) for name, at in told if at]


def _line(line: bytes) -> tuple[str, int, str] | None:
    try:
        read = json.loads(line)
        response = read.get("response") or {}
        body = response.get("body") or read.get("error") or {}
        return str(read["custom_id"]), int(response.get("status_code") or 0), said_by(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
