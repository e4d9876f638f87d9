"""Who is promoted, in which order, and what was known then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.selection.decide.facts import Promotion
from dpk_core.selection.decide.job_results import JobResults
from dpk_core.selection.decide.promotion import in_order, promotions
from dpk_core.selection.decide.summary import summarise
from dpk_core.selection.statistics import is_same_chance
from tests.unit.selection.made_up import job, taught


def promotions_of(known: JobResults, *promoted: str) -> tuple[Promotion, ...]:
    view = summarise(known)
    assert view is not None
    return promotions(known, view, promoted)


def test_the_lead_comes_first_then_the_likeliest() -> None:
    known = job(taught("a", 0.80, 1), taught("b", 0.95, 1), taught("c", 0.85, 1), taught(None, 0.99))
    found = promotions_of(known, "b", "c")
    assert [(each.teacher, each.promoted) for each in found] == [("b", True), ("c", True), ("a", False)]


def test_of_two_with_hardly_a_chance_the_better_goes_on_not_the_less_known() -> None:
    view = summarise(job(taught("a", 0.94), taught("b", 0.97), taught("c", 0.90, 1)))
    assert view is not None
    assert in_order(view) == ["b", "a", "c"]


def test_chances_that_the_draws_cannot_tell_apart_are_the_same() -> None:
    assert is_same_chance(0.09, 0.08)
    assert not is_same_chance(0.09, 0.07)
    assert is_same_chance(0.48, 0.5)
    assert is_same_chance(0.0, 0.0)
    assert not is_same_chance(0.0, 0.01)


def test_it_tells_where_a_teacher_was_looked_at_and_what_the_last_promoted_had_there() -> None:
    last, dropped = promotions_of(job(taught("a", 0.80, {0: 2, 1: 1}), taught("b", 0.95, 2)), "b")
    assert (dropped.teacher, dropped.last, last.promoted) == ("a", "b", True)
    assert dropped.looked is not None
    looked = dropped.looked
    assert (looked.rung, looked.rungs, looked.fraction, looked.seeds) == (1, 4, 0.25, 1)
    assert looked.score == pytest.approx(0.6, abs=0.01)
    assert dropped.last_score == pytest.approx(0.75, abs=0.01)


def test_without_a_seed_in_common_it_tells_what_is_expected() -> None:
    dropped = promotions_of(job(taught("a", 0.80, {0: 2}), taught("b", 0.95, {1: 4})), "b")[1]
    assert dropped.last_score is None
    assert dropped.last_expected > dropped.expected


def test_one_that_was_never_tried_and_one_that_failed() -> None:
    found = promotions_of(job(taught("a", 0.80, 2), taught("b", 0.95, 2), taught("c", 0.9, {})), "b")
    assert {each.teacher: each.looked is None for each in found} == {"a": False, "b": False, "c": True}
    failed = replace(taught("b", 0.95, 1), failed=True)
    assert [each.teacher for each in promotions_of(job(taught("a", 0.8, 1), failed), "a")] == ["a"]
