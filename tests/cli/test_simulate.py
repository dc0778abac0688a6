from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.walking import walking
from typer.testing import CliRunner

from inhouse.catalog.cards import load_cards
from inhouse.cli.commands import app
from inhouse.limits.simulation import Line, Simulator

CARDS = load_cards()
CARD = CARDS.resolve("gpt-4.1")[0]  # type: ignore[index]


def traffic(folder: Path, lines: list[dict[str, Any]], name: str = "traffic.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["simulate", *arguments])


def line(at: float, **more: Any) -> dict[str, Any]:
    return {"at": at, "model": "gpt-4.1", "input_tokens": 10, "output_tokens": 5, **more}


def test_tells_what_is_refused_when_and_what_the_rest_costs(tmp_path: Path) -> None:
    rpm = CARD.limits.standard.tier_1.rpm  # type: ignore[union-attr]
    path = traffic(tmp_path, [line(1000.0) for _ in range(rpm + 3)] + [line(1000.0 + 60 / rpm)])
    told = run("--tier", "1", "--json", str(path))
    assert told.exit_code == 2, told.output
    report = json.loads(told.stdout)
    outcome = report["outcome"]
    assert (outcome["requests"], outcome["refused"]) == (rpm + 4, 3)
    assert outcome["by_limit"] == {"gpt-4.1 requests per min (RPM)": 3}
    assert [each["line"] for each in outcome["first"]] == [rpm + 1, rpm + 2, rpm + 3]
    assert outcome["first"][0]["retry_after_s"] == pytest.approx(60 / rpm)
    assert report["cost_nanos"] == (rpm + 1) * (10 * 2000 + 5 * 8000)
    assert report["sufficient_tier"] == "tier_2"
    assert report["tiers"] == {
        "free": False,
        "tier_1": False,
        **dict.fromkeys(["tier_2", "tier_3", "tier_4", "tier_5"], True),
    }
    text = run("--tier", "1", str(path))
    assert f"{rpm + 4:,} requests against Tier 1: 3 refused" in text.stdout
    assert "Tier 2 would have sufficed" in text.stdout


def test_passes_with_exit_code_0(tmp_path: Path) -> None:
    told = run("--tier", "5", str(traffic(tmp_path, [line(1), line(2, batch=True)])))
    assert told.exit_code == 0
    assert "0 refused" in told.stdout
    # A batch costs half.
    assert "$0.000090" in told.stdout


def test_reservations_are_settled_when_requests_end() -> None:
    tpm = CARD.limits.standard.tier_1.tpm  # type: ignore[union-attr]

    def refused(seconds: float) -> int:
        simulator = Simulator(CARDS, "tier_1")
        lines = [
            Line(at=n, model="gpt-4.1", input_tokens=1, output_tokens=1, max_tokens=tpm // 2, seconds=seconds)
            for n in (0.0, 1.0, 2.0, 3.0)
        ]
        return sum(not simulator.admit(each, CARD) for each in lines)

    assert refused(0.5) == 0
    assert refused(60) > 0


def test_csv_and_written_times(tmp_path: Path) -> None:
    path = tmp_path / "traffic.csv"
    path.write_text(
        "at,model,input_tokens,output_tokens,max_tokens,project\n"
        "2026-01-01T00:00:00Z,gpt-4.1,10,5,,a\n"
        "1767225601.5,gpt-4.1-2025-04-14,10,5,100,b\n"
    )
    assert json.loads(run("--json", str(path)).stdout)["requests"] == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([line(1), line(2, model="nothing")], "line 2: there is no model 'nothing'"),
        ([{"at": 1}], "line 1: Object missing required field `model`"),
        ([line(1, input_tokens=-1)], "line 1: a count is below 0"),
        ([line(1000), line(1)], "line 2 is earlier"),
        ([line(1, service_tier="none")], "service_tier"),
    ],
)
def test_says_what_is_wrong(tmp_path: Path, lines: list[dict[str, Any]], message: str) -> None:
    told = run(str(traffic(tmp_path, lines)))
    assert told.exit_code == 1
    assert message in told.output.replace("\n", " ")


def test_a_prompt_larger_than_the_limit(tmp_path: Path) -> None:
    tpm = CARD.limits.standard.tier_1.tpm  # type: ignore[union-attr]
    report = json.loads(run("--tier", "1", "--json", str(traffic(tmp_path, [line(1, input_tokens=tpm + 1)]))).stdout)
    assert report["outcome"]["refused"] == report["outcome"]["too_large"] == 1
    assert report["outcome"]["first"][0]["retry_after_s"] is None


def test_the_ledger_can_be_replayed(tmp_path: Path) -> None:
    async def spend() -> None:
        async with walking(tmp_path / "data") as walk:
            for _ in range(2):
                async with walk.call() as call:
                    call.usage.input_tokens, call.usage.output_tokens = 100, 7
                    await call.charge("file_search_calls", "searchVectorStore", 2_500_000, "vs_1")

    asyncio.run(spend())
    path = tmp_path / "traffic.jsonl"
    exported = CliRunner().invoke(app, ["ledger", "export", str(path), "--data-dir", str(tmp_path / "data")])
    assert exported.exit_code == 0, exported.output
    report = json.loads(run("--tier", "1", "--json", str(path)).stdout)
    assert (report["requests"], report["cost_nanos"]) == (2, 2 * (100 * 2000 + 7 * 8000))
