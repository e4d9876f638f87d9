"""What jobs cost and saved, on SQLite and on Postgres; every epoch takes a second."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.database.session import transaction
from service.database.tables import Run, SelectionJob
from service.database.types import epoch_now, utc_now
from service.web.pages import job_page
from service.wire.boards import Ledger, Purposes
from service.wire.choices import TeacherChoice
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, Failure, Outcome, by_skill

pytestmark = pytest.mark.usefixtures("store")

BEST = "cifar/resnet20"
FULL = 2 * 8
"""Seconds of an arm's full trainings: two seeds of eight epochs."""


def students_fail(spec: RunSpec) -> Outcome:
    teacher = spec.training.teacher
    return Failure("Boom.", seconds=2.0) if teacher is not None and teacher.model != BEST else by_skill(spec)


def teachers_fail(spec: RunSpec) -> Outcome:
    broken = spec.training.role == "teacher" and spec.training.model != BEST
    return Failure("Boom.", seconds=3.0) if broken else by_skill(spec)


class TestSaved:
    @ON_SQLITE
    def test_a_student_that_failed_would_have_failed_in_the_exhaustive_way_too(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id, students_fail)
        ledger, failed = drive.board(job_id).ledger, drive.runs_of(job_id, "failed")
        assert ledger.wasted == 2.0 * len(failed) > 0
        assert ledger.exhaustive == 3 * 24 + 2 * FULL + ledger.wasted
        assert ledger.saved == ledger.exhaustive - ledger.spent

    @ON_SQLITE
    def test_so_would_a_teacher(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id, teachers_fail)
        ledger = drive.board(job_id).ledger
        assert ledger.exhaustive == 24 + 2 * FULL + 2 * 3.0
        assert ledger.wasted == 2 * 3.0

    def test_training_everything_that_can_be_trained_saves_nothing(self) -> None:
        job_id = drive.submit(drive.request(policy="exhaustive"))
        drive.run_to_end(job_id, students_fail)
        assert drive.board(job_id).ledger.saved == 0


@ON_SQLITE
class TestByTheClock:
    def paused(self, *, began: float, paused: float) -> str:
        """A job that began and was paused so many seconds ago."""
        job_id = drive.submit()
        drive.advance(job_id)
        with transaction() as session:
            actions.pause(session, job_id)
        with transaction() as session:
            session.execute(update(SelectionJob).where(SelectionJob.id == job_id).values(
                started_at=utc_now() - timedelta(seconds=began), started_epoch=epoch_now() - began,
                paused_epoch=epoch_now() - paused,
            ))  # fmt: skip
        return job_id

    def test_a_pause_is_left_out(self) -> None:
        job_id = self.paused(began=172_800, paused=172_000)
        with transaction() as session:
            actions.resume(session, job_id)
        drive.run_to_end(job_id)
        wall = drive.board(job_id).ledger.wall
        assert wall is not None
        assert 800 < wall < 172_000

    def test_of_a_job_that_was_cancelled_while_paused_the_pause_is_left_out_too(self) -> None:
        job_id = self.paused(began=500, paused=400)
        drive.cancel(job_id)
        assert drive.board(job_id).ledger.wall == pytest.approx(100)

    def test_of_a_job_that_ran_again_it_is_not_known(self) -> None:
        job_id = drive.submit(drive.request("cifar/resnet8w8", promote=1, epochs=2, rungs=(1, 2)))
        drive.run_to_end(job_id)
        assert drive.board(job_id).ledger.wall is not None
        actions.add_teacher(job_id, TeacherChoice(model=BEST))
        drive.run_to_end(job_id)
        board = drive.board(job_id)
        assert board.job.state == "finished"
        assert board.ledger.wall is None
        page = job_page(board)
        assert " · ended <time" in page
        assert " · took " not in page


class TestByDevice:
    def test_every_purpose_adds_up_over_devices(self) -> None:
        job_id = drive.submit(drive.request(audit=1.0))
        drive.run_to_end(job_id, students_fail)
        with transaction() as session:
            for run in session.scalars(select(Run).where(Run.purpose == "teacher")):
                run.device = "GPU"
        ledger = drive.board(job_id).ledger
        assert list(ledger.purposes_by_device) == ledger.devices == ["CPU", "GPU"]
        assert ledger.purposes_by_device["GPU"] == Purposes(
            teachers=3 * 24, exploring=0, confirming=0, audit=0, wasted=0
        )
        on_cpu = ledger.purposes_by_device["CPU"]
        assert (on_cpu.teachers, on_cpu.wasted) == (0, ledger.wasted)
        assert on_cpu.wasted > 0
        for name in Purposes.model_fields:
            whole = sum(getattr(each, name) for each in ledger.purposes_by_device.values())
            assert whole == getattr(ledger, name), name
        for device, purposes in ledger.purposes_by_device.items():
            assert sum(purposes.model_dump().values()) == ledger.by_device[device]
        assert sum(ledger.by_device.values()) == ledger.spent

    @ON_SQLITE
    def test_what_is_saved_has_no_device_and_says_so(self) -> None:
        assert "no device" in (Ledger.model_fields["saved"].description or "")
