"""The belief: exact where it can be worked out by hand, and with the properties that any honest belief has."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dpk_core.selection.decide.job_results import TOLD_APART, Arm, Step
from dpk_core.selection.decide.summary import chance_of_change, chance_within, outlook, worth
from dpk_core.selection.posterior import Model
from tests.unit.selection.made_up import PRIOR, arm, job, name, reveal, world

FULL = (0.5, 0.6, 0.7, 0.8)


class TestExactness:
    def test_two_full_results_by_hand(self) -> None:
        """Without slope, walk and rungs the difference of two arms is one normal observed with normal noise."""
        prior = replace(PRIOR, mismatch=(0, 0, 0, 0), seed_spread=(1e3, 1e3, 1e3, 0.01), persistence=0, slope_spread=0)
        known = job(arm(0, {0: (0, 0, 0, 0.80)}), arm(1, {0: (0, 0, 0, 0.82)}), prior=prior)
        known = replace(known, pictures=800)
        belief = Model(known).posterior
        between = 2 * prior.teacher_spread**2
        # Of 800 pictures, each right with a chance of .8: what is one training's own, and what one arm's on all seeds.
        noise = 2 * (0.01**2 + (TOLD_APART + prior.picture_part) * 0.8 * 0.2 / 800)
        shrunk = 0.02 * between / (between + noise)
        assert belief.mean_A[1] - belief.mean_A[0] == pytest.approx(shrunk, rel=1e-4)
        variance = belief.covariance_AA[0, 0] + belief.covariance_AA[1, 1] - 2 * belief.covariance_AA[0, 1]
        assert variance == pytest.approx(between * noise / (between + noise), rel=1e-3)

    def test_what_all_arms_share_tells_nothing(self) -> None:
        """A first rung of a single arm says nothing: what the rung misses is unknown."""
        before = Model(job(arm(0), arm(1))).posterior
        after = Model(job(arm(0, {0: (0.9,)}), arm(1))).posterior
        gap_before, gap_after = before.mean_A[0] - before.mean_A[1], after.mean_A[0] - after.mean_A[1]
        assert gap_after == pytest.approx(gap_before, abs=2e-4)

    def test_the_planned_change_is_the_one_that_happens_on_average(self) -> None:
        """The variance that a result takes away is the variance of the mean's movement (law of total variance)."""
        known = job(arm(0, {0: (0.5,)}), arm(1, {0: (0.52,)}))
        model = Model(known)
        steps = [Step(teacher=name(index), seed=0, rung=3) for index in range(2)]
        change = model.change(steps)
        later = Model(job(arm(0, {0: (0.5, 0.6, 0.7, 0.8)}), arm(1, {0: (0.52, 0.62, 0.72, 0.82)})))
        lost = model.posterior.covariance_AA - later.posterior.covariance_AA
        assert np.allclose(change @ change.T, lost, atol=1e-7)


class TestProperties:
    @pytest.fixture
    def table(self) -> NDArray[np.float64]:
        return world(np.random.Generator(np.random.PCG64(1)), np.array([0.80, 0.81, 0.79, 0.805]))

    def test_permuting_teachers_permutes_the_answer(self, table: NDArray[np.float64]) -> None:
        known = reveal(table, {(i, 0): 2 for i in range(4)})
        turned = replace(known, arms=known.arms[::-1])
        assert outlook(Model(known).posterior) == outlook(Model(turned).posterior)

    def test_a_hopeless_teacher_does_not_change_the_winner(self, table: NDArray[np.float64]) -> None:
        known = reveal(table, {(i, seed): 4 for i in range(4) for seed in range(3)})
        hopeless = arm(9, dict.fromkeys(range(3), (0.1, 0.1, 0.1, 0.1)), accuracy=0.2)
        view, with_it = (
            outlook(Model(known).posterior),
            outlook(Model(replace(known, arms=(*known.arms, hopeless))).posterior),
        )
        assert with_it.choice == view.choice
        assert with_it.chances[name(9)] == 0

    def test_more_data_never_widens(self, table: NDArray[np.float64]) -> None:
        widths = []
        for rungs in range(5):
            covariance = Model(replace(reveal(table, {(i, 0): rungs for i in range(4)}))).posterior.covariance_AA
            widths.append(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
        assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(widths))

    def test_identical_teachers_tie(self) -> None:
        view = outlook(Model(job(arm(0, {0: FULL, 1: FULL}), arm(1, {0: FULL, 1: FULL}))).posterior)
        assert set(view.best_set) == {name(0), name(1)}
        assert view.chances[name(0)] == pytest.approx(0.5, abs=0.03)

    def test_the_order_of_equals_is_not_decided_by_rounding(self) -> None:
        """Otherwise another machine would train other teachers first."""
        belief = Model(job(*(arm(index) for index in range(6)))).posterior
        noise = np.random.Generator(np.random.PCG64(0)).normal(size=(6, 6)) * 1e-16
        moved = replace(belief, covariance_AA=belief.covariance_AA + noise + noise.T)
        assert list(outlook(moved).chances) == list(outlook(belief).chances)

    def test_failed_arms_are_not_ranked(self) -> None:
        failed = replace(arm(1, {0: (0.99,)}), failed=True)
        assert outlook(Model(job(arm(0, {0: (0.5,)}), failed)).posterior).choice == name(0)

    def test_no_teacher_is_an_arm_like_the_others(self) -> None:
        baseline = Arm(teacher=None, curves=dict.fromkeys(range(3), (0.6, 0.7, 0.8, 0.9)))
        known = job(baseline, arm(0, dict.fromkeys(range(3), FULL)))
        assert outlook(Model(known).posterior).choice is None

    def test_a_known_slope_speaks_before_any_result(self) -> None:
        steep = replace(PRIOR, slope=0.5, slope_spread=0.05)
        view = outlook(Model(job(arm(0, accuracy=0.7), arm(1, accuracy=0.9), prior=steep)).posterior)
        assert view.choice == name(1)
        assert view.chances[name(1)] > 0.95

    def test_without_a_slope_teacher_accuracy_is_no_evidence(self) -> None:
        flat = replace(PRIOR, slope=0.0, slope_spread=0.0)
        view = outlook(Model(job(arm(0, accuracy=0.7), arm(1, accuracy=0.9), prior=flat)).posterior)
        assert view.chances[name(1)] == pytest.approx(0.5, abs=0.03)


class TestCalibration:
    def test_the_90_percent_set_holds_the_best_in_its_own_world(self) -> None:
        chance = np.random.Generator(np.random.PCG64(5))
        held, sizes = 0, []
        for _ in range(200):
            truth = 0.8 + PRIOR.teacher_spread * chance.normal(size=5)
            view = outlook(
                Model(reveal(world(chance, truth), {(i, s): 3 for i in range(5) for s in range(2)})).posterior
            )
            held += name(int(truth.argmax())) in view.best_set
            sizes.append(len(view.best_set))
        assert 0.85 <= held / 200 <= 0.98
        assert np.median(sizes) < 5


class TestOutlook:
    def test_regret_is_the_expected_loss(self) -> None:
        belief = Model(job(arm(0, {0: FULL}), arm(1, {0: (0.5, 0.6, 0.7, 0.79)}))).posterior
        sd = np.sqrt(belief.covariance_AA[0, 0] + belief.covariance_AA[1, 1] - 2 * belief.covariance_AA[0, 1])
        gap = (belief.mean_A[0] - belief.mean_A[1]) / sd
        expected = sd * (stats.norm.pdf(gap) - gap * stats.norm.sf(gap))
        assert outlook(belief).regret == pytest.approx(expected, rel=0.06)

    def test_within_a_wide_margin_anything_will_do(self) -> None:
        belief = Model(job(arm(0, {0: FULL}), arm(1, {0: FULL}))).posterior
        assert chance_within(belief, name(1), margin=0.2) == 1
        assert chance_within(belief, name(1), margin=0.0) < 0.6

    def test_nothing_left_to_learn_changes_nothing(self) -> None:
        assert chance_of_change(Model(job(arm(0), arm(1))), [], name(0)) == 0

    def test_pairs_are_worth_more_than_single_arms(self) -> None:
        model = Model(job(arm(0), arm(1), arm(2)))
        steps = [Step(teacher=name(index), seed=0, rung=3) for index in range(2)]
        assert worth(model, steps[:1]) == pytest.approx(0, abs=1e-4)
        assert worth(model, steps) > 1e-3
        assert 0.2 < chance_of_change(model, steps, name(0)) < 0.8


class TestPictureLuck:
    def test_few_pictures_make_a_result_say_less(self) -> None:
        known = job(arm(0, {0: FULL}), arm(1, {0: tuple(value + 0.02 for value in FULL)}))
        chances = [
            outlook(Model(replace(known, pictures=pictures)).posterior).chances[name(1)]
            for pictures in (100, 1000, 100_000, None)
        ]
        assert chances == sorted(chances)
        assert chances[0] < chances[1] - 0.05

    def test_it_is_a_part_of_a_pictures_variance_and_shrinks_with_their_number(self) -> None:
        known = replace(job(arm(0, accuracy=0.7), arm(1, accuracy=0.9)), pictures=400)
        assert known.picture_luck == pytest.approx((TOLD_APART * 0.8 * 0.2 / 400) ** 0.5)
        unknown = replace(job(arm(0, accuracy=None)), pictures=400)
        assert unknown.picture_luck == pytest.approx((TOLD_APART * 0.25 / 400) ** 0.5)
        assert job(arm(0)).picture_luck == 0
