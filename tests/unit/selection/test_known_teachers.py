"""A teacher that helped other students is believed to help this one, as far as teachers were seen to do so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dpk_core.selection.decide.summary import outlook
from dpk_core.selection.experience import learn
from dpk_core.selection.fitting import fitted
from dpk_core.selection.known_teachers import Residuals, recognised
from dpk_core.selection.posterior import Model
from tests.unit.selection.made_up import PRIOR, RUNGS, SEEDS, arm, job, name, reveal, world

WHOLE = {(index, seed): len(RUNGS) for index in range(6) for seed in SEEDS}
SPREAD = PRIOR.teacher_spread


def drawn(count: int, shared: float, seed: int = 0) -> tuple[list[Residuals], np.ndarray]:  # type: ignore[type-arg]
    chance = np.random.Generator(np.random.PCG64(seed))
    common = np.sqrt(shared) * SPREAD * chance.normal(size=400)
    jobs = []
    for _ in range(count):
        values = common + np.sqrt(1 - shared) * SPREAD * chance.normal(size=400)
        jobs.append(Residuals(by_teacher={f"t{i:03}": float(value) for i, value in enumerate(values)}, noise=0.0))
    return jobs, common


@pytest.mark.parametrize("shared", [0.1, 0.5, 0.9])
def test_the_share_is_found_again(shared: float) -> None:
    jobs, _ = drawn(12, shared)
    assert recognised(PRIOR, jobs).shared == pytest.approx(shared, abs=0.15)


def test_one_job_leaves_the_share_as_it_was() -> None:
    jobs, _ = drawn(1, 0.9)
    assert recognised(PRIOR, jobs).shared == PRIOR.shared


def test_more_jobs_come_nearer_to_what_a_teacher_adds() -> None:
    jobs, common = drawn(12, 0.6)
    few, many = recognised(PRIOR, jobs[:1]), recognised(PRIOR, jobs)
    error = [np.mean((np.array([each.offset for each in prior.known]) - common) ** 2) for prior in (few, many)]
    assert error[1] < error[0] / 2
    assert many.known[0].spread < few.known[0].spread < SPREAD


def test_noise_is_trusted_less() -> None:
    clean, noisy = (recognised(PRIOR, [Residuals(by_teacher={"t": 0.01}, noise=noise)]) for noise in (0.0, 1e-3))
    assert clean.known[0].offset == pytest.approx(0.01 * PRIOR.shared)
    assert 0 < noisy.known[0].offset < clean.known[0].offset


def test_where_teachers_share_nothing_nothing_is_carried_over() -> None:
    found = recognised(replace(PRIOR, shared=0.0), [Residuals(by_teacher={"t": 0.05}, noise=0.0)])
    assert (found.known[0].offset, found.known[0].spread) == (0.0, SPREAD)


class TestInABelief:
    def test_a_teacher_that_taught_well_leads_before_any_result(self) -> None:
        truth = 0.8 + np.array([0.0, 0.0, 0.03, 0.0, 0.0, 0.0])
        earlier = [reveal(world(np.random.Generator(np.random.PCG64(seed)), truth), WHOLE) for seed in range(3)]
        prior = learn(earlier, PRIOR)
        fresh = job(*(arm(index) for index in range(6)), prior=prior)
        view = outlook(Model(fresh).posterior)
        assert view.choice == name(2)
        assert view.chances[name(2)] > 0.5

    def test_a_job_does_not_know_its_own_results_twice(self) -> None:
        own = reveal(world(np.random.Generator(np.random.PCG64(0)), np.linspace(0.7, 0.8, 6)), WHOLE)
        assert fitted(own).prior.known == ()
