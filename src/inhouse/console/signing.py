"""Signing in with a password or a key, and out; choosing a password with a link.

A key goes into a sealed session, never to the browser again.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.access.accounts import Accounts
from inhouse.access.sessions import NO_KEYS, Keys, form_token
from inhouse.console.attempts import Attempts
from inhouse.console.pages import Pages
from inhouse.console.session import COOKIE, FORM_COOKIE, Door, read_form, set_cookie
from inhouse.kit.errors import APIError

_FORM_S = 3600
_WORN = "This page was open too long. Try once more."


class Signing:
    """The pages ``/sign-in``, ``/sign-out`` and ``/welcome``.

    Args:
        provider: name of the identity provider that ``/sign-in/provider`` leads to; empty if there is none.
    """

    def __init__(self, pages: Pages, door: Door, accounts: Accounts, attempts: Attempts, provider: str = "") -> None:
        self.pages = pages
        self.door = door
        self.accounts = accounts
        self.provider = provider
        self._attempts = attempts

    def routes(self) -> list[Route]:
        return [
            Route("/sign-in", self.ask, methods=["GET"]),
            Route("/sign-in", self.enter, methods=["POST"]),
            Route("/sign-out", self.leave, methods=["POST"]),
            Route("/welcome", self.welcome, methods=["GET"]),
            Route("/welcome", self.choose, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        return await self._form(request, 200, "", request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        fields = await read_form(request, request.cookies.get(FORM_COOKIE, ""))
        if fields is None:
            return await self._form(request, 403, _WORN, "")
        to, email = fields.get("next", ""), fields.get("email")
        names = [_address(request)] if email is None else [_address(request), f"person {email.strip().lower()[:320]}"]
        if await self._attempts.tired(*names):
            return await self._form(request, 429, "Too many wrong attempts. Wait a minute.", to, email=email)
        if email is not None:
            user_id = await self.accounts.check(email, fields.get("password", ""))
            if user_id is None:
                await self._attempts.failed(*names)
                return await self._form(request, 401, "No account has this address and password.", to, email=email)
            return await self.admit(request, to, user_id=user_id)
        key = fields.get("key", "").strip()
        caller = await self.door.prove(key)
        if caller is None:
            await self._attempts.failed(*names)
            return await self._form(request, 401, "This key is not valid here.", to, with_key=True)
        before = await self.door.who(request)
        held = before.keys if before and before.organization_id == caller.organization_id else Keys()
        return await self.admit(request, to, Keys(held.project, key) if caller.admin else Keys(key, held.admin))

    async def admit(self, request: Request, to: str, keys: Keys = NO_KEYS, *, user_id: str | None = None) -> Response:
        """Opens a session in place of the one before, and leads to ``to``."""
        await self.door.sessions.close(request.cookies.get(COOKIE, ""))
        token = await self.door.sessions.open(keys, user_id=user_id, agent=request.headers.get("user-agent", ""))
        response = RedirectResponse(local(to), 303)
        set_cookie(request, response, COOKIE, token, self.door.sessions.lifetime_s)
        response.delete_cookie(FORM_COOKIE)
        return response

    async def refused(self, request: Request, problem: str) -> Response:
        """The page again, with what the identity provider's way failed of."""
        return await self._form(request, 403, problem, "")

    async def leave(self, request: Request) -> Response:
        token = request.cookies.get(COOKIE, "")
        if await read_form(request, token) is None:
            return RedirectResponse("/models", 303)
        await self.door.sessions.close(token)
        response = RedirectResponse("/models", 303)
        response.delete_cookie(COOKIE)
        return response

    async def welcome(self, request: Request) -> Response:
        """Where a link leads: it asks for a password, and is only used up when one was chosen."""
        return await self._welcome(request, 200, "", request.query_params.get("token", ""))

    async def choose(self, request: Request) -> Response:
        fields = await read_form(request, request.cookies.get(FORM_COOKIE, ""))
        if fields is None:
            return await self._welcome(request, 403, _WORN, "")
        token = fields.get("token", "")
        if await self._attempts.tired(_address(request)):
            return await self._welcome(request, 429, "Too many wrong attempts. Wait a minute.", token, **_said(fields))
        if fields.get("password") != fields.get("again"):
            problem = "The two passwords are not the same."
            return await self._welcome(request, 400, problem, token, **_said(fields))
        try:
            user_id = await self.accounts.redeem(token, password=fields.get("password", ""), **_said(fields))
        except APIError as error:
            await self._attempts.failed(_address(request))
            return await self._welcome(request, 400, error.message, token, **_said(fields))
        return await self.admit(request, "/dashboard", user_id=user_id)

    async def _welcome(
        self, request: Request, status: int, problem: str, token: str, *, email: str = "", name: str = ""
    ) -> Response:
        link = await self.accounts.see(token)
        return self._guarded(
            request,
            "welcome.html.jinja",
            status if link is not None or status != 200 else 404,
            problem=problem,
            link=link,
            token=token,
            email=email,
            name=name,
        )

    async def _form(
        self, request: Request, status: int, problem: str, to: str, *, email: str | None = None, with_key: bool = False
    ) -> Response:
        signed_in = await self.door.who(request)
        return self._guarded(
            request,
            "sign_in.html.jinja",
            status,
            problem=problem,
            to=local(to),
            email=email or "",
            provider=self.provider,
            with_key=with_key or await self.accounts.nobody(),
            person=signed_in.person if signed_in else None,
            has_project=signed_in is not None and signed_in.project is not None,
            has_admin=signed_in is not None and signed_in.admin is not None,
        )

    def _guarded(self, request: Request, template: str, status: int, **context: Any) -> Response:
        """A page with a form for who is not signed in: its token goes with a cookie of its own."""
        token = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
        response = self.pages.answer(request, template, status, csrf=form_token(token), **context)
        set_cookie(request, response, FORM_COOKIE, token, _FORM_S)
        response.headers["cache-control"] = "no-store"
        return response


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _said(fields: dict[str, str]) -> dict[str, str]:
    return {"email": fields.get("email", ""), "name": fields.get("name", "")}


def local(path: str) -> str:
    """``path`` if it is one of this site, else the dashboard: nobody is led elsewhere after signing in."""
    plain = path.isprintable() and "\\" not in path and path.startswith("/") and not path.startswith("//")
    return path if plain else "/dashboard"


def to_sign_in(request: Request) -> Response:
    """Where somebody goes who is not signed in, and comes back from."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': asked})}", 303)
