"""Requests beside the API: mostly of a client whose base URL lacks ``/v1``. It is told what to set it to.

The pages live beside the API, and one of them, ``/models``, even where such a client looks for the list of models: who
takes JSON and not HTML is not answered with a page.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from inhouse.api.routing import Router
from inhouse.kit.errors import NotFound
from inhouse.kit.ids import request_id

Nothing = Callable[[Request, Exception], Awaitable[Response]]

_LONGEST_SHOWN = 200


class Astray:
    """Tells requests for the API that have lost their way from those for pages.

    Args:
        nothing: answers people where no page is.
    """

    def __init__(self, router: Router, nothing: Nothing) -> None:
        self._router = router
        self._nothing = nothing

    def __contains__(self, scope: Any) -> bool:
        """Whether a program asks here for what the API has, though a page is here."""
        return scope["type"] == "http" and _takes_json(request := Request(scope)) and self._meant(request)

    async def missed(self, request: Request, error: Exception) -> Response:
        """As Starlette asks for what it has no route for."""
        if _takes_json(request) or (self._meant(request) and not _takes_html(request)):
            return self.answer(request)
        return await self._nothing(request, error)

    def answer(self, request: Request) -> Response:
        """Where the API is."""
        base = f"{request.url.scheme}://{request.url.netloc}{self._router.prefix}"
        error = NotFound(
            f"Invalid URL ({request.method} {request.url.path[:_LONGEST_SHOWN]}). The API is below "
            f"{self._router.prefix}: the base URL of a client is {base[:_LONGEST_SHOWN]}"
        )
        headers = {"x-request-id": request_id()}
        return Response(msgspec.json.encode(error.body), error.status, headers, media_type="application/json")

    def _meant(self, request: Request) -> bool:
        return self._router.has(request.method, request.url.path.rstrip("/"))


def _takes_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "") and not _takes_html(request)


def _takes_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")
