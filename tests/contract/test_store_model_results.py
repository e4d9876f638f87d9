"""What trainings of a model, and under it, came to: only those that differ in their seed alone make one mean."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from dpk_core.spec import RunSpec
from service.app import create_app
from service.database.session import reading
from service.models.results import results_as_student, results_as_teacher
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive

pytestmark = [pytest.mark.usefixtures("store"), drive.ON_SQLITE]
TEACHER = "cifar/resnet20"


def finish(**changes: Any) -> None:
    """A job under the teacher whose students come to ten times their learning rate."""
    asked = drive.request(TEACHER, seeds=2, epochs=2, rungs=(1, 2), promote=1).model_dump(mode="json")
    drive.run_to_end(drive.submit(SelectionJobRequest.model_validate({**asked, **changes})), by_learning_rate)


def by_learning_rate(spec: RunSpec) -> float:
    return 0.5 + spec.training.recipe.learning_rate + 0.01 * spec.training.seed


def test_seeds_make_one_mean_and_settings_do_not() -> None:
    finish(recipe={"learning_rate": 0.05})
    finish(recipe={"learning_rate": 0.001})
    with reading() as session:
        found = results_as_teacher(session, TEACHER)
    assert [each.score for each in found] == pytest.approx([0.555, 0.506])
    assert [each.seeds for each in found] == [2, 2]
    assert len({each.protocol for each in found}) == 2


def test_neither_do_other_preparations_of_the_teacher() -> None:
    finish()
    finish(budget={"epochs": 2, "rungs": [1, 2], "promote": 1, "audit": 0.0, "teacher_epochs": 3})
    with reading() as session:
        students, teachers = results_as_teacher(session, TEACHER), results_as_student(session, TEACHER)
    assert [each.seeds for each in students] == [2, 2]
    assert len({each.protocol for each in students}) == 1
    epochs = {each.teacher_epochs for each in students}
    assert epochs == {each.epochs for each in teachers}
    assert (len(epochs), 3 in epochs) == (2, True)
    assert len({each.preparation for each in students}) == 2
    assert len({each.preparation for each in teachers}) == 2
    with TestClient(create_app()) as client:
        page = client.get(f"/model/{TEACHER}", headers={"Accept": "text/html"}).text
    for each in students:
        assert f"protocol {each.protocol}, teacher trained {each.teacher_epochs} epochs ({each.preparation})" in page
    for each in teachers:
        assert f"{each.epochs} epochs, as a teacher ({each.preparation})" in page


def test_a_training_without_a_teacher_has_no_protocol() -> None:
    finish()
    with reading() as session:
        trained = [*results_as_student(session, TEACHER), *results_as_student(session, "cifar/resnet8w4")]
    assert {(each.protocol is None, each.role) for each in trained if each.teacher is None} == {
        (True, "teacher"), (True, "student"),
    }  # fmt: skip
