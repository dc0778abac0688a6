"""People of the organization: users, invites, and who is in which project."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.gateway import Answer
from inhouse.console.session import SignedIn
from inhouse.kit.errors import APIError

USERS = "/v1/organization/users"
INVITES = "/v1/organization/invites"
PROJECTS = "/v1/organization/projects"
_HERE = "/dashboard/members"


class Members(Section):
    def routes(self) -> list[Route]:
        return [
            Route(_HERE, self.show, methods=["GET"]),
            Route(_HERE, self.change, methods=["POST"]),
            Route(_HERE + "/{id}", self.one),
        ]

    async def show(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        return signed_in if isinstance(signed_in, Response) else await self._show(request, signed_in)

    async def change(self, request: Request) -> Response:
        entered = await self.form(request, "admin")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        user, invite, project = (quote(fields.get(each, ""), safe="") for each in ("user", "invite", "project"))
        mine = signed_in.person is not None and fields.get("user") == signed_in.person.id
        if mine and (fields.get("do") == "remove" or (fields.get("do") == "role" and fields.get("role") != "owner")):
            # Whoever else is an owner may do it; so an organization of people never loses its last one here.
            problem = "You cannot take this from yourself; another owner can."
            return await self._one(request, signed_in, fields["user"], problem=problem, status=400)
        answer: Answer
        match fields.get("do"):
            case "invite":
                into = [{"id": fields["project"], "role": fields.get("project_role", "member")}] if project else []
                answer = await self.call(
                    signed_in, "POST", INVITES, email=fields.get("email"), role=fields.get("role"), projects=into
                )
                if answer.ok:
                    return await self._link(request, signed_in, invite=answer.json["id"], email=answer.json["email"])
            case "link" if invite:
                answer = await self.get(signed_in, f"{INVITES}/{invite}")
                if answer.ok:
                    return await self._link(request, signed_in, invite=answer.json["id"], email=answer.json["email"])
            case "link" if user:
                answer = await self.get(signed_in, f"{USERS}/{user}")
                if answer.ok:
                    return await self._link(request, signed_in, user=answer.json["id"], email=answer.json["email"])
            case "withdraw" if invite:
                answer = await self.call(signed_in, "DELETE", f"{INVITES}/{invite}")
            case "role" if user:
                answer = await self.call(signed_in, "POST", f"{USERS}/{user}", role=fields.get("role"))
            case "remove" if user:
                answer = await self.call(signed_in, "DELETE", f"{USERS}/{user}")
            case "join" if user and project:
                path = f"{PROJECTS}/{project}/users"
                role = fields.get("project_role", "member")
                answer = await self.call(signed_in, "POST", path, user_id=fields["user"], role=role)
            case "leave" if user and project:
                answer = await self.call(signed_in, "DELETE", f"{PROJECTS}/{project}/users/{user}")
            case _:
                return back(_HERE)
        here = f"{_HERE}/{user}" if user and fields.get("do") != "remove" else _HERE
        if answer.ok:
            return back(here)
        if user:
            return await self._one(request, signed_in, fields["user"], problem=answer.message, status=400)
        return await self._show(request, signed_in, problem=answer.message, status=400)

    async def _link(
        self, request: Request, signed_in: SignedIn, *, email: str, invite: str = "", user: str = ""
    ) -> Response:
        """A link to hand over: this server sends no mail."""
        admin, accounts = signed_in.admin, self.site.accounts
        # With a link one can become the user, so only who may do everything anyway makes one.
        if admin is None or admin.granted is not None or not admin.may("api.management.write"):
            problem = "Only an owner makes links."
            if user:
                return await self._one(request, signed_in, user, problem=problem, status=403)
            return await self._show(request, signed_in, problem=problem, status=403)
        try:
            if invite:
                token = await accounts.link_of_invite(admin.organization_id, invite)
            else:
                token = await accounts.link_of_user(admin.organization_id, user, admin.actor)
        except APIError as error:
            if user:
                return await self._one(request, signed_in, user, problem=error.message, status=400)
            return await self._show(request, signed_in, problem=error.message, status=400)
        link = f"{self.site.base(request)}/welcome?token={token}"
        if user:
            return await self._one(request, signed_in, user, link=link)
        return await self._show(request, signed_in, link=link, link_for=email)

    async def _show(
        self,
        request: Request,
        signed_in: SignedIn,
        *,
        problem: str = "",
        status: int = 200,
        link: str = "",
        link_for: str = "",
    ) -> Response:
        organization = signed_in.administered
        people, found, refused = await self.found(
            request, signed_in, "users", organization, lambda id, _: f"{USERS}/{quote(id)}", USERS
        )
        invites, invited, _ = await self.found(
            request, signed_in, "invites", organization, lambda id, _: f"{INVITES}/{quote(id)}", INVITES, page=1
        )
        return await self.page(
            request,
            signed_in,
            "dashboard/members.html.jinja",
            status,
            people=people,
            found=found,
            invites=invites,
            invited=invited,
            projects=await self.all_of(signed_in, PROJECTS),
            problem=problem or refused,
            link=link,
            link_for=link_for,
        )

    async def one(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        if isinstance(signed_in, Response):
            return signed_in
        return await self._one(request, signed_in, request.path_params["id"])

    async def _one(
        self, request: Request, signed_in: SignedIn, id: str, *, problem: str = "", status: int = 200, link: str = ""
    ) -> Response:
        """A person: role, projects, and what can be done about them."""
        answer = await self.get(signed_in, f"{USERS}/{quote(id, safe='')}")
        if not answer.ok:
            return await self.page(
                request, signed_in, "dashboard/member_missing.html.jinja", answer.status, problem=answer.message
            )
        person = answer.json
        mine = person["projects"]["data"] if person.get("projects") else []
        of = {each["id"] for each in mine}
        return await self.page(
            request,
            signed_in,
            "dashboard/member.html.jinja",
            status,
            one=person,
            mine=mine,
            others=[each for each in await self.all_of(signed_in, PROJECTS) if each["id"] not in of],
            problem=problem,
            link=link,
        )
