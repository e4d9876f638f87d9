"""What is learnt from jobs, earlier ones and a job's own: spreads are found again, and surprise widens the belief."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import Knowledge, KnownTeacher, Prior
from dpk_core.selection.decide.summary import outlook
from dpk_core.selection.experience import learn
from dpk_core.selection.fitting import fitted
from dpk_core.selection.posterior import Model
from dpk_core.selection.spreads import picture_part
from tests.unit.selection.made_up import PRIOR, RUNGS, SEEDS, arm, job, name, reveal, world

WHOLE = {(index, seed): len(RUNGS) for index in range(6) for seed in SEEDS}
WILD = replace(
    PRIOR, seed_spread=(0.06, 0.048, 0.032, 0.024), mismatch=(0.048, 0.036, 0.02, 0.0), common_spread=0.024,
    teacher_spread=0.04,
)  # fmt: skip
"""Four times as wide as the default."""
RISING = replace(PRIOR, seed_spread=(0.06, 0.05, 0.035, 0.006))
"""Early rungs vary as curves do that have so far to rise."""
TELLING = replace(PRIOR, seed_spread=(0.005, 0.005, 0.004, 0.004), follows=(0.8, 0.9, 1.0, 1.0))
"""Half of a training tells who does well."""


def jobs(count: int, prior: Prior, seed: int = 0) -> list[Knowledge]:
    chance = np.random.Generator(np.random.PCG64(seed))
    truths = (0.7 + prior.teacher_spread * chance.normal(size=6) for _ in range(count))
    return [reveal(world(chance, truth, prior), WHOLE) for truth in truths]


class TestLearn:
    def test_without_jobs_nothing_is_learnt(self) -> None:
        assert learn([], PRIOR) == PRIOR
        assert learn([reveal(world(np.random.default_rng(0), np.full(6, 0.7)), {(0, 0): 4})], PRIOR) == PRIOR

    def test_the_spreads_of_many_jobs_are_found_again(self) -> None:
        found = learn(jobs(60, WILD), PRIOR)
        assert found.seed_spread == pytest.approx(WILD.seed_spread, rel=0.1)
        assert found.mismatch == pytest.approx(WILD.mismatch, rel=0.25)
        assert found.common_spread == pytest.approx(WILD.common_spread, rel=0.25)
        assert found.teacher_spread == pytest.approx(WILD.teacher_spread, rel=0.25)

    def test_a_single_job_moves_the_prior_part_of_the_way(self) -> None:
        found = learn(jobs(1, WILD), PRIOR)
        assert PRIOR.seed_spread[0] < found.seed_spread[0] < WILD.seed_spread[0]

    def test_a_student_that_follows_its_teacher_is_noticed(self) -> None:
        chance = np.random.Generator(np.random.PCG64(1))
        followed = []
        for _ in range(20):
            accuracy = 0.9 + 0.03 * chance.normal(size=6)
            known = reveal(world(chance, 0.7 + 0.5 * (accuracy - 0.9), PRIOR, accuracy, slope=0.5), WHOLE)
            arms = tuple(replace(each, teacher_accuracy=float(accuracy[int(each.teacher[-1])])) for each in known.arms)
            followed.append(replace(known, arms=arms))
        found = learn(followed, PRIOR)
        assert found.slope == pytest.approx(0.5, abs=0.1)
        assert found.slope_spread < PRIOR.slope_spread

    def test_the_slope_is_found_though_only_those_that_did_well_were_trained_fully(self) -> None:
        """Among the two best of six, students differ little, whatever their teachers' accuracies."""
        steep, jobs = 0.5, [_default_job(seed, 0.5, TELLING) for seed in range(60)]
        found = learn(jobs, TELLING)
        assert found.slope == pytest.approx(steep, abs=2 * found.slope_spread)
        whole = [
            replace(known, arms=tuple(arm for arm in known.arms if len(arm.at(len(RUNGS) - 1)) > 1)) for known in jobs
        ]
        flattened = learn(whole, TELLING)
        assert flattened.slope < found.slope - 0.03
        assert flattened.slope_spread > found.slope_spread

    def test_what_dropped_trainings_told_of_the_slope_is_as_sure_as_it_says(self) -> None:
        off = []
        for seed in range(100):
            truth = float(np.random.Generator(np.random.PCG64(seed)).normal(PRIOR.slope, PRIOR.slope_spread))
            found = learn([_default_job(1000 + seed, truth)], PRIOR)
            off.append((found.slope - truth) / found.slope_spread)
        assert 0.8 < np.std(off) < 1.2

    def test_the_same_teachers_again_tell_less_of_the_slope_than_others(self) -> None:
        known = _default_job(0, 0.5)
        others = replace(known, arms=tuple(replace(arm, teacher=f"other/{arm.teacher}") for arm in known.arms))
        again, anew = (learn([known, second], PRIOR).slope_spread for second in (known, others))
        assert anew < again < learn([known], PRIOR).slope_spread


def _default_job(seed: int, slope: float, prior: Prior = RISING) -> Knowledge:
    """Six teachers are trained by half, the two that look best are trained fully."""
    chance = np.random.Generator(np.random.PCG64(seed))
    accuracy = 0.8 + 0.02 * chance.normal(size=6)
    truth = 0.7 + slope * (accuracy - 0.8) + PRIOR.teacher_spread * chance.normal(size=6)
    table = world(chance, truth, prior, accuracy, slope)
    best = np.argsort(table[:, :, 2].mean(1))[-2:]
    whole = {(int(index), each): len(RUNGS) for index in best for each in SEEDS}
    known = reveal(table, {**{(index, each): 3 for index in range(6) for each in SEEDS}, **whole})
    arms = tuple(
        replace(arm, teacher=f"{seed}/{arm.teacher}", teacher_accuracy=float(own))
        for arm, own in zip(known.arms, accuracy, strict=True)
    )
    return replace(known, arms=arms)


class TestFitted:
    def test_intervals_hold_the_truth_as_often_as_they_say(self) -> None:
        held, count = 0, 0
        for seed in range(60):
            chance = np.random.Generator(np.random.PCG64(seed))
            truth = 0.7 + PRIOR.teacher_spread * chance.normal(size=6)
            belief = Model(fitted(reveal(world(chance, truth), WHOLE))).posterior
            for one, other in itertools.combinations(range(6), 2):
                apart = belief.difference(name(one), name(other))
                held, count = held + (apart.low <= truth[one] - truth[other] <= apart.high), count + 1
        assert 0.87 < held / count < 0.94

    @pytest.mark.parametrize("rungs", [1, 2, 4])
    def test_a_hopeless_teacher_does_not_change_a_winner_that_is_clear(self, rungs: int) -> None:
        clear = 0
        for seed in range(30):
            chance = np.random.Generator(np.random.PCG64(seed))
            table = world(chance, np.append(0.7 + PRIOR.teacher_spread * chance.normal(size=5), 0.5))
            reached = {(index, each): len(RUNGS) for index in range(5) for each in SEEDS}
            without = reveal(table, reached)
            beside = reveal(table, {**reached, (5, 0): rungs})
            few = replace(without, arms=without.arms[:5])
            view, later = (outlook(Model(fitted(each)).posterior) for each in (few, beside))
            if view.chances[view.choice] > 0.6:
                clear += 1
                assert later.choice == view.choice
            assert later.choice in view.best_set
        assert clear > 10

    def test_what_the_prior_expects_changes_little(self) -> None:
        for known in jobs(5, PRIOR):
            few = replace(known, arms=tuple(replace(each, curves={0: each.curves[0][:2]}) for each in known.arms))
            wider = fitted(few).prior.teacher_spread / PRIOR.teacher_spread
            assert 0.5 < wider < 1.6

    @pytest.mark.parametrize(("really", "least", "most"), [(0.001, 0.2, 0.8), (0.03, 1.2, 3)])
    def test_how_far_teachers_lie_apart_is_learnt_from_them(self, really: float, least: float, most: float) -> None:
        chance = np.random.Generator(np.random.PCG64(5))
        known = reveal(world(chance, 0.7 + really * chance.normal(size=6)), WHOLE)
        assert least < fitted(known).prior.teacher_spread / PRIOR.teacher_spread < most

    def test_so_is_how_far_known_teachers_do(self) -> None:
        chance = np.random.Generator(np.random.PCG64(5))
        told = KnownTeacher(teacher=name(0), offset=0.0, spread=0.008)
        known = reveal(world(chance, 0.7 + 0.001 * chance.normal(size=6)), WHOLE)
        prior = fitted(replace(known, prior=replace(PRIOR, known=(told,)))).prior
        assert prior.known[0].spread / 0.008 == pytest.approx(prior.teacher_spread / PRIOR.teacher_spread)

    def test_one_surprising_curve_makes_no_teacher_certain(self) -> None:
        # Seen on digits: after half of a training one student was 19 points ahead of the other; four were not tried.
        curves = [{0: (0.43, 0.63, 0.83)}, {0: (0.41, 0.55, 0.64)}, {}, {}]
        known = job(*(arm(index, each) for index, each in enumerate(curves)))
        sure, wide = (outlook(Model(each).posterior) for each in (known, fitted(known)))
        assert sure.choice == wide.choice
        assert sure.chances[sure.choice] > 0.99
        assert wide.chances[wide.choice] < 0.85

    def test_a_rung_at_which_arms_lie_far_apart_says_little(self) -> None:
        chance = np.random.Generator(np.random.PCG64(4))
        early = [{0: (0.4 + 0.05 * float(chance.normal()),)} for _ in range(6)]
        known = job(*(arm(index, curve, accuracy=0.85) for index, curve in enumerate(early)))
        prior = fitted(known).prior
        assert 0.03 < prior.seed_spread[0] < 0.12
        assert PRIOR.seed_spread[1] < prior.seed_spread[1] < prior.seed_spread[0]
        assert prior.seed_spread[-1] == pytest.approx(PRIOR.seed_spread[-1], rel=0.3)

    def test_unless_the_arms_are_close_together_there(self) -> None:
        close = job(*(arm(index, {0: (0.4 + 0.002 * index,)}, accuracy=0.85) for index in range(6)))
        assert fitted(close).prior.seed_spread[0] < 0.02

    def test_the_slope_stays(self) -> None:
        known = jobs(1, WILD)[0]
        assert fitted(known).prior.slope == PRIOR.slope

    def test_nothing_known_changes_nothing(self) -> None:
        assert fitted(job(arm(0), arm(1))) == job(arm(0), arm(1))
        assert fitted(job()) == job()

    def test_early_luck_may_turn_out_to_be_more_than_was_believed_however_little_that_was(self) -> None:
        chance = np.random.Generator(np.random.PCG64(4))
        early = [{0: (0.4 + 0.03 * float(chance.normal()),)} for _ in range(6)]
        calm = replace(PRIOR, seed_spread=(0.005, 0.005, 0.005, 0.006))
        prior = fitted(job(*(arm(index, curve) for index, curve in enumerate(early)), prior=calm)).prior
        assert prior.seed_spread[0] > 0.015

    def test_believed_early_luck_below_that_of_the_end_may_stay(self) -> None:
        close = [{0: (0.4 + 0.0003 * index, 0.5, 0.55, 0.6)} for index in range(6)]
        calm = replace(PRIOR, seed_spread=(0.003, 0.004, 0.005, 0.006))
        prior = fitted(job(*(arm(index, curve) for index, curve in enumerate(close)), prior=calm)).prior
        assert prior.seed_spread[0] < 0.003

    def test_in_a_wilder_world_the_90_percent_set_holds_the_best_more_often(self) -> None:
        chance = np.random.Generator(np.random.PCG64(3))
        held = {"as it is": 0, "fitted": 0}
        for _ in range(100):
            truth = 0.7 + WILD.teacher_spread * chance.normal(size=6)
            known = reveal(world(chance, truth, WILD), {(index, 0): 2 for index in range(6)})
            for which, each in (("as it is", known), ("fitted", fitted(known))):
                held[which] += name(int(truth.argmax())) in outlook(Model(each).posterior).best_set
        assert held["fitted"] >= 84
        assert held["fitted"] > held["as it is"]


class TestMisfit:
    def test_it_is_about_its_freedom_where_the_prior_is_right(self) -> None:
        models = [Model(known) for known in jobs(30, PRIOR)]
        assert sum(each.misfit for each in models) == pytest.approx(sum(each.freedom for each in models), rel=0.1)


def by_seed(right_ASV: NDArray[np.bool_]) -> list[dict[int, NDArray[np.bool_]]]:
    return [dict(enumerate(right_SV)) for right_SV in right_ASV]


class TestPicturePart:
    def test_it_is_found_again(self) -> None:
        chance = np.random.default_rng(0)
        easy_AV = np.clip(chance.normal(0.8, 0.3, (8, 1, 4000)), 0, 1)
        right_ASV = chance.random((8, 3, 4000)) < easy_AV
        accuracy = float(easy_AV.mean())
        expected = float(easy_AV[:, 0].var(1).mean()) / (accuracy * (1 - accuracy))
        assert picture_part(by_seed(right_ASV)) == pytest.approx(expected, rel=0.1)

    def test_arms_that_are_always_right_or_wrong_tell_of_none(self) -> None:
        assert picture_part(by_seed(np.ones((3, 2, 10), dtype=bool))) == 0
        assert picture_part(by_seed(np.zeros((3, 2, 10), dtype=bool))) == 0

    def test_it_takes_two_arms_and_two_seeds(self) -> None:
        assert picture_part([]) is None
        assert picture_part(by_seed(np.ones((1, 3, 10), dtype=bool))) is None
        assert picture_part(by_seed(np.ones((3, 1, 10), dtype=bool))) is None

    def test_only_seeds_that_all_arms_share_count(self) -> None:
        right_ASV = np.random.default_rng(1).random((3, 2, 50)) < 0.6
        whole = by_seed(right_ASV)
        whole[0][7] = whole[2][9] = right_ASV[0, 0]
        assert picture_part([*whole, {5: right_ASV[0, 1]}]) == picture_part(by_seed(right_ASV))
        assert picture_part([*whole, {0: right_ASV[0, 0], 8: right_ASV[0, 1]}]) is None

    def test_the_luck_of_pictures_is_not_learnt_as_the_seeds(self) -> None:
        """A data set of few pictures must not make a seed's own luck look larger."""
        known = jobs(30, WILD)
        luck = replace(known[0], pictures=60).picture_luck
        found = learn([replace(each, pictures=60) for each in known], PRIOR)
        assert found.seed_spread[-1] ** 2 == pytest.approx(WILD.seed_spread[-1] ** 2 - luck**2, abs=6e-5)
