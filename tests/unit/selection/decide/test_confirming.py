"""How many seeds the word of the verdict takes."""

from __future__ import annotations

import pytest

from dpk_core.selection.decide.confirming import pair_steps
from dpk_core.selection.decide.job_results import LEAST_SEEDS
from dpk_core.selection.decide.summary import model
from tests.unit.selection.made_up import RUNGS, job, taught

LEAST = dict.fromkeys(range(LEAST_SEEDS), len(RUNGS))


@pytest.mark.parametrize(
    ("gain", "margin", "clear"),
    [
        (0.04, 0.003, True), (0.023, 0.003, True), (0.023, 0.027, False), (0.03, 0.027, False), (0.023, 0.05, True),
        (0.0, 0.003, False), (0.0, 0.05, False), (-0.01, 0.003, False), (-0.05, 0.003, True), (-0.05, 0.1, True),
    ],
)  # fmt: skip
def test_another_seed_unless_help_harm_or_too_little_are_clear(gain: float, margin: float, clear: bool) -> None:
    known = job(taught("a", 0.8 + gain, LEAST, noise=0.0), taught(None, 0.8, LEAST, noise=0.0))
    steps = pair_steps(known, "a", model(known).full, margin)
    assert [(each.teacher, each.seed) for each in steps] == ([] if clear else [("a", 2), (None, 2)])


def test_two_seeds_at_least() -> None:
    known = job(taught("a", 0.9, {0: 4}), taught(None, 0.8, {0: 4}))
    steps = pair_steps(known, "a", None, 0.003)
    assert [(each.teacher, each.seed) for each in steps] == [("a", 1), (None, 1)]
