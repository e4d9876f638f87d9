"""Correlations, against textbook values and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dpk_core.selection.estimate import wilson
from dpk_core.selection.statistics import mean_interval, pooled_correlation


class TestPooledCorrelation:
    def test_one_group_is_pearson_with_fishers_interval(self) -> None:
        x, y = [0.1, 0.4, 0.5, 0.8, 0.9], [0.2, 0.3, 0.6, 0.5, 0.9]
        measured = pooled_correlation([(x, y)])
        assert measured is not None
        reference = stats.pearsonr(x, y)
        interval = reference.confidence_interval(0.9)
        assert measured.value == pytest.approx(reference.statistic)
        assert (measured.low, measured.high) == (pytest.approx(interval.low), pytest.approx(interval.high))

    def test_levels_of_groups_do_not_matter(self) -> None:
        # Each student falls with its teacher; pooled naively, the two levels would make it look like a rise.
        low, high = ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1]), ([0.7, 0.8, 0.9], [0.9, 0.8, 0.7])
        measured = pooled_correlation([low, high])
        assert measured is not None
        assert measured.value == pytest.approx(-1)

    @pytest.mark.parametrize(
        "groups", [[], [([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])], [([0.1] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])]]
    )
    def test_too_little_is_not_measurable(self, groups: list[tuple[list[float], list[float]]]) -> None:
        assert pooled_correlation(groups) is None


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (9, 10)])
def test_wilson_is_scipys(hits: int, count: int) -> None:
    reference = stats.binomtest(hits, count).proportion_ci(0.9, method="wilson")
    found = wilson(hits, count)
    assert (found.low, found.high) == (pytest.approx(reference.low), pytest.approx(reference.high))


def test_mean_interval_is_students() -> None:
    values = [0.1, 0.4, 0.2, 0.6]
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    found = mean_interval(values)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert mean_interval([0.1]) is None
