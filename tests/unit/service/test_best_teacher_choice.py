"""Which finished job answers, and what tells the others from it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from dpk_core.catalogue.datasets import DIGITS
from service.best_teacher.choice import in_order
from service.best_teacher.repository import Finished, Group
from service.presentation.protocol_words import founding_differences, protocol_differences
from service.scheduling.outcome import Outcome
from service.scheduling.plan import Plan
from service.selection_jobs.planning import make_plan
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def plan(**budget: Any) -> Plan:
    return make_plan(drive.request(**budget), DIGITS)


def with_settings(**settings: Any) -> Plan:
    return make_plan(SelectionJobRequest.model_validate(drive.request().model_dump() | settings), DIGITS)


def group(protocol: str, *, decided: bool = True, age: int = 1) -> Group:
    """`age`: a larger one is older."""
    return Group(protocol=protocol, is_decided=decided, newest=NOW - timedelta(days=age), best=f"{protocol}{decided}")


def job(kind: Literal["best", "undecided"], seeds: int, tried: int, age: int) -> Finished:
    outcome = Outcome(
        kind=kind, best=None, seeds=seeds, tried=tried, trained=tried, recipe="digits", epochs=8, gains={},
        stated=None,
    )  # fmt: skip
    return Finished(job_id="b", protocol="p", finished_at=NOW - timedelta(days=age), outcome=outcome)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (group("a", age=9), group("a", decided=False)),
        (group("a", age=9), group("b", decided=False)),
        (group("a", age=1), group("b", age=9)),
        (group("a", age=9), group("other data", age=1)),
        (group("a", decided=False, age=9), group("other data", age=1)),
    ],
    ids=["undecided", "undecided protocol", "older protocol", "other data", "other data, decided"],
)
def test_the_best_founded_decision_answers(first: Group, second: Group) -> None:
    for given in ([first, second], [second, first]):
        assert in_order(given, lambda each: each.protocol != "other data") == [first, second]


ANSWER = job("best", 3, 2, 5)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (job("undecided", 1, 1, 1), "undecided: 1 seed, 1 teacher"),
        (job("best", 2, 2, 1), "weaker: 2 seeds, 2 teachers"),
        (job("best", 3, 2, 9), "older"),
        (job("best", 3, 2, 1), "newer: 3 seeds, 2 teachers"),
    ],
)
def test_what_tells_a_job_from_the_answer_of_its_protocol(other: Finished, said: str) -> None:
    assert founding_differences(other.outcome, ANSWER.outcome, older=other.finished_at < ANSWER.finished_at) == [said]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (plan(epochs=16, rungs=(2, 16)), "16 epochs instead of 8"),
        (dataclasses.replace(plan(), data_fingerprint="sha256:other"), "other data"),
        (dataclasses.replace(plan(), version=99), "another training version"),
        (
            with_settings(method={"feature_weight": 3.0, "share": {"floor": 0.2}}),
            "other settings of the method (feature_weight, share.floor)",
        ),
        (with_settings(recipe={"mixup": 0.2}), "other settings of the recipe (mixup)"),
    ],
)
def test_what_tells_another_protocol_from_that_of_the_answer(other: Plan, said: str) -> None:
    assert protocol_differences(other, plan()) == [said]
    assert protocol_differences(other, other) == []
