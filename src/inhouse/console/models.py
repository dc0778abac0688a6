"""The model pages: the list with its search, the comparison, and ``/models/{id}``, one page a card."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from inhouse.catalog.cards import TIERS, Card, Cards, LimitTable, Modality, Tier
from inhouse.catalog.evaluation.results import Evaluation
from inhouse.catalog.served import Change, ServedBy
from inhouse.catalog.terms import Terms, fields_of, load_fees, load_terms
from inhouse.console.comparing import MOST, charts, rows
from inhouse.console.pages import Pages
from inhouse.console.prices import headline, price_lines, priced_by

METRICS = ("input", "cached_input", "output")
CAPABILITIES = {
    "chat_completions": "Chat",
    "responses": "Responses",
    "assistants": "Assistants",
    "batch": "Batches",
    "embeddings": "Embeddings",
    "transcription": "Transcription",
    "translation": "Translation",
    "speech_generation": "Speech",
    "moderation": "Moderation",
    "completions": "Legacy completions",
    "fine_tuning": "Fine-tuning",
    "function_calling": "Function calling",
    "image": "Reads images",
}
"""What the list can be filtered by: an endpoint, a feature or a modality of the cards."""


class ModelsView(Protocol):
    """What the model pages ask of the rooms below."""

    @property
    def cards(self) -> Cards: ...

    async def served_by(self, snapshot_id: str) -> ServedBy | None:
        """What answers for a snapshot here, or None when nothing is bound to it."""

    async def evaluation(self, snapshot_id: str) -> Evaluation | None:
        """The last result of what answers for a snapshot here, or None where there is none."""

    async def changes(self, model: str) -> list[Change]:
        """What has been bound to a model, newest first."""


class Viewer(msgspec.Struct, frozen=True):
    """Who looks at a page, once someone is signed in."""

    project: str
    tier: Tier | None = None
    csrf: str = ""
    """Proves that a change comes from a page of this session."""
    name: str = ""
    """Of the user; empty where a key is signed in."""
    project_id: str = ""
    projects: tuple[tuple[str, str], ...] = ()
    """Ids and names of those that the user can change to."""
    manages: bool = False
    """Whether the organization may be changed, not only read."""


def model_pages(
    view: ModelsView,
    *,
    missing: Collection[str] = (),
    viewer: Callable[[Request], Awaitable[Viewer | None]] | None = None,
    pages: Pages | None = None,
    playground: bool = False,
) -> list[Route]:
    """Routes of the model pages and of the assets they use.

    Args:
        view: the cards and their deployments.
        missing: what cards promise and this version does not serve yet, as ``endpoints.videos`` or ``tools.mcp``.
        viewer: who is signed in; their project is named and their usage tier marked. None: nobody ever is.
        pages: templates and navigation, if the console has more than these pages.
        playground: whether there is one to try a model in.
    """
    site = _ModelPages(view, frozenset(missing), viewer, pages or Pages(), playground)
    return [
        Route("/models", site.index),
        Route("/models/compare", site.compare),
        Route("/models/{name}", site.model),
        site.pages.assets.route(),
    ]


class Bar(msgspec.Struct, frozen=True):
    """One line of the quick comparison. ``share`` is percent of the longest bar; price None is not published."""

    card: Card
    price: int | None
    share: int


class _ModelPages:
    def __init__(
        self,
        view: ModelsView,
        missing: frozenset[str],
        viewer: Callable[[Request], Awaitable[Viewer | None]] | None,
        pages: Pages,
        playground: bool,
    ) -> None:
        self.view = view
        self.missing = missing
        self.viewer = viewer
        self.pages = pages
        self.playground = playground
        self.terms: Terms = load_terms()
        self.fees = list(load_fees().values())

    async def index(self, request: Request) -> Response:
        asked = request.query_params
        query = asked.get("q", "").strip()[:200]
        capability = asked.get("capability", "") if asked.get("capability") in CAPABILITIES else ""
        only_served, only_current = "served" in asked, "current" in asked
        cards = self.view.cards
        served = await self._served([card.default_snapshot for card in cards])
        found = [
            card
            for card in cards
            if matches(query, card, served[card.default_snapshot])
            and (not capability or can(card, capability))
            and (not only_served or served[card.default_snapshot] is not None)
            and (not only_current or card.deprecation is None or card.deprecation.status != "retired")
        ]
        return await self._answer(
            request,
            "models.html.jinja",
            200,
            query=query,
            found=found,
            served=served,
            capabilities=CAPABILITIES,
            capability=capability,
            only_served=only_served,
            only_current=only_current,
            filtered=bool(query or capability or only_served or only_current),
            prices={card.id: price_lines(card) for card in found},
        )

    async def compare(self, request: Request) -> Response:
        names = list(dict.fromkeys(name for name in request.query_params.getlist("model") if name))
        resolved = {name: self.view.cards.resolve(name) for name in names}
        compared = list(dict.fromkeys(found[0].id for found in resolved.values() if found))[:MOST]
        cards = [card for name in compared if (card := self.view.cards.get(name)) is not None]
        served = await self._served([card.default_snapshot for card in cards])
        return await self._answer(
            request,
            "compare.html.jinja",
            200,
            compared=cards,
            unknown=[name[:100] for name, found in resolved.items() if found is None][:MOST],
            charts=charts(cards, served) if cards else [],
            groups=rows(cards, served, self.terms),
        )

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        cards = self.view.cards
        card = cards.get(name)
        if card is None:
            resolved = cards.resolve(name)
            if resolved is not None:
                return RedirectResponse(f"/models/{quote(resolved[0].id)}#snapshots", status_code=307)
            near = [cards.get(close) for close in difflib.get_close_matches(name[:100], [c.id for c in cards], n=3)]
            return await self._answer(request, "model_not_found.html.jinja", 404, name=name[:100], near=near)
        served = await self._served([snapshot.id for snapshot in card.snapshots])
        return await self._answer(
            request,
            "model.html.jinja",
            200,
            card=card,
            served=served,
            here=served[card.default_snapshot],
            comparison=comparison(card, cards),
            compare_with=[card.id, *card.comparison][:MOST],
            headline=headline(card),
            standard_lines=price_lines(card),
            batch_lines=price_lines(card, card.prices.batch) if card.prices.batch and card.prices.batch.input else [],
            price_title=priced_by(card),
            price_unit=f"Per {price_lines(card)[0].unit}",
            evaluation=await self.view.evaluation(card.default_snapshot),
            changes=await self.view.changes(card.id),
            playground=self.playground and (card.endpoints.responses or card.endpoints.chat_completions),
            modalities=[(key, value, modality_words(value)) for key, value in fields_of(card.modalities)],
            endpoints=[(key, on, () if on else cards.serving(key)) for key, on in fields_of(card.endpoints)],
            features=fields_of(card.features),
            tools=fields_of(card.tools),
            inputs=_side(card, "input", self.terms),
            outputs=_side(card, "output", self.terms),
            limit_tables=_limit_tables(card),
            tiers=TIERS,
            fees=self.fees,
            missing=self.missing,
        )

    async def _served(self, snapshot_ids: Sequence[str]) -> dict[str, ServedBy | None]:
        found = await asyncio.gather(*(self.view.served_by(snapshot_id) for snapshot_id in snapshot_ids))
        return dict(zip(snapshot_ids, found, strict=True))

    async def _answer(self, request: Request, template: str, status: int, **context: Any) -> Response:
        viewer = await self.viewer(request) if self.viewer else None
        return self.pages.answer(
            request,
            template,
            status,
            here_in="Models",
            cards=self.view.cards,
            terms=self.terms,
            viewer=viewer,
            **context,
        )


def matches(query: str, card: Card, served: ServedBy | None) -> bool:
    """Whether every word of ``query`` occurs in what the list shows of a card, whatever the case."""
    shown = [card.id, card.name, card.tagline, card.description, *(snapshot.id for snapshot in card.snapshots)]
    if served is not None:
        shown += [served.weights, served.engine, served.where]
    text = "\n".join(shown).casefold()
    return all(word in text for word in query.casefold().split())


def can(card: Card, capability: str) -> bool:
    """Whether a card has a capability of ``CAPABILITIES``."""
    if capability == "image":
        return card.modalities.image.input
    return bool(getattr(card.endpoints, capability, False) or getattr(card.features, capability, False))


def bars(card: Card, cards: Cards, metric: str) -> list[Bar]:
    """The card and those it is compared with, dearest first; those without such a price last."""
    compared = [card, *(other for name in card.comparison if (other := cards.get(name)) is not None)]
    prices: list[tuple[Card, int | None]] = [(other, getattr(other.prices.standard, metric)) for other in compared]
    longest = max((price for _, price in prices if price is not None), default=0) or 1
    prices.sort(key=lambda line: -1 if line[1] is None else line[1], reverse=True)
    return [
        Bar(other, None if price is None else price * 1_000_000, round(100 * (price or 0) / longest))
        for other, price in prices
    ]


def comparison(card: Card, cards: Cards) -> dict[str, list[Bar]]:
    """Bars by metric; without those that nobody here charges for."""
    lines = {metric: bars(card, cards, metric) for metric in METRICS}
    return {metric: each for metric, each in lines.items() if any(bar.price for bar in each)}


def modality_words(modality: Modality) -> str:
    if modality.input and modality.output:
        return "Input and output"
    if modality.input or modality.output:
        return "Input only" if modality.input else "Output only"
    return "Not supported"


def _side(card: Card, side: str, terms: Terms) -> list[tuple[str, str]]:
    """Keys and labels of the modalities on one side of the model."""
    return [(key, terms.modalities[key]) for key, value in fields_of(card.modalities) if getattr(value, side)]


def _limit_tables(card: Card) -> list[tuple[str, LimitTable, int | None, bool]]:
    """Title, limits, the token count above which they hold, and whether there is a limit a day."""
    tables: list[tuple[str, LimitTable, int | None]] = [("Standard", card.limits.standard, None)]
    if card.limits.long_context is not None:
        tables.append(("Long context", card.limits.long_context, card.limits.long_context.above_tokens))
    return [
        (title, table, above, any((limits := table.of(tier)) and limits.rpd for tier in TIERS))
        for title, table, above in tables
    ]
