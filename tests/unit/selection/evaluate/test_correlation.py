"""The promise, measured on made-up teachers."""

from __future__ import annotations

import pytest

from dpk_core.selection.evaluate.correlation import Correlation, correlations
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord


def trial(number: int, *, full: bool = False, rungs: tuple[float, ...] = (0.25,), bend: float = 1.0) -> TeacherRecord:
    level = 0.5 + 0.03 * number**bend
    reached = {rung: {0: level * rung, 1: level * rung + 0.01} for rung in (*rungs, *([1.0] if full else []))}
    return TeacherRecord(teacher=f"cifar/{number}", teacher_accuracy=0.8 + 0.01 * number, reached=reached)


def measured(
    *trials: TeacherRecord, earlier: tuple[ComparisonGroup, ...] = ()
) -> dict[tuple[str, str, str, float | None], Correlation]:
    found = correlations(ComparisonGroup(records=trials), earlier)
    by_key = {(each.name, each.scope, each.statistic, each.rung): each for each in found}
    assert len(by_key) == len(found)
    return by_key


def test_measured_on_probes_when_only_some_are_trained_fully() -> None:
    found = measured(*(trial(number, full=number < 2) for number in range(5)))
    probe = found["teacher_probe", "job", "pearson", 0.25]
    assert (probe.value, probe.pairs, probe.missing) == (pytest.approx(1), 5, None)
    full = found["teacher_full", "job", "kendall", None]
    assert (full.value, full.pairs, full.least, full.missing) == (None, 2, 5, "few_teachers")


def test_the_earliest_and_the_latest_common_rung_are_told_apart() -> None:
    both = [trial(number, rungs=(0.125, 0.5), full=True) for number in range(4)]
    found = measured(*both)
    assert [key for key in found if key[0] == "probe_full" and key[1] == "job" and key[2] == "spearman"] == [
        ("probe_full", "job", "spearman", 0.125), ("probe_full", "job", "spearman", 0.5)
    ]  # fmt: skip
    # A rung that one teacher never reached is common to nobody.
    found = measured(*both, trial(4, rungs=(0.125,)))
    assert {rung for _, _, _, rung in found} == {0.125, None}


def test_a_probe_is_at_most_half_a_training() -> None:
    found = measured(*(trial(number, rungs=(0.25, 0.5, 0.875), full=True) for number in range(4)))
    assert {rung for _, _, _, rung in found} == {0.25, 0.5, None}
    # Unless trainings stop nowhere before.
    found = measured(*(trial(number, rungs=(0.75, 0.875), full=True) for number in range(4)))
    assert {rung for _, _, _, rung in found} == {0.75, 0.875, None}


def test_without_probes_everything_is_there_and_not_measurable() -> None:
    found = measured(TeacherRecord(teacher="a", teacher_accuracy=0.9))
    assert len(found) == 5 * 3
    assert all(each.value is None and each.missing == "few_teachers" for each in found.values())


def test_the_store_counts_earlier_questions_by_their_own_levels() -> None:
    earlier = tuple(
        ComparisonGroup(records=tuple(trial(number, full=True, bend=bend) for number in range(3)))
        for bend in (1.0, 2.0)
    )
    found = measured(trial(0), earlier=earlier)
    store = found["teacher_full", "store", "pearson", None]
    assert store.pairs == 6
    assert store.value == pytest.approx(0.95, abs=0.05)
    few = measured(trial(0), earlier=(*earlier[:1], ComparisonGroup(records=(trial(1, full=True),))))
    lacking = few["teacher_full", "store", "pearson", None]
    assert (lacking.pairs, lacking.groups, lacking.least, lacking.missing) == (3, 1, 4, "few_teachers")


def test_equal_values_are_not_measurable() -> None:
    trials = [TeacherRecord(teacher=str(i), teacher_accuracy=0.9, reached={0.5: {0: 0.1 * i}}) for i in range(5)]
    assert measured(*trials)["teacher_probe", "job", "pearson", 0.5].missing == "all_equal"
