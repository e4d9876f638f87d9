"""Which finished job answers, and what tells the others from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.codec import to_json
from service.best_teacher.choice import differences, in_order
from service.best_teacher.repository import Finished
from service.scheduling.protocol_id import plan_stamp, stored_stamp
from service.selection_jobs.planning import make_plan
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive

OTHER_DATA = "sha256:other"


def plan(data: str | None = None, **budget: Any) -> dict[str, Any]:
    made = to_json(make_plan(drive.request(**budget), DIGITS))
    return {**made, "data_fingerprint": data or made["data_fingerprint"]}


def job(name: str, kind: str, seeds: int, tried: int, age: int, of: Mapping[str, Any] | None = None) -> Finished:
    """`age`: a larger one is older."""
    return Finished(
        job_id=name, finished_at=datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=age), plan=of or plan(),
        verdict={"kind": kind, "best": None}, seeds=seeds, tried=tried, trained=tried,
    )  # fmt: skip


def is_current(stored: Mapping[str, Any]) -> bool:
    return bool(stored["data_fingerprint"] == DIGITS.fingerprint)


def order(*jobs: Finished) -> list[str]:
    newest_first = sorted(jobs, key=lambda each: each.finished_at, reverse=True)
    return [each.job_id for each in in_order(newest_first, is_current)]


def with_settings(**settings: Any) -> dict[str, Any]:
    asked = SelectionJobRequest.model_validate(drive.request().model_dump() | settings)
    stored: dict[str, Any] = to_json(make_plan(asked, DIGITS))
    return stored


LONG = plan(epochs=16, rungs=(2, 16))
STRONGER = with_settings(method={"feature_weight": 3.0, "share": {"floor": 0.2}})
MIXED = with_settings(recipe={"mixup": 0.2})


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (job("a", "best", 3, 5, 9), job("b", "undecided", 1, 1, 1)),
        (job("a", "no_teacher", 2, 2, 9), job("b", "undecided", 9, 9, 1)),
        (job("a", "tie", 3, 2, 9), job("b", "best", 2, 2, 1)),
        (job("a", "best", 2, 5, 9), job("b", "best", 2, 1, 1)),
        (job("a", "best", 2, 5, 9), job("b", "best", 5, 1, 1)),
        (job("a", "best", 2, 2, 1), job("b", "best", 2, 2, 9)),
        (job("a", "best", 2, 2, 1), job("b", "best", 9, 9, 9, LONG)),
        (job("a", "best", 2, 2, 9), job("b", "undecided", 1, 1, 1, LONG)),
        (job("a", "best", 2, 2, 9), job("b", "best", 9, 9, 1, plan(OTHER_DATA))),
        (job("a", "undecided", 1, 1, 9), job("b", "best", 9, 9, 1, plan(OTHER_DATA))),
    ],
    ids=["weaker", "undecided", "fewer seeds", "fewer teachers", "fewer comparisons", "older", "older protocol",
         "undecided protocol", "other data", "other data, decided"],
)  # fmt: skip
def test_the_best_founded_decision_answers(first: Finished, second: Finished) -> None:
    assert order(first, second) == ["a", "b"]


def test_a_stored_plan_has_the_stamp_of_the_plan() -> None:
    made = make_plan(drive.request(), DIGITS)
    assert stored_stamp(to_json(made)) == plan_stamp(made)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (job("b", "undecided", 1, 1, 1), "undecided: 1 seed, 1 teacher"),
        (job("b", "best", 2, 2, 1), "weaker: 2 seeds, 2 teachers"),
        (job("b", "best", 3, 2, 9), "older"),
        (job("b", "best", 9, 9, 1, LONG), "16 epochs instead of 8"),
        (job("b", "best", 9, 9, 1, plan(OTHER_DATA)), "other data"),
        (job("b", "best", 9, 9, 1, plan() | {"version": 99}), "another training version"),
        (job("b", "best", 9, 9, 1, STRONGER), "other settings of the method (feature_weight, share.floor)"),
        (job("b", "best", 9, 9, 1, MIXED), "other settings of the recipe (mixup)"),
    ],
)
def test_what_tells_another_job_from_the_answer(other: Finished, said: str) -> None:
    assert differences(other, job("a", "best", 3, 2, 5)) == [said]
