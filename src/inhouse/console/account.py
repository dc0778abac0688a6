"""One's own account: the project to work in, the password, and where one is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section
from inhouse.console.session import SignedIn, read_form
from inhouse.console.signing import local, to_sign_in
from inhouse.kit.errors import APIError

if TYPE_CHECKING:
    from inhouse.console.site import Site


class Account:
    def __init__(self, site: Site) -> None:
        self.site = site
        self._section = Section(site)

    def routes(self) -> list[Route]:
        return [
            Route("/account", self.page, methods=["GET"]),
            Route("/account", self.change, methods=["POST"]),
            Route("/account/project", self.choose, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        signed_in = await self.site.door.who(request)
        if signed_in is None or signed_in.person is None:
            return to_sign_in(request)
        return await self._page(request, signed_in)

    async def change(self, request: Request) -> Response:
        """A new password, or the end of sessions."""
        signed_in = await self.site.door.who(request)
        if signed_in is None or signed_in.person is None:
            return to_sign_in(request)
        fields = await read_form(request, signed_in.token)
        if fields is None:
            return await self._section.page(request, signed_in, "dashboard/refused.html.jinja", 403)
        user_id, here = signed_in.person.id, signed_in.session.id
        match fields.get("do"):
            case "end":
                await self.site.sessions.end(user_id, id=fields.get("session", ""))
            case "end-others":
                await self.site.sessions.end(user_id, spared=here)
            case "password":
                if fields.get("password") != fields.get("again"):
                    return await self._page(request, signed_in, "The two passwords are not the same.", 400)
                try:
                    before, new = fields.get("before", ""), fields.get("password", "")
                    await self.site.accounts.change_password(user_id, before, new, here)
                except APIError as error:
                    return await self._page(request, signed_in, error.message, 400)
                return await self._page(request, signed_in, done="Your password is changed.")
        return RedirectResponse("/account", 303)

    async def choose(self, request: Request) -> Response:
        """The project to work in. Another's changes nothing: what the user may is asked anew for every page."""
        signed_in = await self.site.door.who(request)
        if signed_in is None:
            return to_sign_in(request)
        fields = await read_form(request, signed_in.token)
        if fields is None:
            return await self._section.page(request, signed_in, "dashboard/refused.html.jinja", 403)
        person, wanted = signed_in.person, fields.get("project", "")
        if person is not None and wanted in dict(person.projects):
            await self.site.sessions.choose(signed_in.token, wanted)
        return RedirectResponse(local(fields.get("next", "")), 303)

    async def _page(
        self, request: Request, signed_in: SignedIn, problem: str = "", status: int = 200, *, done: str = ""
    ) -> Response:
        person = signed_in.person
        assert person is not None
        return await self._section.page(
            request,
            signed_in,
            "account.html.jinja",
            status,
            person=person,
            sessions=await self.site.sessions.of_user(person.id),
            here=signed_in.session.id,
            problem=problem,
            done=done,
            called=_called,
        )


def _called(agent: str) -> str:
    """A browser's name for itself, as people know it."""
    browser = next(
        (name for name in ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl") if f"{name}/" in agent), "A client"
    )
    system = next((name for name in ("Android", "iPhone", "Windows", "Mac OS X", "Linux") if name in agent), "")
    browser = {"Edg": "Edge", "OPR": "Opera"}.get(browser, browser)
    return f"{browser} on {system.replace('Mac OS X', 'macOS')}" if system else browser
