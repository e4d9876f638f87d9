"""What the tables say about the paper's claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import charts, claim
from benchmarks.table import Table
from dpk_core.selection.estimate import Estimate
from tests.unit.benchmarks.made_up_table import made_up

TEACHERS = (0.80, 0.84, 0.88, 0.92, 0.96)
FOLLOWS = (0.5, 0.55, 0.61, 0.64, 0.71, 0.74)
"""No teacher, then students that gain as much as their teachers."""
DOES_NOT = (0.5, 0.64, 0.55, 0.72, 0.6, 0.62)


@pytest.fixture(scope="module")
def dpk() -> list[Table]:
    return [made_up(f"{data}-dpk", seed, FOLLOWS, TEACHERS) for seed, data in enumerate(("one", "two"))]


@pytest.fixture(scope="module")
def kd() -> list[Table]:
    return [made_up(f"{data}-kd", seed, DOES_NOT, TEACHERS) for seed, data in enumerate(("one", "two"), 5)]


def test_a_student_that_follows_its_teacher_is_seen_to(dpk: list[Table]) -> None:
    row = claim.row("one", "dpk", dpk[:1])
    assert row["pearson"]["value"] > 0.9
    assert row["kendall"]["low"] > -1
    assert row["slope"] == pytest.approx(1.2, abs=0.2)
    assert row["students"] == row["teachers"] == 5
    assert row["helped"] >= 4
    assert row["harmed"] == 0
    assert row["gain"]["value"] == pytest.approx(15, abs=2)


def test_when_the_slope_shows_is_told_by_eighths_of_a_training(dpk: list[Table]) -> None:
    row = claim.row("one", "dpk", dpk[:1])
    assert len(row["slope_by_eighth"]) == 8
    assert row["slope_by_eighth"][-1] == pytest.approx(row["slope"], abs=0.2)
    one = dpk[0]
    twice = replace(one, validation_right_ASEV=one.validation_right_ASEV.repeat(2, axis=2))
    assert claim.slopes(twice) == claim.slopes(one)
    assert len(claim.row("all", "dpk", [one, twice])["slope_by_eighth"]) == 8


def test_levels_of_tables_do_not_count(dpk: list[Table]) -> None:
    high = made_up("two-dpk", 9, [each + 0.2 for each in FOLLOWS], [each - 0.3 for each in TEACHERS])
    assert claim.row("all", "dpk", [dpk[0], high])["pearson"]["value"] > 0.9


def test_students_of_the_same_teachers_are_no_new_evidence(dpk: list[Table]) -> None:
    other = made_up("one-dpk", 9, [each + 0.2 for each in FOLLOWS], TEACHERS)
    alone, both = (claim.row("all", "dpk", tables) for tables in (dpk[:1], [dpk[0], other]))
    assert (both["teachers"], both["students"]) == (5, 10)
    assert both["pearson"]["high"] - both["pearson"]["low"] > 0.5 * (alone["pearson"]["high"] - alone["pearson"]["low"])
    assert claim.row("all", "dpk", dpk)["teachers"] == 10


def test_whether_teachers_keep_their_order_with_few_pictures() -> None:
    many = made_up("many-dpk", 1, FOLLOWS, TEACHERS)
    same, turned = (made_up("few-dpk", 2, (0.4, *gains), TEACHERS) for gains in (FOLLOWS[1:], FOLLOWS[:0:-1]))
    kept, lost = (claim.order_kept(each, many) for each in (same, turned))
    assert (kept["teachers"], kept["best_of_few"], kept["lost"]) == (5, kept["best_of_many"], 0.0)
    assert kept["pearson"]["value"] > 0.9
    assert lost["pearson"]["value"] < -0.9
    assert lost["lost"] == lost["most_lost"] == pytest.approx(19, abs=3)


def test_a_difference_is_as_unsure_as_both() -> None:
    one, other = Estimate(value=0.8, low=0.5, high=0.9), Estimate(value=0.1, low=-0.4, high=0.5)
    apart = claim.difference(one, other)
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.7, 0.7 - 0.5, 0.7 + 0.26**0.5))
    same = claim.difference(one, one)
    assert same.low < 0 == same.value < same.high


def test_features_and_loss_weights_are_told_apart(dpk: list[Table], kd: list[Table]) -> None:
    logits, kd1 = (
        [made_up(f"{data}-{label}", seed, truth, TEACHERS) for seed, data in enumerate(("one", "two"), first)]
        for label, truth, first in (("logits", FOLLOWS, 20), ("kd1", DOES_NOT, 30))
    )
    tables = [*dpk, *kd, *logits, *kd1[:1]]
    features, weights, temperature = (
        claim.comparison(*pair, tables) for pair in (("dpk", "logits"), ("logits", "kd1"), ("kd1", "kd"))
    )
    assert features is not None
    assert weights is not None
    assert temperature is not None
    assert [each["tables"] for each in (features, weights, temperature)] == [["one", "two"], ["one"], ["one"]]
    assert [each["what"] for each in (features, weights)] == ["feature term", "loss weights"]
    # DPK's students follow as those without its feature term do; those of other loss weights do not.
    assert features["pearson"]["low"] < 0 < features["pearson"]["high"]
    assert features["slope"]["value"] == pytest.approx(0, abs=0.15)
    assert weights["pearson"]["value"] > 0.3
    assert weights["slope"]["low"] > 0.3
    # Both sides of a seed's difference have the same teachers, so it is the difference of their slopes.
    assert weights["slope"]["value"] == pytest.approx(
        claim.slope([claim.points(logits[0])]) - claim.slope([claim.points(kd1[0])]), abs=1e-3
    )
    gains = [claim.row("one", label, found[:1])["gain"]["value"] for label, found in (("logits", logits), ("kd1", kd1))]
    assert weights["gain"]["value"] == pytest.approx(gains[0] - gains[1], abs=2e-3)
    assert claim.with_all_arms(tables) == ["one"]
    in_one = claim.comparisons_in("one", tables)
    assert [each["what"] for each in in_one] == ["feature term", "loss weights", "temperature"]
    assert {*map(str, (each["tables"] for each in in_one))} == {"['one']"}


def test_old_tables_are_compared_as_far_as_they_go(dpk: list[Table], kd: list[Table]) -> None:
    found = {pair: claim.comparison(*pair, [*dpk, *kd]) for pair in claim.COMPARED}
    assert [pair for pair, each in found.items() if each is not None] == [("dpk", "kd")]


def test_targets_ask_for_more_than_zero(dpk: list[Table], kd: list[Table]) -> None:
    pooled = {"dpk": claim.row("all", "dpk", dpk), "kd": claim.row("all", "kd", kd)}
    sure, unsure = (
        {"method": "dpk", "other": "logits", "pearson": {"value": 0.5, "low": low, "high": 0.9}} for low in (0.1, -0.1)
    )
    assert [each["met"] for each in claim.targets(pooled, [sure])] == [True, True]
    assert [each["met"] for each in claim.targets(pooled, [unsure])] == [True, False]
    assert claim.targets(pooled, [unsure])[1]["name"].endswith("less that under DPK, β = 0")


def test_it_is_drawn(dpk: list[Table], kd: list[Table], tmp_path: Path) -> None:
    chart = charts.teacher_and_student([claim._chart_rows(each) for each in (*dpk, *kd)], tmp_path)
    text = chart.read_text()
    assert all(word in text for word in ("one", "two", "DPK", "KD"))


def test_so_is_when_the_slope_shows(dpk: list[Table], kd: list[Table], tmp_path: Path) -> None:
    rows = [claim.row(each.name, each.metadata["method"], [each]) for each in (*dpk, *kd)]
    text = charts.slope_curves(rows, tmp_path).read_text()
    assert all(word in text for word in ("one", "two", "DPK", "KD", "part of the training"))
