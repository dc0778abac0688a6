"""Model cards: what the contract of each model promises.

A card is one TOML file under ``cards/``, named after its model. It says nothing about what serves the model here; that
is a deployment. Every fact is data: a fact that was never published is left out of the file and is ``None`` here.

    Cards ── one Card a model ── its dated Snapshots, Prices, Endpoints, Features, Tools, RateLimits, Parameters

Field order in ``Modalities``, ``Endpoints``, ``Features`` and ``Tools`` is the order of the published model page.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec

from inhouse.kit.errors import ExpectedError
from inhouse.kit.money import Fee, TokenPrice

Tier = Literal["free", "tier_1", "tier_2", "tier_3", "tier_4", "tier_5"]
TIERS: tuple[Tier, ...] = get_args(Tier)

_T = TypeVar("_T")
Positive = Annotated[int, msgspec.Meta(ge=1)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class CardError(ExpectedError, ValueError):
    """A data file of the catalog is wrong. The message names the file, the place in it and what is wrong."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the shapes in data files: immutable, and a name that it does not know is an error."""


class Gauge(Fact, frozen=True, kw_only=True):
    """A rough mark out of five, with the word for it."""

    label: Text
    level: Annotated[int, msgspec.Meta(ge=1, le=5)]
    title: Text | None = None
    """What the mark is about where it is not the usual thing ("Reasoning" for intelligence)."""


class TokenPrices(Fact, frozen=True, kw_only=True):
    """Nano-dollars for a token of each kind; None where that kind has no price of its own."""

    input: TokenPrice
    output: TokenPrice | None = None
    cached_input: TokenPrice | None = None
    image_input: TokenPrice | None = None
    audio_input: TokenPrice | None = None
    audio_output: TokenPrice | None = None


class Prices(Fact, frozen=True, kw_only=True):
    """Prices by the way a request is processed; None where that way is not offered or not published."""

    standard: TokenPrices
    batch: TokenPrices | None = None
    priority: TokenPrices | None = None
    fine_tuned: TokenPrices | None = None
    """Inference on a fine-tune of the model."""
    audio_minute: Fee | None = None
    """A minute of audio heard, billed by the second."""
    million_characters: Fee | None = None
    """A million characters spoken."""


class Modality(Fact, frozen=True, kw_only=True):
    input: bool = False
    output: bool = False


class Modalities(Fact, frozen=True, kw_only=True):
    text: Modality
    image: Modality
    audio: Modality
    video: Modality


class Endpoints(Fact, frozen=True, kw_only=True):
    """The fifteen endpoints of the platform, and whether the model answers on each."""

    chat_completions: bool
    responses: bool
    realtime: bool
    assistants: bool
    batch: bool
    fine_tuning: bool
    embeddings: bool
    image_generation: bool
    videos: bool
    image_edit: bool
    speech_generation: bool
    transcription: bool
    translation: bool
    moderation: bool
    completions: bool


class Features(Fact, frozen=True, kw_only=True):
    streaming: bool
    function_calling: bool
    structured_outputs: bool
    fine_tuning: bool
    distillation: bool
    predicted_outputs: bool
    prompt_caching: bool


class Tools(Fact, frozen=True, kw_only=True):
    """Hosted tools that the model takes on the Responses endpoint."""

    web_search: bool
    file_search: bool
    image_generation: bool
    code_interpreter: bool
    computer_use: bool
    mcp: bool


class TierLimits(Fact, frozen=True, kw_only=True):
    """Requests and tokens a minute and a day, images a minute, tokens in the batch queue; None is no limit."""

    rpm: Positive
    tpm: Positive | None = None
    rpd: Positive | None = None
    tpd: Positive | None = None
    ipm: Positive | None = None
    batch_queue: Positive | None = None


class LimitTable(Fact, frozen=True, kw_only=True):
    """Limits by usage tier. None: the tier has no access to the model."""

    free: TierLimits | None = None
    tier_1: TierLimits | None = None
    tier_2: TierLimits | None = None
    tier_3: TierLimits | None = None
    tier_4: TierLimits | None = None
    tier_5: TierLimits | None = None

    def of(self, tier: Tier) -> TierLimits | None:
        limits: TierLimits | None = getattr(self, tier)
        return limits


class LongContextLimits(LimitTable, frozen=True, kw_only=True):
    """Limits of their own for long prompts, counted apart from the standard ones."""

    above_tokens: Positive
    """A prompt of more input tokens than this counts here."""


class RateLimits(Fact, frozen=True, kw_only=True):
    standard: LimitTable
    long_context: LongContextLimits | None = None


class Snapshot(Fact, frozen=True, kw_only=True):
    """A dated, unchanging version of a model. Facts that are None are those of its card."""

    id: Text
    created: int
    """Unix seconds, as ``/v1/models`` reports it."""
    max_output_tokens: Positive | None = None
    prices: Prices | None = None


class Refused(Fact, frozen=True, kw_only=True):
    """A request parameter that the model does not take, by its dotted name."""

    name: Text
    instead: Text | None = None
    """The parameter to use in its place."""
    words: Text | None = None
    """What Chat Completions says of it, where that is not what it says of others; such errors name no parameter."""


class OnlyValues(Fact, frozen=True, kw_only=True):
    """A request parameter of which the model takes only some values."""

    name: Text
    values: tuple[Text, ...]


class Parameters(Fact, frozen=True, kw_only=True):
    refused: tuple[Refused, ...] = ()
    only: tuple[OnlyValues, ...] = ()


class Embedding(Fact, frozen=True, kw_only=True):
    """The vectors that a model gives."""

    dimensions: Positive
    shortens: bool
    """Whether a request may ask for fewer dimensions."""
    max_request_tokens: Positive
    """Of all inputs of one request together."""


class Deprecation(Fact, frozen=True, kw_only=True):
    """What the model's vendor said about ending it. Dates are for people only when ``source`` is a URL."""

    status: Literal["deprecated", "retired"]
    source: Text
    shutdown: date | None = None
    replacement: Text | None = None

    @property
    def sourced(self) -> bool:
        return self.source.startswith("https://")


class Card(Fact, frozen=True, kw_only=True):
    """Everything that the contract of one model promises."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """The name clients send; an alias of ``default_snapshot``."""
    name: Text
    mark: Annotated[str, msgspec.Meta(min_length=1, max_length=4)]
    """Two or three characters that stand for the model in its icon."""
    position: Positive
    """Place in lists of models."""
    tagline: Text
    description: Text
    note: Text | None = None
    family: Text
    """Models of one family share their rate limits."""
    owned_by: Text
    created: int
    """Unix seconds, as ``/v1/models`` reports it for the alias."""
    default_snapshot: Text
    snapshots: Annotated[tuple[Snapshot, ...], msgspec.Meta(min_length=1)]

    context_window: Positive
    max_output_tokens: Positive | None = None
    """None: it writes no tokens."""
    embedding: Embedding | None = None
    """What its vectors are like; None: it gives none."""
    knowledge_cutoff: date | None = None
    reasoning: bool = False
    intelligence: Gauge | None = None
    speed: Gauge | None = None

    prices: Prices
    comparison: tuple[Text, ...] = ()
    """Ids of the cards to set this one's prices beside."""
    modalities: Modalities
    endpoints: Endpoints
    features: Features
    tools: Tools
    limits: RateLimits
    parameters: Parameters = Parameters()
    deprecation: Deprecation | None = None

    def __post_init__(self) -> None:
        ids = [snapshot.id for snapshot in self.snapshots]
        if len(set(ids)) != len(ids):
            raise ValueError("two snapshots have the same id")
        if self.default_snapshot not in ids:
            raise ValueError(f"default_snapshot {self.default_snapshot!r} is not among its snapshots")
        if self.max_output_tokens is not None and self.max_output_tokens > self.context_window:
            raise ValueError("max_output_tokens is larger than context_window")

    @property
    def default(self) -> Snapshot:
        """The snapshot that the alias means."""
        return next(snapshot for snapshot in self.snapshots if snapshot.id == self.default_snapshot)

    @property
    def long_context_family(self) -> str:
        """The name under which long prompts are counted; not a callable model."""
        return f"{self.family}-long-context"

    def prices_of(self, snapshot: Snapshot) -> Prices:
        return snapshot.prices or self.prices

    def max_output_of(self, snapshot: Snapshot) -> int:
        """Tokens; 0 where it writes none."""
        return snapshot.max_output_tokens or self.max_output_tokens or 0

    def refusal(self, parameter: str) -> Refused | None:
        """Why a request parameter, by its dotted name, is not taken; None if it is."""
        return next((refused for refused in self.parameters.refused if refused.name == parameter), None)

    def values_of(self, parameter: str) -> tuple[str, ...] | None:
        """The only values that the model takes for a parameter; None if there is no such restriction."""
        return next((only.values for only in self.parameters.only if only.name == parameter), None)


class Cards:
    """All cards, in the order of their positions. Build it once; it does not change.

    Raises:
        CardError: two cards claim one name, or a card compares itself with one that is not there.
    """

    def __init__(self, cards: Iterable[Card]) -> None:
        ordered = sorted(cards, key=lambda card: (card.position, card.id))
        self._cards = {card.id: card for card in ordered}
        self._names: dict[str, tuple[Card, Snapshot]] = {}
        for card in ordered:
            # A model without dated versions is its own snapshot, so one card may claim its id twice.
            claims = {snapshot.id: snapshot for snapshot in card.snapshots} | {card.id: card.default}
            for name, snapshot in claims.items():
                if name in self._names:
                    raise CardError(f"{card.id}.toml: {name!r} is already claimed by {self._names[name][0].id}.toml")
                self._names[name] = (card, snapshot)
        for card in ordered:
            for other in card.comparison:
                if other not in self._cards:
                    raise CardError(f"{card.id}.toml: comparison names {other!r}, which has no card")

    def __iter__(self) -> Iterator[Card]:
        return iter(self._cards.values())

    def __len__(self) -> int:
        return len(self._cards)

    def __contains__(self, card_id: object) -> bool:
        return card_id in self._cards

    def get(self, card_id: str) -> Card | None:
        """The card of exactly this id; snapshots are found by ``resolve``."""
        return self._cards.get(card_id)

    def resolve(self, name: str) -> tuple[Card, Snapshot] | None:
        """The card and snapshot that a client means: an alias its default snapshot, a dated id itself."""
        return self._names.get(name)

    def serving(self, endpoint: str) -> tuple[Card, ...]:
        """The cards whose models answer on an endpoint, a field name of ``Endpoints``."""
        return tuple(card for card in self if getattr(card.endpoints, endpoint))


def load_cards(folder: Traversable | None = None) -> Cards:
    """Read every ``*.toml`` in ``folder``, or the cards that the package brings.

    Raises:
        CardError: a file does not decode, or the cards contradict each other.
    """
    return _shipped_cards() if folder is None else _read_cards(folder)


@functools.cache
def _shipped_cards() -> Cards:
    return _read_cards(files("inhouse.catalog").joinpath("cards"))


def _read_cards(folder: Traversable) -> Cards:
    cards = []
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".toml"):
            card = decode_file(file, Card)
            if f"{card.id}.toml" != file.name:
                raise CardError(f"{file.name}: its id is {card.id!r}; name the file {card.id}.toml")
            cards.append(card)
    return Cards(cards)


def decode_file(file: Traversable, shape: type[_T]) -> _T:
    """One data file of the catalog, with amounts of money read exactly.

    Raises:
        CardError: naming the file.
    """
    try:
        return msgspec.toml.decode(file.read_bytes(), type=shape, dec_hook=_read_money)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise CardError(f"{file.name}: {error}") from error


def _read_money(shape: type, value: Any) -> Any:
    if shape in (TokenPrice, Fee):
        return shape.parse(value)
    raise NotImplementedError(f"no reader for {shape}")
