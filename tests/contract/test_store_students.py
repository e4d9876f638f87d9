"""The student of a job: which one it is, what goes with it, and its weights; on SQLite and on Postgres."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import pytest

from dpk_core import artifacts
from dpk_core.protocol import RunResult
from service.actions import service as actions
from service.database.session import reading, transaction
from service.database.tables import SelectionJob
from service.problems import Conflict, NotFound, Rejected, Unavailable
from service.runs.claims import Claim
from service.selection_jobs import service as jobs
from service.settings import settings
from service.students import service
from service.students.schemas import Student
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

pytestmark = pytest.mark.usefixtures("store")


def student(job_id: str, teacher: str | None = None, seed: int | None = None) -> Student:
    return service.student(job_id, teacher, seed)


class TestChoice:
    def test_by_default_it_is_the_verdicts_and_the_median_seed(self) -> None:
        job_id = drive.finished(policy="exhaustive", seeds=3).job.id
        found = student(job_id)
        assert (found.model, found.teacher, found.seeds) == ("cifar/resnet8w4", "cifar/resnet20", [0, 1, 2])
        by_seed = {seed: drive.SKILL["cifar/resnet20"] + 0.004 * seed for seed in (0, 1, 2)}
        assert found.seed == sorted(by_seed, key=lambda seed: by_seed[seed])[1]
        assert "the median of 3 by validation accuracy" in found.chosen
        assert found.test_score == pytest.approx(found.validation_score / 2)

    @ON_SQLITE
    def test_another_teacher_and_seed_can_be_asked_for(self) -> None:
        job_id = drive.finished(policy="exhaustive").job.id
        assert student(job_id, "cifar/resnet8w8", 0).teacher == "cifar/resnet8w8"
        assert student(job_id, "none").teacher is None
        for teacher, seed, field in (("cifar/resnet56", None, "teacher"), (None, 9, "seed")):
            with pytest.raises(Rejected) as refused:
                student(job_id, teacher, seed)
            assert refused.value.errors[0].field == field

    @ON_SQLITE
    def test_without_an_answer_it_must_be_named(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        with pytest.raises(Conflict, match="no answer yet"):
            student(job_id)
        with pytest.raises(Rejected, match="No training under resnet20"):
            student(job_id, "cifar/resnet20")

    @ON_SQLITE
    def test_a_job_that_is_over_is_not_to_be_waited_for(self) -> None:
        cancelled = drive.submit()
        drive.cancel(cancelled)
        with pytest.raises(Conflict, match="was cancelled before any student came to the end of its training"):
            student(cancelled)
        half = drive.submit(drive.request(policy="exhaustive"))
        drive.advance(half)
        while not drive.runs_of(half, "finished", purpose="full"):
            drive.step(half)
        with transaction() as session:
            actions.pause(session, half)
        with pytest.raises(Conflict, match="no answer yet; resume it, as it is paused"):
            student(half)
        drive.cancel(half)
        with pytest.raises(Conflict, match="was cancelled, so it names no teacher; name one whose training has ended"):
            student(half)
        failed = drive.submit(drive.request(epochs=4, rungs=(2, 4)))
        drive.run_to_end(failed, lambda _: drive.Failure("No room."))
        with pytest.raises(Conflict, match="The job failed before any student"):
            student(failed)

    def test_a_job_that_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            student("0" * 32)


def test_what_goes_with_it_says_how_to_use_it_and_where_it_comes_from() -> None:
    found = student(drive.finished(policy="exhaustive").job.id)
    assert found.config["architecture"] == "cifar/resnet8w4"
    assert (found.config["input_size"], found.config["mean"], found.config["std"]) == ([1, 8, 8], [0.3], [0.2])
    assert found.config["num_classes"] == len(found.config["classes"]) == 10
    for said in (found.config["data_fingerprint"], "Take resnet20", found.job, "| seed |", "look them up", '"dataset"'):
        assert said in found.card
    assert found.request["student"] == "cifar/resnet8w4"
    assert found.program is None
    with pytest.raises(NotFound, match="is no uploaded network"):
        service.program(found.job)


def test_the_request_that_goes_with_it_asks_for_the_same_trainings() -> None:
    job_id = drive.finished(policy="exhaustive").job.id
    found = student(job_id)
    assert (found.device, found.versions) == ("CPU", {"torch": "2.15.0"})
    assert "| trained with | torch 2.15.0 |" in found.card
    assert "dpk submit --file request.json" in found.card
    with reading() as session:
        request = jobs.request_of(session, job_id)
    assert request.model_dump(mode="json") == found.request
    again = jobs.submit(request, None)
    assert again.id != job_id
    with reading() as session:
        first, second = (session.get_one(SelectionJob, each).plan for each in (job_id, again.id))
    assert first == second


def test_the_weights_are_the_file_that_the_run_left(monkeypatch: pytest.MonkeyPatch) -> None:
    content, plain = b"weights", drive.result
    reference = artifacts.write(settings().resolved_artifact_root, "students/w.safetensors", content)

    def kept(held: Claim, accuracy: float) -> RunResult:
        return replace(plain(held, accuracy), weights=reference)

    monkeypatch.setattr(drive, "result", kept)
    job_id = drive.finished("cifar/resnet20", policy="exhaustive", promote=1).job.id
    found = student(job_id)
    assert service.weights(job_id, None, None) == content
    assert found.weights.sha256 == hashlib.sha256(content).hexdigest()
    (settings().resolved_artifact_root / reference.path).unlink()
    with pytest.raises(NotFound, match="weights file of this student is lost"):
        service.weights(job_id, None, None)
    shutil.rmtree(settings().resolved_artifact_root)
    with pytest.raises(Unavailable, match="weights file of this student cannot be read now: the artifact root") as lost:
        service.weights(job_id, None, None)
    assert [each.field for each in lost.value.errors] == ["artifacts"]
