"""Who is signed in to the console, and what every change must prove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from inhouse.access import Caller
from inhouse.access.sessions import Keys, Sessions, form_token, proves
from inhouse.kit.errors import APIError

COOKIE = "inhouse_session"
FORM_COOKIE = "inhouse_form"
MOST_FORM_BYTES = 64 * 1024
"""Of any form of the console."""


class Access(Protocol):
    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Caller:
        """The caller that the request's headers prove. Raises Unauthenticated."""


class SignedIn(msgspec.Struct, frozen=True):
    """A session whose keys are valid right now."""

    token: str
    keys: Keys
    project: Caller | None
    admin: Caller | None

    @property
    def csrf(self) -> str:
        return form_token(self.token)

    @property
    def organization_id(self) -> str:
        caller = self.project or self.admin
        return caller.organization_id if caller else ""


class Door:
    """Finds the session of a request. Keys are proved anew each time, so a revoked one opens nothing."""

    def __init__(self, sessions: Sessions, access: Access) -> None:
        self.sessions = sessions
        self.access = access

    async def who(self, request: Request) -> SignedIn | None:
        token = request.cookies.get(COOKIE, "")
        keys = await self.sessions.find(token)
        if keys is None:
            return None
        project, admin = await self.prove(keys.project), await self.prove(keys.admin)
        return SignedIn(token, keys, project, admin) if project or admin else None

    async def prove(self, key: str) -> Caller | None:
        if not key:
            return None
        try:
            return await self.access.authenticate({"authorization": f"Bearer {key}"})
        except APIError:
            return None


def set_cookie(request: Request, response: Response, name: str, value: str, max_age: int) -> None:
    response.set_cookie(
        name, value, max_age=max_age, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )


def from_here(request: Request) -> bool:
    """Whether a browser says that a change comes from a page of this site; clients that say nothing pass."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def read_form(request: Request, token: str) -> dict[str, str] | None:
    """The fields of a form that proves to come from here; None if it does not, or is too large."""
    if not from_here(request) or not token:
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            return None
    fields = fields_of_form(body)
    return fields if proves(token, fields.get("csrf", "")) else None


def fields_of_form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200))
    except ValueError:
        return {}
