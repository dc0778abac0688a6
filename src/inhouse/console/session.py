"""Who is signed in to the console, and what every change must prove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from inhouse.access import Caller
from inhouse.access.people import People, Person
from inhouse.access.sessions import Keys, Session, Sessions, form_token, proves
from inhouse.kit.errors import APIError

COOKIE = "inhouse_session"
FORM_COOKIE = "inhouse_form"
MOST_FORM_BYTES = 64 * 1024
"""Of any form of the console."""


class Access(Protocol):
    async def authenticate(self, headers: Mapping[str, str], method: str = "", path: str = "") -> Caller:
        """The caller that the request's headers prove. Raises Unauthenticated."""


class SignedIn(msgspec.Struct, frozen=True):
    """A session whose user or keys are valid right now."""

    token: str
    session: Session
    project: Caller | None
    admin: Caller | None
    person: Person | None = None
    """None where keys are signed in."""

    @property
    def keys(self) -> Keys:
        return self.session.keys

    @property
    def csrf(self) -> str:
        return form_token(self.token)

    @property
    def organization_id(self) -> str:
        caller = self.project or self.admin
        return caller.organization_id if caller else ""

    @property
    def administered(self) -> str:
        """The organization that may be administered; empty where none."""
        return self.admin.organization_id if self.admin else ""

    def may(self, scope: str) -> bool:
        """Whether whoever is signed in may do what needs this scope."""
        return any(caller is not None and caller.may(scope) for caller in (self.admin, self.project))


class Door:
    """Finds the session of a request. Users and keys are proved anew each time, so a revoked one opens nothing."""

    def __init__(self, sessions: Sessions, access: Access, people: People) -> None:
        self.sessions = sessions
        self.access = access
        self.people = people

    async def who(self, request: Request) -> SignedIn | None:
        token = request.cookies.get(COOKIE, "")
        session = await self.sessions.find(token)
        if session is None:
            return None
        if session.user_id is not None:
            person = await self.people.find(session.user_id, session.project_id)
            return None if person is None else SignedIn(token, session, person.project, person.admin, person)
        project, admin = await self.prove(session.keys.project), await self.prove(session.keys.admin)
        return SignedIn(token, session, project, admin) if project or admin else None

    async def prove(self, key: str) -> Caller | None:
        if not key:
            return None
        try:
            return await self.access.authenticate({"authorization": f"Bearer {key}"})
        except APIError:
            return None


def set_cookie(
    request: Request,
    response: Response,
    name: str,
    value: str,
    max_age: int,
    samesite: Literal["strict", "lax"] = "strict",
) -> None:
    response.set_cookie(
        name, value, max_age=max_age, path="/", httponly=True, samesite=samesite, secure=is_secure(request)
    )


def is_secure(request: Request) -> bool:
    """Whether the browser's side of the connection is HTTPS, as it is where a proxy in front says so."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"


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
