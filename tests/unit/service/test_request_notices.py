"""What is said of a request when it is made."""

from __future__ import annotations

from typing import Any

from dpk_core.catalogue.datasets import DIGITS
from service.models.service import parameter_count
from service.selection_jobs.planning import make_plan
from service.selection_jobs.request_notices import request_notices
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive


def said(student: str = "cifar/resnet8w4", *teachers: str, **request: Any) -> list[str]:
    asked = drive.request(*teachers, **request).model_dump() | {"student": student}
    return [
        each.message
        for each in request_notices(make_plan(SelectionJobRequest.model_validate(asked), DIGITS), parameter_count)
    ]


def test_an_ordinary_request_needs_no_word() -> None:
    assert said() == []


def test_one_seed_cannot_be_told_from_noise() -> None:
    (sentence,) = said(seeds=1)
    assert sentence.startswith("With 1 seed the noise between trainings cannot be told")
    assert "the verdict will be undecided; ask for 2 seeds or more." in sentence


def test_a_student_larger_than_its_teachers() -> None:
    assert (
        "resnet20 has more parameters than every teacher;"
        in said("cifar/resnet20", "cifar/resnet8w4", "cifar/resnet8")[0]
    )
    assert "than resnet8w4;" in said("cifar/resnet20", "cifar/resnet8w4", "cifar/resnet32")[0]


def test_a_limit_that_leaves_arms_untrained() -> None:
    (sentence,) = said(runs=3)
    assert sentence.startswith("At most 3 trainings (budget.runs) cannot cover 3 teachers")
