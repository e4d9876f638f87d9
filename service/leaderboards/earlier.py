"""What earlier jobs measured with this method on this data, one question for each protocol; how the rules did on each;
and who won last time.

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
from sqlalchemy.orm import Session

from dpk_core.codec import content_key, from_json, to_json
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from dpk_core.selection.evaluate.rule_evaluation import RuleEvaluation, evaluate_rules
from dpk_core.selection.evaluate.rules import rules_of
from service.database.tables import SelectionJob
from service.leaderboards import repository
from service.leaderboards.records import gaps, teacher_scores
from service.scheduling import repository as scheduling
from service.scheduling.evidence import Result
from service.scheduling.plan import Plan, rung_epoch
from service.scheduling.protocol_id import plan_stamp, training_stamp

NEWEST = 2000
"""Student runs looked back at; more would make a page slow and change an estimate little."""
JOBS = 100
"""Jobs looked back at for the previous winner."""
RULES_VERSION = 3
"""Rises when rules or their judgement change, so that what is stored is judged anew."""
RECORDS_KEPT = 10_000
"""Records of teachers in the answers that a process keeps in memory; one takes 3 to 7 kB with its judgements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taught:
    """A student's finished run under a teacher, named by the training that prepared it. `scores`: those of the
    run's training, by epoch."""

    protocol: str
    teacher: str
    seed: int
    epochs: int
    result: dict[str, Any]
    scores: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """The questions that the store answered before, how the rules did on each, and the teacher that won last time.
    `new`: judgements that are not stored yet, by key."""

    groups: tuple[ComparisonGroup, ...]
    judged: tuple[RuleEvaluation, ...]
    winner: str | None
    new: dict[str, RuleEvaluation]

    @property
    def size(self) -> int:
        """Records of teachers in it, and one for itself."""
        return 1 + sum(len(each.records) for each in self.groups)


def _by_job(session: Session, job: SelectionJob, plan: Plan) -> tuple[str, int]:  # noqa: ARG001 - called as `earlier` is
    return job.id, len(plan.arms)


@cached(LRUCache(RECORDS_KEPT, getsizeof=lambda found: found.size), key=_by_job, lock=Lock())
def earlier(session: Session, job: SelectionJob, plan: Plan) -> Earlier:
    """What the store knew when the job was asked for.

    Read once for a job and process, and for each teacher that is added: the answer does not change otherwise, and pages
    ask for it again and again.
    """
    groups = comparison_groups(session, job, plan)
    keys = [content_key([RULES_VERSION, to_json(each)]) for each in groups]
    known = {key: from_json(RuleEvaluation, document) for key, document in repository.judgements(session, keys).items()}
    new = {
        key: evaluate_rules(each, rules_of(each, None, plan.task))
        for key, each in zip(keys, groups, strict=True)
        if key not in known
    }
    judged = tuple({**known, **new}[key] for key in keys)
    return Earlier(groups=groups, judged=judged, winner=previous_winner(session, job, plan), new=new)


def comparison_groups(session: Session, job: SelectionJob, plan: Plan) -> tuple[ComparisonGroup, ...]:
    """One for each protocol, at this plan's rungs, in an order that does not depend on the rows'."""
    found: dict[tuple[str, str], list[_Taught]] = defaultdict(list)
    for each in _finished(session, job, plan):
        found[each.protocol, each.teacher].append(each)
    teachers = repository.prepared_teachers(session, {teacher for _, teacher in found})
    records: dict[str, list[TeacherRecord]] = defaultdict(list)
    for (protocol, teacher), runs in sorted(found.items()):
        records[protocol].append(_record(teacher, teachers.get(teacher), runs, plan))
    return tuple(ComparisonGroup(records=tuple(every)) for _, every in sorted(records.items()))


def _record(name: str, teacher: Result | None, runs: Sequence[_Taught], plan: Plan) -> TeacherRecord:
    reached: dict[float, dict[int, float]] = defaultdict(dict)
    for each in runs:
        for fraction in plan.fractions:
            if (score := each.scores.get(rung_epoch(fraction, each.epochs))) is not None:
                reached[fraction][each.seed] = score
    return TeacherRecord(
        teacher=name,
        teacher_accuracy=None if teacher is None else teacher["validation_score"],
        reached=dict(reached),
        scores=teacher_scores(teacher),
        gaps=gaps((each.seed, each.result) for each in runs),
    )


def previous_winner(session: Session, job: SelectionJob, plan: Plan) -> str | None:
    """The teacher of this job that won the newest earlier job with this student and the same settings of the method, on
    whatever data."""
    method, able = to_json(plan.method), set(plan.arms) - {None}
    winners = repository.earlier_winners(session, job, JOBS)
    return next((winner for settings, winner in winners if settings == method and winner in able), None)


def _finished(session: Session, job: SelectionJob, plan: Plan) -> list[_Taught]:
    own = {plan.teacher_run(arm).training.key() for arm in plan.arms if arm is not None}
    method, stamp = to_json(plan.method), plan_stamp(plan)
    rows = repository.taught_runs(session, plan.method.name, plan.dataset, before=job.created_at, limit=NEWEST)
    measured = scheduling.scores(session, {key for key, *_ in rows}, before=job.created_at)
    found = []
    for key, seed, spec, result in rows:
        training = spec["training"]
        teacher, protocol = training["teacher"]["training_key"], training_stamp(training)
        known = training["data_fingerprint"] == plan.data_fingerprint and training["method"] == method
        if result is None or not known or (protocol == stamp and teacher in own):
            continue
        ends = {spec["stop_epoch"]: result["validation_score"]}
        taught = _Taught(
            protocol=protocol, teacher=teacher, seed=seed, epochs=training["recipe"]["epochs"], result=result,
            scores={**measured.get(key, {}), **ends},
        )  # fmt: skip
        found.append(taught)
    return found
