"""The console as one: navigation, who is signed in, and the routes of every page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount

from inhouse.access.sessions import Sessions
from inhouse.console.dashboard.office import Office
from inhouse.console.dashboard.records import Records
from inhouse.console.dashboard.usage import Usage
from inhouse.console.docs_pages import Docs
from inhouse.console.gateway import PREFIX, Application, Gateway, Operations
from inhouse.console.models import ModelsView, Viewer, model_pages
from inhouse.console.pages import Pages
from inhouse.console.playground import Playground
from inhouse.console.reference import Reference
from inhouse.console.session import Access, Door, SignedIn
from inhouse.console.signing import Signing
from inhouse.limits.accounts import Standing

SECTIONS = (
    ("Dashboard", "/dashboard"),
    ("Playground", "/playground"),
    ("Docs", "/docs"),
    ("API reference", "/reference"),
    ("Models", "/models"),
)


class Site:
    """What pages share: templates, sessions, operations.

    Args:
        view: cards and what serves them.
        v1: the application that serves ``/v1``.
        project_name: by a project's id.
        standing: tier and the way to the next, by an organization's id; None where nobody is limited.
        document: makes the OpenAPI document.
    """

    def __init__(
        self,
        view: ModelsView,
        v1: Application,
        access: Access,
        sessions: Sessions,
        project_name: Callable[[str], Awaitable[str]],
        standing: Callable[[str], Awaitable[Standing | None]],
        document: Callable[[], dict[str, Any]],
    ) -> None:
        self.view = view
        self.v1 = v1
        self.door = Door(sessions, access)
        self.pages = Pages(SECTIONS, can_sign_in=True)
        self.operations = Operations(v1)
        self._project_name = project_name
        self.standing = standing
        self._document = document

    async def viewer(self, request: Request) -> Viewer | None:
        signed_in = await self.door.who(request)
        return None if signed_in is None else await self.viewer_of(signed_in)

    async def viewer_of(self, signed_in: SignedIn) -> Viewer:
        name = await self._project_name(signed_in.project.project_id) if signed_in.project else "Administration"
        standing = await self.standing(signed_in.organization_id)
        return Viewer(name, standing.tier if standing else None, signed_in.csrf)

    def routes(self, missing: Collection[str] = ()) -> list[BaseRoute]:
        return [
            *model_pages(self.view, missing=missing, viewer=self.viewer, pages=self.pages, playground=True),
            *Signing(self.pages, self.door).routes(),
            *Usage(self).routes(),
            *Office(self).routes(),
            *Records(self).routes(),
            *Playground(self).routes(),
            *Docs(self).routes(),
            *Reference(self, self._document).routes(),
            Mount(PREFIX, Gateway(self.v1, self.door)),
        ]
