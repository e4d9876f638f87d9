"""Rank correlations and their intervals, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dpk_core.selection.evaluate.association import Statistic, associate, free_pairs

X = [0.1, 0.4, 0.5, 0.8, 0.9, 0.95]
Y = [0.2, 0.6, 0.3, 0.5, 0.9, 0.5]


def test_one_group_is_the_textbooks() -> None:
    found = {name: associate([(X, Y)], name) for name in ("pearson", "spearman", "kendall")}
    references = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    for name, reference in references.items():
        assert found[name] is not None, name
        assert found[name].value == pytest.approx(reference(X, Y).statistic), name


def test_intervals_are_the_published_closed_forms() -> None:
    for name, variance in (("spearman", lambda r: (1 + r**2 / 2) / 3), ("kendall", lambda _: 0.437 / 2)):
        measured = associate([(X, Y)], name)
        assert measured is not None
        reach = 1.6448536 * variance(measured.value) ** 0.5
        assert np.arctanh(measured.high) - np.arctanh(measured.value) == pytest.approx(reach)
        assert np.arctanh(measured.value) - np.arctanh(measured.low) == pytest.approx(reach)


@pytest.mark.parametrize("statistic", ["pearson", "spearman", "kendall"])
def test_levels_of_groups_do_not_matter(statistic: Statistic) -> None:
    low, high = ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), ([0.7, 0.8, 0.9], [0.9, 0.8, 0.7])
    measured = associate([low, high, ([0.5], [0.5])], statistic)
    assert measured is not None
    assert measured.value == pytest.approx(-1)
    assert free_pairs([low, high, ([0.5], [0.5])]) == 5


@pytest.mark.parametrize(("statistic", "least"), [("pearson", 4), ("spearman", 4), ("kendall", 5)])
def test_too_little_is_not_measurable(statistic: Statistic, least: int) -> None:
    assert associate([(X[: least - 1], Y[: least - 1])], statistic) is None
    assert associate([(X[:least], Y[:least])], statistic) is not None
    assert associate([([0.5] * 6, Y)], statistic) is None
    assert associate([], statistic) is None


@pytest.mark.parametrize("statistic", ["spearman", "kendall"])
def test_few_teachers_in_perfect_order_are_no_certainty(statistic: Statistic) -> None:
    few, many = (associate([(list(range(n)), list(range(n)))], statistic) for n in (5, 40))
    assert few is not None
    assert many is not None
    assert few.value == few.high == 1
    assert few.low < 0.6
    assert many.low > 0.9


@pytest.mark.parametrize("statistic", ["spearman", "kendall"])
@pytest.mark.parametrize("count", [5, 6, 8, 12])
@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_intervals_hold_about_what_they_promise(statistic: Statistic, count: int, correlation: float) -> None:
    random = np.random.default_rng(0)
    # What the coefficient is in a normal population: Kendall 2/π asin r, Spearman 6/π asin r/2.
    truth = 2 / np.pi * np.arcsin(correlation) if statistic == "kendall" else 6 / np.pi * np.arcsin(correlation / 2)
    held = 0
    for _ in range(1000):
        x = random.normal(size=count)
        y = correlation * x + (1 - correlation**2) ** 0.5 * random.normal(size=count)
        measured = associate([(x, y)], statistic)
        assert measured is not None
        held += measured.low <= truth <= measured.high
    assert held / 1000 > 0.84
