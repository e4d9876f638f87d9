"""What people do to jobs that are there, on SQLite and on Postgres: pause, resume, retry, add a teacher, name."""

from __future__ import annotations

from typing import Any

import pytest

from dpk_core.protocol import ArtifactReference, Checkpoint, FailureKind
from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.database.session import reading, transaction
from service.database.tables import Run, SelectionJob
from service.leaderboards import service as leaderboards
from service.problems import Conflict, NotFound, Rejected
from service.runs import service as runs
from service.runs.claims import Answer, Claim, Report
from service.selection_jobs import service
from service.wire.boards import Leaderboard, SeedResult
from service.wire.choices import TeacherChoice
from service.wire.jobs import Job, JobDescription
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS, Failure

pytestmark = pytest.mark.usefixtures("store")

LATE = "cifar/resnet20"
"""The best teacher of all, left out at first."""
EARLY = [each for each in TEACHERS if each != LATE]


def act(what: Any, job_id: str, **asked: Any) -> Job:
    with transaction() as session:
        found: Job = what(session, job_id, **asked)
    return found


def add(job_id: str, model: str = LATE) -> Job:
    return actions.add_teacher(job_id, TeacherChoice(model=model))


def kinds(job_id: str) -> list[str]:
    return [each.kind for each in drive.events_of(job_id)]


def half_done(job_id: str) -> tuple[Claim, Checkpoint]:
    """A worker's claim of the job's first student, and its checkpoint after the first epoch."""
    drive.advance(job_id)
    while not (waiting := [run for run in drive.runs_of(job_id, "queued") if run.purpose != "teacher"]):
        assert drive.step(job_id)
    held = drive.claim(waiting[0].id)
    file = ArtifactReference(path="half.pt", sha256="0" * 64, bytes=1)
    kept = Checkpoint(file=file, step=14, epoch=1, seconds=1.0)
    with transaction() as session:
        runs.report(session, held, Report(step=14, seconds=1.0, checkpoint=kept), lease_seconds=60)
    return held, kept


def seeds(board: Leaderboard) -> list[tuple[str | None, list[SeedResult]]]:
    """What each row's seeds came to, whichever run that was."""
    return [(row.teacher, [each.model_copy(update={"run_id": None}) for each in row.seeds]) for row in board.rows]


def report(held: Claim) -> Answer:
    with transaction() as session:
        return runs.report(session, held, Report(), lease_seconds=60)


def let_go(held: Claim, job_id: str) -> None:
    with transaction() as session:
        runs.release(session, held)
    drive.advance(job_id)


class TestPause:
    def test_nothing_is_left_to_take_and_what_runs_stops(self) -> None:
        job_id = drive.submit()
        held, _ = half_done(job_id)
        paused = act(actions.pause, job_id)
        assert paused.state == "paused"
        assert paused.headline.startswith("Paused")
        assert drive.runs_of(job_id, "queued") == []
        assert report(held) is Answer.CANCEL
        let_go(held, job_id)
        assert drive.runs_of(job_id, "queued", "running") == []
        assert drive.job(job_id).state == "paused", "an advance that comes late begins nothing"
        assert act(actions.pause, job_id).state == "paused"
        assert kinds(job_id).count("paused") == 1

    def test_it_goes_on_from_the_checkpoint_and_ends_as_it_would_have(self) -> None:
        asked = drive.request("cifar/resnet8w8", promote=1, epochs=4, rungs=(2, 4))
        undisturbed = drive.submit(asked)
        drive.run_to_end(undisturbed)
        expected = drive.board(undisturbed)
        with transaction() as session:
            for run in session.query(Run).all():
                run.withdrawn = True
        job_id = drive.submit(asked)
        held, kept = half_done(job_id)
        act(actions.pause, job_id)
        let_go(held, job_id)
        assert act(actions.resume, job_id).state == "running"
        again = next(run for run in drive.runs_of(job_id, "queued") if run.training_key == held.spec.training.key())
        claimed = drive.claim(again.id)
        assert claimed.resume == kept
        assert claimed.earlier_seconds == 1.0
        drive.end(claimed, drive.by_skill(claimed.spec))
        drive.run_to_end(job_id)
        found = drive.board(job_id)
        assert found.verdict == expected.verdict
        assert seeds(found) == seeds(expected)
        assert found.ledger.wasted == 0.0, "the part before the pause is part of the training"
        assert kinds(job_id).count("resumed") == 1

    def test_a_worker_that_has_not_let_go_yet_just_goes_on(self) -> None:
        job_id = drive.submit()
        held, _ = half_done(job_id)
        act(actions.pause, job_id)
        act(actions.resume, job_id)
        assert report(held) is Answer.HELD

    def test_what_another_job_needs_goes_on(self) -> None:
        job_id, other = drive.submit(), drive.submit()
        held, _ = half_done(job_id)
        drive.advance(other)
        while held.run_id not in {run.id for run in drive.runs_of(other)}:
            assert drive.step(other)
        act(actions.pause, job_id)
        assert report(held) is Answer.HELD

    def test_the_time_of_a_pause_is_not_counted(self) -> None:
        job_id = drive.submit(drive.request(wall_seconds=100.0))
        drive.advance(job_id)
        act(actions.pause, job_id)
        with transaction() as session:
            job = session.get_one(SelectionJob, job_id)
            assert job.started_epoch is not None
            assert job.paused_epoch is not None
            job.started_epoch, job.paused_epoch = job.started_epoch - 500, job.paused_epoch - 490
        assert act(actions.resume, job_id).state == "running"
        assert drive.runs_of(job_id, "queued")

    def test_one_that_has_not_begun_begins_after_it(self) -> None:
        job_id = drive.submit()
        act(actions.pause, job_id)
        drive.advance(job_id)
        assert drive.runs_of(job_id) == []
        assert drive.job(job_id).state == "paused"
        assert act(actions.resume, job_id).state == "running"
        assert drive.runs_of(job_id, "queued")

    def test_a_paused_job_can_be_cancelled(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        act(actions.pause, job_id)
        assert drive.cancel(job_id).state == "cancelled"

    def test_a_job_that_is_over_says_why_not(self) -> None:
        job_id = drive.submit()
        drive.cancel(job_id)
        for what, word in ((actions.pause, "paused"), (actions.resume, "resumed")):
            with pytest.raises(Conflict, match=f"was cancelled; only .* be {word}"):
                act(what, job_id)
        with pytest.raises(NotFound):
            act(actions.pause, "nothing")


def failing(job_id: str, teacher: str | None, kind: str = "teacher") -> None:
    """Drives the job to its end; whatever of this kind is under `teacher` fails."""

    def outcome(spec: RunSpec) -> drive.Outcome:
        under = spec.training.model if kind == "teacher" else spec.training.teacher and spec.training.teacher.model
        fails = spec.training.role == kind and under == teacher
        return Failure("No room.", 2.0) if fails else drive.by_skill(spec)

    drive.run_to_end(job_id, outcome)


class TestRetry:
    @ON_SQLITE
    @pytest.mark.parametrize(("policy", "kind"), [("adaptive", "teacher"), ("halving", "student")])
    def test_a_finished_job_runs_again_and_finds_what_it_would_have(self, kind: str, policy: Any) -> None:
        job_id = drive.submit(drive.request(*EARLY[1:], LATE, policy=policy, epochs=4, rungs=(2, 4)))
        failing(job_id, LATE, kind)
        before = drive.board(job_id)
        assert before.verdict is not None
        assert before.verdict.best != LATE
        asked = {"teacher": LATE}
        opened = act(actions.retry, job_id, **asked)
        assert opened.state == "running"
        assert opened.finished_at is None
        assert drive.board(job_id).job.state == "running", "the old board is gone"
        assert act(actions.retry, job_id, **asked).state == "running"
        drive.run_to_end(job_id)
        found = drive.board(job_id)
        assert found.job.state == "finished"
        assert found.verdict is not None
        assert found.verdict.best == LATE
        assert drive.statuses(job_id)[LATE][0] != "failed"
        assert kinds(job_id).count("retried") == 1

    def test_the_failed_row_stays_and_another_has_its_own_fence(self) -> None:
        job_id = drive.submit(drive.request(LATE, promote=1, epochs=2, rungs=(1, 2)))
        failing(job_id, LATE)
        (failed,) = drive.runs_of(job_id, "failed")
        act(actions.retry, job_id, run=failed.id)
        (again,) = drive.runs_of(job_id, "queued", purpose="teacher")
        assert again.content_key == failed.content_key
        assert again.id != failed.id
        with reading() as session:
            assert session.get_one(Run, failed.id).state == "failed"
        late = drive.claim(again.id)
        with transaction() as session:
            assert not runs.finish(session, Claim(**{**_fields(late), "run_id": failed.id}), drive.result(late, 0.5))
        ledger = drive.board(job_id).ledger
        assert ledger.wasted == 2.0

    @pytest.mark.parametrize(("kind", "is_sound"), [("out_of_memory", True), ("diverged", False)])
    def test_it_goes_on_from_the_checkpoint_of_what_failed_where_that_is_sound(
        self, kind: FailureKind, *, is_sound: bool
    ) -> None:
        job_id = drive.submit(drive.request("cifar/resnet8w8", promote=1))
        held, kept = half_done(job_id)
        with transaction() as session:
            runs.fail(session, held, kind, "It failed.", max_attempts=1)
        act(actions.retry, job_id, run=held.run_id)
        (again,) = [run for run in drive.runs_of(job_id, "queued") if run.content_key == held.spec.key()]
        assert drive.claim(again.id).resume == (kept if is_sound else None)

    def test_a_job_that_failed_altogether(self) -> None:
        job_id = drive.submit(drive.request(LATE, promote=1, epochs=2, rungs=(1, 2)))
        drive.run_to_end(job_id, lambda _: Failure("No room."))
        assert drive.job(job_id).state == "failed"
        assert act(actions.retry, job_id).failure is None
        drive.run_to_end(job_id)
        assert drive.job(job_id).state == "finished"

    def test_a_paused_one_waits_until_it_is_resumed(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        first = drive.runs_of(job_id, "queued", purpose="teacher")[0]
        drive.end(drive.claim(first.id), Failure("No room."))
        drive.advance(job_id)
        act(actions.pause, job_id)
        assert act(actions.retry, job_id, run=first.id).state == "paused"
        assert drive.runs_of(job_id, "queued") == []
        act(actions.resume, job_id)
        assert first.content_key in {run.content_key for run in drive.runs_of(job_id, "queued")}

    def test_what_cannot_be_is_said(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        with pytest.raises(Conflict, match="No training of the job has failed"):
            act(actions.retry, job_id)
        with pytest.raises(Conflict, match="is queued; only a failed one"):
            act(actions.retry, job_id, run=drive.runs_of(job_id)[0].id)
        with pytest.raises(NotFound, match="has no run"):
            act(actions.retry, job_id, run="nothing")
        with pytest.raises(Rejected) as caught:
            act(actions.retry, job_id, teacher="cifar/resnet21")
        assert caught.value.errors[0].nearest == "cifar/resnet20"
        drive.cancel(job_id)
        with pytest.raises(Conflict, match=r"was cancelled\. Ask the same anew"):
            act(actions.retry, job_id)


class TestAddTeacher:
    @ON_SQLITE
    @pytest.mark.parametrize(
        ("policy", "steps"),
        [("adaptive", 0), ("adaptive", 6), ("adaptive", None), ("exhaustive", 4), ("halving", 9)],
    )
    def test_it_is_compared_with_the_others_whenever_it_comes(self, policy: Any, steps: int | None) -> None:
        job_id = drive.submit(drive.request(*EARLY, policy=policy, promote=1, epochs=4, rungs=(2, 4)))
        drive.advance(job_id)
        while steps is None or steps > 0:
            if not drive.step(job_id):
                break
            steps = None if steps is None else steps - 1
        opened = add(job_id)
        assert opened.state in ("queued", "running")
        assert [str(each) for each in opened.request.teachers] == [*EARLY, LATE]
        assert drive.statuses(job_id)[LATE][0] == "waiting"
        drive.run_to_end(job_id)
        found = drive.board(job_id)
        assert found.verdict is not None
        assert (found.job.state, found.verdict.kind, found.verdict.best) == ("finished", "best", LATE)
        assert {row.teacher for row in found.rows} == {*TEACHERS, None}
        assert kinds(job_id).count("teacher_added") == 1

    def test_what_was_trained_is_kept_and_the_page_can_be_drawn(self) -> None:
        job_id = drive.submit(drive.request(*EARLY[:1], promote=1, epochs=2, rungs=(1, 2)))
        drive.run_to_end(job_id)
        before = {run.id for run in drive.runs_of(job_id)}
        assert leaderboards.made(job_id).final
        add(job_id)
        assert leaderboards.final(job_id) is None
        assert drive.board(job_id).job.state == "running"
        assert drive.board(job_id).verdict is not None
        drive.run_to_end(job_id)
        assert before < {run.id for run in drive.runs_of(job_id)}
        reasons = [each.reason for each in drive.board(job_id).decisions]
        assert any(reason.startswith("resnet20 was added") for reason in reasons)

    def test_asked_twice_it_is_there_once(self) -> None:
        job_id = drive.submit(drive.request(*EARLY))
        assert add(job_id).request == add(job_id).request
        assert kinds(job_id).count("teacher_added") == 1
        with pytest.raises(Rejected, match=r"teacher: .* prepared in another way"):
            actions.add_teacher(job_id, TeacherChoice(model=LATE, epochs=3))

    def test_what_cannot_be_is_said(self) -> None:
        job_id = drive.submit(drive.request(*EARLY))
        with pytest.raises(Rejected) as caught:
            add(job_id, "cifar/resnet21")
        assert caught.value.errors[0].field == "teacher"
        assert caught.value.errors[0].nearest == "cifar/resnet32"
        with pytest.raises(NotFound):
            add("nothing")
        drive.cancel(job_id)
        with pytest.raises(Conflict, match="was cancelled"):
            add(job_id)

    def test_a_limit_that_is_used_up_leaves_nothing_for_another(self) -> None:
        job_id = drive.submit(drive.request(*EARLY, runs=2))
        drive.run_to_end(job_id)
        with pytest.raises(Conflict, match=r"used up its trainings \(budget.runs\)"):
            add(job_id)

    def test_data_that_changed_since_is_no_base_to_compare_on(self) -> None:
        job_id = drive.submit(drive.request(*EARLY))
        with transaction() as session:
            job = session.get_one(SelectionJob, job_id)
            job.plan = {**job.plan, "data_fingerprint": "sha256:other"}
        with pytest.raises(Conflict, match="digits has changed since"):
            add(job_id)


class TestDescription:
    def test_a_name_and_tags_are_kept_changed_and_found(self) -> None:
        asked = drive.request().model_copy(update={"name": "Nightly", "tags": ["a", "b"]})
        job_id, other = drive.submit(asked), drive.submit()
        assert (drive.job(job_id).name, drive.job(job_id).tags) == ("Nightly", ["a", "b"])
        changed = act(actions.describe, job_id, wanted=JobDescription(tags=["team:x"]))
        assert (changed.name, changed.tags) == ("Nightly", ["team:x"])
        assert listed(tag="team:x") == [job_id]
        assert listed(tag="a") == []
        assert listed(search="nightly RESNET20") == [job_id]
        assert listed(search="resnet20") == [other, job_id]
        assert listed(search="%") == []
        assert act(actions.describe, job_id, wanted=JobDescription(name=None)).name is None
        assert listed(search="nightly") == []

    def test_a_finished_jobs_page_shows_them(self) -> None:
        job_id = drive.submit(drive.request("cifar/resnet20", seeds=1, epochs=2, rungs=(1, 2), promote=1))
        drive.run_to_end(job_id)
        before = leaderboards.made(job_id).etag
        act(actions.describe, job_id, wanted=JobDescription(name="Release"))
        assert drive.board(job_id).job.name == "Release"
        assert leaderboards.made(job_id).etag != before


class TestList:
    def test_orders_and_pages(self) -> None:
        small: dict[str, Any] = {"seeds": 2, "epochs": 2, "rungs": (1, 2), "promote": 1}
        first = drive.submit(drive.request("cifar/resnet20", **small))
        drive.run_to_end(first)
        second = drive.submit(drive.request("cifar/resnet8w8", **small))
        drive.run_to_end(second)
        waiting = drive.submit(drive.request("cifar/resnet14w8", **small))
        assert listed() == [waiting, second, first]
        assert listed(sort="oldest") == [first, second, waiting]
        assert listed(sort="cost") == [first, second, waiting], "the second found what has no teacher in the store"
        assert listed(sort="gain") == [first, second, waiting]
        for sort in ("newest", "oldest", "gain", "cost", "student"):
            with reading() as session:
                page = service.list_jobs(session, limit=2, sort=sort)
                rest = service.list_jobs(session, limit=2, sort=sort, before=page.next_before)
            assert [job.id for job in (*page.jobs, *rest.jobs)] == listed(sort=sort)
        assert listed(dataset="digits", student="cifar/resnet8w4", method="dpk", state="queued") == [waiting]
        best = drive.job(first)
        assert best.leader == "cifar/resnet20"
        assert best.gain is not None
        assert best.cost > 0


def listed(**asked: Any) -> list[str]:
    with reading() as session:
        return [job.id for job in service.list_jobs(session, **asked).jobs]


def _fields(held: Claim) -> dict[str, Any]:
    return {name: getattr(held, name) for name in held.__slots__}
