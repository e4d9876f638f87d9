"""A page at every moment of a job, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from service.database.session import reading, transaction
from service.leaderboards import earlier
from service.selection_jobs import service
from service.web import pages
from service.wire.jobs import PolicyName
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, Failure, by_skill

pytestmark = pytest.mark.usefixtures("store")


@ON_SQLITE
@pytest.mark.parametrize("policy", ["adaptive", "halving", "teacher_accuracy"])
def test_the_page_can_be_drawn_at_every_moment(policy: PolicyName) -> None:
    job_id = drive.submit(drive.request(policy=policy))
    drive.advance(job_id)
    going = True
    while going:
        board = drive.board(job_id)
        assert board.job.id in pages.job_page(board)
        assert all(stage.done <= stage.total for stage in board.job.progress)
        going = drive.step(job_id)


def test_the_page_of_a_job_that_lost_all_its_teachers() -> None:
    job_id = drive.submit()
    drive.run_to_end(job_id, lambda spec: Failure("No.") if spec.training.role == "teacher" else by_skill(spec))
    board = drive.board(job_id)
    assert board.job.state == "finished"
    assert board.verdict is not None
    assert board.verdict.kind == "undecided"
    assert "No." in pages.job_page(board)


def test_what_the_store_knew_is_read_once_for_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    drive.run_to_end(drive.submit())
    later = drive.submit(drive.request(promote=1))
    first = drive.board(later)

    def unread(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(earlier, "_finished", unread)
    assert drive.board(later).trust == first.trust
    with pytest.raises(AssertionError):
        drive.board(drive.submit(drive.request(promote=1)))


def test_jobs_are_listed_by_state_and_by_the_beginning_of_an_id() -> None:
    one, other = drive.submit(), drive.submit()
    with transaction() as session:
        service.cancel(session, other)
    with reading() as session:
        assert [job.id for job in service.list_jobs(session, state="queued").jobs] == [one]
        assert [job.id for job in service.list_jobs(session, prefix=one[:8]).jobs] == [one]
        assert [job.id for job in service.list_jobs(session, prefix=one).jobs] == [one]
        assert service.list_jobs(session, prefix=one[:8], state="failed").jobs == []
