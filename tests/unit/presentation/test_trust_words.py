"""Correlations and rules: what each is called, and why a value is missing."""

from __future__ import annotations

from dataclasses import replace

from dpk_core.selection.evaluate.correlation import correlations
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from dpk_core.selection.evaluate.rule_evaluation import RuleEvaluation
from service.presentation.fidelity_words import correlation_note, correlation_titles
from service.presentation.rule_words import rule_note, rules_note
from tests.unit.selection.evaluate.test_rule_evaluation import judged


def teacher(number: int, *rungs: float) -> TeacherRecord:
    level = 0.5 + 0.03 * number
    return TeacherRecord(
        teacher=f"cifar/{number}", teacher_accuracy=level, reached={rung: {0: level * rung} for rung in rungs}
    )


def test_titles_name_the_rung_where_there_are_several() -> None:
    one = correlations(ComparisonGroup(records=tuple(teacher(number, 0.25, 1.0) for number in range(4))))
    assert list(dict.fromkeys(correlation_titles(one, "accuracy"))) == [
        "teacher accuracy and student probe",
        "teacher accuracy and full student accuracy",
        "student probe and full student accuracy",
        "teacher accuracy and full student accuracy, all jobs",
        "last probe and full student accuracy, all jobs",
    ]
    two = correlations(ComparisonGroup(records=tuple(teacher(number, 0.125, 0.5, 1.0) for number in range(4))))
    assert "teacher AP and student probe at 12.5% of the training" in correlation_titles(two, "AP")
    assert "student probe at 50% of the training and full student AP" in correlation_titles(two, "AP")


def test_why_a_correlation_is_missing() -> None:
    (*_, last) = correlations(ComparisonGroup(records=(teacher(0),)))
    known = replace(last, pairs=2, groups=1, least=5, missing="few_teachers")
    assert correlation_note(known) == "Not measurable with 2 teachers (it takes at least 5)."
    assert correlation_note(replace(known, groups=3)) == (
        "Not measurable with 2 teachers of 3 students or recipes (it takes at least 5, and one more for each further "
        "one)."
    )
    assert correlation_note(replace(known, missing="all_equal")) == "Not measurable: all values are equal."
    assert correlation_note(replace(known, missing=None)) is None


def test_why_a_rule_has_no_pick() -> None:
    _, by_name = judged()
    assert rule_note(by_name["logme"]) == "Not measured of c, d."
    assert rule_note(by_name["leep"]) == "Not measured."
    assert "No earlier job" in (rule_note(by_name["previous_winner"]) or "")
    _, by_name = judged(previous="c")
    assert rule_note(by_name["previous_winner"]) is None


def test_over_which_teachers_rules_are_judged() -> None:
    found = RuleEvaluation(teachers=4, trained=3, audited=0, winner="b", judgements=())
    dropped = rules_note(found, "classification")
    assert dropped.startswith("Over the 3 of 4 teachers that were trained fully; the others were dropped")
    assert "1 of them dropped before" in rules_note(replace(found, audited=1), "classification")
    assert rules_note(replace(found, trained=4), "classification") == "Over all 4 teachers, every one trained fully."
    assert rules_note(replace(found, trained=1), "classification") == (
        "Not measurable with 1 of 4 teachers trained fully (it takes at least 2)."
    )
