"""Signing in with a key, and out. The key goes into a sealed session, never to the browser again."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.access.sessions import Keys, form_token
from inhouse.console.pages import Pages
from inhouse.console.session import COOKIE, FORM_COOKIE, Door, read_form, set_cookie

FAILURES = 10
"""Wrong keys that one address may try in ``WINDOW_S`` seconds."""
WINDOW_S = 60.0
_FORM_S = 3600
_REMEMBERED = 10_000


class Signing:
    """The pages ``/sign-in`` and ``/sign-out``."""

    def __init__(self, pages: Pages, door: Door) -> None:
        self.pages = pages
        self.door = door
        self._failures: OrderedDict[str, list[float]] = OrderedDict()

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.ask, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-out", self.leave, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        return await self._form(request, 200, "", request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        fields = await read_form(request, request.cookies.get(FORM_COOKIE, ""))
        if fields is None:
            return await self._form(request, 403, "This page was open too long. Try once more.", "")
        to = fields.get("next", "")
        address = request.client.host if request.client else ""
        if self._tired(address):
            return await self._form(request, 429, "Too many wrong keys. Wait a minute.", to)
        key = fields.get("key", "").strip()
        caller = await self.door.prove(key)
        if caller is None:
            self._failed(address)
            return await self._form(request, 401, "This key is not valid here.", to)
        before = await self.door.who(request)
        held = before.keys if before and before.organization_id == caller.organization_id else Keys()
        keys = Keys(held.project, key) if caller.admin else Keys(key, held.admin)
        if before is not None:
            await self.door.sessions.close(before.token)
        token = await self.door.sessions.open(keys)
        response = RedirectResponse(local(to), 303)
        set_cookie(request, response, COOKIE, token, self.door.sessions.lifetime_s)
        response.delete_cookie(FORM_COOKIE)
        return response

    async def leave(self, request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        if await read_form(request, token) is None:
            return RedirectResponse("/models", 303)
        await self.door.sessions.close(token)
        response = RedirectResponse("/models", 303)
        response.delete_cookie(COOKIE)
        return response

    async def _form(self, request: Request, status: int, problem: str, to: str) -> Response:
        token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
        signed_in = await self.door.who(request)
        response = self.pages.answer(
            request,
            "sign_in.html.jinja",
            status,
            problem=problem,
            to=local(to),
            csrf=form_token(token),
            has_project=signed_in is not None and signed_in.project is not None,
            has_admin=signed_in is not None and signed_in.admin is not None,
        )
        set_cookie(request, response, FORM_COOKIE, token, _FORM_S)
        response.headers["cache-control"] = "no-store"
        return response

    def _tired(self, address: str) -> bool:
        recent = [at for at in self._failures.get(address, ()) if at > time.monotonic() - WINDOW_S]
        return len(recent) >= FAILURES

    def _failed(self, address: str) -> None:
        now = time.monotonic()
        self._failures[address] = [*(at for at in self._failures.pop(address, ()) if at > now - WINDOW_S), now]
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)


def local(path: str) -> str:
    """``path`` if it is one of this site, else the dashboard: nobody is led elsewhere after signing in."""
    plain = path.isprintable() and "\\" not in path and path.startswith("/") and not path.startswith("//")
    return path if plain else "/dashboard"


def to_sign_in(request: Request) -> Response:
    """Where somebody goes who is not signed in, and comes back from."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': asked})}", 303)
