"""What earlier jobs measured with this method on this data, one question for each protocol; and who won last time.

Only what was finished before the job was submitted counts, and none of the job's own teachers under its own protocol:
so what a job knows of the store never changes while it runs, nor afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from sqlalchemy import select
from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from service.database.tables import Run, SelectionJob, Verdict
from service.leaderboards.records import gaps, teacher_scores
from service.scheduling import repository
from service.scheduling.evidence import Result
from service.scheduling.plan import Plan, rung_epoch
from service.scheduling.protocol_id import plan_stamp, training_stamp

NEWEST = 2000
"""Student runs looked back at; more would make a page slow and change an estimate little."""
JOBS = 100
"""Jobs looked back at for the previous winner."""
JOBS_KEPT = 256
"""Jobs whose answers are kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taught:
    """A student's finished run under a teacher, named by the training that prepared it. `accuracies`: those of the
    run's training, by epoch."""

    protocol: str
    teacher: str
    seed: int
    epochs: int
    result: dict[str, Any]
    accuracies: Mapping[int, float]


def _by_job(session: Session, job: SelectionJob, plan: Plan) -> str:  # noqa: ARG001 - called as `comparison_groups` is
    return job.id


@cached(LRUCache(JOBS_KEPT), key=_by_job, lock=Lock())
def comparison_groups(session: Session, job: SelectionJob, plan: Plan) -> tuple[ComparisonGroup, ...]:
    """One for each protocol, at this plan's rungs, in an order that does not depend on the rows'.

    Read once for a job and process: the answer never changes, and pages ask for it again and again.
    """
    found: dict[tuple[str, str], list[_Taught]] = defaultdict(list)
    for each in _finished(session, job, plan):
        found[each.protocol, each.teacher].append(each)
    teachers = _teachers(session, {teacher for _, teacher in found})
    records: dict[str, list[TeacherRecord]] = defaultdict(list)
    for (protocol, teacher), runs in sorted(found.items()):
        records[protocol].append(_record(teacher, teachers.get(teacher), runs, plan))
    return tuple(ComparisonGroup(records=tuple(every)) for _, every in sorted(records.items()))


def _record(name: str, teacher: Result | None, runs: Sequence[_Taught], plan: Plan) -> TeacherRecord:
    reached: dict[float, dict[int, float]] = defaultdict(dict)
    for each in runs:
        for fraction in plan.fractions:
            if (accuracy := each.accuracies.get(rung_epoch(fraction, each.epochs))) is not None:
                reached[fraction][each.seed] = accuracy
    return TeacherRecord(
        teacher=name,
        teacher_accuracy=None if teacher is None else teacher["validation_accuracy"],
        reached=dict(reached),
        scores=teacher_scores(teacher),
        gaps=gaps((each.seed, each.result) for each in runs),
    )


def previous_winner(session: Session, job: SelectionJob, plan: Plan) -> str | None:
    """The teacher of this job that won the newest earlier job with this student and the same settings of the method, on
    whatever data."""
    stored = SelectionJob.plan
    jobs = (
        select(SelectionJob.id, SelectionJob.plan)
        .where(
            SelectionJob.state == "finished",
            SelectionJob.finished_at < job.created_at,
            SelectionJob.request["student"].as_string() == job.request["student"],
            stored["method", "name"].as_string() == plan.method.name,
        )
        .order_by(SelectionJob.finished_at.desc(), SelectionJob.id)
        .limit(JOBS)
    )
    method = to_json(plan.method)
    ids = [job_id for job_id, earlier in session.execute(jobs) if earlier["method"] == method]
    verdicts = select(Verdict.job_id, Verdict.document).where(Verdict.job_id.in_(ids), Verdict.final)
    best = {job_id: document.get("best") for job_id, document in session.execute(verdicts)}
    return next((winner for job_id in ids if (winner := best.get(job_id)) in plan.arms and winner is not None), None)


def _finished(session: Session, job: SelectionJob, plan: Plan) -> list[_Taught]:
    own = {plan.teacher_run(arm).training.key() for arm in plan.arms if arm is not None}
    method, stamp = to_json(plan.method), plan_stamp(plan)
    chosen = select(Run.training_key, Run.seed, Run.spec, Run.result).where(
        Run.teacher.is_not(None),
        Run.state == "finished",
        Run.method == plan.method.name,
        Run.dataset == plan.dataset,
        Run.finished_at < job.created_at,
    )
    rows: Sequence[Any] = session.execute(chosen.order_by(Run.finished_at.desc(), Run.id).limit(NEWEST)).all()
    measured = repository.accuracies(session, {key for key, *_ in rows}, before=job.created_at)
    found = []
    for key, seed, spec, result in rows:
        training = spec["training"]
        teacher, protocol = training["teacher"]["training_key"], training_stamp(training)
        known = training["data_fingerprint"] == plan.data_fingerprint and training["method"] == method
        if result is None or not known or (protocol == stamp and teacher in own):
            continue
        ends = {spec["stop_epoch"]: result["validation_accuracy"]}
        taught = _Taught(
            protocol=protocol, teacher=teacher, seed=seed, epochs=training["recipe"]["epochs"], result=result,
            accuracies={**measured.get(key, {}), **ends},
        )  # fmt: skip
        found.append(taught)
    return found


def _teachers(session: Session, training_keys: set[str]) -> dict[str, dict[str, Any]]:
    chosen = select(Run.training_key, Run.result).where(
        Run.training_key.in_(training_keys), Run.purpose == "teacher", Run.state == "finished"
    )
    return {key: result for key, result in session.execute(chosen) if result is not None}
