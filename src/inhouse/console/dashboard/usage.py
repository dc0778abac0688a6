"""Overview, usage and costs, limits, engines."""

from __future__ import annotations

import csv
import io
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section
from inhouse.console.dashboard.charts import DAY_S, Chart, stacked
from inhouse.console.dashboard.saying import said_by
from inhouse.console.pages import GUARDS
from inhouse.console.session import SignedIn

RANGES = {"7": 7, "30": 30, "90": 90}
_MOST_BUCKETS = 31
"""Days in a page of the usage operations."""
GROUPS = {"model": "Model", "project": "Project", "key": "API key"}
_GROUP_BY = {"model": "line_item", "project": "project_id", "key": "api_key_id"}


def _asked(request: Request) -> tuple[int, str]:
    """How many days, and by what."""
    days = RANGES.get(request.query_params.get("days", ""), 30)
    group = request.query_params.get("by", "model")
    return days, group if group in GROUPS else "model"


class Usage(Section):
    def routes(self) -> list[Route]:
        return [
            Route("/dashboard", self.overview),
            Route("/dashboard/usage", self.usage),
            Route("/dashboard/usage.csv", self.table),
            Route("/dashboard/limits", self.limits),
            Route("/dashboard/engines", self.engines),
            Route("/dashboard/engines/live", self.engines_live),
        ]

    async def overview(self, request: Request) -> Response:
        signed_in = await self.enter(request)
        if isinstance(signed_in, Response):
            return signed_in
        costs = await self._costs(signed_in, 30, "model") if signed_in.admin else None
        tokens = await self._tokens(signed_in, 30, beside=costs) if signed_in.admin else None
        stored = await self.get(signed_in, "/v1/chat/completions", limit=5, order="desc") if signed_in.project else None
        return await self.page(
            request,
            signed_in,
            "dashboard/overview.html.jinja",
            costs=costs,
            tokens=tokens,
            standing=await self.site.standing(signed_in.organization_id),
            stored=stored.json["data"] if stored and stored.ok else [],
            engines=await self._engines(),
            said_by=said_by,
            has_project=signed_in.project is not None,
        )

    async def usage(self, request: Request) -> Response:
        signed_in = await self.enter(request, "admin")
        if isinstance(signed_in, Response):
            return signed_in
        days, group = _asked(request)
        costs = await self._costs(signed_in, days, group)
        tokens = await self._tokens(signed_in, days, beside=costs if group == "model" else None)
        return await self.page(
            request,
            signed_in,
            "dashboard/usage.html.jinja",
            days=days,
            ranges=RANGES,
            groups=GROUPS,
            group=group,
            costs=costs,
            tokens=tokens,
            requests=await self._tokens(signed_in, days, "requests", tokens),
        )

    async def table(self, request: Request) -> Response:
        """The costs of the page as CSV: the day, the group, dollars."""
        signed_in = await self.enter(request, "admin")
        if isinstance(signed_in, Response):
            return signed_in
        days, group = _asked(request)
        sums: dict[tuple[int, str], float] = defaultdict(float)
        for at, name, dollars in await self._spent(signed_in, days, group):
            sums[at, name] += dollars
        out = io.StringIO()
        lines = csv.writer(out)
        lines.writerow(["date", group, "cost_usd"])
        for (at, name), dollars in sorted(sums.items()):
            # What begins like a formula is none: spreadsheets would run what somebody named a project.
            plain = f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name
            lines.writerow([datetime.fromtimestamp(at, UTC).date().isoformat(), plain, f"{dollars:.9f}"])
        headers = {"content-disposition": f'attachment; filename="costs-by-{group}.csv"', "cache-control": "no-store"}
        return Response(out.getvalue(), media_type="text/csv", headers={**GUARDS, **headers})

    async def limits(self, request: Request) -> Response:
        signed_in = await self.enter(request)
        if isinstance(signed_in, Response):
            return signed_in
        standing = await self.site.standing(signed_in.organization_id)
        rows = []
        for card in self.site.view.cards:
            if standing is not None:
                found = card.limits.standard.of(standing.tier)
                rows.append((card, found))
        return await self.page(request, signed_in, "dashboard/limits.html.jinja", standing=standing, rows=rows)

    async def engines(self, request: Request) -> Response:
        signed_in = await self.enter(request)
        if isinstance(signed_in, Response):
            return signed_in
        return await self.page(request, signed_in, "dashboard/engines.html.jinja", **await self._running(signed_in))

    async def engines_live(self, request: Request) -> Response:
        return await self.live(request, "any", "dashboard/engines_table.jinja", self._running)

    async def _running(self, _: SignedIn) -> dict[str, Any]:
        load = self.site.behind.serving.load
        return {"engines": [(card, one, load(card.default_snapshot)) for card, one in await self._engines()]}

    async def _engines(self) -> list[tuple[Any, Any]]:
        found = [(card, await self.site.view.served_by(card.default_snapshot)) for card in self.site.view.cards]
        order = {"ready": 0, "failed": 1, "stopped": 2}
        return sorted(((card, one) for card, one in found if one), key=lambda each: order[each[1].state])

    async def _costs(self, signed_in: SignedIn, days: int, group: str) -> Chart:
        """Dollars a day by what ``group`` names."""
        return stacked(await self._spent(signed_in, days, group), _start(days), days, "$")

    async def _spent(self, signed_in: SignedIn, days: int, group: str) -> list[tuple[int, str, float]]:
        query = {"start_time": _start(days), "limit": days, "group_by": _GROUP_BY[group]}
        answer = await self.get(signed_in, "/v1/organization/costs", **query)
        names = await self._names(signed_in, group)
        points: list[tuple[int, str, float]] = []
        for bucket in answer.json["data"] if answer.ok else ():
            for result in bucket["results"]:
                key = str(result.get(_GROUP_BY[group]) or "None")
                name = key.partition(",")[0] if group == "model" else names.get(key, key)
                points.append((int(bucket["start_time"]), name, float(result["amount"]["value"] or 0)))
        return points

    async def _tokens(
        self,
        signed_in: SignedIn,
        days: int,
        unit: Literal["tokens", "requests"] = "tokens",
        beside: Chart | None = None,
    ) -> Chart:
        """Of models that write text a day by model: tokens, in and out, or requests."""
        start = _start(days)
        query: dict[str, Any] = {"start_time": start, "limit": min(days, _MOST_BUCKETS), "group_by": "model"}
        points: list[tuple[int, str, float]] = []
        while True:
            answer = await self.get(signed_in, "/v1/organization/usage/completions", **query)
            page = answer.json if answer.ok else {}
            for bucket in page.get("data", ()):
                for one in bucket["results"]:
                    count = (
                        one["input_tokens"] + one["output_tokens"] if unit == "tokens" else one["num_model_requests"]
                    )
                    points.append((int(bucket["start_time"]), str(one["model"]), float(count)))
            if not page.get("has_more"):
                return stacked(points, start, days, unit, beside)
            query["page"] = page["next_page"]

    async def _names(self, signed_in: SignedIn, group: str) -> dict[str, str]:
        if group == "model":
            return {}
        projects = await self.all_of(signed_in, "/v1/organization/projects", include_archived="true")
        if group == "project":
            return {each["id"]: each["name"] for each in projects}
        names = {"None": "The console"}
        for project in projects:
            path = f"/v1/organization/projects/{project['id']}/api_keys"
            names |= {each["id"]: f"{each['name']} ({project['name']})" for each in await self.all_of(signed_in, path)}
        return names


def _start(days: int) -> int:
    """Midnight UTC, so that today is the last of ``days``."""
    return (int(time.time()) // DAY_S - days + 1) * DAY_S
