"""Does the probe beat a rule? By hand, in one question and over several."""

from __future__ import annotations

import pytest

from dpk_core.selection.evaluate.records import ComparisonGroup
from dpk_core.selection.evaluate.regret import Regret
from dpk_core.selection.evaluate.rule_evaluation import Judgement, Record, compare_paired, evaluate_rules, records
from dpk_core.selection.evaluate.rules import rules_of
from dpk_core.selection.statistics import mean_interval
from tests.unit.selection.evaluate.test_rule_evaluation import ONE_SHARED, QUESTION, trial

MISTAKEN = ComparisonGroup(
    records=(
        trial("a", 0.90, 0.70, 0.80), trial("b", 0.95, 0.50, 0.90), trial("c", 0.80, 0.60, 0.85)
    )
)  # fmt: skip
"""The probe takes a, the worst; the most accurate is b, the best; and all are trained fully."""


def judged(question: ComparisonGroup) -> dict[str, Judgement]:
    return {each.name: each for each in evaluate_rules(question, rules_of(question, None)).judgements}


def over(*questions: ComparisonGroup) -> dict[str, Record]:
    return {each.name: each for each in records([evaluate_rules(each, rules_of(each, None)) for each in questions])}


def interval(found: Regret | None) -> tuple[float, float, float]:
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.value, found.high


class TestOneQuestion:
    def test_the_difference_of_the_regrets_with_its_own_interval(self) -> None:
        low, value, high = interval(judged(QUESTION)["teacher_accuracy"].over_probe)
        assert value == pytest.approx(0.05)
        assert 0.03 < low < 0.05 < high < 0.07
        assert judged(QUESTION)["probe"].over_probe is None

    def test_a_rule_that_does_better_than_the_probe(self) -> None:
        low, value, high = interval(judged(MISTAKEN)["teacher_accuracy"].over_probe)
        assert value == pytest.approx(-0.1)
        assert low < value < high < 0

    def test_the_same_pick_is_no_difference_however_unsure_both_regrets_are(self) -> None:
        close = (trial("a", 0.9, 0.7, 0.9002), trial("b", 0.8, 0.6, 0.9), trial("c", 0.7, 0.5, 0.9001))
        by_name = judged(ComparisonGroup(records=close))
        low, _, high = interval(by_name["teacher_accuracy"].regret)
        assert high - low > 0.0005
        assert interval(by_name["teacher_accuracy"].over_probe) == (0, 0, 0)

    def test_among_equals_it_is_an_expectation(self) -> None:
        by_name = judged(QUESTION)
        _, value, _ = interval(by_name["random"].over_probe)
        assert value == pytest.approx((0.1 + 0 + 0.05) / 3)
        _, value, _ = interval(by_name["logme"].over_probe)
        assert value == pytest.approx(0.05)

    def test_one_seed_gives_no_interval_and_one_trained_teacher_nothing(self) -> None:
        found = judged(ONE_SHARED)["teacher_accuracy"].over_probe
        assert found is not None
        assert (found.value, found.low, found.high) == (pytest.approx(0.101), None, None)
        alone = judged(ComparisonGroup(records=(QUESTION.records[0], QUESTION.records[3])))
        assert alone["teacher_accuracy"].over_probe is None

    def test_a_rule_without_a_pick_has_no_difference(self) -> None:
        assert judged(QUESTION)["leep"].over_probe is None

    def test_permuting_teachers_changes_nothing(self) -> None:
        assert judged(ComparisonGroup(records=QUESTION.records[::-1])) == judged(QUESTION)


class TestOverQuestions:
    def test_ahead_equal_behind_and_the_mean_difference(self) -> None:
        differences = [0.02, 0.0, -0.01, 1e-12, 0.03]
        found = compare_paired([(each, place < 2) for place, each in enumerate(differences)])
        assert (found.questions, found.complete) == (5, 2)
        assert (found.ahead, found.equal, found.behind) == (2, 2, 1)
        assert found.difference == mean_interval(differences)

    def test_one_question_has_no_interval_and_none_no_count(self) -> None:
        assert compare_paired([(0.1, True)]).difference is None
        assert compare_paired([]).questions == 0

    def test_only_questions_where_both_are_judged_count_and_all_trained_ones_are_told_apart(self) -> None:
        found = over(QUESTION, MISTAKEN, ComparisonGroup(records=QUESTION.records[:1]))
        accurate, size = found["teacher_accuracy"].paired, found["size"].paired
        assert accurate is not None
        assert (accurate.questions, accurate.complete, accurate.ahead, accurate.behind) == (2, 1, 1, 1)
        assert accurate.difference is not None
        assert accurate.difference.value == pytest.approx(-0.025)
        assert size is not None
        assert (size.questions, size.complete) == (1, 0)
        assert found["probe"].paired is None
