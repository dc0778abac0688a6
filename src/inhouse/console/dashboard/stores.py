"""Vector stores of a project: what is in them, and a box to search one with."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.dashboard.base import Section, back
from inhouse.console.session import SignedIn

STORES = "/v1/vector_stores"
_HERE = "/dashboard/stores"
_RESULTS = 10


class Stores(Section):
    def routes(self) -> list[Route]:
        return [
            Route(_HERE, self.list, methods=["GET"]),
            Route(_HERE, self.change, methods=["POST"]),
            Route(_HERE + "/{id}", self.store, methods=["GET"]),
            Route(_HERE + "/{id}/live", self.follow, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        return signed_in if isinstance(signed_in, Response) else await self._list(request, signed_in)

    async def change(self, request: Request) -> Response:
        entered = await self.form(request, "project")
        if isinstance(entered, Response):
            return entered
        signed_in, fields = entered
        store, file = (quote(fields.get(each, ""), safe="") for each in ("store", "file"))
        match fields.get("do"):
            case "create":
                answer = await self.call(signed_in, "POST", STORES, name=fields.get("name", ""))
                where = f"{_HERE}/{quote(answer.json['id'])}" if answer.ok else ""
            case "delete" if store:
                answer, where = await self.call(signed_in, "DELETE", f"{STORES}/{store}"), _HERE
            case "add" if store:
                answer = await self.call(signed_in, "POST", f"{STORES}/{store}/files", file_id=fields.get("file", ""))
                where = f"{_HERE}/{store}"
            case "take-out" if store and file:
                answer = await self.call(signed_in, "DELETE", f"{STORES}/{store}/files/{file}")
                where = f"{_HERE}/{store}"
            case _:
                return back(_HERE)
        if answer.ok:
            return back(where)
        if store and fields.get("do") in ("add", "take-out"):
            return await self._store(request, signed_in, fields["store"], problem=answer.message, status=400)
        return await self._list(request, signed_in, problem=answer.message, status=400)

    async def _list(self, request: Request, signed_in: SignedIn, *, problem: str = "", status: int = 200) -> Response:
        stores, found, refused = await self.found(
            request,
            signed_in,
            "stores",
            signed_in.project.project_id if signed_in.project else "",
            lambda id, _: f"{STORES}/{quote(id)}",
            STORES,
        )
        return await self.page(
            request,
            signed_in,
            "dashboard/stores.html.jinja",
            status,
            records=stores,
            found=found,
            problem=problem or refused,
        )

    async def store(self, request: Request) -> Response:
        signed_in = await self.enter(request, "project")
        if isinstance(signed_in, Response):
            return signed_in
        return await self._store(request, signed_in, request.path_params["id"])

    async def _store(
        self, request: Request, signed_in: SignedIn, id: str, *, problem: str = "", status: int = 200
    ) -> Response:
        found = await self.get(signed_in, f"{STORES}/{quote(id, safe='')}")
        if not found.ok:
            return await self.page(request, signed_in, "dashboard/store_missing.html.jinja", 404, id=id)
        words = request.query_params.get("q", "").strip()[:1000]
        results: list[dict[str, Any]] = []
        if words:
            path = f"{STORES}/{quote(id, safe='')}/search"
            answer = await self.call(signed_in, "POST", path, query=words, max_num_results=_RESULTS)
            results, problem = (answer.json["data"], "") if answer.ok else ([], answer.message)
        answer = await self.get(signed_in, "/v1/files", limit=1000, order="desc")
        files = answer.json["data"] if answer.ok else []
        return await self.page(
            request,
            signed_in,
            "dashboard/store.html.jinja",
            status,
            words=words,
            results=results,
            problem=problem,
            all_files=[(each["id"], each["filename"]) for each in files],
            **await self._contents(request, signed_in, id, found.json),
        )

    async def follow(self, request: Request) -> Response:
        id = request.path_params["id"]

        async def gather(signed_in: SignedIn) -> dict[str, Any]:
            found = await self.get(signed_in, f"{STORES}/{quote(id, safe='')}")
            return await self._contents(request, signed_in, id, found.json if found.ok else None)

        return await self.live(request, "project", "dashboard/store_files.jinja", gather)

    async def _contents(
        self, request: Request, signed_in: SignedIn, id: str, store: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The page of the store's files that is asked for."""
        number = request.query_params.get("page", "")
        page = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 1
        files: list[dict[str, Any]] = []
        # A store that the operation answered for is one of the project's.
        found = await self.site.finding.find("store_files", id if store else "", page=page)
        for file, filename in found.ids:
            answer = await self.get(signed_in, f"{STORES}/{quote(id, safe='')}/files/{quote(file)}")
            if answer.ok:
                files.append({**answer.json, "filename": filename})
        return {"store": store, "files": files, "found": found, "csrf_token": signed_in.csrf}
