"""What earlier jobs measured with this method on this data set: what a new job may believe before its first result.

Only what was finished before the job was submitted counts, and nothing the job itself may train or reuse: so what a job
knows of the store never changes while it runs, nor afterwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from statistics import fmean
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dpk_core.codec import content_key, to_json
from dpk_core.selection.decide.job_results import Arm, Knowledge, Prior
from dpk_core.selection.experience import learn
from dpk_core.spec import MethodSpec
from service.database.tables import Run, SelectionJob
from service.selection_jobs import repository
from service.selection_jobs.evidence import part_of_pictures
from service.selection_jobs.plan import Plan, rung_epoch

NEWEST = 2000
"""Trainings looked back at; more would make a page slow and change the estimate little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """A student's training as far as it finished. `group`: what it has in common with those it may be compared with;
    `subject`: its content but for the seed."""

    key: str
    group: str
    subject: str
    seed: int
    spec: dict[str, Any]
    result: dict[str, Any]

    @property
    def teacher_key(self) -> str | None:
        teacher = self.spec["training"]["teacher"]
        return None if teacher is None else str(teacher["training_key"])

    @property
    def epochs(self) -> int:
        """Of the full training."""
        return int(self.spec["training"]["recipe"]["epochs"])

    @property
    def stopped_at(self) -> int:
        """Epochs that it went."""
        return int(self.spec["stop_epoch"])


def learned(session: Session, job: SelectionJob, plan: Plan) -> Prior:
    """What the earlier jobs teach about the spreads, how far a student follows its teacher, and this job's teachers."""
    base = Prior().at(plan.fractions)
    found = _trainings(session, job, plan)
    teachers = _teacher_accuracies(session, found)
    measured = repository.accuracies(session, {each.key for each in found}, before=job.created_at)
    groups: dict[str, list[_Training]] = defaultdict(list)
    for each in found:
        groups[each.group].append(each)
    jobs = [_knowledge(each, teachers, measured, plan, base) for _, each in sorted(groups.items())]
    prior = _renamed(learn(jobs, base), plan)
    parts = [part for _, each in sorted(groups.items()) if (part := _picture_part(each)) is not None]
    # Two teachers measure it badly, now and then as nothing: what was believed counts as one job more.
    return replace(prior, picture_part=fmean([base.picture_part, *parts]))


def _renamed(prior: Prior, plan: Plan) -> Prior:
    """What is known of this job's teachers, by their names in it; jobs call a teacher by its training's key."""
    names = {plan.teacher_run(arm).training.key(): arm for arm in plan.arms if arm is not None}
    known = (replace(each, teacher=names[each.teacher]) for each in prior.known if each.teacher in names)
    return replace(prior, known=tuple(sorted(known, key=lambda each: each.teacher)))


def _knowledge(
    group: Sequence[_Training], teachers: Mapping[str, float], measured: Mapping[str, Mapping[int, float]],
    plan: Plan, base: Prior,
) -> Knowledge:  # fmt: skip
    """The trainings of one student as a job at this plan's rungs."""
    curves: dict[str, dict[int, tuple[float, ...]]] = defaultdict(dict)
    keys: dict[str, str | None] = {}
    for each in group:
        rungs = [rung_epoch(fraction, each.epochs) for fraction in plan.fractions]
        values = {**measured.get(each.key, {}), each.stopped_at: each.result["validation_accuracy"]}
        reached = tuple(values[rung] for rung in takewhile(values.__contains__, rungs))
        if reached:
            curves[each.subject][each.seed] = reached
            keys[each.subject] = each.teacher_key
    arms = tuple(
        Arm(
            teacher=keys[subject],
            teacher_accuracy=teachers.get(keys[subject] or ""), curves=by_seed,
        )
        for subject, by_seed in sorted(curves.items())
    )  # fmt: skip
    seeds = tuple(sorted({each.seed for each in group}))
    pictures = int(group[0].result["validation_pictures"])
    return Knowledge(arms=arms, rungs=plan.fractions, seeds=seeds, prior=base, pictures=pictures)


def _picture_part(group: Sequence[_Training]) -> float | None:
    results: dict[str, dict[int, dict[str, Any] | None]] = defaultdict(dict)
    for each in group:
        if each.teacher_key is not None and each.stopped_at == each.epochs:
            results[each.subject][each.seed] = each.result
    return part_of_pictures([by_seed for _, by_seed in sorted(results.items())])


def _trainings(session: Session, job: SelectionJob, plan: Plan) -> list[_Training]:
    own = {plan.student_run(arm, seed, plan.epochs).training.key() for arm in plan.arms for seed in plan.seeds}
    chosen = select(Run.training_key, Run.seed, Run.spec, Run.result).where(
        Run.purpose.in_(("full", "probe")),
        Run.state == "finished",
        Run.method.in_((plan.method.name, "none")),
        Run.dataset == plan.dataset,
        Run.finished_at < job.created_at,
    )
    rows = session.execute(chosen.order_by(Run.finished_at.desc(), Run.id).limit(NEWEST))
    methods = to_json(plan.method), to_json(MethodSpec(name="none"))
    found = [
        _training(key, seed, spec, result)
        for key, seed, spec, result in rows
        if result is not None
        and key not in own
        and spec["training"]["data_fingerprint"] == plan.data_fingerprint
        and spec["training"]["method"] in methods
    ]
    furthest = sorted(found, key=lambda each: each.stopped_at)
    return list({each.key: each for each in furthest}.values())


def _training(key: str, seed: int, spec: dict[str, Any], result: dict[str, Any]) -> _Training:
    training = spec["training"]
    subject = content_key({**training, "seed": None})
    group = content_key({**training, "seed": None, "teacher": None, "method": None})
    return _Training(key=key, group=group, subject=subject, seed=seed, spec=spec, result=result)


def _teacher_accuracies(session: Session, trainings: Sequence[_Training]) -> dict[str, float]:
    keys = {each.teacher_key for each in trainings if each.teacher_key is not None}
    chosen = select(Run.training_key, Run.result).where(
        Run.training_key.in_(keys), Run.purpose == "teacher", Run.state == "finished"
    )
    return {key: result["validation_accuracy"] for key, result in session.execute(chosen) if result is not None}
