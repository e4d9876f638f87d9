"""A verdict's sentence names teachers only as far as a student was trained under them, and says what its facts say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpk_core.selection.decide.job_results import Arm
from dpk_core.selection.decide.verdict import decide
from dpk_core.selection.estimate import Estimate
from service.presentation.verdict_words import cautioned, verdict_sentence
from tests.unit.selection.made_up import RUNGS, SEEDS, job, taught

FULL = len(RUNGS)
ALL = dict.fromkeys(SEEDS, FULL)
NAMES = ("ada", "bob", "cyd", "dee")


def arm(name: str | None, level: float, reached: Mapping[int, int] = ALL) -> Arm:
    return taught(None if name is None else f"cifar/{name}", level, reached, salt=sum(map(ord, name or "")))


ALONE = arm(None, 0.80)
NOT_TRIED: Mapping[int, int] = {}


def said(*arms: Arm, final: bool = True, margin: float = 0.003, cheaper: bool = False) -> str:
    return verdict_sentence(decide(job(*arms), final=final, margin=margin, prefer_cheaper=cheaper))


@pytest.mark.parametrize(
    ("arms", "pattern"),
    [
        (
            (arm("ada", 0.95), arm("bob", 0.90), ALONE),
            r"Take ada: it beats no teacher by POINTS and bob, the next best, by [45]\.\d\.",
        ),
        ((arm("ada", 0.95), ALONE), r"Take ada: it beats no teacher by POINTS\."),
        (
            (arm("ada", 0.95), arm("bob", 0.95), ALONE),
            r"Take \w+; \w+ is within noise; both beat no teacher by at least 1\d\.\d points \(the lower end of their "
            r"90% intervals\), \w+ by POINTS\.",
        ),
        (
            (arm("ada", 0.6), arm("bob", 0.5), ALONE),
            r"Take no teacher: even the best one, ada, changes the student by POINTS: it does harm\.",
        ),
        ((arm("ada", 0.60), ALONE), r"Take no teacher: ada changes the student by POINTS: it does harm\."),
        (
            (arm("ada", 0.80), arm("bob", 0.79), ALONE),
            r"Take no teacher: the best one, ada, changes the student by POINTS, which is within noise of nothing\.",
        ),
        (
            (arm("ada", 0.80), arm("bob", 0.3, {0: 2}), ALONE),
            r"Take no teacher: the best of those trained fully, ada, changes the student by POINTS, which is within "
            r"noise of nothing\.",
        ),
        (
            (arm("ada", 0.801), arm("bob", 0.83, {0: 2}), ALONE),
            r"Undecided: the best of those trained fully, ada, changes .* bob may help, but was not trained fully\.",
        ),
        (
            (arm("ada", 0.80), arm("bob", 0, NOT_TRIED), ALONE),
            r"Undecided: the best of those trained fully, ada, .* 1 teacher that was not tried may help\.",
        ),
        (
            (arm("ada", 0.9), arm("bob", 0, NOT_TRIED), ALONE),
            r"Take ada: .* Not ruled out: 1 teacher that was not tried\.",
        ),
        (
            (arm("ada", 0.9, {0: FULL}), arm("bob", 0, NOT_TRIED), ALONE),
            r"Undecided: ada is the only teacher trained fully, and one seed cannot tell a better teacher from noise\.",
        ),
        (
            (arm("ada", 0.9), arm("bob", 0.8), arm(None, 0.8, {0: FULL})),
            r"Undecided: ada leads the 2 teachers trained fully, but the student without a teacher was not trained "
            r"fully on 2 seeds, so its worth is unknown\.",
        ),
        (
            (arm("ada", 0.9, {0: 2}), arm("bob", 0, NOT_TRIED), ALONE),
            r"Undecided: no full training under a teacher finished; ada is the only teacher tried so far, best with a "
            r"chance of \d+%; 1 teacher was not tried yet\.",
        ),
        (
            (arm("ada", 0, NOT_TRIED), ALONE),
            r"Undecided: no student came to the end of a training under a teacher\.",
        ),
        (
            (replace(arm("ada", 0.5), near_chance=True), ALONE),
            r"Undecided: ada tells the classes no better than chance; it changes the student by POINTS: it does harm\.",
        ),
        (
            (replace(arm("ada", 0.9), near_chance=True), ALONE),
            r"Undecided: ada beats no teacher by POINTS, but has learned nothing itself: it tells "
            r"the classes no better than chance\.",
        ),
    ],
)  # fmt: skip
def test_it_says_what_the_facts_say(arms: tuple[Arm, ...], pattern: str) -> None:
    points = r"−?\d+\.\d points \(90% interval −?\d+\.\d to −?\d+\.\d\)"
    assert re.fullmatch(pattern.replace("POINTS", points), said(*arms)), said(*arms)


def test_while_the_job_runs() -> None:
    assert re.fullmatch(
        r"Undecided: ada is the only teacher tried so far, best with a chance of \d+%; 2 teachers were not tried yet\.",
        said(arm("ada", 0.6, {0: 1}), arm("bob", 0, NOT_TRIED), arm("cyd", 0, NOT_TRIED), ALONE, final=False),
    )
    assert said(arm("ada", 0, NOT_TRIED), final=False) == "Undecided: no teacher was tried yet."


def test_the_cheapest_of_equals_and_what_is_too_little_to_matter() -> None:
    dear, cheap = replace(arm("ada", 0.953), paces={0: 9.0}), replace(arm("bob", 0.95), paces={0: 1.0})
    assert said(dear, cheap, ALONE, cheaper=True).startswith(
        "Take bob, the cheapest to train with; ada is within noise"
    )
    assert said(arm("ada", 0.82), ALONE, margin=0.1).endswith("which is too little to matter.")


def test_what_is_clearly_apart_from_the_cheapest_is_not_within_noise() -> None:
    verdict = replace(
        decide(job(arm("ada", 0.95), arm("bob", 0.95), arm("cyd", 0.95), ALONE), final=True), cheapest=True
    )
    apart = {verdict.equals[0]: (-0.009, -0.015, -0.004), verdict.equals[1]: (0.002, 0.001, 0.003)}
    ahead = {each: Estimate(value=value, low=low, high=high) for each, (value, low, high) in apart.items()}
    ahead_of_it, behind = (each.removeprefix("cifar/") for each in verdict.equals)
    said = verdict_sentence(replace(verdict, ahead=ahead))
    assert f"; {ahead_of_it} is ahead by 0.90 points; {behind} is behind by 0.20 points, too little to matter; " in said


def test_a_bound_is_the_lower_end_of_the_intervals() -> None:
    verdict = decide(job(arm("ada", 0.95), arm("bob", 0.95), ALONE), final=True)
    best, other = verdict.best or "", verdict.equals[0]
    gains = {best: Estimate(value=0.05, low=0.031, high=0.07), other: Estimate(value=0.04, low=0.021, high=0.06)}
    assert "both beat no teacher by at least 2.1 points" in verdict_sentence(replace(verdict, gains=gains))
    low = {**gains, other: Estimate(value=0.04, low=0.0001, high=0.06)}
    assert "both beat no teacher by at least 0.01 points" in verdict_sentence(replace(verdict, gains=low))
    none = {**gains, other: Estimate(value=0.04, low=-0.01, high=0.06)}
    assert "both" not in verdict_sentence(replace(verdict, gains=none))


def test_cautions_follow_where_it_stands_alone() -> None:
    assert (
        cautioned("Take ada.", ["It is small.", "It is old."]) == "Take ada. Caution: It is small. Caution: It is old."
    )


REACHED = some.fixed_dictionaries({}, optional={seed: some.integers(1, FULL) for seed in SEEDS})


@settings(max_examples=60, deadline=None)
@given(
    some.lists(some.tuples(some.floats(0.6, 0.95), REACHED), min_size=1, max_size=4), some.booleans(), REACHED,
)  # fmt: skip
def test_no_sentence_names_a_teacher_that_was_never_tried(
    found: list[tuple[float, dict[int, int]]], final: bool, alone: dict[int, int]
) -> None:
    arms = [arm(name, level, reached) for name, (level, reached) in zip(NAMES, found, strict=False)]
    sentence = said(*arms, arm(None, 0.8, alone), final=final)
    named = {name for name in NAMES if re.search(rf"\b{name}\b", sentence)}
    assert named <= {each.label for each in arms if each.is_tried}
    assert "None" not in sentence
