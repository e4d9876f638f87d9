"""Replays choose from what a job would know, pay for what they train, and are judged by what they never see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from benchmarks import selection, table
from benchmarks.replay import Job, by_optuna, by_wilcoxon, draw, follow, knowledge, most_accurate
from dpk_core.selection.knowledge import Prior
from dpk_core.selection.policies.registry import POLICIES
from tests.unit.benchmarks.made_up_table import EPOCHS, PICTURES, TRUTH, made_up


@pytest.fixture
def job() -> Job:
    return draw(made_up(), Prior(), np.random.Generator(np.random.PCG64(1)))


def test_a_table_is_read_as_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "TABLES", tmp_path)
    written = made_up()
    (found,) = [table.read(table.write(written))]
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


def test_a_job_knows_only_what_it_trained(job: Job) -> None:
    known = knowledge(job, {(1, 0): 2})
    assert [arm.curves for arm in known.arms] == [
        {}, {0: (job.accuracy_TSE[1, 0, 0], job.accuracy_TSE[1, 0, 1])}, {}, {},
    ]  # fmt: skip


def test_beliefs_are_as_wide_as_in_a_job(job: Job) -> None:
    """Results further apart than the prior holds possible widen it, as `service` does."""
    narrow = Prior(teacher_spread=0.001, seed_spread=(0.001,) * 4, mismatch=(0.001, 0.001, 0.001, 0.0))
    known = knowledge(replace(job, prior=narrow), {(index, 0): 4 for index in range(4)})
    assert known.prior.teacher_spread > 0.002


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("budget", [0.1, 1.0])
def test_a_policy_keeps_within_its_budget(job: Job, policy: str, budget: float) -> None:
    outcome = follow(POLICIES[policy], job, budget)
    assert outcome.share <= budget * (1 + 1e-6)
    assert outcome.view is not None


def test_exhaustive_pays_for_everything_and_finds_the_best(job: Job) -> None:
    outcome = follow(POLICIES["exhaustive"], job, 1.0)
    assert outcome.share == pytest.approx(1)
    assert job.regret(outcome.teacher) == 0


def test_a_policy_that_is_sure_enough_stops(job: Job) -> None:
    unlimited = follow(POLICIES["posterior"], job, 9.0)
    assert follow(POLICIES["posterior"], job, 9.0, sure=0.5).share < unlimited.share


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
    by_name = {each["name"]: each for each in selection.targets(selection.averaged(rows))}
    assert by_name["its cost"]["met"]
    assert by_name["90% set holds the best at that cost"]["value"] >= 0.75
    assert by_name["90% set holds the best at a job's default certainty"]["value"] >= 0.75


def test_a_prior_learns_from_other_tables() -> None:
    prior = selection.prior_from([made_up("other-dpk", 1), made_up("third-dpk", 2)], PICTURES)
    assert prior.teacher_spread > Prior().teacher_spread
    assert prior.picture_spread > 0
