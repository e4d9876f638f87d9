"""What earlier jobs measured with this method on this data, one question for each protocol; and who won last time.

Only what was finished before the job was submitted counts, and none of the job's own teachers under its own protocol:
so what a job knows of the store never changes while it runs, nor afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.selection.trials import Question
from service.database.tables import Run, SelectionJob, Verdict
from service.selection_jobs.plan import Plan
from service.selection_jobs.stamp import plan_stamp, training_stamp
from service.selection_jobs.trials import Taught

NEWEST = 2000
"""Student runs looked back at; more would make a page slow and change an estimate little."""
JOBS = 100
"""Jobs looked back at for the previous winner."""


def questions(session: Session, job: SelectionJob, plan: Plan) -> tuple[Question, ...]:
    """One for each protocol, in an order that does not depend on the rows'."""
    own = {plan.teacher_run(arm).training.key() for arm in plan.arms if arm is not None}
    method, stamp = to_json(plan.method), plan_stamp(plan)
    found: dict[str, dict[str, Taught]] = defaultdict(lambda: defaultdict(Taught))
    for seed, spec, result in _finished(session, job, plan):
        training = spec["training"]
        teacher, protocol = training["teacher"]["training_key"], training_stamp(training)
        known = training["data_fingerprint"] == plan.data_fingerprint and training["method"] == method
        if not known or (protocol == stamp and teacher in own):
            continue
        found[protocol][teacher].add(spec, seed, result)
    teachers = _teachers(session, {teacher for taught in found.values() for teacher in taught})
    return tuple(
        Question(
            trials=tuple(
                taught.trial(teacher, teachers.get(teacher)) for teacher, taught in sorted(found[protocol].items())
            )
        )
        for protocol in sorted(found)
    )


def previous_winner(session: Session, job: SelectionJob, plan: Plan) -> str | None:
    """The teacher of this job that won the newest earlier job with this student and method, on whatever data."""
    asked = SelectionJob.request
    jobs = (
        select(SelectionJob.id)
        .where(
            SelectionJob.state == "finished",
            SelectionJob.finished_at < job.created_at,
            asked["student"].as_string() == job.request["student"],
            asked["method"].as_string() == plan.method.name,
        )
        .order_by(SelectionJob.finished_at.desc(), SelectionJob.id)
        .limit(JOBS)
    )
    ids = list(session.scalars(jobs))
    verdicts = select(Verdict.job_id, Verdict.document).where(Verdict.job_id.in_(ids), Verdict.final)
    best = {job_id: document.get("best") for job_id, document in session.execute(verdicts)}
    return next((winner for job_id in ids if (winner := best.get(job_id)) in plan.arms and winner is not None), None)


def _finished(session: Session, job: SelectionJob, plan: Plan) -> Iterable[tuple[int, dict[str, Any], dict[str, Any]]]:
    chosen = select(Run.seed, Run.spec, Run.result).where(
        Run.teacher.is_not(None),
        Run.state == "finished",
        Run.method == plan.method.name,
        Run.dataset == plan.dataset,
        Run.finished_at < job.created_at,
    )
    rows: Sequence[Any] = session.execute(chosen.order_by(Run.finished_at.desc(), Run.id).limit(NEWEST)).all()
    return [(seed, spec, result) for seed, spec, result in rows if result is not None]


def _teachers(session: Session, training_keys: set[str]) -> dict[str, dict[str, Any]]:
    chosen = select(Run.training_key, Run.result).where(
        Run.training_key.in_(training_keys), Run.purpose == "teacher", Run.state == "finished"
    )
    return {key: result for key, result in session.execute(chosen) if result is not None}
