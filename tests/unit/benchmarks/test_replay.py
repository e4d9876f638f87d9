"""Replays choose from what a job would know, pay for what they train, and are judged by what they never see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from benchmarks import selection, table
from benchmarks.charts import regret_over_cost
from benchmarks.replay import (
    RUNGS,
    UNLIMITED,
    Job,
    by_optuna,
    by_wilcoxon,
    draw,
    follow,
    knowledge,
    most_accurate,
    part_of_pictures,
    rung_epochs,
    whole_job,
)
from dpk_core.selection.decide.job_results import TIMED, UNTIMED, Prior, Step
from dpk_core.selection.decide.policies.policy import Limits, affordable
from dpk_core.selection.decide.policies.registry import POLICIES
from tests.unit.benchmarks.made_up_table import EPOCHS, TRUTH, made_up

PRIOR = Prior().at(RUNGS)


@pytest.fixture
def job() -> Job:
    return draw(made_up(), PRIOR, np.random.Generator(np.random.PCG64(1)))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = made_up()
    found = table.read(table.grow(written, written.told["seeds"], tmp_path))
    assert found.told == written.told
    for name in ("validation_right_ASEV", "test_right_ASN", "seconds_ASE", "train_loss_ASE"):
        assert np.array_equal(getattr(found, name), getattr(written, name))
    assert found.truth_A == pytest.approx(TRUTH, abs=0.03)


def test_a_job_leaves_the_arm_without_a_teacher_out(job: Job) -> None:
    assert job.teachers == tuple(f"data: family/teacher{i}" for i in range(4))
    assert job.accuracy_TSE.shape == (4, 3, EPOCHS)
    assert job.exhaustive_cost == 4 * 3 * EPOCHS
    assert job.regret("data: family/teacher2") == 0
    assert job.regret("data: family/teacher0") == pytest.approx(0.1, abs=0.04)


def test_pictures_count_for_more_or_less_and_are_as_much_luck_as_four_fifths_of_them() -> None:
    found = made_up()
    pictures = found.validation_right_ASEV.shape[-1]
    jobs = [draw(found, PRIOR, np.random.Generator(np.random.PCG64(seed))) for seed in range(400)]
    assert {each.pictures for each in jobs} == {round(0.8 * pictures)}
    own = [
        float(each.accuracy_TSE[0, place, -1] - found.validation_right_ASEV[each.places[0], seed, -1].mean())
        for each in jobs
        for place, seed in enumerate(each.seeds)
    ]
    accuracy = found.validation_right_ASEV[jobs[0].places[0], :, -1].mean()
    # What is drawn adds a quarter to the variance that the table's own pictures have.
    assert np.var(own) == pytest.approx(accuracy * (1 - accuracy) / pictures / 4, rel=0.2)


def test_a_job_knows_only_what_it_trained(job: Job) -> None:
    known = knowledge(job, {(1, 0): 2})
    assert known.pictures == job.pictures
    assert [arm.curves for arm in known.arms] == [
        {}, {0: (job.accuracy_TSE[1, 0, 0], job.accuracy_TSE[1, 0, 1])}, {}, {},
    ]  # fmt: skip


def test_beliefs_are_as_wide_as_in_a_job(job: Job) -> None:
    """Results further apart than the prior holds possible widen it, as `service` does."""
    rungs = len(RUNGS)
    narrow = replace(PRIOR, teacher_spread=0.001, seed_spread=(0.001,) * rungs, mismatch=(*[0.001] * (rungs - 1), 0.0))
    known = knowledge(replace(job, prior=narrow), {(index, 0): len(RUNGS) for index in range(4)})
    assert known.prior.teacher_spread > 0.002


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("budget", [0.1, 1.0])
def test_a_policy_keeps_within_its_budget(job: Job, policy: str, budget: float) -> None:
    outcome = follow(POLICIES[policy], job, budget)
    assert outcome.share <= budget * (1 + 1e-6)
    assert outcome.view is not None


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15])
def test_a_budget_holds_where_a_teacher_that_was_never_trained_costs_twice_the_mean(job: Job, share: float) -> None:
    """As much as on `four-plain4-kd`."""
    cost_TSE = job.cost_TSE.copy()
    cost_TSE[1] *= 3.6
    dear = replace(job, cost_TSE=cost_TSE)
    costs_T = cost_TSE[..., -1].sum(1)
    assert costs_T[1] / costs_T.mean() == pytest.approx(2.2, abs=0.02)
    budget = share * dear.exhaustive_cost
    epochs, known = rung_epochs(EPOCHS), knowledge(dear, {})
    rungs = [
        rung
        for rung in range(len(RUNGS))
        if affordable(known, [Step(teacher=job.teachers[1], seed=0, rung=rung)], Limits(cost=budget))
    ]
    assert 0 < cost_TSE[1, 0, epochs[max(rungs)]] <= budget


def test_full_trainings_tell_how_much_the_choice_of_pictures_does(job: Job) -> None:
    """As in the service: where two teachers have two seeds in common, and counting as much as what was believed."""
    whole = {(teacher, seed): len(RUNGS) for teacher in (0, 2) for seed in (0, 1)}
    part = part_of_pictures(job, whole)
    assert part is not None
    assert knowledge(job, whole).prior.picture_part == pytest.approx((PRIOR.picture_part + part) / 2)
    assert part_of_pictures(job, {**whole, (1, 0): len(RUNGS), (3, 0): 3}) == part
    assert part_of_pictures(job, {**whole, (2, 1): 5}) is None
    assert knowledge(job, {}).prior.picture_part == PRIOR.picture_part


def test_what_was_not_trained_may_cost_more_or_less(job: Job) -> None:
    assert [arm.cost_spread for arm in knowledge(job, {(1, 0): 1}).arms] == [UNTIMED, TIMED, UNTIMED, UNTIMED]


def test_a_table_tells_which_teacher_may_be_the_best() -> None:
    arms = np.arange(1, 5)
    assert made_up().chances_of_best(arms) == pytest.approx([0, 0, 1, 0], abs=0.01)
    alike = made_up(truth=(0.7, 0.8, 0.8, 0.8, 0.7)).chances_of_best(arms)
    assert alike.sum() == pytest.approx(1)
    assert alike[3] == 0
    assert sorted(alike)[1] > 0.01


def test_exhaustive_pays_for_everything_and_finds_the_best(job: Job) -> None:
    outcome = follow(POLICIES["exhaustive"], job, UNLIMITED)
    assert outcome.share == pytest.approx(1)
    assert job.regret(outcome.teacher) == 0


def test_a_policy_that_is_sure_enough_stops(job: Job) -> None:
    unlimited = follow(POLICIES["adaptive"], job, 9.0)
    assert follow(POLICIES["adaptive"], job, 9.0, sure=0.5).share < unlimited.share


def test_the_most_accurate_teacher_costs_nothing(job: Job) -> None:
    assert most_accurate(replace(job, teacher_accuracy_T=np.array([0.1, 0.9, 0.2, 0.3]))).teacher == job.teachers[1]
    assert most_accurate(job).share == 0


def test_optuna_pays_for_what_it_did_not_prune(job: Job) -> None:
    chance = np.random.Generator(np.random.PCG64(0))
    everything = by_optuna(job, optuna.pruners.NopPruner, 3, chance)
    assert everything.share == pytest.approx(1)
    assert job.regret(everything.teacher) == 0
    pruned = by_optuna(job, lambda: optuna.pruners.MedianPruner(n_startup_trials=1), 3, chance)
    assert 1 / 12 <= pruned.share < 1
    assert by_wilcoxon(job, 0.3, chance).share <= 1


def test_every_way_of_choosing_gets_a_row_and_the_targets_are_judged() -> None:
    own, others = made_up(), [made_up("other-dpk", 1), made_up("third-dpk", 2)]
    rows = list(selection.replayed(own, others, 4))
    assert {row["way"] for row in rows} >= {"random", "teacher accuracy", "exhaustive", "posterior, at most 15%"}
    assert all(0 <= row["share"] <= 1 + 1e-6 and row["regret"] >= 0 for row in rows)
    by_name = {each["name"]: each for each in selection.targets(selection.averaged(rows, "mean"))}
    for store in ("", selection.EMPTY):
        assert by_name[f"its cost{store}"]["met"]
        assert by_name[f"90% set holds the best, at most 15%{store}"]["value"] >= 0.75
        assert by_name[f"90% set holds the best, at a job's default certainty{store}"]["value"] >= 0.75
    optuna_targets = [name for name in by_name if name.startswith("cost at a regret") and "store" not in name]
    assert [name.endswith(selection.INFORMED) for name in optuna_targets] == [False, True]
    whole = next(row for row in rows if row["way"] == selection.WHOLE_JOB)
    assert by_name[f"90% set holds the best, {selection.WHOLE_JOB}"]["value"] == whole["held"]
    assert whole["held_by_chance"] == pytest.approx(whole["held"], abs=0.05)  # here the best is clear
    assert whole["verdicts"] == {"best": 1.0, "tie": 0.0, "no_teacher": 0.0, "undecided": 0.0}
    assert whole["regret"] == 0


def test_a_mean_over_tables_tells_how_far_they_lie_apart() -> None:
    rows = [{"table": name, "way": "any", "regret": value, "share": 0.1} for name, value in (("a", 0.1), ("b", 0.3))]
    (mean,) = selection.averaged(rows, "both")
    assert (mean["regret"], mean["regret_error"], mean["share"]) == (0.2, 0.1, 0.1)
    assert "share_error" not in mean
    assert "regret_error" not in selection.averaged(rows[:1], "one")[0]


def test_the_median_size_is_that_of_all_tables_sets_together() -> None:
    """Two tables' own medians are 2 and 4; of their five sets the middle one has two teachers."""
    assert selection.median_size([[1, 2], [0, 0, 0, 2]]) == 2
    rows = list(selection.replayed(made_up(), [made_up("other-dpk", 1)], 4))
    (whole,) = [row for row in rows if row["way"] == selection.WHOLE_JOB]
    assert sum(whole["set_sizes"]) == 4
    assert selection.median_size([whole["set_sizes"]]) == whole["set_size"]


def test_truth_is_told_with_its_standard_error() -> None:
    told = selection.truths([made_up()])
    assert [each["teacher"] for each in told] == [f"family/teacher{index}" for index in range(4)]
    assert told[2]["accuracy"] == pytest.approx(85, abs=2)
    assert 0 < told[2]["error"] < 2


def test_regret_over_cost_is_drawn(tmp_path: Path) -> None:
    means = [
        {"way": way, "regret": 0.2, "share": share}
        for share, way in enumerate((
            "random", "posterior, at most 15%", f"posterior, at most 15%{selection.EMPTY}", "Optuna median, 1 seed",
            f"{selection.WHOLE_JOB}",
        ))
    ]  # fmt: skip
    means.append(means[1] | {"way": f"posterior, at most 20%{selection.EMPTY}"})
    means.append(means[1] | {"way": "posterior, at most 20%"})
    rows = selection.drawn_rows(means)
    assert rows.pop()["kind"] == "adaptive"  # without its twin of an empty store, which is no other
    assert [row["kind"] for row in rows] == ["random", "adaptive", "posterior, empty store", "Optuna"]
    assert [row["line"] for row in rows] == [False, True, True, False]
    assert "empty store" in regret_over_cost(rows, tmp_path).read_text()


def test_what_pruned_nothing_is_no_rival() -> None:
    rows = [
        {"way": "Optuna everything", "regret": 0.0, "share": 1.0},
        {"way": "Optuna some", "regret": 0.2, "share": 0.4},
        {"way": "posterior, at most 10%", "regret": 0.2, "share": 0.1},
        {"way": f"posterior, at most 10%{selection.EMPTY}", "regret": 0.3, "share": 0.1},
    ]
    (found,) = selection.against_optuna(rows)
    assert (found["way"], found["ratio"], found["ratio_empty_store"]) == ("Optuna some", 0.25, None)


def test_a_whole_job_trains_two_teachers_fully_and_pays_for_the_student_alone(job: Job) -> None:
    done = whole_job(job)
    full = [place for place, count in done.reached.items() if count == len(RUNGS)]
    assert len({teacher for teacher, _ in full}) >= 2
    assert done.verdict.best == job.teachers[2]
    spent = sum(done.reached[place] == len(RUNGS) for place in full) * EPOCHS
    assert done.outcome.share >= (spent + 3 * EPOCHS) / (5 * 3 * EPOCHS)
    assert done.known.arms[-1].teacher is None


def test_a_teacher_that_a_training_diverged_under_is_left_out() -> None:
    found = made_up()
    found.told["diverged"] = [[False] * 5, [False] * 5, [False, True, False, False, False], [False] * 5, [False] * 5]
    job = draw(found, PRIOR, np.random.Generator(np.random.PCG64(1)))
    assert job.teachers == tuple(f"data: family/teacher{index}" for index in (0, 2, 3))


def test_a_store_teaches_what_one_job_for_another_student_showed() -> None:
    prior = selection.store([made_up("other-dpk", 1)], np.random.Generator(np.random.PCG64(0)))
    assert prior.seed_spread != PRIOR.seed_spread
    assert selection.store([], np.random.Generator(np.random.PCG64(0))) == selection.base_prior()
