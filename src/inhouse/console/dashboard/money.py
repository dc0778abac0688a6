"""Budgets: what may be spent in a month, when somebody is told, and prepaid credits."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.session import SignedIn
from inhouse.kit.money import nano_dollars

PROJECTS = "/v1/organization/projects"
_HERE = "/dashboard/budgets"
_CENT = 10_000_000
"""Nano-dollars."""


class Money(Section):
    def routes(self) -> list[Route]:
        return [Route(_HERE, self.show, methods=["GET"]), Route(_HERE, self.change, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        return signed_in if isinstance(signed_in, Response) else await self._show(request, signed_in)

    async def change(self, request: Request) -> Response:
        entered = await self.form(request, "admin")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        path = _of(fields.get("project", ""))
        match fields.get("do"):
            case "limit" | "alert" as kind:
                try:
                    cents = _cents(fields.get("dollars", ""))
                except ValueError as error:
                    return await self._show(request, signed_in, problem=str(error), status=400)
                body: dict[str, Any] = {"threshold_amount": cents, "currency": "USD", "interval": "month"}
                if kind == "alert":
                    recipients = [each for each in fields.get("email", "").replace(",", " ").split() if each]
                    body["notification_channel"] = {"type": "email", "recipients": recipients}
                answer = await self.call(signed_in, "POST", f"{path}/spend_{kind}{'s' * (kind == 'alert')}", **body)
            case "grant" | "no-credits" as kind:
                problem = await self._credits(signed_in, kind, fields)
                if problem:
                    return await self._show(request, signed_in, problem=problem, status=400)
                return back(_HERE)
            case "lift":
                answer = await self.call(signed_in, "DELETE", f"{path}/spend_limit")
            case "forget":
                alert = quote(fields.get("alert", ""), safe="")
                answer = await self.call(signed_in, "DELETE", f"{path}/spend_alerts/{alert}")
            case _:
                return back(_HERE)
        if answer.ok:
            return back(_HERE)
        return await self._show(request, signed_in, problem=answer.message, status=400)

    async def _credits(self, signed_in: SignedIn, kind: str, fields: dict[str, str]) -> str:
        """Grants credits or ends them; what stands against it, in words."""
        organizations = await self._granted_by(signed_in)
        admin = signed_in.admin
        id = fields.get("organization", "")
        if admin is None or id not in dict(organizations):
            return "Only an owner of the installation's first organization may do this."
        budgets = self.site.behind.budgets
        if kind == "no-credits":
            await budgets.end_credits(id, admin.actor)
            return ""
        typed = fields.get("dollars", "").strip()
        try:
            cents = _cents(typed.removeprefix("-"))
        except ValueError as error:
            return str(error)
        nanos = cents * _CENT * (-1 if typed.startswith("-") else 1)
        who = signed_in.person.email if signed_in.person else "an admin key"
        await budgets.grant(id, nanos, actor=who, note=fields.get("note", "")[:200], by=admin.actor)
        return ""

    async def _granted_by(self, signed_in: SignedIn) -> list[tuple[str, str]]:
        """Organizations that somebody may grant credits to: all, for who manages the first; else none."""
        if signed_in.admin is None or not signed_in.admin.may("api.management.write"):
            return []
        organizations = await self.site.behind.budgets.organizations()
        return organizations if organizations and organizations[0][0] == signed_in.organization_id else []

    async def _show(self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200) -> Response:
        projects, found, refused = await self.found(
            request,
            signed_in,
            "projects",
            signed_in.administered,
            lambda id, _: f"{PROJECTS}/{quote(id)}",
            PROJECTS,
            archived=False,
        )
        rows: list[dict[str, Any]] = []
        readable = signed_in.admin is not None and signed_in.admin.may("api.management.read")
        standing = self.site.behind.budgets.standing
        organization = signed_in.organization_id
        accounts = await standing(organization) if readable else []
        for id, name in [("", "The organization"), *((each["id"], each["name"]) for each in projects)]:
            limit = await self.get(signed_in, f"{_of(id)}/spend_limit")
            mine = [
                each
                for each in (await standing(organization, id) if readable else [])
                if each.scope == (id or organization)
            ]
            month = next((each for each in mine if each.kind != "credits"), None)
            rows.append(
                {
                    "id": id,
                    "name": name,
                    "limit": limit.json if limit.ok and limit.json.get("threshold_amount") else None,
                    "alerts": await self.all_of(signed_in, f"{_of(id)}/spend_alerts"),
                    "spent": month.spent_nanos if month else None,
                }
            )
        return await self.page(
            request,
            signed_in,
            "dashboard/budgets.html.jinja",
            status,
            rows=rows,
            found=found,
            viewer_organization=organization,
            organizations=await self._granted_by(signed_in),
            credit=next((each for each in accounts if each.kind == "credits"), None),
            problem=problem or refused,
        )


def _of(project: str) -> str:
    """The path of an organization's budgets, or a project's."""
    return f"{PROJECTS}/{quote(project, safe='')}" if project else "/v1/organization"


def _cents(dollars: str) -> int:
    """Raises ValueError, in words for who typed it."""
    try:
        nanos = nano_dollars(dollars.strip().removeprefix("$"))
    except ValueError:
        raise ValueError("Say an amount in dollars, such as 25 or 0.50.") from None
    if nanos <= 0 or nanos % _CENT:
        raise ValueError("An amount is at least a cent, and whole cents.")
    return nanos // _CENT
