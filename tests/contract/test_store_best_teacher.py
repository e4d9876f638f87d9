"""Which finished job answers `best-teacher`, and when its answer is stale, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.best_teacher import asking, repository
from service.best_teacher.asking import ask as ask_best_teacher
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher, BestTeacherRequest
from service.best_teacher.service import arms_of, best_teacher, document
from service.database.session import reading, transaction
from service.database.tables import SelectionJob
from service.database.types import utc_now
from service.problems import NotFound, StillRunning
from service.scheduling.plan import Plan
from service.selection_jobs import preflight
from service.selection_jobs import service as selection_jobs
from service.settings import Settings
from service.wire.choices import TeacherChoice
from service.wire.jobs import SelectionJobRequest
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

STUDENT = "cifar/resnet8w4"


@pytest.fixture(autouse=True)
def data_root(configure: Callable[..., Settings], migrated_url: str, tmp_path: Path) -> Path:
    """A fresh database and the data set `npz/mine`."""
    root = tmp_path / "data"
    root.mkdir()
    configure(database_url=migrated_url, data_root=root)
    write_data(root, 0)
    return root


def write_data(root: Path, salt: int) -> None:
    pictures = np.random.default_rng(salt).integers(0, 255, (60, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(60) % 2
    np.savez(
        root / "mine.npz",
        x_train=pictures,
        y_train=labels,
        x_test=pictures,
        y_test=labels,
        classes=np.array(["a", "b"]),
    )


def ask(stamp: str | None = None, dataset: str = "digits", method: str = "dpk") -> BestTeacher:
    return best_teacher(STUDENT, dataset, method, stamp)


def finished(*teachers: str, dataset: str = "digits", seeds: int = 2, epochs: int = 8) -> str:
    asked = drive.request(*teachers, seeds=seeds, epochs=epochs, rungs=(2, epochs), promote=1)
    batch = {"budget": asked.budget.model_copy(update={"batch_size": 16})}
    job_id = drive.submit(
        SelectionJobRequest.model_validate(asked.model_copy(update={"dataset": dataset, **batch}).model_dump())
    )
    drive.run_to_end(job_id)
    assert drive.job(job_id).state == "finished"
    return job_id


class TestChoice:
    def test_a_weaker_job_never_replaces_a_decision(self) -> None:
        strong = finished("cifar/resnet8w8", "cifar/resnet20")
        undecided, weaker = finished("cifar/resnet8w8", seeds=1), finished("cifar/resnet8w8")
        answer = ask()
        assert (answer.job, answer.teacher, answer.running) == (strong, "cifar/resnet20", None)
        assert answer.verdict in ("best", "tie")
        assert (answer.seeds, answer.epochs, answer.candidates, answer.teachers_tried) == (2, 8, 2, 2)
        assert answer.chance is not None
        assert answer.chance > 0.8
        assert answer.gain is not None
        assert not answer.stale
        assert answer.data.then == answer.data.now
        assert {other.job: other.differs for other in answer.others} == {
            undecided: ["undecided: 1 seed, 1 teacher"], weaker: ["weaker: 2 seeds, 1 teacher"],
        }  # fmt: skip
        with pytest.raises(NotFound, match="with kd"):
            ask(method="kd")

    @ON_SQLITE
    def test_protocols_are_never_ranked_together(self) -> None:
        short, long = finished("cifar/resnet20"), finished("cifar/resnet20", epochs=12)
        answer = ask()
        assert answer.job == long
        (other,) = answer.others
        assert (other.job, other.differs, other.same_protocol) == (short, ["8 epochs instead of 12"], False)
        older = ask(other.stamp)
        assert (older.job, [each.job for each in older.others]) == (short, [long])
        with pytest.raises(NotFound, match=f"under protocol 00000000 .there are {answer.stamp}, {older.stamp}"):
            ask("00000000")

    def test_while_only_a_job_under_way_asks_it_is_named(self) -> None:
        job_id = drive.submit()
        with pytest.raises(StillRunning, match=job_id):
            ask()
        drive.cancel(job_id)
        with pytest.raises(NotFound, match="No finished job says which") as nothing:
            ask()
        assert not isinstance(nothing.value, StillRunning)

    def test_an_undecided_answer_names_the_job_under_way(self) -> None:
        undecided, running = finished("cifar/resnet8w8", seeds=1), drive.submit()
        answer = ask()
        assert (answer.job, answer.verdict) == (undecided, "undecided")
        assert answer.running is not None
        assert answer.running.job == running

    @ON_SQLITE
    def test_of_many_jobs_under_way_one_plan_a_protocol_is_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked: list[str] = []
        revision = repository.revision

        def look(session: Session, job_id: str) -> int:
            looked.append(job_id)
            return revision(session, job_id)

        monkeypatch.setattr(repository, "revision", look)
        for _ in range(3):
            live = drive.submit()
        with pytest.raises(StillRunning):
            ask()
        assert looked == [live]
        with reading() as session:
            stamp = session.get_one(SelectionJob, live).protocol
        with pytest.raises(StillRunning):
            ask(stamp)
        assert looked == [live], "the stamp says which jobs are meant"
        drive.run_to_end(live)
        looked.clear()
        assert ask().running is not None
        assert looked == [live], "its protocol is that of the jobs under way"


class TestJobsThatRanAgain:
    """Nobody asks between the answer before and the new end."""

    def test_a_teacher_that_was_added_counts(self) -> None:
        job_id = finished("cifar/resnet8w8", "cifar/resnet14w8")
        before, tag = ask(), document(STUDENT, "digits", "dpk")[0]
        assert (before.teacher, before.candidates) == ("cifar/resnet14w8", 2)
        actions.add_teacher(job_id, TeacherChoice(model="cifar/resnet20"))
        drive.run_to_end(job_id)
        answer = ask()
        assert (answer.job, answer.teacher, answer.candidates) == (job_id, "cifar/resnet20", 3)
        assert document(STUDENT, "digits", "dpk")[0] != tag
        assert set(arms_of(job_id)) == {"cifar/resnet8w8", "cifar/resnet14w8", "cifar/resnet20", None}

    @ON_SQLITE
    def test_a_failed_teacher_that_was_retried_counts(self) -> None:
        request = drive.request("cifar/resnet8w8", "cifar/resnet20", promote=1)
        job_id = drive.submit(request)
        drive.run_to_end(job_id, without("cifar/resnet20"))
        assert ask().teacher == "cifar/resnet8w8"
        with transaction() as session:
            actions.retry(session, job_id)
        drive.run_to_end(job_id)
        assert ask().teacher == "cifar/resnet20"

    @ON_SQLITE
    def test_one_that_was_cancelled_then_answers_no_more(self) -> None:
        first, undecided = finished("cifar/resnet8w8", "cifar/resnet14w8"), finished("cifar/resnet8w8", seeds=1)
        assert ask().job == first
        actions.add_teacher(first, TeacherChoice(model="cifar/resnet20"))
        drive.cancel(first)
        assert ask().job == undecided

    @ON_SQLITE
    def test_a_question_about_the_added_teacher_is_answered(self) -> None:
        first = asked("cifar/resnet8w8", "cifar/resnet14w8").job
        assert first is not None
        drive.run_to_end(first.id)
        assert asked("cifar/resnet8w8", "cifar/resnet14w8").holds
        actions.add_teacher(first.id, TeacherChoice(model="cifar/resnet20"))
        drive.run_to_end(first.id)
        assert asked("cifar/resnet8w8", "cifar/resnet14w8", "cifar/resnet20").holds


def without(teacher: str) -> drive.Outcomes:
    """The preparation of this teacher fails."""

    def outcome(spec: RunSpec) -> drive.Outcome:
        return drive.Failure("No room.") if spec.training.model == teacher else drive.by_skill(spec)

    return outcome


class TestStale:
    def test_data_that_changed(self, data_root: Path) -> None:
        job_id = finished("cifar/resnet20", dataset="npz/mine")
        assert not ask(dataset="npz/mine").stale
        write_data(data_root, 1)
        answer = ask(dataset="npz/mine")
        assert (answer.job, answer.stale) == (job_id, True)
        assert answer.sentence.startswith(
            "This answer is stale. The data set npz/mine has changed since the job was made. It was: Take "
        )
        assert answer.data.now not in (None, answer.data.then)
        newer = finished("cifar/resnet20", dataset="npz/mine", seeds=1)
        assert (ask(dataset="npz/mine").job, ask(dataset="npz/mine").stale) == (newer, False)

    @ON_SQLITE
    def test_data_that_cannot_be_read(self, data_root: Path) -> None:
        finished("cifar/resnet20", dataset="npz/mine")
        (data_root / "mine.npz").write_bytes(b"broken")
        answer = ask(dataset="npz/mine")
        assert (answer.stale, answer.data.now) == (True, None)
        assert answer.data.reason is not None
        (data_root / "mine.npz").unlink()
        assert "npz/mine cannot be read now: There is no data set 'npz/mine' under" in ask(dataset="npz/mine").sentence

    @ON_SQLITE
    def test_a_training_version_that_changed(self) -> None:
        job_id = finished("cifar/resnet20")
        with transaction() as session:
            plan = session.get_one(SelectionJob, job_id).plan
            session.execute(update(SelectionJob).values(plan={**plan, "version": 99}))
        assert "The training code has changed since the job was made (version 99, now " in ask().sentence

    @ON_SQLITE
    def test_a_model_that_is_not_known_any_more(self) -> None:
        job_id = finished("cifar/resnet20")
        with transaction() as session:
            found = session.get_one(SelectionJob, job_id)
            session.execute(update(SelectionJob).values(
                plan={**found.plan, "student": "cifar/gone"}, student="cifar/gone",
            ))  # fmt: skip
        answer = best_teacher("cifar/gone", "digits", "dpk")
        assert "cifar/gone cannot be had now: There is no model 'cifar/gone'" in answer.sentence


class TestAsk:
    """`POST /best-teacher`."""

    def test_the_same_question_is_the_same_job_until_it_is_answered(self) -> None:
        first, again = asked(), asked()
        assert not first.holds
        assert (first.answer, first.because) == (None, "No finished job has asked this under this protocol.")
        assert first.job is not None
        assert again.job is not None
        assert first.job.id == again.job.id
        drive.run_to_end(first.job.id)
        answered = asked()
        assert (answered.holds, answered.job) == (True, None)
        assert answered.answer is not None
        assert (answered.answer.job, answered.stamp) == (first.job.id, answered.answer.stamp)
        other = asked("cifar/resnet20", "cifar/resnet14")
        assert "did not compare 1 teacher of the request: resnet14." in other.because
        assert other.job is not None
        assert other.job.id != first.job.id

    @ON_SQLITE
    def test_a_request_is_checked_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        checked: list[SelectionJobRequest] = []

        def check(request: SelectionJobRequest, *roots: Path | None) -> Plan:
            checked.append(request)
            return preflight.check(request, *roots)

        monkeypatch.setattr(asking, "check", check)
        monkeypatch.setattr(selection_jobs, "check", check)
        assert asked().job is not None
        assert len(checked) == 1

    @ON_SQLITE
    def test_a_job_that_was_cancelled_is_asked_anew(self) -> None:
        first = asked().job
        assert first is not None
        drive.cancel(first.id)
        second = asked().job
        assert second is not None
        assert second.id != first.id
        assert "The job before is cancelled." in drive.events_of(second.id)[1].data["message"]

    def test_an_answer_that_is_too_old_is_asked_anew_once(self) -> None:
        first = asked().job
        assert first is not None
        drive.run_to_end(first.id)
        with transaction() as session:
            old = utc_now() - timedelta(days=31)
            session.execute(update(SelectionJob).values(finished_at=old))
        assert asked().holds
        second = asked(max_age_seconds=30 * 86_400.0)
        assert "The answer is 744 h" in second.because
        assert second.job is not None
        assert second.job.id != first.id
        third = asked(max_age_seconds=30 * 86_400.0).job
        assert third is not None
        assert third.id == second.job.id

    @ON_SQLITE
    def test_a_job_that_cannot_decide_is_not_made_again(self) -> None:
        first = asked(seeds=1).job
        assert first is not None
        drive.run_to_end(first.id)
        again = asked(seeds=1)
        assert again.because == "The job that answers could not decide."
        assert again.job is not None
        assert (again.job.id, again.job.state) == (first.id, "finished")

    def test_data_that_changed(self, data_root: Path) -> None:
        first = asked(dataset="npz/mine", batch_size=16).job
        assert first is not None
        drive.run_to_end(first.id)
        assert asked(dataset="npz/mine", batch_size=16).holds
        write_data(data_root, 1)
        second = asked(dataset="npz/mine", batch_size=16).job
        assert second is not None
        assert second.id != first.id


def asked(
    *teachers: str, dataset: str = "digits", seeds: int = 2, max_age_seconds: float | None = None, **budget: int
) -> AskedBestTeacher:
    request = drive.request(*(teachers or ("cifar/resnet20",)), seeds=seeds, promote=1).model_dump()
    request |= {"dataset": dataset, "budget": request["budget"] | budget, "max_age_seconds": max_age_seconds}
    return ask_best_teacher(BestTeacherRequest.model_validate(request))
