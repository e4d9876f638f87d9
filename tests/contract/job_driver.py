"""Drives jobs through their life by hand-fed run results: what a worker would do, without training."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from dpk_core.chance import is_chance
from dpk_core.codec import from_json
from dpk_core.evidence import pack
from dpk_core.protocol import ArtifactReference, Checkpoint, Measured, PackedEvidence, Preprocessing, RunResult
from dpk_core.selection.decide.verdict import Verdict as Facts
from dpk_core.spec import RunSpec, TrainingSpec
from service.database.session import reading, transaction
from service.database.tables import Candidate, Event, JobRun, Run, SelectionJob, Verdict
from service.leaderboards import service as leaderboards
from service.presentation.decision_words import candidate_reason
from service.presentation.verdict_words import verdict_sentence
from service.runs import service as runs
from service.runs.claims import Claim, Report
from service.scheduling.advance import advance_job
from service.scheduling.states import Reason
from service.selection_jobs import service
from service.wire.boards import Leaderboard
from service.wire.jobs import Budget, Job, SelectionJobRequest

ON_SQLITE = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""For the many cases of a decision, which knows no database; what the decision reads and writes is also tested on
Postgres, by the tests without this mark."""

TEACHERS = ("cifar/resnet8w8", "cifar/resnet14w8", "cifar/resnet20")
SKILL = {None: 0.80, "cifar/resnet8w8": 0.81, "cifar/resnet14w8": 0.84, "cifar/resnet20": 0.88}
"""Full accuracy of a student by its teacher; a teacher's own is .1 higher, a probe's .2 lower."""

PREPROCESSING = Preprocessing(channels=1, side=8, mean=(76.5,), deviation=(51.0,), classes=10)
WEIGHTS = ArtifactReference(path="weights.safetensors", sha256="0" * 64, bytes=1)


@dataclass(frozen=True)
class Failure:
    """A run that ends badly, after some seconds."""

    message: str
    seconds: float = 0.0


Outcome = float | Failure
VALIDATION_PICTURES = 539
Outcomes = Callable[[RunSpec], Outcome]


def request(
    *teachers: str, seeds: int = 2, promote: int = 2, epochs: int = 8, rungs: Sequence[int] = (2, 4, 8), **budget: Any
) -> SelectionJobRequest:
    return SelectionJobRequest(
        student="cifar/resnet8w4", dataset="digits", teachers=list(teachers or TEACHERS), seeds=seeds,
        budget=Budget(epochs=epochs, rungs=list(rungs), promote=promote, **{"audit": 0.0, **budget}),
    )  # fmt: skip


def by_skill(spec: RunSpec) -> float:
    """A deterministic accuracy: better teachers teach better, seeds differ a little, and the end is far."""
    return at_epoch(spec.training, spec.stop_epoch)


def at_epoch(training: TrainingSpec, epoch: int) -> float:
    if training.role == "teacher":
        return SKILL[training.model] + 0.1
    taught = SKILL[training.teacher.model if training.teacher else None]
    wobble = (
        0.002 * training.seed + 0.001 * (len(training.teacher.model) % 3 if training.teacher else 0) * training.seed
    )
    return taught + wobble - 0.3 * (1 - epoch / training.recipe.epochs)


def at_epoch_late(training: TrainingSpec, epoch: int) -> float:
    """The same, but what a teacher is worth shows late: nothing after a quarter of the training, half after half."""
    alone = SKILL[None]
    taught = SKILL[training.teacher.model] if training.teacher else alone
    shown = max(0.0, 1 + 0.5 * math.log2(epoch / training.recipe.epochs))
    return EARLY(training, epoch) - (1 - shown) * (taught - alone if training.role == "student" else 0.0)


EARLY = at_epoch


def submit(wanted: SelectionJobRequest | None = None, key: str | None = None) -> str:
    return service.submit(wanted or request(), key).id


def advance(job_id: str) -> None:
    with transaction() as session:
        advance_job(session, job_id)


def job(job_id: str) -> Job:
    with reading() as session:
        return service.get(session, job_id)


def board(job_id: str) -> Leaderboard:
    return leaderboards.made(job_id).leaderboard()


def cancel(job_id: str) -> Job:
    with transaction() as session:
        return service.cancel(session, job_id)


def runs_of(job_id: str, *states: str, purpose: str | None = None) -> list[Run]:
    with reading() as session:
        chosen = select(Run).join(JobRun).where(JobRun.job_id == job_id).order_by(Run.content_key)
        found = session.scalars(chosen).all()
    return [run for run in found if (not states or run.state in states) and purpose in (None, run.purpose)]


def statuses(job_id: str) -> dict[str | None, tuple[str, str | None]]:
    with reading() as session:
        found = session.scalars(select(Candidate).where(Candidate.job_id == job_id)).all()
    return {each.teacher: (each.status, _reason(each)) for each in found}


def _reason(candidate: Candidate) -> str | None:
    return candidate_reason(None if candidate.reason is None else from_json(Reason, candidate.reason))


def events_of(job_id: str) -> list[Event]:
    with reading() as session:
        return list(session.scalars(select(Event).where(Event.job_id == job_id).order_by(Event.id)))


def final_verdict(job_id: str) -> dict[str, object]:
    with reading() as session:
        found = session.scalars(select(Verdict).where(Verdict.job_id == job_id, Verdict.final)).all()
    assert len(found) == 1
    facts = from_json(Facts, found[0].document)
    return {**found[0].document, "tied": list(facts.tied), "sentence": verdict_sentence(facts)}


def stage_of(job_id: str) -> str | None:
    with reading() as session:
        return session.get_one(SelectionJob, job_id).stage


def claim(run_id: str) -> Claim:
    with transaction() as session:
        held = runs.claim(session, run_id, "worker", lease_seconds=60, max_attempts=1)
    assert held is not None
    return held


def end(held: Claim, outcome: Outcome) -> None:
    """Ends a claimed run as a worker would: measurements, a checkpoint, then the result or the failure."""
    spec = held.spec
    with transaction() as session:
        if isinstance(outcome, Failure):
            runs.report(session, held, Report(seconds=outcome.seconds, device="CPU"), lease_seconds=60)
            runs.fail(session, held, "data", outcome.message, max_attempts=1)
            return
        file = ArtifactReference(path=f"{held.run_id}.pt", sha256="0" * 64, bytes=1)
        began = held.resume.epoch if held.resume else 0
        step, seconds = 14 * spec.stop_epoch, seconds_at_end(held)
        reported = Report(
            step=step, total_steps=step,
            checkpoint=Checkpoint(file=file, step=step, epoch=spec.stop_epoch, seconds=seconds),
            measured=tuple(_measured(held, epoch, outcome) for epoch in range(began + 1, spec.stop_epoch + 1)),
        )  # fmt: skip
        runs.report(session, held, reported, lease_seconds=60)
        runs.finish(session, held, result(held, outcome))


def _measured(held: Claim, epoch: int, outcome: float) -> Measured:
    training, last = held.spec.training, epoch == held.spec.stop_epoch
    accuracy = outcome if last or training.role == "teacher" else at_epoch(training, epoch)
    values = {"validation_accuracy": accuracy} | ({} if training.role == "teacher" else {"share.last": 0.5})
    return Measured(run_id=held.run_id, step=14 * epoch, epoch=epoch, values=values)


def seconds_at_end(held: Claim) -> float:
    """Of the whole training, at one second an epoch, as a runner counts on from the checkpoint that it is given."""
    began = held.resume
    return held.spec.stop_epoch + (began.seconds - began.epoch if began else 0.0)


def result(held: Claim, accuracy: float) -> RunResult:
    """What a runner reports; the test split is read at the end of full trainings and never looks like validation."""
    spec, seconds = held.spec, seconds_at_end(held) - held.earlier_seconds
    return RunResult(
        epochs=spec.stop_epoch, validation_score=accuracy, test_score=accuracy / 2 if spec.is_full else None,
        validation_pictures=VALIDATION_PICTURES, test_pictures=360, seconds=seconds, parameters=1234,
        device="cpu", device_name="CPU", weights=WEIGHTS if spec.is_full else None, preprocessing=PREPROCESSING,
        scores=_scores(held, accuracy), validation_evidence=evidence(accuracy),
        guess_score=0.1, near_chance=is_chance(accuracy, VALIDATION_PICTURES, 0.1), versions={"torch": "2.15.0"},
    )  # fmt: skip


def evidence(accuracy: float) -> PackedEvidence:
    """Pictures are easy or hard for every network alike, so that accuracies differ by little luck."""
    right = np.random.default_rng(0).permutation(VALIDATION_PICTURES) < round(accuracy * VALIDATION_PICTURES)
    return pack(right)


def _scores(held: Claim, accuracy: float) -> dict[str, float] | None:
    """LogME and LEEP follow the teacher's accuracy, H-score runs against it; the gap is measured once."""
    spec = held.spec
    if spec.training.role == "teacher":
        return {"logme": accuracy, "leep": accuracy - 1, "h_score": 9 - accuracy, "ratio_1_2": 2.0}
    if spec.training.teacher is None or held.known_scores is not None:
        return held.known_scores
    return {"cka_gap": 0.5 + 0.1 * spec.training.seed}


def step(job_id: str, outcomes: Outcomes = by_skill, dice: random.Random | None = None) -> bool:
    """Ends one of the job's waiting runs, the first or a random one, and advances the job. False: none waits."""
    waiting = runs_of(job_id, "queued")
    if not waiting:
        return False
    chosen = waiting[0] if dice is None else dice.choice(waiting)
    end(claim(chosen.id), outcomes(from_json(RunSpec, chosen.spec)))
    advance(job_id)
    return True


def run_to_end(job_id: str, outcomes: Outcomes = by_skill, dice: random.Random | None = None) -> None:
    advance(job_id)
    while step(job_id, outcomes, dice):
        pass


def finished(*teachers: str, **budget: Any) -> Leaderboard:
    """The leaderboard of a job with this budget, at its end."""
    job_id = submit(request(*teachers, **budget))
    run_to_end(job_id)
    found = board(job_id)
    assert found.job.state == "finished"
    return found
