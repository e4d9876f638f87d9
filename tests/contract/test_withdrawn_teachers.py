"""A teacher is withdrawn when its own file is broken, and trained anew when its students are retried."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from dpk_core.codec import from_json
from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.database.session import transaction
from service.database.tables import Run
from service.runs import service
from service.runs.claims import Claim, Report
from tests.contract import job_driver as drive
from tests.contract.run_driver import claimed
from tests.contract.run_specs import checkpoint

pytestmark = pytest.mark.usefixtures("store")

TEACHER = "cifar/resnet20"


def job_with_a_student() -> tuple[str, Claim]:
    """A job whose teacher is prepared, and the claim of its first student under it, on its last attempt."""
    job_id = drive.submit(drive.request(TEACHER, promote=1, epochs=2, rungs=(1, 2)))
    drive.advance(job_id)
    (teacher,) = drive.runs_of(job_id, "queued", purpose="teacher")
    drive.end(drive.claim(teacher.id), drive.by_skill(from_json(RunSpec, teacher.spec)))
    drive.advance(job_id)
    student = next(run for run in drive.runs_of(job_id, "queued") if run.teacher == TEACHER)
    with transaction() as session:
        session.execute(update(Run).where(Run.id == student.id).values(attempts=2))
    return job_id, claimed(student.id)


def broken(held: Claim, file: str) -> None:
    with transaction() as session:
        assert service.fail(session, held, "artifact", f"{file} cannot be read.", max_attempts=3)


def prepared(job_id: str) -> list[tuple[str, bool]]:
    return sorted((run.state, run.withdrawn) for run in drive.runs_of(job_id, purpose="teacher"))


def test_a_students_own_broken_checkpoint_says_nothing_against_its_teacher() -> None:
    job_id, held = job_with_a_student()
    with transaction() as session:
        service.report(session, held, Report(checkpoint=checkpoint("own.pt", step=1, seconds=1.0)), lease_seconds=-1.0)
        session.execute(update(Run).where(Run.id == held.run_id).values(attempts=2))
    broken(claimed(held.run_id), "own.pt")
    drive.advance(job_id)
    assert prepared(job_id) == [("finished", False)]
    with transaction() as session:
        actions.retry(session, job_id)
    drive.run_to_end(job_id)
    assert drive.job(job_id).state == "finished"
    assert prepared(job_id) == [("finished", False)]


def test_a_withdrawn_teacher_is_trained_anew_when_its_students_are_retried() -> None:
    job_id, held = job_with_a_student()
    broken(held, "weights.safetensors")
    drive.advance(job_id)
    assert prepared(job_id) == [("finished", True)]
    with transaction() as session:
        actions.retry(session, job_id)
    assert prepared(job_id) == [("finished", True), ("queued", False)]
    drive.run_to_end(job_id)
    assert drive.job(job_id).state == "finished"
    assert not drive.runs_of(job_id, "queued", "running")
    assert [run.state for run in drive.runs_of(job_id) if run.teacher == TEACHER].count("failed") == 1
