"""The console as one: navigation, who is signed in, and the routes of every page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount

from inhouse.access.accounts import Accounts
from inhouse.access.people import People
from inhouse.access.sessions import Sessions
from inhouse.console.account import Account
from inhouse.console.attempts import Attempts
from inhouse.console.behind import Behind
from inhouse.console.dashboard.batches import Batches
from inhouse.console.dashboard.hooks import Hooks
from inhouse.console.dashboard.members import Members
from inhouse.console.dashboard.money import Money
from inhouse.console.dashboard.office import Office
from inhouse.console.dashboard.records import Records
from inhouse.console.dashboard.stores import Stores
from inhouse.console.dashboard.usage import Usage
from inhouse.console.docs_pages import Docs
from inhouse.console.finding import Finding
from inhouse.console.gateway import PREFIX, Application, Gateway, Operations
from inhouse.console.models import ModelsView, Viewer, model_pages
from inhouse.console.pages import Pages
from inhouse.console.playground import Playground, base_of
from inhouse.console.provider import Provider
from inhouse.console.reference import Reference
from inhouse.console.session import Access, Door, SignedIn
from inhouse.console.signing import Signing
from inhouse.limits.accounts import Standing
from inhouse.settings import ConsoleSettings
from inhouse.storage.database import Database

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
        behind: services for what no operation tells.
    """

    def __init__(
        self,
        view: ModelsView,
        v1: Application,
        access: Access,
        database: Database,
        settings: ConsoleSettings,
        project_name: Callable[[str], Awaitable[str]],
        standing: Callable[[str], Awaitable[Standing | None]],
        document: Callable[[], dict[str, Any]],
        behind: Behind,
    ) -> None:
        self.view = view
        self.v1 = v1
        self.sessions = Sessions(database, lifetime_s=round(settings.session_hours * 3600))
        self.accounts = Accounts(database)
        self.door = Door(self.sessions, access, People(database))
        self.pages = Pages(SECTIONS, can_sign_in=True)
        self.operations = Operations(v1)
        self._project_name = project_name
        self.standing = standing
        self.behind = behind
        self.finding = Finding(database)
        self._url = settings.url.rstrip("/")
        self.reference = Reference(self, document)
        self.docs = Docs(self)
        self._signing = Signing(self.pages, self.door, self.accounts, Attempts(database), settings.provider)
        self._provider = Provider(settings, self._signing, self.accounts) if settings.provider else None

    def warm(self) -> None:
        """Make what costs the first reader of a page a moment. Blocks; for a thread."""
        self.reference.warm()

    async def close(self) -> None:
        if self._provider is not None:
            await self._provider.close()

    def base(self, request: Request) -> str:
        """Where browsers reach this server."""
        return self._url or base_of(request)

    async def viewer(self, request: Request) -> Viewer | None:
        signed_in = await self.door.who(request)
        return None if signed_in is None else await self.viewer_of(signed_in)

    async def viewer_of(self, signed_in: SignedIn) -> Viewer:
        name = await self._project_name(signed_in.project.project_id) if signed_in.project else "Administration"
        standing = await self.standing(signed_in.organization_id)
        person = signed_in.person
        return Viewer(
            name,
            standing.tier if standing else None,
            signed_in.csrf,
            person.name if person else "",
            signed_in.project.project_id if signed_in.project else "",
            person.projects if person else (),
            signed_in.may("api.management.write"),
        )

    async def nothing(self, request: Request, _: Exception) -> Response:
        """For a path that leads nowhere: a page for people, a line for programs."""
        if "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("Not Found", 404)
        return self.pages.answer(request, "nothing.html.jinja", 404, viewer=await self.viewer(request))

    def routes(self, missing: Collection[str] = ()) -> list[BaseRoute]:
        return [
            *model_pages(self.view, missing=missing, viewer=self.viewer, pages=self.pages, playground=True),
            *self._signing.routes(),
            *(self._provider.routes() if self._provider else ()),
            *Account(self).routes(),
            *Usage(self).routes(),
            *Office(self).routes(),
            *Records(self).routes(),
            *(route for page in (Batches, Hooks, Members, Money, Stores) for route in page(self).routes()),
            *Playground(self).routes(),
            *self.docs.routes(),
            *self.reference.routes(),
            Mount(PREFIX, Gateway(self.v1, self.door)),
        ]
