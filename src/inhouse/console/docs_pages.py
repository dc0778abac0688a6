"""The documentation as pages: the Markdown files of ``docs/``, with navigation and a search."""

from __future__ import annotations

import re
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from inhouse.console.pages import GUARDS
from inhouse.console.playground import base_of
from inhouse.console.reference import slug_of

if TYPE_CHECKING:
    from inhouse.console.site import Site

GROUPS = {
    "Get started": ("quickstart", "console", "migration"),
    "Guides": (
        "responses",
        "tools",
        "file_search",
        "files",
        "batch",
        "window",
        "embeddings",
        "moderation",
        "audio",
        "assistants",
        "websocket",
        "webhooks",
        "codex",
    ),
    "Operate": (
        "deployment",
        "settings",
        "administration",
        "limits",
        "ledger",
        "troubleshooting",
        "performance",
        "architecture",
    ),
}
MORE = "More"
"""The group of files that no group names."""
SERVER = "http://127.0.0.1:4141"
"""What examples call the server; a page says where the reader's really is."""
_IMAGES = {"png": "image/png", "svg": "image/svg+xml", "jpg": "image/jpeg"}
_MOST_HITS = 30


class Section(msgspec.Struct, frozen=True):
    """What stands under one heading, as plain text for the search."""

    heading: str
    anchor: str
    text: str


class Document(msgspec.Struct, frozen=True):
    name: str
    title: str
    html: str
    headings: list[tuple[str, str]]
    """Anchors and words of the second level."""
    sections: list[Section]


class Hit(msgspec.Struct, frozen=True):
    document: Document
    section: Section
    before: str
    found: str
    after: str


class Docs:
    """The pages ``/docs`` and ``/docs/{name}``."""

    def __init__(self, site: Site, folder: Traversable | None = None) -> None:
        self.site = site
        self._folder = folder if folder is not None else files("inhouse.console").joinpath("docs")

    def routes(self) -> list[Route]:
        return [
            Route("/docs", self.index),
            Route("/docs/images/{name}", self.image),
            Route("/docs/{name}", self.page),
        ]

    @cached_property
    def documents(self) -> dict[str, Document]:
        found = {
            file.name.removesuffix(".md"): render(file.name.removesuffix(".md"), file.read_text(encoding="utf-8"))
            for file in self._folder.iterdir()
            if file.name.endswith(".md")
        }
        return dict(sorted(found.items()))

    @cached_property
    def groups(self) -> list[tuple[str, list[Document]]]:
        groups = [(title, [self.documents[n] for n in names if n in self.documents]) for title, names in GROUPS.items()]
        named = {name for names in GROUPS.values() for name in names}
        rest = [document for name, document in self.documents.items() if name not in named]
        return [(title, documents) for title, documents in [*groups, (MORE, rest)] if documents]

    async def index(self, request: Request) -> Response:
        query = request.query_params.get("q", "").strip()[:200]
        if not query:
            return RedirectResponse(f"/docs/{self.groups[0][1][0].name}")
        return await self._answer(
            request, "docs_search.html.jinja", query=query, hits=self.search(query), document=None
        )

    async def page(self, request: Request) -> Response:
        document = self.documents.get(request.path_params["name"].removesuffix(".md"))
        if document is None:
            return await self._answer(
                request,
                "not_found.html.jinja",
                404,
                what="page of the documentation",
                side="docs_side.html.jinja",
                back=("/docs", "All documentation"),
                document=None,
                query="",
            )
        # What the parser wrote: HTML in a document was escaped there.
        html = Markup(document.html.replace(SERVER, str(escape(base_of(request)))))  # noqa: S704
        order = [each for _, documents in self.groups for each in documents]
        place = order.index(document)
        return await self._answer(
            request,
            "docs.html.jinja",
            document=document,
            html=html,
            query="",
            before=order[place - 1] if place else None,
            after=order[place + 1] if place + 1 < len(order) else None,
        )

    async def image(self, request: Request) -> Response:
        name = request.path_params["name"]
        images = self._folder.joinpath("images")
        found = next((file for file in images.iterdir() if file.name == name), None) if images.is_dir() else None
        kind = _IMAGES.get(name.rpartition(".")[2])
        if found is None or kind is None:
            return PlainTextResponse("Not found\n", 404)
        return Response(found.read_bytes(), media_type=kind, headers={**GUARDS, "cache-control": "max-age=3600"})

    @cached_property
    def _folded(self) -> list[tuple[Document, Section, str, str]]:
        """Sections with their heading and text as they are searched."""
        return [
            (document, section, section.heading.casefold(), section.text.casefold())
            for document in self.documents.values()
            for section in document.sections
        ]

    def search(self, query: str) -> list[Hit]:
        """Sections that have every word, those with a word in the heading first."""
        # From the beginning of a word on, where "_" divides words, too: "rate" is no part of "generate".
        words = [re.compile(rf"(?<![^\W_]){re.escape(word)}") for word in query.casefold().split()]
        hits: list[tuple[int, Hit]] = []
        for document, section, heading, text in self._folded:
            if not words or not all(word.search(heading) or word.search(text) for word in words):
                continue
            excerpt = _excerpt(section.text, text, words)
            score = sum(bool(word.search(each)) for word in words for each in (heading, document.name))
            hits.append((-score, Hit(document, section, *excerpt)))
        hits.sort(key=lambda hit: hit[0])
        return [hit for _, hit in hits[:_MOST_HITS]]

    async def _answer(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        viewer = await self.site.viewer(request)
        return self.site.pages.answer(
            request, template, status, here_in="Docs", viewer=viewer, groups=self.groups, **context
        )


def render(name: str, text: str) -> Document:
    """Markdown as a page. HTML in it is shown as text, and links may only lead where Markdown's rules allow."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")
    tokens = parser.parse(text)
    title, headings, sections = name, list[tuple[str, str]](), list[Section]()
    anchors: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            words = _plain(tokens[place + 1])
            slug = slug_of(words) or "section"
            anchors[slug] = anchors.get(slug, 0) + 1
            anchor = slug if anchors[slug] == 1 else f"{slug}-{anchors[slug]}"
            token.attrSet("id", anchor)
            if token.tag == "h1":
                title = words
            if token.tag == "h2":
                headings.append((anchor, words))
            sections.append(Section(words, anchor, ""))
            if token.tag != "h1":
                tokens[place + 1].meta["anchor"] = (anchor, words)
        elif token.type in ("inline", "fence") and sections and tokens[place - 1].type != "heading_open":
            last = sections[-1]
            sections[-1] = Section(last.heading, last.anchor, f"{last.text} {_plain(token)}".strip())
        elif (align := token.attrGet("style")) is not None:
            # Styles inside a page are what the content security policy stops.
            token.attrs.pop("style")
            token.attrSet("class", "right" if "right" in str(align) else "left")
        for child in token.children or ():
            _link(child)
    for token in tokens:
        if "anchor" in token.meta:
            token.children = [*(token.children or ()), *_anchor(*token.meta["anchor"])]
    html = parser.renderer.render(tokens, parser.options, {})
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table class="plain">').replace(
        "</table>", "</table></div>"
    )
    return Document(name, title, html.replace("<pre>", '<pre tabindex="0">'), headings, sections)


def _excerpt(text: str, folded: str, words: list[re.Pattern[str]]) -> tuple[str, str, str]:
    """What stands around the first of the words that is there, cut between words; the beginning where none is."""
    found = next(filter(None, (word.search(folded) for word in words)), None)
    at, end = found.span() if found and len(folded) == len(text) else (0, 0)
    start, stop = max(0, at - 90), end + 140
    before, after = text[start:at], text[end:stop]
    if start > 0 and (space := before.find(" ")) >= 0:
        before = f"…{before[space:]}"
    if stop < len(text):
        after = f"{after.rpartition(' ')[0] or after} …"
    return before, text[at:end], after


def _plain(token: Token) -> str:
    if not token.children:
        return " ".join(token.content.split())
    return " ".join("".join(child.content or " " for child in token.children).split())


def _anchor(anchor: str, words: str) -> list[Token]:
    """A link of a heading to itself, to hand on."""
    opened = Token("link_open", "a", 1)
    opened.attrs = {"class": "anchor", "href": f"#{anchor}", "aria-label": f"Link to “{words}”"}
    return [opened, Token("text", "", 0, content="#"), Token("link_close", "a", -1)]


def _link(token: Token) -> None:
    """Links between the files lead between the pages."""
    for attribute in ("href", "src"):
        target = str(token.attrGet(attribute) or "")
        if target and not re.match(r"[a-z]+:|#|/", target):
            path, _, anchor = target.partition("#")
            path = path.removeprefix("docs/").removesuffix(".md")
            token.attrSet(attribute, f"/docs/{path}" + (f"#{anchor}" if anchor else ""))
