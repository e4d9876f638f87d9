"""What each rule would have picked and lost, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.selection.estimate import wilson
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from dpk_core.selection.evaluate.rule_evaluation import Judgement, RuleEvaluation, evaluate_rules, records
from dpk_core.selection.evaluate.rules import picks, rules_of


def trial(
    name: str,
    accuracy: float,
    probe: float,
    full: float | None,
    *,
    audited: bool = False,
    seeds: int = 3,
    **scores: float,
) -> TeacherRecord:
    """Seeds differ by a common step and a thousandth of their own."""
    own = [0.001 * ((ord(name[0]) + seed) % 3) for seed in range(seeds)]
    reached = {0.25: {seed: probe + 0.01 * seed + own[seed] for seed in range(seeds)}}
    if full is not None:
        reached[1.0] = {seed: full + 0.01 * seed + own[seed] for seed in range(seeds)}
    return TeacherRecord(teacher=name, teacher_accuracy=accuracy, reached=reached, scores=scores, audited=audited)


QUESTION = ComparisonGroup(
    records=(
        trial("a", 0.90, 0.50, 0.80, size=3.0, logme=1.0), trial("b", 0.95, 0.70, 0.90, size=1.0, logme=1.0),
        trial("c", 0.99, 0.60, 0.85, size=2.0), trial("d", 0.80, 0.40, None, size=9.0),
    )
)  # fmt: skip


def judged(
    question: ComparisonGroup = QUESTION, previous: str | None = None
) -> tuple[RuleEvaluation, dict[str, Judgement]]:
    found = evaluate_rules(question, rules_of(question, previous))
    return found, {each.name: each for each in found.judgements}


def test_picks_of_equals_are_equally_likely() -> None:
    assert picks({"a": 1.0, "b": 2.0, "c": 2.0}) == (("b",), ("c",))
    assert picks({"a": 1.0, "b": 2.0, "c": 2.0}, 2) == (("b", "c"),)
    assert picks({"a": 1.0, "b": 2.0, "c": 1.0}, 2) == (("b", "a"), ("b", "c"))
    assert picks({"a": 1.0}, 2) == (("a",),)
    assert picks({}) == ()


def test_the_probe_found_the_winner_and_the_most_accurate_was_not_it() -> None:
    found, by_name = judged()
    assert (found.winner, found.trained, found.teachers) == ("b", 3, 4)
    probe, accurate = by_name["probe"], by_name["teacher_accuracy"]
    assert (probe.picks, probe.hit) == (("b",), 1.0)
    assert probe.regret is not None
    assert probe.regret.value == probe.regret.low == 0
    assert probe.chance == pytest.approx(1, abs=0.01)
    assert (accurate.picks, accurate.hit) == (("c",), 0.0)
    assert accurate.regret is not None
    assert accurate.regret.value == pytest.approx(0.05, abs=1e-9)
    assert accurate.regret.low is not None
    assert accurate.regret.high is not None
    assert 0.03 < accurate.regret.low < 0.05 < accurate.regret.high < 0.07
    assert accurate.regret_two is not None
    assert accurate.regret_two.value == pytest.approx(0)


def test_a_pick_that_was_not_trained_has_no_hit_but_a_regret_among_the_trained() -> None:
    _, by_name = judged()
    largest = by_name["size"]
    assert (largest.picks, largest.hit, largest.chance) == (("d",), None, None)
    assert largest.trained_picks == ("a",)
    assert largest.regret is not None
    assert largest.regret.value == pytest.approx(0.1)


def test_random_and_ties_are_judged_by_their_expectation() -> None:
    _, by_name = judged()
    random, tied = by_name["random"], by_name["logme"]
    assert random.regret is not None
    assert random.regret.value == pytest.approx((0.1 + 0 + 0.05) / 3, abs=1e-9)
    assert random.regret_two is not None
    assert random.regret_two.value == pytest.approx((0 + 0.05 + 0) / 3, abs=1e-9)
    assert (tied.picks, tied.hit) == (("a", "b"), 0.5)
    assert tied.missing == ("c", "d")


def test_what_is_missing_is_said() -> None:
    _, by_name = judged()
    leep = by_name["leep"]
    assert (leep.picks, leep.regret, leep.missing) == ((), None, ("a", "b", "c", "d"))
    assert (by_name["previous_winner"].picks, by_name["previous_winner"].missing) == ((), ())
    _, by_name = judged(previous="c")
    assert by_name["previous_winner"].picks == ("c",)


def test_teachers_trained_and_audited_are_counted() -> None:
    found, _ = judged()
    assert (found.teachers, found.trained, found.audited) == (4, 3, 0)
    audit = trial("d", 0.8, 0.4, 0.7, audited=True)
    more = trial("e", 0.8, 0.4, None)
    found, _ = judged(ComparisonGroup(records=(*QUESTION.records[:3], audit, more)))
    assert (found.teachers, found.trained, found.audited) == (5, 4, 1)


def test_one_trained_teacher_tells_nothing() -> None:
    found, by_name = judged(ComparisonGroup(records=(QUESTION.records[0], QUESTION.records[3])))
    assert found.winner is None
    assert (found.teachers, found.trained) == (2, 1)
    assert by_name["probe"].picks == ("a",)
    assert all(each.regret is None and each.hit is None for each in found.judgements)


def on(record: TeacherRecord, *seeds: int) -> TeacherRecord:
    """With the full trainings of these seeds alone."""
    return replace(record, reached={**record.reached, 1.0: {seed: record.reached[1.0][seed] for seed in seeds}})


ONE_SHARED = ComparisonGroup(records=(on(trial("a", 0.9, 0.5, 0.8), 0, 1), on(trial("b", 0.8, 0.6, 0.9), 0, 2)))


def test_one_shared_seed_gives_a_regret_without_an_interval() -> None:
    _, by_name = judged(ONE_SHARED)
    regret = by_name["teacher_accuracy"].regret
    assert regret is not None
    assert (regret.low, regret.high) == (None, None)
    assert by_name["probe"].chance is None


def test_permuting_teachers_changes_nothing() -> None:
    assert judged(ComparisonGroup(records=QUESTION.records[::-1]))[0] == judged()[0]


def test_two_seeds_are_a_full_training_and_what_is_compared_are_shared_ones() -> None:
    short, shorter = on(QUESTION.records[0], 0, 1), on(QUESTION.records[2], 0)
    question = ComparisonGroup(records=(short, QUESTION.records[1], shorter))
    assert [each.teacher for each in question.trained] == ["a", "b"]
    seeds = QUESTION.records[1].reached[1.0]
    assert question.levels(1.0)["b"] == pytest.approx((seeds[0] + seeds[1]) / 2)
    assert judged(question)[0].winner == "b"


def test_gaps_are_compared_on_the_seeds_that_all_share() -> None:
    near = TeacherRecord(teacher="a", gaps={0: 0.5, 1: 0.9})
    question = ComparisonGroup(records=(near, TeacherRecord(teacher="b", gaps={0: 0.6}), TeacherRecord(teacher="c")))
    assert question.gaps() == {"a": 0.5, "b": 0.6}
    assert ComparisonGroup(records=(near, TeacherRecord(teacher="b", gaps={2: 0.6}))).gaps() == {"a": 0.7, "b": 0.6}
    rule = next(each for each in rules_of(question, None) if each.name == "cka_gap")
    assert picks(rule.scores) == (("a",),)
    assert rule.missing == ("c",)


def test_levels_are_means_over_shared_seeds() -> None:
    one = TeacherRecord(teacher="a", reached={0.5: {0: 0.1, 1: 0.5}, 0.25: {0: 0.2}})
    other = TeacherRecord(teacher="b", reached={0.5: {1: 0.3, 2: 0.9}})
    question = ComparisonGroup(records=(one, other))
    assert question.levels(0.5) == {"a": 0.5, "b": 0.3}
    assert question.common_rungs == (0.5,)


def test_over_questions() -> None:
    found = records([judged()[0], judged()[0], judged(ComparisonGroup(records=QUESTION.records[:1]))[0]])
    by_name = {each.name: each for each in found}
    counts = {name: each.questions for name, each in by_name.items()}
    assert counts == {
        "probe": 2, "teacher_accuracy": 2, "size": 2, "cka_gap": 0, "logme": 2, "leep": 0, "h_score": 0, "ratio_1_2": 0,
        "previous_winner": 0, "random": 2,
    }  # fmt: skip
    accurate, probe = by_name["teacher_accuracy"], by_name["probe"]
    assert accurate.regret is not None
    assert accurate.regret.value == pytest.approx(0.05)
    assert probe.hits == wilson(2, 2)
    assert accurate.hits == wilson(0, 2)
    assert by_name["leep"].hits is None
