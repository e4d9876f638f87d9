"""Jobs that go on with what a cancelled one left on the way, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from dpk_core.protocol import ArtifactReference, Checkpoint, Measured
from service.database.session import reading, transaction
from service.database.tables import Run, SelectionJob
from service.leaderboards import earlier
from service.runs import service as runs
from service.runs.claims import Report
from service.scheduling import repository
from service.wire.boards import Row
from service.wire.choices import ModelChoice
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

pytestmark = pytest.mark.usefixtures("store")

TEACHER = "cifar/resnet20"


def left(purpose: str, epoch: int, **budget: object) -> tuple[Run, Checkpoint]:
    """A student's run under TEACHER that a job was cancelled in, an accuracy of .1 an epoch, and its checkpoint."""
    job_id = drive.submit(drive.request(**budget))  # type: ignore[arg-type]  # a budget's fields
    drive.advance(job_id)
    while not (waiting := [run for run in drive.runs_of(job_id, "queued", purpose=purpose) if run.teacher == TEACHER]):
        assert drive.step(job_id)
    held = drive.claim(waiting[0].id)
    file = ArtifactReference(path="half.pt", sha256="0" * 64, bytes=1)
    kept = Checkpoint(file=file, step=14 * epoch, epoch=epoch, seconds=float(epoch))
    measured = tuple(
        Measured(run_id=held.run_id, step=14 * at, epoch=at, values={"validation_accuracy": 0.1 * at})
        for at in range(1, epoch + 1)
    )
    with transaction() as session:
        runs.report(session, held, Report(step=kept.step, checkpoint=kept, measured=measured), lease_seconds=60)
    drive.cancel(job_id)
    with transaction() as session:
        runs.release(session, held)
    drive.advance(job_id)
    assert drive.job(job_id).state == "cancelled"
    return waiting[0], kept


def row_of(job_id: str) -> Row:
    return next(row for row in drive.board(job_id).rows if row.teacher == TEACHER)


def test_it_is_gone_on_with_and_paid_once() -> None:
    begun, half = left("full", 3, policy="exhaustive")
    job_id = drive.submit(drive.request(policy="exhaustive"))
    drive.advance(job_id)
    again = drive.claim(next(run.id for run in drive.runs_of(job_id) if run.content_key == begun.content_key))
    assert again.resume == half
    assert again.earlier_seconds == 3.0
    drive.end(again, 0.88)
    drive.run_to_end(job_id)
    assert [run.seconds for run in drive.runs_of(job_id) if run.id == again.run_id] == [5.0]
    assert drive.board(job_id).ledger.exhaustive == 64.0, "eight trainings of eight epochs, at a second each"
    rungs = {at.epochs: at.score for at in next(s for s in row_of(job_id).seeds if s.seed == begun.seed).rungs}
    assert rungs[2] == pytest.approx(0.2), "what the cancelled run measured is part of the training"
    assert rungs[8] == 0.88


@ON_SQLITE
def test_the_gap_to_its_teacher_is_measured_all_the_same() -> None:
    left("probe", 1, policy="halving", rungs=[2, 8])
    job_id = drive.submit(drive.request(policy="halving", promote=3, rungs=[2, 8]))
    drive.run_to_end(job_id)
    assert row_of(job_id).scores["cka_gap"] == pytest.approx(0.55), "the mean of two seeds"


@ON_SQLITE
def test_a_job_with_other_rungs_hears_of_the_gap_too() -> None:
    drive.run_to_end(drive.submit(drive.request(policy="halving", promote=1, rungs=[2, 8])))
    job_id = drive.submit(drive.request(policy="exhaustive", rungs=[4, 8]))
    drive.run_to_end(job_id)
    rows = [row for row in drive.board(job_id).rows if row.teacher is not None]
    assert [row.scores.get("cka_gap") for row in rows] == [pytest.approx(0.55)] * 3


def test_later_jobs_and_curves_know_what_it_had_measured() -> None:
    begun, _ = left("full", 6, policy="exhaustive")
    job_id = drive.submit(drive.request(policy="exhaustive"))
    drive.run_to_end(job_id)
    curve = next(
        each for each in drive.board(job_id).curves
        if (each.label, each.purpose, each.seed) == ("resnet20", "student", begun.seed)
    )  # fmt: skip
    assert [point.epoch for point in curve.points] == list(range(1, 9))
    assert curve.points[1].values["validation_accuracy"] == pytest.approx(0.2)
    other = drive.submit(drive.request().model_copy(update={"student": ModelChoice(model="cifar/resnet8")}))
    with reading() as session:
        snapshot = repository.snapshot(session, session.get_one(SelectionJob, other))
        (question,) = earlier.comparison_groups(session, snapshot.job, snapshot.plan)
    assert [{fraction: sorted(at) for fraction, at in trial.reached.items()} for trial in question.records] == [
        {0.25: [0, 1], 0.5: [0, 1], 1.0: [0, 1]}
    ] * 3


@ON_SQLITE
def test_a_curve_ends_where_the_jobs_own_trainings_do() -> None:
    short = drive.submit(drive.request(policy="halving", promote=1, rungs=[2, 8]))
    drive.run_to_end(short)
    before = drive.board(short).curves
    drive.run_to_end(drive.submit(drive.request(policy="exhaustive")))
    assert drive.board(short).curves == before


@ON_SQLITE
def test_what_the_store_knew_stays_what_it_was_when_a_job_was_submitted() -> None:
    drive.run_to_end(drive.submit(drive.request(policy="halving", promote=1, rungs=[2, 8])))
    other = drive.submit(drive.request().model_copy(update={"student": ModelChoice(model="cifar/resnet8")}))
    before = drive.board(other).correlations
    drive.run_to_end(drive.submit(drive.request(policy="exhaustive")))
    earlier.earlier.cache_clear()
    assert drive.board(other).correlations == before
