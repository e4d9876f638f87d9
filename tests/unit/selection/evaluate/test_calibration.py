"""Chances against what won, by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from dpk_core.selection.estimate import wilson
from dpk_core.selection.evaluate.calibration import LEAST_CLAIMS, Claim, calibrate


def claim(winner: str, *trained: str, **chances: float) -> Claim:
    return Claim(chances=chances, trained={name: 0.9 if name == winner else 0.8 for name in (winner, *trained)})


def test_the_stated_set_is_the_smallest_that_is_sure_enough() -> None:
    said = claim("a", a=0.5, b=0.1, c=0.4)
    assert said.stated_set(0.9) == ("a", "c")
    assert said.stated_set(0.5) == ("a",)
    assert said.stated_set(1.0) == ("a", "c", "b")
    assert claim("a", a=0.5, b=0.5).stated_set(0.4) == ("a",)


def test_only_what_could_have_failed_counts() -> None:
    assert claim("a", "b", "c", a=0.8, b=0.15, c=0.05).can_be_judged(0.9)
    # Only the stated set was trained.
    assert not claim("a", "b", a=0.8, b=0.15, c=0.05).can_be_judged(0.9)
    # An audit of one of two dropped teachers.
    assert claim("a", "b", "d", a=0.8, b=0.15, c=0.03, d=0.02).can_be_judged(0.9)
    # A teacher of the set was not trained.
    assert not claim("a", "c", a=0.8, b=0.15, c=0.05).can_be_judged(0.9)
    # Everybody is in the set.
    assert not claim("a", "b", a=0.5, b=0.5).can_be_judged(0.9)
    assert not Claim(chances={}, trained={"a": 0.5}).can_be_judged(0.9)


def test_few_jobs_tell_nothing() -> None:
    found = calibrate([claim("a", "b", a=0.9, b=0.1)] * (LEAST_CLAIMS - 1) + [claim("a", a=0.95, b=0.05)])
    assert (found.jobs, found.claims, found.exhaustive) == (LEAST_CLAIMS, LEAST_CLAIMS - 1, LEAST_CLAIMS - 1)
    assert (found.held, found.size, found.bins) == (None, None, ())


def test_held_size_and_bins_by_hand() -> None:
    right, wrong = claim("a", "b", "c", a=0.9, b=0.07, c=0.03), claim("c", "a", "b", a=0.9, b=0.07, c=0.03)
    found = calibrate([right] * 4 + [wrong])
    assert found.held == wilson(4, 5)
    assert found.size == 1
    assert [(each.count, each.won.value) for each in found.bins] == [(5, 0.2), (5, 0.0), (5, 0.8)]
    assert [each.stated for each in found.bins] == [pytest.approx(0.03), pytest.approx(0.07), pytest.approx(0.9)]


def test_a_certain_claim_is_in_the_last_bin() -> None:
    found = calibrate([claim("a", "b", a=1.0, b=0.0)] * 5)
    assert [(each.low, each.high, each.count) for each in found.bins] == [(0.0, 0.05, 5), (0.95, 1.0, 5)]


def test_of_equals_the_likelier_won() -> None:
    assert Claim(chances={"a": 0.1, "b": 0.9}, trained={"a": 0.8, "b": 0.8}).winner == "b"


def test_honest_chances_are_found_calibrated() -> None:
    random = np.random.default_rng(0)
    claims = []
    for _ in range(2000):
        chances = random.dirichlet([0.5] * 4)
        best = random.choice(4, p=chances)
        names = "abcd"
        claims.append(
            Claim(chances=dict(zip(names, chances, strict=True)), trained={n: float(n == names[best]) for n in names})
        )
    found = calibrate(claims)
    assert found.held is not None
    assert found.held.value > 0.9
    assert all(each.won.low - 0.02 <= each.stated <= each.won.high + 0.02 for each in found.bins)
