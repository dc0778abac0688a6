"""``inhouse simulate``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import msgspec
import typer
from rich.markup import escape

from inhouse.catalog.cards import TIERS, Card, Cards, Snapshot, Tier, load_cards
from inhouse.cli.common import Refused, err, out, told
from inhouse.kit.errors import APIError
from inhouse.limits.simulation import Line, Outcome, Simulator, find, sufficient
from inhouse.metering.pricing import Rates, rates, service_tier
from inhouse.metering.usage import Usage

LATEST_S = 60.0
"""How far a line may lie behind the one before it: recordings are written as requests end."""


class Report(msgspec.Struct):
    """What is told with ``--json``. Money in nano-dollars."""

    file: str
    tier: Tier
    requests: int
    outcome: Outcome
    cost_nanos: int
    """Of the requests that pass."""
    sufficient_tier: Tier | None
    """The lowest tier that refuses nothing; null if there is none."""
    tiers: dict[str, bool]
    """Whether each tier refuses nothing."""


app = typer.Typer()


@app.command()
def simulate(
    traffic: Annotated[Path, typer.Argument(help="JSON lines, or CSV with a header; - reads JSON lines from stdin.")],
    tier: Annotated[int, typer.Option(min=0, max=5, help="The usage tier; 0 is Free.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Tell it as one JSON object.")] = False,
) -> None:
    """Replay traffic against the limits of a tier: what would get 429, and what the rest would cost. Runs no model.

    A line has `at` (Unix seconds, or ISO 8601), `model`, `input_tokens`, and may have `output_tokens`, `cached_tokens`,
    `max_tokens`, `seconds`, `project`, `batch` and `service_tier`. Exit code 2 if anything would be refused.
    """
    with told():
        report = _replay(traffic, TIERS[tier])
    if json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report)
    if report.outcome.refused:
        raise typer.Exit(2)


def _replay(traffic: Path, tier: Tier) -> Report:
    cards = load_cards()
    simulators = {each: Simulator(cards, each) for each in TIERS}
    chosen = simulators[tier]
    others = [simulator for each, simulator in simulators.items() if each != tier]
    known: dict[tuple[str, str | None, bool], tuple[Card, Rates]] = {}
    cost = 0
    latest = float("-inf")
    with _lines(traffic) as lines:
        for number, line in enumerate(lines, 1):
            if line.at < latest - LATEST_S:
                raise Refused(f"{traffic}: line {number} is earlier than the one before it; sort them by time")
            latest = max(latest, line.at)
            key = (line.model, line.service_tier, line.batch)
            found = known.get(key)
            if found is None:
                found = known[key] = _priced(cards, line, f"{traffic}: line {number}")
            card, price = found
            if chosen.admit(line, card):
                cost += price.cost_nanos(Usage(line.input_tokens, line.cached_tokens, line.output_tokens))
            # Of the other tiers only whether they suffice is asked: one that refuses is through.
            others = [simulator for simulator in others if simulator.admit(line, card)]
    outcomes = [simulator.outcome for simulator in simulators.values()]
    return Report(
        str(traffic),
        tier,
        chosen.outcome.requests,
        chosen.outcome,
        cost,
        sufficient(outcomes),
        {outcome.tier: not outcome.refused for outcome in outcomes},
    )


def _priced(cards: Cards, line: Line, where: str) -> tuple[Card, Rates]:
    try:
        card, snapshot = find(cards, line.model)
        return card, _rates(card, snapshot, line)
    except (ValueError, APIError) as error:
        raise Refused(f"{where}: {error}") from error


def _rates(card: Card, snapshot: Snapshot, line: Line) -> Rates:
    return rates(card, snapshot, service_tier(card, snapshot, line.service_tier), batch=line.batch)


@contextmanager
def _lines(traffic: Path) -> Iterator[Iterator[Line]]:
    if str(traffic) == "-":
        yield _json_lines(sys.stdin, "stdin")
        return
    try:
        file = traffic.open(encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(f"{traffic}: {error.strerror}") from error
    with file:
        yield _csv_lines(file, str(traffic)) if traffic.suffix.lower() == ".csv" else _json_lines(file, str(traffic))


def _json_lines(file: TextIO, name: str) -> Iterator[Line]:
    decoder = msgspec.json.Decoder(Line)
    for number, text in enumerate(_decoded(file, name), 1):
        if text.isspace():
            continue
        try:
            yield decoder.decode(text)
        except msgspec.MsgspecError as error:
            yield _convert(_loose(text, name, number, error), name, number)


def _decoded(file: TextIO, name: str) -> Iterator[str]:
    try:
        yield from file
    except UnicodeDecodeError as error:
        raise Refused(f"{name}: is not UTF-8: {error}") from error


def _loose(text: str, name: str, number: int, error: Exception) -> dict[str, Any]:
    """A line whose time is written out; whatever else is wrong is told as it was found."""
    try:
        found = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        found = {}
    if not isinstance(found.get("at"), str):
        raise Refused(f"{name}: line {number}: {error}") from error
    return found


def _csv_lines(file: TextIO, name: str) -> Iterator[Line]:
    for number, row in enumerate(csv.DictReader(_decoded(file, name)), 2):
        yield _convert({key: value for key, value in row.items() if key and value not in ("", None)}, name, number)


def _convert(found: dict[str, Any], name: str, number: int) -> Line:
    try:
        if isinstance(found.get("at"), str) and not found["at"].replace(".", "", 1).isdigit():
            at = datetime.fromisoformat(found["at"])
            found["at"] = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        return msgspec.convert(found, Line, strict=False)
    except (ValueError, msgspec.MsgspecError) as error:
        raise Refused(f"{name}: line {number}: {error}") from error


def _print(report: Report) -> None:
    outcome = report.outcome
    share = 100 * outcome.refused / outcome.requests if outcome.requests else 0.0
    out.print(
        f"{outcome.requests:,} requests against {_name(report.tier)}: {outcome.refused:,} refused ({share:.2f} %)"
    )
    for limit, count in sorted(outcome.by_limit.items(), key=lambda item: -item[1]):
        out.print(f"  {count:>10,}  {escape(limit)}")
    if outcome.first_at is not None and outcome.last_at is not None:
        out.print(f"  from {_time(outcome.first_at)} to {_time(outcome.last_at)}")
        for each in outcome.first[:3]:
            wait = "too large" if each.retry_after_s is None else f"retry after {each.retry_after_s:.3f} s"
            out.print(f"  line {each.line}: {escape(each.model)}, {escape(each.limit)}, {wait}")
    out.print(f"cost of those that pass: ${report.cost_nanos / 1_000_000_000:,.6f}")
    if report.sufficient_tier is None:
        err.print("no tier would have sufficed", soft_wrap=True)
    else:
        out.print(f"{_name(report.sufficient_tier)} would have sufficed")


def _name(tier: Tier) -> str:
    return tier.replace("_", " ").capitalize()


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
