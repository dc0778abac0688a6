"""The playground: a conversation with one model or two, over the real Responses operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inhouse.access.sessions import proves
from inhouse.console.code import LANGUAGES, snippets
from inhouse.console.session import from_here, is_secure
from inhouse.console.signing import to_sign_in

if TYPE_CHECKING:
    from inhouse.console.site import Site

IDEAS = (
    "Explain a mutex to a ten-year-old.",
    "Write a SQL query for the ten largest orders.",
    "Name three uses of a brick.",
)
MOST_BYTES = 4 * 1024 * 1024
"""Of a conversation that is shown as code."""


class Playground:
    def __init__(self, site: Site) -> None:
        self.site = site

    def routes(self) -> list[Route]:
        return [
            Route("/playground", self.page, methods=["GET"]),
            Route("/playground/code", self.code, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        signed_in = await self.site.door.who(request)
        if signed_in is None or signed_in.project is None:
            return to_sign_in(request)
        cards = [card for card in self.site.view.cards if card.endpoints.responses]
        served = {card.id: await self.site.view.served_by(card.default_snapshot) for card in cards}
        asked = request.query_params.get("model", "")
        found = self.site.view.cards.resolve(asked)
        ready = [card for card in cards if served[card.id] is not None]
        chosen = found[0].id if found and found[0] in ready else (ready[0].id if ready else "")
        return self.site.pages.answer(
            request,
            "playground.html.jinja",
            here_in="Playground",
            viewer=await self.site.viewer_of(signed_in),
            models=ready,
            served=served,
            chosen=chosen,
            languages=LANGUAGES,
            ideas=IDEAS,
        )

    async def code(self, request: Request) -> Response:
        """The request of the page as code, see ``console.code``."""
        signed_in = await self.site.door.who(request)
        if signed_in is None:
            return JSONResponse({"error": {"message": "You are not signed in."}}, 401)
        if not from_here(request) or not proves(signed_in.token, request.headers.get("x-csrf-token", "")):
            return JSONResponse({"error": {"message": "This is not a page of your session."}}, 403)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": {"message": "This conversation is too long to show as code."}}, 413)
        try:
            asked = msgspec.json.decode(body, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return JSONResponse({"error": {"message": "This is not JSON."}}, 400)
        return JSONResponse(snippets("POST", "/responses", asked, f"{base_of(request)}/v1"))


def base_of(request: Request) -> str:
    """Where a browser reaches this server."""
    scheme = "https" if is_secure(request) else request.url.scheme
    return f"{scheme}://{request.headers.get('host') or request.url.netloc}"
