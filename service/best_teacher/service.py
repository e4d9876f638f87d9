"""The best teacher that is known already."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from cachetools import LRUCache
from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.weight_names import join_weights, split_weights
from dpk_core.tasks import METRICS
from service.best_teacher import repository
from service.best_teacher.choice import in_order
from service.best_teacher.repository import Finished, Group, Question
from service.best_teacher.schemas import BestTeacher, DataThenAndNow, OtherAnswer, RunningJob
from service.conditional import etag
from service.database.session import glance, reading
from service.database.types import utc_now
from service.leaderboards import service as leaderboards
from service.presentation.best_teacher_words import stale_sentence
from service.presentation.protocol_words import founding_differences, protocol_differences
from service.presentation.verdict_words import cautioned
from service.problems import NotFound, StillRunning
from service.scheduling.plan import Plan
from service.selection_jobs.changes import DataNow, changes, data_now
from service.selection_jobs.views import links
from service.settings import settings
from service.wire.boards import Interval, Verdict

MOST_OTHERS = 50
AGE_STEP = 60
"""Seconds by which an answer's age grows, so that it can be compared and kept in between."""
KEPT = 256
"""Answers, and plans of jobs, that a process keeps in memory."""


@dataclass(slots=True)
class _Kept:
    """An answer with all it rests on: the `marks` of the store, and what `changes` say of each plan with teachers."""

    marks: object
    watched: list[tuple[Plan, tuple[str, ...]]]
    changed: object
    answer: BestTeacher
    tag: str
    body: bytes


_plans: LRUCache[tuple[str, int], Plan] = LRUCache(KEPT)
"""By job and revision: a teacher that is added changes the plan."""
_answers: LRUCache[tuple[Question, str | None], _Kept] = LRUCache(KEPT)
_lock = Lock()


def best_teacher(student: str, dataset: str, method: str, stamp: str | None = None) -> BestTeacher:
    """What the finished jobs say about `student` (`model[@weights]`); of those with `stamp`, if given.

    Opens its own transactions. Raises NotFound without such a job, StillRunning where one is under way, InvalidRequest
    for an unknown name that no job knows either.
    """
    return _found(student, dataset, method, stamp).answer


def arms_of(job_id: str) -> tuple[str | None, ...]:
    """The teachers that a job compares, and None for no teacher."""
    with reading() as session:
        plan = _plan(session, job_id)
    return () if plan is None else plan.arms


def document(student: str, dataset: str, method: str, stamp: str | None = None) -> tuple[str, bytes]:
    """The same as it is sent, with its tag."""
    found = _found(student, dataset, method, stamp)
    return found.tag, found.body


def _found(student: str, dataset: str, method: str, stamp: str | None) -> _Kept:
    """Looks at the data set before the first query, so that no connection waits for that."""
    data = data_now(dataset)
    question = Question(student=_canonical(student), dataset=dataset, method=method)
    with _lock:
        kept = _answers.get((question, stamp))
    # Before the answer is made, so that what happens meanwhile is noticed by the next request.
    marks = glance(lambda connection: repository.marks(connection, question))
    if kept is None or kept.marks != marks or kept.changed != _changed(kept.watched, data):
        kept = _keep(question, _choose(question, stamp, data), data, marks)
    age = max(0.0, (utc_now() - kept.answer.finished_at).total_seconds()) // AGE_STEP * AGE_STEP
    if not kept.body or age != kept.answer.age_seconds:
        kept.answer = kept.answer.model_copy(update={"age_seconds": age})
        kept.body = kept.answer.model_dump_json().encode()
        kept.tag = etag(kept.body.decode())
    with _lock:
        _answers[question, stamp] = kept
    return kept


@functools.lru_cache(KEPT)
def _canonical(student: str) -> str:
    return join_weights(*canonical(*split_weights(student)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """The job that answers, its plan, the job under way, the others, and all plans whose state was looked at."""

    job: Finished
    plan: Plan
    running: RunningJob | None
    others: list[OtherAnswer]
    plans: list[Plan]


def _changed(watched: Iterable[tuple[Plan, tuple[str, ...]]], data: DataNow) -> object:
    return data, [changes(plan, data, teachers) for plan, teachers in watched]


def _choose(question: Question, stamp: str | None, data: DataNow) -> _Choice:
    """Jobs that cannot be read are left out. Raises Unreadable where no other job answers.

    Opens its own transactions: between them it looks at files, and perhaps at an upload, for which no connection waits.
    """
    with reading() as session:
        groups = repository.groups(session, question)
        read = _best_readable(session, question, groups)
        plans = {group.protocol: plan for group, _, plan in read}
        live = repository.live_jobs(session, question)
        asked = plans | (_plans_of_live(session, live, plans) if stamp is None else {})
    current = {protocol: not changes(plan, data, ()) for protocol, plan in asked.items()}
    best = {group: (job, plan) for group, job, plan in read}
    ordered = in_order(list(best), lambda group: current[group.protocol])
    answering = [each for each in ordered if stamp in (None, each.protocol)]
    running = _running(live, stamp, current)
    if not answering:
        with reading() as session:
            for group in groups:
                if stamp in (None, group.protocol):
                    repository.check_readable(session, group.best)
        raise _nothing(question, stamp, list(dict.fromkeys(each.protocol for each in ordered)), running)
    job, plan = best[answering[0]]
    with reading() as session:
        founded = repository.best_founded(session, question, job.protocol, limit=MOST_OTHERS + 1)
        same = [each for each, _ in founded]
    others = _others(job, same, [best[each][0] for each in ordered], plans)
    return _Choice(job=job, plan=plan, running=running, others=others, plans=list(plans.values()))


def _best_readable(session: Session, question: Question, groups: Sequence[Group]) -> list[tuple[Group, Finished, Plan]]:
    """Each group with the best-founded of its jobs whose outcome and plan can be read; without those that have none."""
    found = repository.finished(session, [group.best for group in groups])
    read = []
    for group in groups:
        job = found.get(group.best)
        plan = None if job is None else _plan(session, job.job_id)
        if job is None or plan is None:
            founded = repository.best_founded(session, question, group.protocol, is_decided=group.is_decided)
            job, plan = next(founded, (None, None))
        if job is not None and plan is not None:
            read.append((group, job, plan))
    return read


def _plans_of_live(session: Session, live: Iterable[tuple[str, str, str]], known: Container[str]) -> dict[str, Plan]:
    """A plan for each protocol that jobs under way have and that is not `known`: of the newest that can be read."""
    plans: dict[str, Plan] = {}
    for job_id, _, protocol in live:
        if protocol not in known and protocol not in plans and (plan := _plan(session, job_id)) is not None:
            plans[protocol] = plan
    return plans


def _plan(session: Session, job_id: str) -> Plan | None:
    """A job's plan, where it can be read."""
    key = job_id, repository.revision(session, job_id)
    with _lock:
        plan = _plans.get(key)
    if plan is None:
        plan = repository.plan(session, job_id)
    if plan is not None:
        with _lock:
            _plans[key] = plan
    return plan


def _running(live: Iterable[tuple[str, str, str]], stamp: str | None, current: Mapping[str, bool]) -> RunningJob | None:
    for job_id, state, protocol in live:
        if current.get(protocol) if stamp is None else protocol == stamp:
            return RunningJob.model_validate({"job": job_id, "page": links(job_id).page, "state": state})
    return None


def _keep(question: Question, chosen: _Choice, data: DataNow, marks: object) -> _Kept:
    job, plan = chosen.job, chosen.plan
    board = leaderboards.answer(job.job_id)
    verdict = Verdict.model_validate(board["verdict"])
    named = tuple(
        arm for arm in plan.arms if arm is not None and (verdict.best is None or arm in (verdict.best, *verdict.tied))
    )
    watched = [*((each, ()) for each in chosen.plans), (plan, named)]
    because = changes(plan, data, named)
    sentence = cautioned(verdict.sentence, verdict.cautions)
    numbers = verdict if verdict.kind != "no_teacher" else None
    answer = BestTeacher(
        student=question.student, dataset=question.dataset, method=question.method,
        metric=METRICS[plan.task], verdict=verdict.kind, teacher=verdict.best, tied=verdict.tied,
        sentence=f"{stale_sentence(because)} It was: {sentence}" if because else sentence, cautions=verdict.cautions,
        stale=bool(because), stale_because=because,
        chance=numbers and numbers.chance, chance_within_margin=numbers and numbers.near,
        margin=verdict.margin, expected_loss=numbers and numbers.regret,
        expected_score=_interval(board["expected"]), gain=_interval(board["gain"]),
        seeds=job.outcome.seeds, epochs=plan.epochs, candidates=len(plan.arms) - 1,
        teachers_tried=job.outcome.tried, teachers_trained=job.outcome.trained,
        data=DataThenAndNow(then=plan.data_fingerprint, now=data.fingerprint, reason=data.reason),
        job=job.job_id, page=links(job.job_id).page, finished_at=job.finished_at, age_seconds=0.0,
        stamp=job.protocol, running=chosen.running, others=chosen.others,
    )  # fmt: skip
    return _Kept(marks, watched, _changed(watched, data), answer, "", b"")


def _interval(document: object) -> Interval | None:
    return None if document is None else Interval.model_validate(document)


def _others(
    answer: Finished, same: Sequence[Finished], ordered: Sequence[Finished], plans: Mapping[str, Plan]
) -> list[OtherAnswer]:
    """The other jobs of the answer's protocol, then the best-founded of each other protocol."""
    own = plans[answer.protocol]
    first: dict[str, Finished] = {}
    for job in ordered:
        if job.protocol != answer.protocol:
            first.setdefault(job.protocol, job)
    apart = list(first.values())[:MOST_OTHERS]
    said = [_other(job, _founding(job, answer), same_protocol=True) for job in same if job != answer]
    said = said[: MOST_OTHERS - min(len(apart), MOST_OTHERS // 2)]
    said += [_other(job, protocol_differences(plans[job.protocol], own), same_protocol=False) for job in apart]
    return said[:MOST_OTHERS]


def _founding(job: Finished, answer: Finished) -> list[str]:
    return founding_differences(job.outcome, answer.outcome, older=job.finished_at < answer.finished_at)


def _other(job: Finished, differs: list[str], *, same_protocol: bool) -> OtherAnswer:
    found = job.outcome
    return OtherAnswer(
        stamp=job.protocol, same_protocol=same_protocol, differs=differs, recipe=found.recipe, epochs=found.epochs,
        seeds=found.seeds, teachers=found.tried, verdict=found.kind, teacher=found.best, job=job.job_id,
        page=links(job.job_id).page, finished_at=job.finished_at,
    )  # fmt: skip


def _nothing(question: Question, stamp: str | None, protocols: Sequence[str], running: RunningJob | None) -> NotFound:
    """Why there is no answer. Raises InvalidRequest where a name is unknown."""
    if running is not None:
        return StillRunning(
            f"No finished job says yet which teacher {question.student} should learn from on {question.dataset} with "
            f"{question.method}; job {running.job} is {running.state} (dpk watch {running.job})."
        )
    if not protocols:
        model_card(split_weights(question.student)[0], "student")
        check_dataset_name(question.dataset, settings().data_root, "dataset")
    under = "" if stamp is None or not protocols else f" under protocol {stamp} (there are {', '.join(protocols)})"
    return NotFound(
        f"No finished job says which teacher {question.student} should learn from on {question.dataset} with "
        f"{question.method}{under}. Submit a selection job that names student, dataset and teachers (dpk submit, or "
        "POST /selection-jobs)."
    )
