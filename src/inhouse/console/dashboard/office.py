"""Keys and projects: seen and changed with an admin key."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.session import SignedIn

PROJECTS = "/v1/organization/projects"
ADMIN_KEYS = "/v1/organization/admin_api_keys"


class Office(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard/keys", self.keys, methods=["GET"]),
            Route("/dashboard/keys", self.change_keys, methods=["POST"]),
            Route("/dashboard/projects", self.projects, methods=["GET"]),
            Route("/dashboard/projects", self.change_projects, methods=["POST"]),
        ]

    async def keys(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        return signed_in if isinstance(signed_in, Response) else await self._keys(request, signed_in)

    async def change_keys(self, request: Request) -> Response:
        entered = await self.form(request, "admin")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        project, key, account = (quote(fields.get(each, ""), safe="") for each in ("project", "key", "account"))
        call = self.site.operations.call
        match fields.get("do"):
            case "create" if project:
                # As a key of a person, but of nobody who can leave: the official way to make one by a machine.
                body = {"name": fields.get("name", "")}
                answer = await call(signed_in, "POST", f"{PROJECTS}/{project}/service_accounts", body=body)
                secret = answer.json["api_key"]["value"] if answer.ok else ""
            case "create":
                answer = await call(signed_in, "POST", ADMIN_KEYS, body={"name": fields.get("name", "")})
                secret = answer.json["value"] if answer.ok else ""
            case "revoke" if project and account:
                # The API ends the key of a service account with the account alone.
                path = f"{PROJECTS}/{project}/service_accounts/{account}"
                answer, secret = await call(signed_in, "DELETE", path), ""
            case "revoke" if key:
                path = f"{PROJECTS}/{project}/api_keys/{key}" if project else f"{ADMIN_KEYS}/{key}"
                answer, secret = await call(signed_in, "DELETE", path), ""
            case _:
                return back("/dashboard/keys")
        if answer.ok and not secret:
            return back("/dashboard/keys")
        problem = "" if answer.ok else answer.message
        return await self._keys(request, signed_in, secret=secret, problem=problem, status=200 if answer.ok else 400)

    async def _keys(
        self, request: Request, signed_in: SignedIn, *, secret: str = "", problem: str = "", status: int = 200
    ) -> Response:
        projects = await self.all_of(signed_in, PROJECTS)
        only = request.query_params.get("project", "") if request.method == "GET" else ""
        keys, found, refused = await self.found(
            request,
            signed_in,
            "keys",
            signed_in.administered,
            lambda id, of: f"{PROJECTS}/{quote(of)}/api_keys/{quote(id)}",
            PROJECTS,
            of=only,
        )
        project_of = dict(found.ids)
        names = {each["id"]: each["name"] for each in projects}
        for key in keys:
            key["project"] = project_of[key["id"]]
            key["project_name"] = names.get(key["project"], key["project"])
        return await self.page(
            request,
            signed_in,
            "dashboard/keys.html.jinja",
            status,
            projects=projects,
            only=only,
            found=found,
            keys=keys,
            admin_keys=await self.all_of(signed_in, ADMIN_KEYS),
            label_of=_label,
            account_of=lambda key: ((key.get("owner") or {}).get("service_account") or {}).get("id") or "",
            secret=secret,
            problem=problem or refused,
        )

    async def projects(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        return signed_in if isinstance(signed_in, Response) else await self._projects(request, signed_in)

    async def change_projects(self, request: Request) -> Response:
        entered = await self.form(request, "admin")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        project = quote(fields.get("project", ""), safe="")
        call = self.site.operations.call
        match fields.get("do"):
            case "create":
                answer = await call(signed_in, "POST", PROJECTS, body={"name": fields.get("name", "")})
            case "rename" if project:
                answer = await call(signed_in, "POST", f"{PROJECTS}/{project}", body={"name": fields.get("name", "")})
            case "archive" if project:
                answer = await call(signed_in, "POST", f"{PROJECTS}/{project}/archive")
            case _:
                return back("/dashboard/projects")
        if answer.ok:
            return back("/dashboard/projects")
        return await self._projects(request, signed_in, problem=answer.message, status=400)

    async def _projects(
        self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200
    ) -> Response:
        projects, found, refused = await self.found(
            request,
            signed_in,
            "projects",
            signed_in.administered,
            lambda id, _: f"{PROJECTS}/{quote(id)}",
            PROJECTS,
        )
        return await self.page(
            request,
            signed_in,
            "dashboard/projects.html.jinja",
            status,
            projects=projects,
            found=found,
            problem=problem or refused,
        )


def _label(key: dict[str, Any]) -> str:
    """Whose key it is, or what it is called where it is nobody's."""
    owner = key.get("owner") or {}
    who = owner.get("service_account") or owner.get("user") or {}
    return str(who.get("name") or key["name"])
