"""Both ways of conditioning say the same, and the one for many results stays small however large a job is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpk_core.selection import causes
from dpk_core.selection.causes import ByCauses
from dpk_core.selection.decide.job_results import EIGHTHS, Arm, Knowledge, KnownTeacher, Step
from dpk_core.selection.posterior import Model
from dpk_core.selection.results import ByResults, luck_covariance
from tests.unit.selection.made_up import PRIOR, RUNGS, name, reveal, world

REACHED = {(0, 0): 4, (0, 1): 2, (1, 0): 1, (2, 2): 3, (3, 0): 1}
TRUTH = np.array([0.80, 0.83, 0.78, 0.81, 0.79])


def some_job(reached: dict[tuple[int, int], int]) -> Knowledge:
    """Five teachers of different accuracy, one of them known, and the student without a teacher."""
    known = reveal(world(np.random.Generator(np.random.PCG64(8)), TRUTH), reached)
    arms = tuple(replace(arm, teacher_accuracy=0.7 + 0.03 * index) for index, arm in enumerate(known.arms))
    alone = Arm(teacher=None, curves={1: (0.5, 0.6)})
    told = KnownTeacher(teacher=name(2), offset=0.01, spread=0.004)
    return replace(known, arms=(*arms, alone), prior=replace(PRIOR, slope=0.2, known=(told,)))


def both(reached: dict[tuple[int, int], int]) -> tuple[ByResults, ByCauses]:
    return ByResults(some_job(reached)), ByCauses(some_job(reached))


def moved(change_AP: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of how the means move."""
    return change_AP @ change_AP.T


@pytest.mark.parametrize("reached", [{}, REACHED, {(i, s): 4 for i in range(5) for s in range(3)}])
def test_the_belief_is_the_same(reached: dict[tuple[int, int], int]) -> None:
    one, other = both(reached)
    assert np.allclose(one.mean_A, other.mean_A, rtol=0, atol=1e-10)
    assert np.allclose(one.covariance_AA, other.covariance_AA, rtol=0, atol=1e-9)
    assert one.misfit == pytest.approx(other.misfit, abs=1e-6)
    assert one.freedom == other.freedom
    assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-6)


STEPS = [
    [Step(teacher=name(4), seed=0, rung=3), Step(teacher=name(1), seed=0, rung=2)],
    [Step(teacher=name(2), seed=2, rung=3), Step(teacher=None, seed=1, rung=3), Step(teacher=name(0), seed=1, rung=2)],
]


@pytest.mark.parametrize("steps", STEPS, ids=["of one seed", "of several"])
def test_so_is_what_more_results_would_change(steps: list[Step]) -> None:
    one, other = both(REACHED)
    assert np.allclose(one.change(steps), other.change(steps), rtol=0, atol=1e-9)
    assert other.change(steps).any()


@pytest.mark.parametrize("steps", STEPS, ids=["of one seed", "of several"])
def test_very_many_results_move_the_means_as_far_together(monkeypatch: pytest.MonkeyPatch, steps: list[Step]) -> None:
    one, other = both(REACHED)
    monkeypatch.setattr(causes, "MOST_PLANNED", 0)
    assert other.change(steps).shape == (6, 6)
    assert np.allclose(moved(one.change(steps)), moved(other.change(steps)), rtol=0, atol=1e-10)


def test_what_is_planned_stays_small_however_large_the_job() -> None:
    arms = tuple(Arm(teacher=name(index), curves={0: (0.5 + 0.001 * index,)}) for index in range(32))
    known = Knowledge(arms=arms, rungs=RUNGS, seeds=tuple(range(20)), prior=PRIOR)
    rest = [Step(teacher=arm.teacher, seed=seed, rung=3) for arm in arms for seed in known.seeds]
    assert Model(known).change(rest).shape == (32, 32)


def test_a_look_in_between_does_not_change_what_other_rungs_say() -> None:
    standard = Knowledge(arms=(), rungs=RUNGS, seeds=(), prior=PRIOR)
    between = luck_covariance(replace(standard, rungs=EIGHTHS, prior=PRIOR.at(EIGHTHS)))
    places = [EIGHTHS.index(rung) for rung in RUNGS]
    assert np.allclose(between[np.ix_(places, places)], luck_covariance(standard))
