"""The API reference: a page for each family of operations, made from the OpenAPI document that the server serves."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inhouse.console.code import LANGUAGES
from inhouse.console.examples import body_of, example
from inhouse.console.playground import base_of
from inhouse.console.schemas import Property, Schema, Schemas

if TYPE_CHECKING:
    from inhouse.console.site import Site

_HERE = "http://here.invalid/v1"
"""In the place of the address that a reader's browser reaches this server at."""
_PLAIN = re.compile(r"https?://[\w.:\[\]-]+(/[\w./-]*)?", re.ASCII)
METHODS = ("get", "post", "put", "patch", "delete")


class Score(msgspec.Struct, frozen=True):
    """How much of the official surface of a family is served: operations and properties, served and official."""

    operations: tuple[int, int]
    properties: tuple[int, int]


class Entry(msgspec.Struct, frozen=True):
    """One operation, ready to be shown."""

    id: str
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Property]
    body: list[Property]
    body_type: str
    answer: list[Property]
    events: list[Property]
    errors: list[tuple[str, str]]
    told: Schema


class Tried(msgspec.Struct, frozen=True):
    """A form to try an operation with: what stands in its path, what its query takes, its body."""

    path: list[str]
    query: list[str]
    body: str | None
    beta: str
    """What the header ``OpenAI-Beta`` must say; empty where it is not asked for."""


class Family(msgspec.Struct, frozen=True):
    name: str
    slug: str
    entries: list[Entry]


class Reference:
    """The pages ``/reference`` and ``/reference/{family}``.

    Args:
        document: makes the OpenAPI document; asked once, for the first page.
    """

    def __init__(self, site: Site, document: Callable[[], dict[str, Any]]) -> None:
        self.site = site
        self._document = document
        self.scores = load_scores()
        self._made: dict[str, dict[str, dict[str, str]]] = {}
        self._texts: dict[str, dict[str, Markup]] = {}
        self._forms: dict[str, dict[str, Tried | None]] = {}

    def routes(self) -> list[Route]:
        return [Route("/reference", self.index), Route("/reference/{family}", self.family)]

    @cached_property
    def document(self) -> dict[str, Any]:
        return self._document()

    @cached_property
    def families(self) -> list[Family]:
        schemas = Schemas(self.document["components"]["schemas"])
        found: dict[str, list[Entry]] = {}
        for path, methods in self.document["paths"].items():
            for method, told in methods.items():
                if method in METHODS:
                    found.setdefault(told["tags"][0], []).append(_entry(method, path, told, schemas))
        return [Family(name, slug_of(name), entries) for name, entries in found.items()]

    async def index(self, request: Request) -> Response:
        query = request.query_params.get("q", "").strip()[:200]
        words = query.casefold().split()
        found = [
            (family, entry)
            for family in self.families
            for entry in family.entries
            if words
            and all(word in f"{entry.id} {entry.method} {entry.path} {entry.summary}".casefold() for word in words)
        ]
        totals = list(self.scores.values())
        return await self._answer(
            request,
            "reference.html.jinja",
            query=query,
            found=found,
            family=None,
            total=_sum(totals),
            base=f"{base_of(request)}/v1",
        )

    async def family(self, request: Request) -> Response:
        slug = request.path_params["family"]
        family = next((each for each in self.families if each.slug == slug), None)
        if family is None:
            return await self._answer(
                request,
                "not_found.html.jinja",
                404,
                family=None,
                what="family of operations",
                side="reference_side.html.jinja",
                back=("/reference", "All operations"),
            )
        base = f"{base_of(request)}/v1"
        examples = self._examples(family, base)
        tried = self._tries(family)
        return await self._answer(
            request,
            "reference_family.html.jinja",
            family=family,
            examples=examples,
            texts=self._told(family),
            tried=tried,
            base=base,
        )

    def _told(self, family: Family) -> dict[str, Markup]:
        """The text of each operation, which is the same for every reader; rendered once."""
        if family.slug not in self._texts:
            render = self.site.pages.render
            self._texts[family.slug] = {
                one.id: Markup(render("reference_operation.jinja", entry=one))  # noqa: S704 - templates escape
                for one in family.entries
            }
        return self._texts[family.slug]

    def _examples(self, family: Family, base: str) -> dict[str, dict[str, str]]:
        """Code by operation and language. It is made once, and the address put in, where no language quotes it."""
        here = _HERE if _PLAIN.fullmatch(base) else base
        made = self._made.get(family.slug) if here == _HERE else None
        if made is None:
            components = self.document["components"]["schemas"]
            made = {one.id: example(one.id, one.method, one.path, one.told, here, components) for one in family.entries}
        if here != _HERE:
            return made
        self._made[family.slug] = made
        return {id: {name: code.replace(_HERE, base) for name, code in codes.items()} for id, codes in made.items()}

    def _tries(self, family: Family) -> dict[str, Tried | None]:
        if family.slug not in self._forms:
            self._forms[family.slug] = {one.id: self._tried(one) for one in family.entries}
        return self._forms[family.slug]

    def _tried(self, entry: Entry) -> Tried | None:
        """What the form to try an operation begins with; None for uploads."""
        if entry.body_type and entry.body_type != "application/json":
            return None
        query = [each["name"] for each in entry.told.get("parameters", ()) if each.get("in") == "query"]
        body = body_of(entry.id, entry.told, self.document["components"]["schemas"])
        header: Schema = next(
            (each["schema"] for each in entry.told.get("parameters", ()) if each["name"] == "OpenAI-Beta"), {}
        )
        beta = str(header.get("const") or next(iter(header.get("enum", ())), ""))
        return Tried(re.findall(r"\{([a-z_]+)\}", entry.path), query, body, beta)

    async def _answer(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        return self.site.pages.answer(
            request,
            template,
            status,
            here_in="API reference",
            viewer=await self.site.viewer(request),
            families=self.families,
            scores=self.scores,
            languages=LANGUAGES,
            **context,
        )


def load_scores() -> dict[str, Score]:
    """The score of each family, as ``scripts/coverage.py --write`` found it."""
    file = files("inhouse.console").joinpath("coverage.json")
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Score])


def slug_of(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _entry(method: str, path: str, told: Schema, schemas: Schemas) -> Entry:
    content = told.get("requestBody", {}).get("content", {})
    body_type = next(iter(content), "")
    body: Schema = content.get(body_type, {})
    good: Schema = next((each for code, each in told["responses"].items() if code.startswith("2")), {})
    answers: Schema = good.get("content", {})
    return Entry(
        id=told["operationId"],
        anchor=slug_of(told["operationId"]),
        method=method.upper(),
        path=path,
        summary=told["summary"],
        description=" ".join(told.get("description", "").split()),
        parameters=[
            schemas.property(each["name"], each["schema"], each["required"], 1) for each in told.get("parameters", ())
        ],
        body=schemas.properties(body["schema"]) if body else [],
        body_type=body_type,
        answer=schemas.properties(answers["application/json"]["schema"], 2) if "application/json" in answers else [],
        events=schemas.events(answers["text/event-stream"]["schema"]) if "text/event-stream" in answers else [],
        errors=[(code, each["description"]) for code, each in told["responses"].items() if not code.startswith("2")],
        told=told,
    )


def _sum(scores: list[Score]) -> Score:
    return Score(
        (sum(each.operations[0] for each in scores), sum(each.operations[1] for each in scores)),
        (sum(each.properties[0] for each in scores), sum(each.properties[1] for each in scores)),
    )
