from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec
import pytest

from inhouse.catalog.cards import TIERS, Card, CardError, Cards, Endpoints, load_cards
from inhouse.catalog.terms import load_fees, load_terms
from inhouse.kit.money import GIGABYTE, format_dollars, nano_dollars, prorated

CARDS = load_cards()
FOLDER = Path(__file__).parents[2] / "src/inhouse/catalog/cards"


def card(card_id: str) -> Card:
    found = CARDS.get(card_id)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with copies of all cards, to spoil."""
    for file in FOLDER.glob("*.toml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def spoil(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def test_every_data_file_is_a_card_in_the_order_of_its_position() -> None:
    assert {card.id for card in CARDS} == {file.stem for file in FOLDER.glob("*.toml")}
    assert [card.position for card in CARDS] == sorted(card.position for card in CARDS)
    assert next(iter(CARDS)).id == "gpt-4.1"
    assert len(CARDS) == 19
    assert "gpt-4.1" in CARDS
    assert "gpt-4.1-2025-04-14" not in CARDS


def test_gpt_4_1_states_every_fact_of_its_page() -> None:
    it = card("gpt-4.1")
    assert (it.name, it.tagline) == ("GPT-4.1", "Smartest non-reasoning model")
    assert it.description == (
        "GPT-4.1 excels at instruction following and tool calling, with broad knowledge across domains. "
        "It features a 1M token context window, and low latency without a reasoning step."
    )
    assert it.note == "Note that we recommend starting with GPT-5 for complex tasks."
    assert it.intelligence is not None
    assert it.speed is not None
    assert (it.intelligence.label, it.intelligence.level) == ("Higher", 4)
    assert (it.speed.label, it.speed.level) == ("Medium", 3)
    assert (it.context_window, it.max_output_tokens) == (1_047_576, 32_768)
    assert it.knowledge_cutoff == date(2024, 6, 1)
    assert (it.created, it.default.created, it.owned_by) == (1_744_316_542, 1_744_315_746, "system")
    standard, batch = it.prices.standard, it.prices.batch
    assert (standard.input, standard.cached_input, standard.output) == (2_000, 500, 8_000)
    assert batch is not None
    assert (batch.input, batch.cached_input, batch.output) == (1_000, None, 4_000)
    assert {name for name in Endpoints.__struct_fields__ if getattr(it.endpoints, name)} == {
        "chat_completions",
        "responses",
        "assistants",
        "batch",
        "fine_tuning",
    }
    assert all(msgspec.structs.asdict(it.features).values())
    assert [name for name, on in msgspec.structs.asdict(it.tools).items() if not on] == ["computer_use"]


def test_gpt_4_1_limits_by_tier() -> None:
    limits = card("gpt-4.1").limits
    assert [
        None if (row := limits.standard.of(tier)) is None else (row.rpm, row.tpm, row.batch_queue) for tier in TIERS
    ] == [
        None,
        (500, 30_000, 90_000),
        (5_000, 450_000, 1_350_000),
        (5_000, 800_000, 50_000_000),
        (10_000, 2_000_000, 200_000_000),
        (10_000, 30_000_000, 5_000_000_000),
    ]
    assert limits.long_context is not None
    assert limits.long_context.above_tokens == 128_000
    assert [
        None if (row := limits.long_context.of(tier)) is None else (row.rpm, row.tpm, row.batch_queue) for tier in TIERS
    ] == [
        None,
        (100, 200_000, 2_000_000),
        (250, 500_000, 20_000_000),
        (500, 1_000_000, 40_000_000),
        (1_000, 5_000_000, 100_000_000),
        (4_000, 10_000_000, 1_000_000_000),
    ]
    assert card("gpt-4.1").long_context_family == "gpt-4.1-long-context"


@pytest.mark.parametrize(
    ("card_id", "window", "output", "prices"),
    [
        ("gpt-4.1-mini", 1_047_576, 32_768, (400, 100, 1_600)),
        ("gpt-4.1-nano", 1_047_576, 32_768, (100, 25, 400)),
        ("gpt-4o", 128_000, 16_384, (2_500, 1_250, 10_000)),
        ("gpt-4o-mini", 128_000, 16_384, (150, 75, 600)),
        ("o3-mini", 200_000, 100_000, (1_100, 550, 4_400)),
        ("gpt-3.5-turbo-instruct", 4_096, 4_096, (1_500, None, 2_000)),
    ],
)
def test_windows_and_prices(card_id: str, window: int, output: int, prices: tuple[int | None, ...]) -> None:
    it = card(card_id)
    assert (it.context_window, it.max_output_tokens) == (window, output)
    assert (it.prices.standard.input, it.prices.standard.cached_input, it.prices.standard.output) == prices


@pytest.mark.parametrize("it", CARDS, ids=lambda it: it.id)
def test_batches_cost_half(it: Card) -> None:
    for snapshot in it.snapshots:
        prices = it.prices_of(snapshot)
        if prices.batch is not None:
            assert prices.batch.input * 2 == prices.standard.input
            assert (prices.batch.output or 0) * 2 == (prices.standard.output or 0)
        assert (prices.batch is not None) is it.endpoints.batch


@pytest.mark.parametrize("it", CARDS, ids=lambda it: it.id)
def test_a_fine_tuned_price_needs_fine_tuning(it: Card) -> None:
    assert (it.prices.fine_tuned is not None) is it.endpoints.fine_tuning is it.features.fine_tuning


@pytest.mark.parametrize("it", CARDS, ids=lambda it: it.id)
def test_only_reasoning_models_take_an_effort(it: Card) -> None:
    if it.endpoints.chat_completions or it.endpoints.completions:
        assert (it.refusal("reasoning_effort") is None) is it.reasoning
    else:
        assert not it.reasoning


@pytest.mark.parametrize("it", CARDS, ids=lambda it: it.id)
def test_a_card_says_what_its_answers_are(it: Card) -> None:
    """Vectors have dimensions; texts have a most and a price."""
    assert (it.embedding is not None) is it.endpoints.embeddings
    assert (it.max_output_tokens is None) is (it.prices.standard.output is None) is it.endpoints.embeddings


@pytest.mark.parametrize("it", CARDS, ids=lambda it: it.id)
def test_limits_never_fall_as_tiers_rise_in_requests(it: Card) -> None:
    for table in filter(None, (it.limits.standard, it.limits.long_context)):
        rpm = [limits.rpm for tier in TIERS if (limits := table.of(tier)) is not None]
        assert len(rpm) == (6 if table.free else 5)
        assert rpm == sorted(rpm)


def test_an_alias_means_its_default_snapshot_and_a_dated_id_itself() -> None:
    for name, snapshot_id in [
        ("gpt-4.1", "gpt-4.1-2025-04-14"),
        ("gpt-4.1-2025-04-14", "gpt-4.1-2025-04-14"),
        ("gpt-4o", "gpt-4o-2024-08-06"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct"),
        ("gpt-3.5-turbo-instruct-0914", "gpt-3.5-turbo-instruct-0914"),
    ]:
        resolved = CARDS.resolve(name)
        assert resolved is not None
        found, snapshot = resolved
        assert snapshot.id == snapshot_id
        assert snapshot in found.snapshots
    for name in ["gpt-4.1 ", "GPT-4.1", "gpt-5", "", "gpt-4.1-long-context"]:
        assert CARDS.resolve(name) is None


def test_a_snapshot_may_differ_from_its_card() -> None:
    resolved = CARDS.resolve("gpt-4o-2024-05-13")
    assert resolved is not None
    it, snapshot = resolved
    assert it.max_output_of(snapshot) == 4_096
    assert it.prices_of(snapshot).standard.input == 5_000
    assert it.max_output_of(it.default) == 16_384
    assert it.prices_of(it.default) is it.prices


def test_parameters_that_a_model_does_not_take() -> None:
    reasoning, plain = card("o3-mini"), card("gpt-4.1")
    for name in ["temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "logit_bias"]:
        assert reasoning.refusal(name) is not None
        assert plain.refusal(name) is None
    instead = reasoning.refusal("max_tokens")
    assert instead is not None
    assert instead.instead == "max_completion_tokens"
    assert plain.refusal("audio") is not None
    assert plain.values_of("verbosity") == ("medium",)
    assert reasoning.values_of("reasoning_effort") == ("low", "medium", "high")
    assert plain.values_of("temperature") is None


def test_endpoints_know_who_serves_them() -> None:
    assert [it.id for it in CARDS.serving("completions")] == ["gpt-3.5-turbo-instruct"]
    assert CARDS.serving("videos") == ()
    assert card("gpt-4.1") in CARDS.serving("chat_completions")


def test_cards_cannot_be_changed() -> None:
    it = card("gpt-4.1")
    with pytest.raises(AttributeError):
        it.context_window = 1  # type: ignore[misc]
    with pytest.raises(AttributeError):
        it.prices.standard.input = it.prices.standard.output  # type: ignore[misc]


def test_dates_of_an_ending_are_for_people_only_with_a_source_they_can_open() -> None:
    endings = [it for it in CARDS if it.deprecation is not None]
    assert len(endings) == 9
    for it in endings:
        assert it.deprecation is not None
        assert it.deprecation.sourced is it.deprecation.source.startswith("https://")


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("tagline =", "tag_line =", "unknown field `tag_line`"),
        ("rpm = 500,", "rpm = 500, rps = 1,", "unknown field `rps`"),
        ("videos = false\n", "", "missing required field `videos`"),
        ("realtime = false", 'realtime = "no"', r"`\$.endpoints.realtime`"),
        ('input = "2.00"', "input = 2.0", "not an amount in dollars"),
        ('input = "2.00"', 'input = "-2.00"', "not an amount in dollars"),
        ('input = "2.00"', 'input = "0.0001"', "whole number of nano-dollars"),
        ("level = 4", "level = 6", "<= 5"),
        ("rpm = 500", "rpm = 0", ">= 1"),
        ('default_snapshot = "gpt-4.1-2025-04-14"', 'default_snapshot = "gpt-4.1-x"', "not among its snapshots"),
        ("max_output_tokens = 32_768", "max_output_tokens = 2_000_000", "larger than context_window"),
        ('comparison = ["gpt-4o"', 'comparison = ["gpt-9"', "names 'gpt-9'"),
        ('id = "gpt-4.1"', 'id = "gpt-4.2"', "name the file gpt-4.2.toml"),
        ('id = "gpt-4.1"', 'id = "../x"', "regex"),
        ('[[snapshots]]\nid = "gpt-4.1-2025-04-14"', "[[snapshots", "gpt-4.1.toml"),
        (
            '[[snapshots]]\nid = "gpt-4.1-2025-04-14"',
            '[[snapshots]]\nid = "gpt-4.1-2025-04-14"\ncreated = 1\n[[snapshots]]\nid = "gpt-4.1-2025-04-14"',
            "same id",
        ),
    ],
)
def test_a_wrong_card_is_refused_with_its_file_name(folder: Path, before: str, after: str, complaint: str) -> None:
    spoil(folder / "gpt-4.1.toml", before, after)
    with pytest.raises(CardError, match=complaint) as refused:
        load_cards(folder)
    assert str(refused.value).startswith("gpt-4.1.toml: ")


def test_bytes_that_are_not_text_are_refused_with_their_file_name(folder: Path) -> None:
    (folder / "gpt-4.1.toml").write_bytes(b'id = "\xff\xfe"')
    with pytest.raises(CardError, match=r"^gpt-4\.1\.toml: "):
        load_cards(folder)


def test_two_cards_may_not_claim_one_name(folder: Path) -> None:
    spoil(folder / "gpt-4o-mini.toml", '[[snapshots]]\nid = "gpt-4o-mini-2024-07-18"', '[[snapshots]]\nid = "gpt-4o"')
    spoil(folder / "gpt-4o-mini.toml", '"gpt-4o-mini-2024-07-18"', '"gpt-4o"')
    with pytest.raises(CardError, match=r"'gpt-4o' is already claimed by gpt-4o\.toml"):
        load_cards(folder)


def test_other_files_in_the_folder_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("not a card")
    assert len(load_cards(folder)) == len(CARDS)


def test_an_empty_catalog_is_a_catalog() -> None:
    empty = Cards([])
    assert (len(empty), list(empty), empty.get("gpt-4.1"), empty.resolve("gpt-4.1")) == (0, [], None, None)


def test_everything_a_card_speaks_of_has_a_name() -> None:
    terms = load_terms()
    assert len(terms.endpoints) == 15
    assert terms.endpoints["chat_completions"].path == "v1/chat/completions"
    assert terms.tiers["tier_1"] == "Tier 1"


def test_fees_are_charged_for_what_was_used() -> None:
    fees = load_fees()
    assert prorated(fees["web_search"].price, 3, fees["web_search"].per) == nano_dollars("0.03")
    assert prorated(fees["file_search"].price, 1, fees["file_search"].per) == nano_dollars("0.0025")
    stored = fees["file_search_storage"]
    half_a_gigabyte_for_a_day = GIGABYTE // 2 * 86_400
    assert prorated(stored.price, half_a_gigabyte_for_a_day, GIGABYTE * 86_400) == nano_dollars("0.05")
    assert format_dollars(fees["container_64g"].price) == "$1.92"
