"""What earlier jobs measured with this method on this data set: the evidence that a student follows its teacher.

Only what was finished before the job was submitted counts, and nothing the job itself may train or reuse: so what a job
knows of the store never changes while it runs, nor afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dpk_core.codec import content_key
from dpk_core.selection.state import Pair
from dpk_core.selection.statistics import mean
from service.database.tables import Run, SelectionJob
from service.selection_jobs.plan import Plan

NEWEST = 2000
"""Full trainings looked back at; more would make a page slow and change the estimate little."""


def pairs(session: Session, job: SelectionJob, plan: Plan) -> tuple[Pair, ...]:
    """One pair per student, recipe and teacher of the store, in an order that does not depend on the rows'."""
    own = {plan.student_run(arm, seed, full=True).training.key() for arm in plan.arms for seed in plan.seeds}
    results: dict[str, dict[int, float]] = defaultdict(dict)
    trainings: dict[str, dict[str, Any]] = {}
    for key, seed, spec, result in _finished_fulls(session, job, plan):
        training = spec["training"]
        if key in own or training["data_fingerprint"] != plan.data_fingerprint:
            continue
        subject = content_key({**training, "seed": None})
        results[subject][seed] = result["validation_accuracy"]
        trainings[subject] = training
    teachers = _teacher_accuracies(session, {training["teacher"]["training_key"] for training in trainings.values()})
    return tuple(
        Pair(
            group=content_key({**trainings[subject], "seed": None, "teacher": None}),
            teacher_accuracy=teachers[trainings[subject]["teacher"]["training_key"]],
            student_accuracy=mean(by_seed),
        )
        for subject, by_seed in sorted(results.items())
        if trainings[subject]["teacher"]["training_key"] in teachers
    )


def _finished_fulls(
    session: Session, job: SelectionJob, plan: Plan
) -> Sequence[tuple[str, int, dict[str, Any], dict[str, Any]]]:
    chosen = select(Run.training_key, Run.seed, Run.spec, Run.result).where(
        Run.purpose == "full",
        Run.state == "finished",
        Run.method == plan.method.name,
        Run.dataset == plan.dataset,
        Run.finished_at < job.created_at,
    )
    rows = session.execute(chosen.order_by(Run.finished_at.desc(), Run.id).limit(NEWEST))
    return [(key, seed, spec, result) for key, seed, spec, result in rows if result is not None]


def _teacher_accuracies(session: Session, training_keys: set[str]) -> dict[str, float]:
    chosen = select(Run.training_key, Run.result).where(
        Run.training_key.in_(training_keys), Run.purpose == "teacher", Run.state == "finished"
    )
    return {key: result["validation_accuracy"] for key, result in session.execute(chosen) if result is not None}
