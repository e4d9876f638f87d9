"""Small run specifications and rows that the contract tests of runs share."""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.protocol import ArtifactReference, Checkpoint, RunResult
from dpk_core.spec import MethodSpec, Recipe, RunSpec, TeacherReference, TrainingSpec
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now

RECIPE = Recipe(
    name="digits", epochs=4, batch_size=64, learning_rate=0.1, momentum=0.9, weight_decay=0.0, schedule="cosine"
)


def training(seed: int = 0, *, role: str = "student", teacher: TeacherReference | None = None) -> TrainingSpec:
    return TrainingSpec(
        role="teacher" if role == "teacher" else "student", model="cifar/resnet8w4", dataset="digits",
        data_fingerprint="0" * 64, method=MethodSpec(name="dpk" if teacher else "none"), teacher=teacher,
        recipe=RECIPE, seed=seed,
    )  # fmt: skip


def run_spec(seed: int = 0, stop_epoch: int = 4, teacher: TeacherReference | None = None) -> RunSpec:
    return RunSpec(training=training(seed, teacher=teacher), stop_epoch=stop_epoch)


def reference(name: str) -> ArtifactReference:
    return ArtifactReference(path=name, sha256="0" * 64, bytes=1)


def checkpoint(name: str, *, step: int, seconds: float) -> Checkpoint:
    return Checkpoint(file=reference(name), step=step, epoch=1, seconds=seconds)


def result(*, seconds: float = 1.0, weights: ArtifactReference | None = None) -> RunResult:
    return RunResult(
        epochs=4, validation_score=0.5, test_score=0.5, validation_pictures=10, test_pictures=10,
        seconds=seconds, parameters=10, device="cpu", device_name="CPU", weights=weights,
    )  # fmt: skip


def add_job(session: Session, job_id: str, *runs: Run, state: str = "running") -> SelectionJob:
    job = SelectionJob(
        id=job_id, state=state, request={}, plan={}, task="classification", student="s", dataset="d", method="dpk",
        protocol="0" * 8, created_at=utc_now(),
    )  # fmt: skip
    session.add(job)
    session.flush()
    arm = Candidate(job_id=job_id, position=0, teacher=None, status="probing")
    session.add(arm)
    session.flush()
    for run in runs:
        link = JobRun(job_id=job_id, candidate_id=arm.id, run_id=run.id, purpose="full", seed=run.seed, reused=False)
        session.add(link)
    return job
