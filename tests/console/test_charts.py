"""Columns of days: what stands in them, and in which colour."""

from __future__ import annotations

from inhouse.console.dashboard.charts import DAY_S, HEIGHT, TONES, stacked


def test_a_column_is_the_sum_of_its_parts() -> None:
    chart = stacked([(0, "a", 1.0), (0, "a", 1.0), (0, "b", 6.0), (DAY_S, "a", 4.0), (DAY_S, "c", 0.0)], 0, 2, "$")
    assert [(each.name, each.total, each.tone) for each in chart.series] == [("a", 6.0, 1), ("b", 6.0, 2)]
    assert (chart.highest, chart.total) == (8.0, 12.0)
    assert [(bar.height, bar.y) for bar in chart.bars] == [
        (HEIGHT / 4, HEIGHT * 3 / 4),
        (HEIGHT * 3 / 4, 0.0),
        (HEIGHT / 2, HEIGHT / 2),
    ]
    assert chart.rows == [("Jan 01", 8.0), ("Jan 02", 4.0)]
    assert "a: $2" in chart.bars[0].title


def test_a_name_has_one_colour_on_a_page() -> None:
    costs = stacked([(0, "dear", 9.0), (0, "cheap", 1.0)], 0, 1, "$")
    tokens = stacked([(0, "cheap", 900.0), (0, "dear", 100.0), (0, "free", 2000.0)], 0, 1, "tokens", costs)
    tones = {each.name: each.tone for each in (*costs.series, *tokens.series)}
    assert tones == {"dear": 1, "cheap": 2, "free": 3}
    assert {bar.tone for bar in tokens.bars} == {1, 2, 3}
    assert [each.name for each in stacked([(0, "cheap", 1.0)], 0, 1, "", costs).series] == ["cheap"]


def test_many_names_share_the_last_colour() -> None:
    chart = stacked([(0, f"name {number}", 100.0 - number) for number in range(10)], 0, 1)
    assert [each.tone for each in chart.series] == [*range(1, TONES), *[TONES] * (11 - TONES)]


def test_nothing_is_no_chart_that_breaks() -> None:
    chart = stacked([], 0, 30)
    assert (chart.bars, chart.series, chart.highest, chart.total) == ([], [], 0.0, 0)
