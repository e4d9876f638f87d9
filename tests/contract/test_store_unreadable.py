"""A job whose facts another version wrote: it says so in one sentence, and the others go on."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from service.app import create_app
from service.best_teacher.schemas import BestTeacher
from service.best_teacher.service import best_teacher
from service.calibration.service import calibration
from service.database.documents import Unreadable
from service.database.session import reading, transaction
from service.database.tables import Decision, SelectionJob
from service.problems import NotFound, StillRunning
from service.selection_jobs import service
from service.teacher_records.service import teacher_records
from service.wire.jobs import Job
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

pytestmark = pytest.mark.usefixtures("store")

SENTENCE = "What is stored of a job was written by another version of DPK Select and cannot be read by this one "


@pytest.fixture
def older() -> str:
    """A finished job, one fact of whose decisions has another name."""
    job_id = drive.submit(drive.request("cifar/resnet20", seeds=2, epochs=2, rungs=(1, 2), promote=1))
    drive.run_to_end(job_id)
    with transaction() as session:
        for each in session.query(Decision).where(Decision.job_id == job_id):
            each.document = {f"old_{name}" if name == "reason" else name: at for name, at in each.document.items()}
    return job_id


def listed() -> dict[str, Job]:
    with reading() as session:
        return {job.id: job for job in service.list_jobs(session).jobs}


def test_it_says_so_and_the_others_go_on(older: str) -> None:
    other = drive.submit(drive.request("cifar/resnet8w8", seeds=2, epochs=2, rungs=(1, 2), promote=1))
    drive.run_to_end(other)
    found = listed()
    assert found[older].headline.startswith(SENTENCE)
    assert (found[older].failure, found[older].state) == (found[older].headline, "finished")
    assert found[other].failure is None
    assert found[other].verdict is not None
    with pytest.raises(Unreadable):
        drive.board(older)


@ON_SQLITE
def test_over_http_it_is_a_problem_of_its_own_and_a_page(older: str) -> None:
    with TestClient(create_app(), raise_server_exceptions=False) as client:
        answer = client.get(f"/selection-jobs/{older}/leaderboard")
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:dpk-select:problem:unreadable")
        assert answer.json()["detail"].startswith(SENTENCE)
        page = client.get(f"/jobs/{older}", headers={"Accept": "text/html"})
        assert page.status_code == 500
        assert "This job cannot be read" in page.text
        assert client.get(f"/selection-jobs/{older}").json()["headline"].startswith(SENTENCE)
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200


@pytest.fixture(params=[(2, 2), (2, 3)], ids=["one_protocol", "two_protocols"])
def two(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Finished jobs of one question, the one that answers last: under one protocol the better founded, else the
    newer."""
    first, second = request.param
    found = [finished(2, first), finished(3, second)]
    return found[0], found[1]


def finished(seeds: int, epochs: int) -> str:
    job_id = drive.submit(drive.request("cifar/resnet20", seeds=seeds, epochs=epochs, rungs=(1, epochs), promote=1))
    drive.run_to_end(job_id)
    return job_id


@pytest.mark.parametrize("column", ["outcome", "plan"])
@pytest.mark.parametrize("place", [0, 1])
def test_another_job_answers_which_teacher_is_best(two: tuple[str, str], column: str, place: int) -> None:
    spoil(two[place], column)
    found = ask()
    assert (found.job, found.others) == (two[1 - place], [])
    assert ask(found.stamp).job == found.job


def ask(stamp: str | None = None) -> BestTeacher:
    return best_teacher("cifar/resnet8w4", "digits", "dpk", stamp)


@ON_SQLITE
def test_of_two_jobs_under_way_one_that_can_be_read_is_enough() -> None:
    live = [drive.submit() for _ in range(2)]
    spoil(live[1], "plan")
    with pytest.raises(StillRunning):
        ask()
    spoil(live[0], "plan")
    with pytest.raises(NotFound) as nothing:
        ask()
    assert not isinstance(nothing.value, StillRunning)


@ON_SQLITE
def test_where_no_other_job_answers_it_says_so_each_time(two: tuple[str, str]) -> None:
    answers = "/best-teacher?student=cifar/resnet8w4&dataset=digits"
    with TestClient(create_app()) as client:
        assert client.get(answers).status_code == 200
        for job_id in two:
            spoil(job_id, "outcome")
        for _ in range(2):
            answer = client.get(answers)
            assert (answer.status_code, answer.json()["type"]) == (500, "urn:dpk-select:problem:unreadable")


def spoil(job_id: str, column: str) -> None:
    """As a later version would write it."""
    with transaction() as session:
        job = session.get_one(SelectionJob, job_id)
        setattr(job, column, {**getattr(job, column), "later": 1})
        job.revision += 1


@ON_SQLITE
def test_looks_over_many_jobs_leave_it_out(older: str) -> None:
    with transaction() as session:
        session.execute(update(SelectionJob).where(SelectionJob.id == older).values(outcome={"kinds": "best"}))
    with reading() as session:
        assert calibration(session, None, None).jobs == 0
        assert [each.mean_gain for each in teacher_records(session).teachers] == [None]
