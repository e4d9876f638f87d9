"""Jobs whose teachers and student bring weights, on SQLite and on Postgres, with run results fed by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from dpk_core.models.build import build_model
from dpk_core.spec import RunSpec
from service.best_teacher.service import best_teacher
from service.database.session import reading
from service.leaderboards import earlier
from service.problems import NotFound, Rejected
from service.scheduling import repository
from service.selection_jobs import service
from service.settings import Settings
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

MODEL = "cifar/resnet8w8"
GIVEN = f"{MODEL}@file:ten.safetensors"


@pytest.fixture(autouse=True)
def weights_root(configure: Callable[..., Settings], migrated_url: str, tmp_path: Path) -> Path:
    """A fresh database, and weights for ten and for seven classes."""
    root = tmp_path / "weights"
    root.mkdir()
    configure(database_url=migrated_url, weights_root=root)
    for name, classes in (("ten", 10), ("seven", 7)):
        save_file(build_model(MODEL, classes=classes, channels=1, seed=0).state_dict(), root / f"{name}.safetensors")
    return root


def request(*teachers: object, student: object = "cifar/resnet8w4", **change: Any) -> SelectionJobRequest:
    budget = {"epochs": 8, "rungs": [2, 8], "promote": len(teachers), "teacher_epochs": 4, "audit": 0.0}
    asked = {"student": student, "dataset": "digits", "teachers": teachers, "seeds": 2, "budget": budget}
    return SelectionJobRequest.model_validate({**asked, **change})


def outcome(spec: RunSpec) -> float:
    return drive.by_skill(spec) - (0.0 if spec.training.start is None else 0.01)


@ON_SQLITE
def test_one_model_in_three_ways_is_three_arms() -> None:
    seven = {"model": MODEL, "weights": "file:seven.safetensors", "epochs": 3}
    job_id = drive.submit(request(MODEL, GIVEN, seven))
    drive.run_to_end(job_id, outcome)
    rows = {row.teacher: row for row in drive.board(job_id).rows}
    assert set(rows) == {MODEL, GIVEN, f"{MODEL}@file:seven.safetensors", None}
    said = [row.preparation for row in rows.values() if row.preparation is not None]
    assert {(each.weights, each.kind, each.epochs, each.seconds) for each in said} == {
        ("random", "train", 4, 4.0), ("file:ten.safetensors", "as_is", 0, 0.0),
        ("file:seven.safetensors", "head", 3, 3.0),
    }  # fmt: skip
    identity = rows[GIVEN].preparation
    assert identity is not None
    assert (identity.identity or "").startswith("sha256:")
    assert rows[GIVEN].teacher_accuracy != rows[MODEL].teacher_accuracy
    keys = {
        run.spec["training"]["teacher"]["training_key"] for run in drive.runs_of(job_id, purpose="full") if run.teacher
    }
    assert len(keys) == 3
    job = drive.job(job_id)
    assert [stage.done for stage in job.progress] == [stage.total for stage in job.progress]
    assert drive.statuses(job_id)[GIVEN][0] == "finished"


def test_what_was_judged_once_is_found_again() -> None:
    drive.run_to_end(drive.submit(request(GIVEN)))
    again = drive.submit(
        request({"model": MODEL, "weights": "file:ten.safetensors", "preparation": "as_is"}, recipe="small")
    )
    drive.run_to_end(again)
    (preparation,) = drive.runs_of(again, purpose="teacher")
    assert drive.board(again).ledger.reused == preparation.seconds
    assert [event.data["reused"] for event in drive.events_of(again) if event.data.get("purpose") == "teacher"] == [
        True
    ]


@ON_SQLITE
def test_a_file_with_new_content_is_another_teacher(weights_root: Path) -> None:
    first = drive.submit(request(GIVEN))
    drive.run_to_end(first)
    save_file(build_model(MODEL, classes=10, channels=1, seed=1).state_dict(), weights_root / "ten.safetensors")
    second = drive.submit(request(GIVEN))
    drive.run_to_end(second)
    shared = {run.id for run in drive.runs_of(first)} & {run.id for run in drive.runs_of(second)}
    assert {run.teacher for run in drive.runs_of(first) if run.id in shared} == {None}


@ON_SQLITE
def test_a_student_with_a_start_is_another_question() -> None:
    started = {"model": MODEL, "weights": "file:ten.safetensors"}
    job_id = drive.submit(request("cifar/resnet20", student=started))
    drive.run_to_end(job_id)
    board = drive.board(job_id)
    assert str(board.job.request.student) == GIVEN
    assert board.setup.student_weights.weights == "file:ten.safetensors"
    assert all(run.spec["training"]["start"] for run in drive.runs_of(job_id) if run.purpose != "teacher")
    assert best_teacher(GIVEN, "digits", "dpk").job == job_id
    with pytest.raises(NotFound):
        best_teacher(MODEL, "digits", "dpk")


def test_earlier_jobs_of_a_student_with_a_start_are_a_group_of_their_own() -> None:
    for student in (MODEL, GIVEN):
        drive.run_to_end(drive.submit(request("cifar/resnet20", "cifar/resnet14w8", student=student)))
    third = drive.submit(request("cifar/resnet8w8"))
    with reading() as session:
        found = repository.find(session, third)
        assert found is not None
        snapshot = repository.snapshot(session, found)
        assert len(earlier.comparison_groups(session, snapshot.job, snapshot.plan)) == 2


def test_what_is_wrong_with_weights_leaves_no_job() -> None:
    with pytest.raises(Rejected) as refused:
        drive.submit(request(GIVEN, f"{MODEL}@file:none.safetensors"))
    assert [error.field for error in refused.value.errors] == ["teachers[1].weights"]


def test_weights_that_were_replaced_make_an_answer_stale_and_a_key_a_new_job(weights_root: Path) -> None:
    asked = request(GIVEN)
    job_id = drive.submit(asked, key="k")
    drive.run_to_end(job_id, outcome)
    assert drive.submit(asked, key="k") == job_id
    save_file(build_model(MODEL, classes=10, channels=1, seed=1).state_dict(), weights_root / "ten.safetensors")
    answer = best_teacher("cifar/resnet8w4", "digits", "dpk")
    assert (answer.verdict, answer.stale) == ("best", True)
    assert answer.stale_because == [f"The weights of {GIVEN} have changed since the job was made."]
    again = service.submit(asked, "k")
    assert again.id != job_id
    assert again.notices[0].message.startswith(answer.stale_because[0])


@ON_SQLITE
def test_weights_of_the_student_that_are_gone_make_an_answer_stale(weights_root: Path) -> None:
    drive.run_to_end(drive.submit(request("cifar/resnet20", student=GIVEN)))
    (weights_root / "ten.safetensors").unlink()
    because = best_teacher(GIVEN, "digits", "dpk").stale_because
    assert because == [f"{GIVEN} cannot be had now: There are no weights ten.safetensors under the weights root."]
