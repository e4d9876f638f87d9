"""A verdict's sentence names teachers only as far as a student was trained under them, and its numbers are the
belief's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpk_core.selection.decide.job_results import Arm, Knowledge, Prior
from dpk_core.selection.decide.summary import outlook
from dpk_core.selection.decide.verdict import Verdict, decide, gains
from dpk_core.selection.posterior import Model
from dpk_core.selection.statistics import Estimate
from dpk_core.selection.verdict_view import LEAST_SEEDS, is_tried
from tests.unit.selection.made_up import MISSING, RUNGS, SEEDS

NAMES = ("ada", "bob", "cyd", "dee")
FULL = len(RUNGS)
RISE = np.array(MISSING)


def arm(name: str | None, level: float, reached: Mapping[int, int], *, accuracy: float = 0.9, cost: float = 1.0) -> Arm:
    """An arm around a full accuracy, with the rungs reached by seed; what a seed adds differs between arms."""
    salt = sum(map(ord, name or ""))
    curves = {
        seed: tuple((level - RISE + 0.002 * ((seed * 7 + salt) % 5 - 2))[:count].tolist())
        for seed, count in reached.items()
    }
    teacher = None if name is None else f"cifar/{name}"
    return Arm(teacher=teacher, teacher_accuracy=None if name is None else accuracy, curves=curves, cost=cost)


def job(*arms: Arm, seeds: tuple[int, ...] = SEEDS) -> Knowledge:
    return Knowledge(arms=arms, rungs=RUNGS, seeds=seeds)


ALL = dict.fromkeys(SEEDS, FULL)
ALONE = arm(None, 0.80, ALL)


class TestUntriedTeachersAreNotNamed:
    def test_one_seed_of_the_policy_that_asks_the_teachers_accuracy(self) -> None:
        """The likeliest after the only training is a teacher under which nothing was trained."""
        trained = arm("ada", 0.60, {0: FULL}, accuracy=0.93)
        known = job(trained, arm("bob", 0, {}), arm("cyd", 0, {}), arm(None, 0.7, {0: FULL}), seeds=(0,))
        assert outlook(Model(known).posterior.teachers).choice != "cifar/ada"
        verdict = decide(known, final=True)
        assert verdict.sentence == (
            "Undecided: ada is the only teacher trained fully, and one seed cannot tell a better teacher from noise."
        )
        assert verdict.chance == outlook(Model(known).posterior.teachers).chances["cifar/ada"]

    def test_while_the_job_runs(self) -> None:
        trained = arm("ada", 0.60, {0: 1}, accuracy=0.93)
        verdict = decide(job(trained, arm("bob", 0, {}), arm("cyd", 0, {}), ALONE), final=False)
        assert re.fullmatch(
            r"Undecided: ada is the only teacher tried so far, best with a chance of \d+%; "
            r"2 teachers were not tried yet\.",
            verdict.sentence,
        )

    def test_where_no_training_came_to_its_end(self) -> None:
        verdict = decide(job(arm("ada", 0.9, {0: 2}), arm("bob", 0, {}), ALONE), final=True)
        assert verdict.sentence.startswith(
            "Undecided: no teacher's full training came to its end; ada is the only teacher tried so far, best with a"
        )

    def test_one_that_may_be_as_good_is_counted(self) -> None:
        verdict = decide(job(arm("ada", 0.9, ALL), arm("bob", 0, {}), ALONE), final=True)
        assert verdict.sentence.endswith(" Not ruled out: 1 teacher that was not tried.")
        assert (verdict.kind, verdict.tied) == ("tie", ("cifar/bob",))

    def test_one_that_may_help_is_counted(self) -> None:
        verdict = decide(job(arm("ada", 0.8, ALL), arm("bob", 0, {}), ALONE), final=True)
        assert verdict.sentence.endswith(". 1 teacher that was not tried may help.")


class TestNumbers:
    def test_at_least_is_the_lower_end_of_the_interval(self) -> None:
        known = job(arm("ada", 0.85, ALL), arm("bob", 0.85, ALL), ALONE)
        verdict = decide(known, final=True)
        low = min(gain.low for gain in gains(known).values())
        assert (
            f"both beat no teacher by at least {100 * low:.1f} points (the lower end of their 90%" in verdict.sentence
        )
        assert low < min(gain.value for gain in gains(known).values()) - 0.002

    def test_the_next_best_is_the_one_that_the_table_ranks_second(self) -> None:
        second = arm("cyd", 0.93, {0: 3})
        known = job(arm("ada", 0.95, ALL), arm("bob", 0.90, ALL), second, ALONE)
        ranked = [each.label for each in Model(known).posterior.ranking]
        assert ranked[:2] == ["ada", "cyd"]
        sentence = decide(known, final=True).sentence
        assert "bob, the next best of those trained fully, by" in sentence
        assert (
            "bob, the next best, by"
            in decide(job(*(each for each in known.arms if each is not second)), final=True).sentence
        )

    def test_a_difference_too_small_to_matter_is_not_called_noise(self) -> None:
        sure = Prior(seed_spread=(1e-5,) * 4, common_spread=1e-5, mismatch=(1e-5, 1e-5, 1e-5, 0.0))
        flat = {seed: tuple((0.95 - RISE).tolist()) for seed in SEEDS}
        lower = {seed: tuple((0.948 - RISE).tolist()) for seed in SEEDS}
        best, near = (
            Arm(teacher=f"cifar/{n}", teacher_accuracy=0.9, curves=c) for n, c in (("ada", flat), ("bob", lower))
        )
        known = replace(job(best, near, ALONE), prior=sure)
        assert "; bob is behind by 0.20 points, too little to matter; both beat" in decide(known, final=True).sentence
        cheap = replace(known, arms=(replace(best, cost=2.0), near, ALONE))
        sentence = decide(cheap, final=True, prefer_cheaper=True).sentence
        assert sentence.startswith("Take bob, the cheapest to train with; ada is ahead by 0.20 points, too little")

    @pytest.mark.parametrize("level", [0.80, 0.70])
    def test_a_lone_teacher_is_not_the_best_of_anything(self, level: float) -> None:
        sentence = decide(job(arm("ada", level, ALL), ALONE), final=True).sentence
        assert sentence.startswith("Take no teacher: ada changes the student by ")


def reached() -> some.SearchStrategy[dict[int, int]]:
    return some.dictionaries(some.sampled_from(SEEDS), some.sampled_from((1, 2, FULL, FULL, FULL)), max_size=len(SEEDS))


@some.composite
def jobs(draw: some.DrawFn) -> Knowledge:
    levels = some.sampled_from((0.76, 0.80, 0.803, 0.81, 0.85, 0.852))
    arms = [
        arm(
            name,
            draw(levels),
            draw(reached()),
            accuracy=draw(some.sampled_from((0.82, 0.9))),
            cost=draw(some.sampled_from((1.0, 2.0))),
        )
        for name in NAMES
    ]
    return job(*arms, arm(None, 0.80, draw(some.sampled_from((ALL, {0: FULL})))))


def named(sentence: str) -> set[str]:
    return {name for name in NAMES if re.search(rf"\b{name}\b", sentence)}


@settings(max_examples=60, deadline=None)
@given(jobs(), some.booleans(), some.booleans())
def test_every_teacher_in_a_sentence_was_trained_as_far_as_it_says(
    known: Knowledge, final: bool, cheaper: bool
) -> None:
    verdict = decide(known, final=final, prefer_cheaper=cheaper)
    arms = {each.label: each for each in known.arms}
    assert all(is_tried(arms[name]) for name in named(verdict.sentence)), verdict.sentence
    if verdict.kind == "undecided" and "full training" in verdict.sentence:
        return
    said = verdict.sentence.split(". ")
    claims = " ".join(part for part in said if not re.search("ruled out|may help", part))
    least = LEAST_SEEDS if verdict.best or verdict.kind == "no_teacher" else 1
    if final:
        assert all(len(arms[name].at(FULL - 1)) >= least for name in named(claims)), verdict.sentence


@settings(max_examples=60, deadline=None)
@given(jobs(), some.booleans())
def test_every_number_is_the_beliefs(known: Knowledge, cheaper: bool) -> None:
    verdict = decide(known, final=True, prefer_cheaper=cheaper)
    found = {name.removeprefix("cifar/"): gain for name, gain in gains(known).items()}
    _holds_at_least(verdict, found)
    belief = Model(known).posterior
    for name, value, low, high in re.findall(
        r"(\w+)(?:: it beats no teacher| changes the student|, changes the student|) by (−?[\d.]+) points "
        r"\(90% interval (−?[\d.]+) to (−?[\d.]+)\)",
        verdict.sentence,
    ):
        if name in found:
            gain = found[name]
            assert [value, low, high] == [written(each) for each in (gain.value, gain.low, gain.high)]
    if verdict.chance is not None and verdict.best is not None:
        assert verdict.chance == outlook(belief.teachers).chances[verdict.best]
    if match := re.search(r"(\w+), the next best, by", verdict.sentence):
        teachers = [each.label for each in belief.teachers.ranking if each.teacher != verdict.best]
        assert match[1] == teachers[0]


def _holds_at_least(verdict: Verdict, found: Mapping[str, Estimate]) -> None:
    match = re.search(r"at least ([\d.]+) points", verdict.sentence)
    if match is None:
        return
    claims = verdict.sentence.split(" Not ")[0]
    lows = [gain.low for name, gain in found.items() if name in named(claims)]
    assert len(lows) >= 2
    assert match[1] == written(min(lows))


def written(fraction: float) -> str:
    return f"{100 * fraction:.1f}".replace("-", "−").replace("−0.0", "0.0")
