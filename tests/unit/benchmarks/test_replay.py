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
    elimination,
    follow,
    most_accurate,
    packed,
    top_two,
    whole_job,
)
from dpk_core.selection.decide.schedule import POLICIES
from tests.unit.benchmarks.made_up_table import EPOCHS, TRUTH, made_up


@pytest.fixture
def job() -> Job:
    return draw(made_up(), np.random.Generator(np.random.PCG64(1)))


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = made_up()
    found = table.read(table.grow(written, written.metadata["seeds"], tmp_path))
    assert found.metadata == written.metadata
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
    jobs = [draw(found, np.random.Generator(np.random.PCG64(seed))) for seed in range(400)]
    assert {each.pictures for each in jobs} == {round(0.8 * pictures)}
    own = [
        float(each.accuracy_TSE[0, place, -1] - found.validation_right_ASEV[each.places[0], seed, -1].mean())
        for each in jobs
        for place, seed in enumerate(each.seeds)
    ]
    accuracy = found.validation_right_ASEV[jobs[0].places[0], :, -1].mean()
    # What is drawn adds a quarter to the variance that the table's own pictures have.
    assert np.var(own) == pytest.approx(accuracy * (1 - accuracy) / pictures / 4, rel=0.2)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("budget", [0.1, 1.0])
def test_a_policy_keeps_within_its_budget(job: Job, policy: str, budget: float) -> None:
    outcome = follow(policy, job, budget)
    assert outcome.share <= budget * (1 + 1e-6)
    assert outcome.view is not None


def test_a_table_tells_which_teacher_may_be_the_best() -> None:
    arms = np.arange(1, 5)
    assert made_up().chances_of_best(arms) == pytest.approx([0, 0, 1, 0], abs=0.01)
    alike = made_up(truth=(0.7, 0.8, 0.8, 0.8, 0.7)).chances_of_best(arms)
    assert alike.sum() == pytest.approx(1)
    assert alike[3] == 0
    assert sorted(alike)[1] > 0.01


def test_exhaustive_pays_for_everything_and_finds_the_best(job: Job) -> None:
    outcome = follow("exhaustive", job, UNLIMITED)
    assert outcome.share == pytest.approx(1)
    assert job.regret(outcome.teacher) == 0


def test_a_policy_that_is_sure_enough_stops(job: Job) -> None:
    unlimited = follow("adaptive", job, 9.0)
    assert follow("adaptive", job, 9.0, sure=0.3).share < unlimited.share


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


def test_truth_is_told_with_its_standard_error() -> None:
    truths = selection.truths([made_up()])
    assert [each["teacher"] for each in truths] == [f"family/teacher{index}" for index in range(4)]
    assert truths[2]["accuracy"] == pytest.approx(85, abs=2)
    assert 0 < truths[2]["error"] < 2


def test_a_teacher_that_a_training_diverged_under_is_left_out() -> None:
    found = made_up()
    whole = [False] * 5
    found.metadata["diverged"] = [whole, whole, [False, True, False, False, False], whole, whole]
    job = draw(found, np.random.Generator(np.random.PCG64(1)))
    assert job.teachers == tuple(f"data: family/teacher{index}" for index in (0, 2, 3))


def test_a_job_knows_only_what_it_trained(job: Job) -> None:
    known = job.known({(job.teachers[1], 0): 2})
    assert [arm.curves for arm in known.arms] == [
        {}, {0: (job.accuracy_TSE[1, 0, 0], job.accuracy_TSE[1, 0, 1])}, {}, {}, {},
    ]  # fmt: skip
    assert not any(arm.evidence for arm in known.arms)
    whole = job.known({(job.teachers[1], 0): len(RUNGS)})
    assert np.array_equal(whole.arms[1].evidence[0], job.right_TSV[1, 0])


def test_rivals_on_the_same_belief_keep_within_their_budget(job: Job) -> None:
    for done in (top_two(job, 0.3, np.random.default_rng(0)), elimination(job, 0.3)):
        assert 0 < done.share <= 0.3 * (1 + 1e-6)


def test_a_whole_job_confirms_the_best_beside_no_teacher_on_any_number_of_slots(job: Job) -> None:
    one, many = whole_job(job, 1), whole_job(job, 4)
    for done in (one, many):
        assert done.teacher == job.teachers[2]
        assert done.verdict in ("best", "tie")
        assert 4 * EPOCHS / sum(job.all_costs) <= done.share < 1
    assert one.time == pytest.approx(one.share)
    assert many.time is not None
    assert many.time * packed(job.all_costs, 4) < one.share * packed(job.all_costs, 1)


def test_packed_trainings_lie_side_by_side() -> None:
    assert packed([3, 1, 1, 1], 1) == 6
    assert packed([3, 1, 1, 1], 2) == 3


def test_every_way_of_choosing_gets_a_row_and_the_targets_are_judged() -> None:
    rows = list(selection.replayed(made_up(), 2))
    assert {row["way"] for row in rows} >= {"random", "exhaustive", "adaptive, at most 15%", "whole job, 8 slots"}
    assert all(0 <= row["share"] <= 1 + 1e-6 and row["regret"] >= 0 for row in rows)
    means = selection.averaged([*rows, *({**row, "table": "other"} for row in rows)])
    by_name = {each["name"]: each for each in selection.targets(means, 0.01)}
    assert len(by_name) == 3 + 1 + 2 + 4 + 1
    assert by_name["regret of the whole job"]["met"]
    whole = next(row for row in rows if row["way"] == "whole job, 1 slot")
    assert whole["verdicts"]["best"] + whole["verdicts"]["tie"] == 1


def test_a_mean_over_tables_tells_how_far_they_lie_apart() -> None:
    rows = [{"table": name, "way": "any", "regret": value, "share": 0.1} for name, value in (("a", 0.1), ("b", 0.3))]
    (mean,) = selection.averaged(rows)
    assert (mean["regret"], mean["regret_error"], mean["share"]) == (0.2, 0.1, 0.1)
    assert "share_error" not in mean
    assert "regret_error" not in selection.averaged(rows[:1])[0]


def test_regret_over_cost_is_drawn(tmp_path: Path) -> None:
    names = ("random", "adaptive, at most 15%", "Optuna median, 1 seed", "whole job, 1 slot", "whole job, 8 slots")
    means = [{"way": way, "regret": 0.2, "share": share} for share, way in enumerate(names)]
    rows = selection.drawn_rows(means)
    assert [row["kind"] for row in rows] == ["random", "adaptive", "Optuna", "whole job"]
    assert [row["line"] for row in rows] == [False, True, False, False]
    assert "adaptive" in regret_over_cost(rows, tmp_path).read_text()
