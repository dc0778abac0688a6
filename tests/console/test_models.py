from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from inhouse.catalog.cards import TIERS, Card, Cards, load_cards
from inhouse.catalog.evaluation.results import Evaluation, Group
from inhouse.catalog.served import Change, ServedBy
from inhouse.console.models import Viewer, model_pages
from inhouse.kit.money import format_dollars

CARDS = load_cards()
HERE = ServedBy(
    weights="Qwen2.5-Coder-0.5B-Instruct Q4_K_M",
    engine="llama.cpp",
    window=32_768,
    bound_since=datetime(2026, 11, 22, 14, 3, tzinfo=UTC),
    state="ready",
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    license="Apache-2.0",
    prefill_tokens_per_second=75.21,
    decode_tokens_per_second=20.04,
)
MEASURED = Evaluation(
    model="gpt-4.1-2025-04-14",
    deployment="qwen@1",
    served_by=HERE.weights,
    tasks="<own>",
    groups=[Group("reading & more", 3, 4), Group("JSON", 0, 2)],
    batch_id="batch_1",
    project_id="proj_1",
    created_at=1_763_820_180_000_000,
)

# The text of the published page of GPT-4.1 from its trail on, line by line.
PAGE = (Path(__file__).parent / "gpt-4.1-page.txt").read_text(encoding="utf-8").splitlines()


class View:
    def __init__(self, served: dict[str, ServedBy] | None = None, cards: Cards = CARDS) -> None:
        self.cards = cards
        self.served = {"gpt-4.1-2025-04-14": HERE} if served is None else served
        self.evaluations: dict[str, Evaluation] = {}

    async def served_by(self, snapshot_id: str) -> ServedBy | None:
        return self.served.get(snapshot_id)

    async def evaluation(self, snapshot_id: str) -> Evaluation | None:
        return self.evaluations.get(snapshot_id)

    async def changes(self, model: str) -> list[Change]:
        bound = Change(weights="Better <weights>", engine="llama.cpp", bound_at=HERE.bound_since, actor="cli")
        return [bound, Change(weights=HERE.weights, engine="llama.cpp")] if model == "gpt-4.1" else []


async def openapi(_: Request) -> JSONResponse:
    return JSONResponse({})


def browse(view: View | None = None, viewer: Viewer | None = None) -> TestClient:
    async def who(_: Request) -> Viewer | None:
        return viewer

    routes = [*model_pages(view or View(), viewer=who), Route("/openapi.json", openapi)]
    return TestClient(Starlette(routes=routes), follow_redirects=False)


@pytest.fixture
def browser() -> Iterator[TestClient]:
    with browse() as client:
        yield client


class Reader(HTMLParser):
    """What a page says, line by line, as its blocks divide it; and its links, ids and tags."""

    INLINE = frozenset({"a", "abbr", "b", "code", "i", "span", "time", "wbr"})
    VOID = frozenset({"br", "circle", "input", "link", "meta", "path", "rect", "stop", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        assert not self.open
        self.lines = [line for raw in "".join(self.text).split("\0") if (line := " ".join(raw.split()))]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        assert len(found) == len(attrs)
        self.tags.append((tag, found))
        for name in ("href", "src", "action"):
            if value := found.get(name):
                self.links.append(value)
        if (value := found.get("id")) is not None:
            self.ids.append(value)
        for name in ("aria-labelledby", "for"):
            if value := found.get(name):
                self.labelled += value.split()
        if tag not in self.INLINE:
            self.text.append("\0")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag not in self.INLINE:
            self.text.append("\0")

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def main_of(html: str) -> Reader:
    return Reader(html[html.index("<main") : html.index("</main>") + len("</main>")])


def table_rows(html: str, caption: str) -> list[list[str]]:
    table = next(part for part in re.findall(r"<table.*?</table>", html, re.S) if caption in part)
    return [Reader(row).lines for row in re.findall(r"<tr.*?</tr>", table, re.S)]


def test_the_page_says_everything_of_the_published_page_in_its_order(browser: TestClient) -> None:
    answer = browser.get("/models/gpt-4.1")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    lines = main_of(answer.text).lines
    at, after = 0, 0
    for wanted in PAGE:
        while at < len(lines) and (found := lines[at].find(wanted, after)) < 0:
            at, after = at + 1, 0
        assert at < len(lines), f"{wanted!r} is missing, or not in its place"
        after = found + len(wanted)


def test_what_was_measured_of_the_deployment_with_a_link_to_the_run() -> None:
    view = View()
    with browse(view) as browser:
        before = main_of(browser.get("/models/gpt-4.1").text)
        assert any("Not evaluated yet: inhouse models evaluate gpt-4.1" in line for line in before.lines)
        view.evaluations["gpt-4.1-2025-04-14"] = MEASURED
        html = browser.get("/models/gpt-4.1").text
        after = main_of(html)
        assert "3 of 6 tasks (<own>), Nov 22, 2025, 14:03 UTC, the run" in after.lines
        assert "/dashboard/batches?batch=batch_1" in after.links
        assert table_rows(html, "the run") == [["Reading & more", "3 of 4"], ["JSON", "0 of 2"]]
        assert not any("Not evaluated" in line for line in after.lines)
        for page in ("/models/gpt-4o", "/models/text-embedding-3-small"):
            assert "evaluate" not in browser.get(page).text, "nothing serves it, or it does not chat"


def test_the_head_repeats_the_gauges_as_pictures(browser: TestClient) -> None:
    html = browser.get("/models/gpt-4.1").text
    strip = html[html.index('class="strip"') : html.index('class="about"')]
    dots, bolts = re.findall(r'<svg class="marks".*?</svg>', strip, re.S)
    assert (dots.count("<circle"), dots.count('class="off"')) == (5, 1)
    assert (bolts.count("<path"), bolts.count('class="off"')) == (5, 2)
    assert "4 of 5" in strip
    assert "3 of 5" in strip


def test_the_comparison_can_be_switched(browser: TestClient) -> None:
    html = browser.get("/models/gpt-4.1").text
    assert table_rows(html, "Cached input price per 1M tokens") == [
        ["GPT-4o", "$1.25"],
        ["o3-mini", "$0.55"],
        ["GPT-4.1", "$0.50"],
    ]
    assert table_rows(html, "Output price per 1M tokens") == [
        ["GPT-4o", "$10.00"],
        ["GPT-4.1", "$8.00"],
        ["o3-mini", "$4.40"],
    ]


def test_a_price_that_is_not_offered_is_not_compared_as_zero(browser: TestClient) -> None:
    html = browser.get("/models/gpt-3.5-turbo-instruct").text
    assert table_rows(html, "Cached input price per 1M tokens")[-1] == ["GPT-3.5 Turbo Instruct", "None"]
    assert "$0.00" not in html


def test_batch_and_other_prices(browser: TestClient) -> None:
    html = browser.get("/models/gpt-4.1").text
    batch = html[html.index('class="when-batch"') : html.index('id="compare"')]
    assert Reader(f"<div {batch[: batch.rindex('<div')]}").lines[:7] == [
        "Batch API price",
        "Input",
        "$1.00",
        "Cached input",
        "Not offered",
        "Output",
        "$4.00",
    ]
    assert table_rows(html, "Other prices")[1:] == [
        ["Priority processing", "$3.50", "$0.875", "$14.00"],
        ["Fine-tuned model", "$3.00", "$0.75", "$12.00"],
    ]
    assert ["File search", "$2.50 / 1,000 calls", "When using the Responses API"] in table_rows(html, "Tool fees")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_every_card_has_a_page_with_its_own_facts(browser: TestClient, card: Card) -> None:
    answer = browser.get(f"/models/{card.id}")
    assert answer.status_code == 200
    text = "\n".join(main_of(answer.text).lines)
    assert card.description in text
    assert f"{card.context_window:,} context window" in text
    if card.max_output_tokens is None:
        assert "max output tokens" not in text
    else:
        assert f"{card.max_output_tokens:,} max output tokens" in text
    if card.embedding is not None:
        assert f"{card.embedding.dimensions:,} dimensions" in text
    for price in (card.prices.standard.input, card.prices.standard.output):
        assert not price or format_dollars(price.per_million) in text
    assert not re.search(r"\$0\.00(?!\d)", text)
    for snapshot in card.snapshots:
        assert snapshot.id in text
    for title, limits in (("Standard", card.limits.standard), ("Long context", card.limits.long_context)):
        if limits is None:
            assert f"{title} rate limits by usage tier" not in text
            continue
        rows = table_rows(answer.text, f"{title} rate limits by usage tier")
        daily = any((row := limits.of(tier)) and row.rpd for tier in TIERS)
        assert rows[0] == ["Tier", "RPM", *(["RPD"] if daily else []), "TPM", "Batch queue limit"]
        for row, tier in zip(rows[1:], TIERS, strict=True):
            wanted = limits.of(tier)
            if wanted is None:
                assert row == ["Free", "Not supported"]
                continue
            assert row[1] == f"{wanted.rpm:,}"
            assert row[-2:] == [f"{most:,}" if most else "–No limit" for most in (wanted.tpm, wanted.batch_queue)]
            if daily:
                assert row[2] == (f"{wanted.rpd:,}" if wanted.rpd else "–No limit")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_endpoints_are_marked_and_point_to_who_serves_them(browser: TestClient, card: Card) -> None:
    html = browser.get(f"/models/{card.id}").text
    section = html[html.index('id="endpoints"') : html.index('id="features"')]
    cells = re.findall(r'<li class="cell( off)?">(.*?)</li>', section, re.S)
    assert len(cells) == 15
    for (name, on), (off, cell) in zip(msgspec.structs.asdict(card.endpoints).items(), cells, strict=True):
        assert (off == "") is on
        assert ("Not supported" in cell) is not on
        links = re.findall(r'href="/models/([^"]+)"', cell)
        others = [] if on else [other.id for other in CARDS.serving(name)]
        assert links == others[:1]
        more = re.findall(r'href="/models\?capability=(\w+)"', cell)
        assert more == ([name] if len(others) > 1 else [])
        if more:
            listed = re.findall(r'<h2><a href="/models/([^"]+)"', browser.get(f"/models?capability={name}").text)
            assert set(listed) == set(others)


def test_facts_that_were_never_published_are_said_to_be_so() -> None:
    bare = msgspec.structs.replace(
        next(iter(CARDS)), intelligence=None, speed=None, knowledge_cutoff=None, comparison=(), note=None
    )
    bare = msgspec.structs.replace(bare, prices=msgspec.structs.replace(bare.prices, batch=None, priority=None))
    with browse(View(cards=Cards([bare]))) as browser:
        text = "\n".join(main_of(browser.get("/models/gpt-4.1").text).lines)
    assert text.count("Not published") == 2
    assert "Knowledge cutoff not published" in text
    assert "Batch API price" not in text
    assert "Priority processing" not in text
    assert "None" not in text


def test_served_by_is_told_with_its_measures(browser: TestClient) -> None:
    text = "\n".join(main_of(browser.get("/models/gpt-4.1").text).lines)
    assert "Served by Qwen2.5-Coder-0.5B-Instruct Q4_K_M on llama.cpp, this machine" in text
    for fact in ["32,768 tokens", "75.2 tokens/s", "20 tokens/s", "Apache-2.0", "1d9614638d18…", "Ready"]:
        assert fact in text
    assert "since Nov 22, 2026, 14:03 UTC" in text


def test_what_is_not_measured_or_known_is_not_invented() -> None:
    bare = ServedBy(
        weights="m", engine="vLLM", where="gpu.example:8000", window=4096, bound_since=HERE.bound_since, state="failed"
    )
    with browse(View({"gpt-4.1-2025-04-14": bare})) as browser:
        text = "\n".join(main_of(browser.get("/models/gpt-4.1").text).lines)
    assert text.count("Not measured yet") == 2
    assert text.count("Not known") == 2
    assert "Served by m on vLLM, gpu.example:8000" in text
    assert "Failed" in text


def test_a_model_that_nothing_serves_says_so(browser: TestClient) -> None:
    text = "\n".join(main_of(browser.get("/models/o3-mini").text).lines)
    assert "Not deployed here" in text
    assert "inhouse models use o3-mini" in text
    assert "llama.cpp" not in text


def test_the_callers_tier_is_marked_and_their_project_named() -> None:
    with browse(viewer=Viewer("Blue & sons", "tier_3")) as browser:
        html = browser.get("/models/gpt-4.1").text
    assert table_rows(html, "Standard rate limits by usage tier")[4][0] == "Tier 3 Your tier"
    assert html.count("Your tier</span>") == 2
    assert "Blue &amp; sons" in html


def test_nobody_signed_in_marks_nothing(browser: TestClient) -> None:
    assert "Your tier</span>" not in browser.get("/models/gpt-4.1").text


def test_the_list_shows_every_card_with_what_serves_it(browser: TestClient) -> None:
    html = browser.get("/models").text
    found = re.findall(r'<h2><a href="/models/([^"]+)">', html)
    assert found == [card.id for card in CARDS]
    text = "\n".join(main_of(html).lines)
    assert "Served by Qwen2.5-Coder-0.5B-Instruct Q4_K_M on llama.cpp, this machine" in text
    assert text.count("Not deployed here") == len(CARDS) - 1
    assert "$0.025" in text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("gpt-4o", [card.id for card in CARDS if card.id.startswith("gpt-4o")]),
        ("  NANO ", ["gpt-4.1-nano"]),
        ("mini 4.1", ["gpt-4.1-mini"]),
        ("2024-05-13", ["gpt-4o"]),
        ("qwen2.5", ["gpt-4.1"]),
        ("", [card.id for card in CARDS]),
        ("no such thing", []),
    ],
)
def test_the_search_needs_no_script(browser: TestClient, query: str, wanted: list[str]) -> None:
    form = browser.get("/models").text
    assert re.search(r'<form class="search"[^>]* action="/models" method="get">', form)
    assert '<input id="q" name="q" type="search"' in form
    answer = browser.get("/models", params={"q": query})
    assert answer.status_code == 200
    assert re.findall(r'<h2><a href="/models/([^"]+)">', answer.text) == wanted


def test_an_unknown_model_is_a_page_that_says_so(browser: TestClient) -> None:
    answer = browser.get("/models/gpt-41")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    text = "\n".join(main_of(answer.text).lines)
    assert "No such model" in text
    assert "Did you mean GPT-4.1" in text
    assert browser.get("/models/zzzzzzzz").status_code == 404


def test_a_snapshot_leads_to_its_card(browser: TestClient) -> None:
    answer = browser.get("/models/gpt-4o-2024-11-20")
    assert answer.status_code == 307
    assert answer.headers["location"] == "/models/gpt-4o#snapshots"


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_hostile_text_stays_text() -> None:
    evil = ServedBy(
        weights=HOSTILE,
        engine=HOSTILE,
        where=HOSTILE,
        window=1,
        bound_since=HERE.bound_since,
        state="ready",
        sha256=HOSTILE,
        license=HOSTILE,
    )
    view = View({card.default_snapshot: evil for card in CARDS})
    with browse(view, Viewer(HOSTILE)) as browser:
        pages = [
            browser.get("/models"),
            browser.get("/models", params={"q": HOSTILE}),
            browser.get("/models/gpt-4.1"),
            browser.get("/models/" + HOSTILE.replace("/", "%2F")),
            browser.get("/models/%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        ]
    assert [page.status_code for page in pages[:3]] == [200, 200, 200]
    for page in pages:
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in pages[2].text
    assert 'value="&lt;script&gt;' in pages[1].text


@pytest.mark.parametrize("path", ["/models", "/models/gpt-4.1", "/models/nope", "/models?q=x"])
def test_pages_run_under_a_strict_policy(browser: TestClient, path: str) -> None:
    answer = browser.get(path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Reader(answer.text.partition("<!doctype html>")[2])
    for tag, attributes in page.tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
    assert not [link for link in page.links if link.startswith(("http:", "https:", "//", "data:"))]


@pytest.mark.parametrize("path", ["/models", "/models/gpt-4.1", "/models/gpt-4o", "/models/nope"])
def test_pages_are_sound_for_a_screen_reader(browser: TestClient, path: str) -> None:
    html = browser.get(path).text
    page = Reader(html.partition("<!doctype html>")[2])
    assert len(page.ids) == len(set(page.ids))
    assert set(page.labelled) <= set(page.ids)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert '<html lang="en">' in html
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true"
        if tag == "th":
            assert attributes.get("scope") in ("row", "col")
        if tag == "a" and "skip" in (attributes.get("class") or ""):
            assert attributes["href"] == "#content"


def test_no_link_leads_nowhere(browser: TestClient) -> None:
    seen: set[str] = set()
    waiting = ["/models", "/models?q=mini", "/models?q=zzz", "/models/nope"]
    pages: dict[str, Reader] = {}
    fragments: list[tuple[str, str, str]] = []
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = browser.get(url)
        assert answer.status_code == (404 if url == "/models/nope" else 200), url
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        pages[url] = Reader(answer.text.partition("<!doctype html>")[2])
        for link in pages[url].links:
            target, fragment = urldefrag(urljoin(url, link))
            waiting.append(target)
            if fragment:
                fragments.append((url, target, fragment))
    assert {f"/models/{card.id}" for card in CARDS} <= seen
    assert fragments
    for source, target, fragment in fragments:
        assert fragment in pages[target].ids, (source, target, fragment)


def test_a_page_that_has_not_changed_is_not_sent_again(browser: TestClient) -> None:
    first = browser.get("/models/gpt-4.1")
    assert first.headers["cache-control"] == "private, no-cache"
    again = browser.get("/models/gpt-4.1", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser.get("/models/gpt-4o", headers={"if-none-match": first.headers["etag"]}).status_code == 200
    missing = browser.get("/models/nope")
    assert "etag" not in missing.headers


def test_the_first_visit_is_light(browser: TestClient) -> None:
    page = browser.get("/models/gpt-4.1")
    urls = {link for link in Reader(page.text.partition("<!doctype html>")[2]).links if link.startswith("/static/")}
    assert len(urls) == 4
    sent = [int(page.headers["content-length"])] + [int(browser.get(url).headers["content-length"]) for url in urls]
    assert sum(sent) < 60_000


def test_a_head_request_has_no_body(browser: TestClient) -> None:
    answer = browser.head("/models/gpt-4.1")
    assert (answer.status_code, answer.content) == (200, b"")
    assert browser.post("/models").status_code == 405


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        ("whisper-1", ["Audio", "$0.006", "Per minute"]),
        ("tts-1", ["Speech", "$15.00", "Per 1M characters"]),
        ("text-embedding-3-small", ["Input", "$0.02", "Per 1M tokens"]),
        ("gpt-4o-mini-tts", ["Input", "$0.60", "Audio output", "$12.00"]),
        ("gpt-4o-transcribe", ["Text input", "$2.50", "Audio input", "$2.50", "Output", "$10.00"]),
        ("omni-moderation-latest", ["Use", "Free"]),
    ],
)
def test_every_kind_of_model_has_prices_in_its_own_unit(browser: TestClient, model: str, wanted: list[str]) -> None:
    html = browser.get(f"/models/{model}").text
    section = html[html.index('id="pricing"') : html.index('id="tool-fees"')]
    text = " ".join(section.split())
    at = -1
    for each in wanted:
        place = text.find(each) if each.startswith("Per ") else (at := text.find(f">{each}", at + 1))
        assert place >= 0, each
    assert not re.search(r"\$0\.00(?!\d)", browser.get("/models", params={"q": model}).text)


def test_the_list_can_be_filtered(browser: TestClient) -> None:
    def found(**asked: str) -> set[str]:
        return set(re.findall(r'<h2><a href="/models/([^"]+)">', browser.get("/models", params=asked).text))

    assert found(capability="embeddings") == {card.id for card in CARDS if card.endpoints.embeddings}
    assert found(served="1") == {"gpt-4.1"}
    retired = {card.id for card in CARDS if card.deprecation and card.deprecation.status == "retired"}
    assert retired
    assert found(current="1") == {card.id for card in CARDS} - retired
    assert found(capability="chat_completions", q="nano") == {"gpt-4.1-nano"}
    assert found(capability="__class__") == {card.id for card in CARDS}


def test_models_are_compared_side_by_side(browser: TestClient) -> None:
    html = browser.get("/models/compare?model=gpt-4.1&model=o3-mini&model=gpt-4.1-2025-04-14").text
    assert table_rows(html, "Input price, per 1M tokens") == [["GPT-4.1", "$2.00"], ["o3-mini", "$1.10"]]
    assert table_rows(html, "Speed measured here, tokens a second")[1] == ["o3-mini", "None"]
    assert re.findall(r'<th scope="col"><a href="/models/([^"]+)">', html) == ["gpt-4.1", "o3-mini"]


def test_a_comparison_takes_whatever_is_asked(browser: TestClient) -> None:
    names = "&".join(f"model={card.id}" for card in CARDS)
    html = browser.get(f"/models/compare?{names}").text
    assert len(re.findall(r'<th scope="col"><a href="/models/([^"]+)">', html)) == 4
    strange = browser.get("/models/compare", params={"model": ["<script>", "gpt-4.1"]})
    assert strange.status_code == 200
    assert "No such model: &lt;script&gt;" in strange.text
    assert "Choose at least two" in strange.text


def test_the_change_log_tells_every_binding(browser: TestClient) -> None:
    text = "\n".join(main_of(browser.get("/models/gpt-4.1").text).lines)
    assert "Better <weights> on llama.cpp Now" in text
    assert "Nov 22, 2026, 14:03 UTC, by cli" in text
    assert "Shipped as the default" in text
    assert "Change log" not in browser.get("/models/o3-mini").text
