"""Scores and differences in the words of their metric."""

from __future__ import annotations

from dpk_core.selection.decide.policies.policy import Reason
from dpk_core.selection.decide.verdict import decide
from dpk_core.selection.evaluate.correlation import correlations
from dpk_core.selection.evaluate.records import ComparisonGroup
from dpk_core.selection.evaluate.rule_evaluation import evaluate_rules
from dpk_core.selection.evaluate.rules import rules_of
from dpk_core.tasks import METRICS, task_of_data
from service.presentation.decision_words import decision_reason
from service.presentation.fidelity_words import correlation_titles
from service.presentation.metric_words import ACCURACY, AVERAGE_PRECISION, words_of
from service.presentation.rule_words import rule_title, rules_note
from service.presentation.verdict_words import verdict_sentence
from tests.unit.selection.made_up import RUNGS, SEEDS, job, taught

ALL = dict.fromkeys(SEEDS, len(RUNGS))
NOTHING = ComparisonGroup(records=())


def test_scores() -> None:
    assert words_of(METRICS["classification"]) is ACCURACY
    assert words_of(METRICS["detection"]) is AVERAGE_PRECISION
    assert ACCURACY.score(0.9444) == "94.4%"
    assert AVERAGE_PRECISION.score(0.4213).split() == ["42.1", "AP"]
    assert AVERAGE_PRECISION.score(None) == "–"
    assert ACCURACY.mean_and_spread(0.9444, 0.0052) == "94.44% ± 0.52"
    assert AVERAGE_PRECISION.interval(0.41, 0.43).split() == ["41.0", "to", "43.0", "AP"]
    assert METRICS["detection"].measured_as == "validation_average_precision"
    assert (task_of_data("boxes/a"), task_of_data("folder/boxes")) == ("detection", "classification")


def test_a_verdict() -> None:
    alone, taught_by = taught(None, 0.8, ALL, salt=1), taught("detection/ada", 0.9, ALL, salt=2)
    said = verdict_sentence(decide(job(taught_by, alone), final=True), AVERAGE_PRECISION)
    assert said.startswith("Take ada: it beats no teacher by ")
    assert "points of AP (90% interval" in said


def test_reasons_and_rules_of_detection_name_no_accuracy() -> None:
    said = decision_reason(
        Reason(kind="near_enough", teacher="detection/a", regret=0.004, margin=0.01), AVERAGE_PRECISION
    )
    assert "0.40 points of AP, and up to 1 do not count" in said
    most = decision_reason(Reason(kind="most_accurate", teacher="detection/a"), AVERAGE_PRECISION)
    assert most == "a has the best AP of the teachers."
    assert [rule.name for rule in rules_of(NOTHING, None, "detection")] == [
        "probe", "teacher_accuracy", "size", "previous_winner", "random"
    ]  # fmt: skip
    assert all("accura" not in rule_title(rule.name, "detection") for rule in rules_of(NOTHING, None, "detection"))
    assert all("accura" not in each for each in correlation_titles(correlations(NOTHING), AVERAGE_PRECISION.name))
    nothing = evaluate_rules(NOTHING, rules_of(NOTHING, None))
    note = rules_note(nothing, "detection")
    assert "LogME, LEEP, H-score and Ratio 1-2, which compare class scores" in note
    assert "LogME" not in rules_note(nothing, "classification")
