"""The best teacher that is known already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.weights import join_weights, split_weights
from dpk_core.codec import from_json
from service.best_teacher import repository
from service.best_teacher.choice import differences, in_order
from service.best_teacher.repository import Finished, Question
from service.best_teacher.schemas import BestTeacher, DataThenAndNow, OtherAnswer, RunningJob
from service.database.types import utc_now
from service.leaderboards.service import leaderboard
from service.presentation.best_teacher_words import stale_sentence
from service.presentation.verdict_words import cautioned
from service.problems import NotFound, StillRunning
from service.scheduling.plan import Plan
from service.scheduling.protocol_id import stored_stamp
from service.selection_jobs.changes import DataNow, changes, data_now
from service.selection_jobs.views import links
from service.settings import settings

MOST_OTHERS = 50


def best_teacher(session: Session, student: str, dataset: str, method: str, stamp: str | None = None) -> BestTeacher:
    """What the finished jobs say about `student` (`model[@weights]`); of those with `stamp`, if given.

    Raises NotFound without such a job, StillRunning where one is under way, InvalidRequest for an unknown name that no
    job knows either. Looks at the data set before the first query, so that no connection waits for that.
    """
    data = data_now(dataset)
    question = Question(student=join_weights(*canonical(*split_weights(student))), dataset=dataset, method=method)

    def is_current(plan: Mapping[str, Any]) -> bool:
        return not changes(from_json(Plan, plan), data, ())

    finished = in_order(repository.finished_jobs(session, question), is_current)
    chosen = [job for job in finished if stamp in (None, stored_stamp(job.plan))]
    running = next(
        (
            RunningJob(job=job_id, page=links(job_id).page, state=state)
            for job_id, state, plan in repository.live_jobs(session, question)
            if (is_current(plan) if stamp is None else stored_stamp(plan) == stamp)
        ),
        None,
    )
    if not chosen:
        raise _nothing(question, stamp, finished, running)
    return _answer(session, question, chosen[0], finished, data, running)


def _answer(
    session: Session, question: Question, job: Finished, finished: Sequence[Finished], data: DataNow,
    running: RunningJob | None,
) -> BestTeacher:  # fmt: skip
    board, plan = leaderboard(session, job.job_id), from_json(Plan, job.plan)
    assert board.verdict is not None
    verdict = board.verdict
    sentence = cautioned(verdict.sentence, verdict.cautions)
    named = [
        arm for arm in plan.arms if arm is not None and (verdict.best is None or arm in (verdict.best, *verdict.tied))
    ]
    because = changes(plan, data, named)
    row = next((row for row in board.rows if row.teacher == verdict.best), None) if verdict.best is not None else None
    numbers = verdict if verdict.kind != "no_teacher" else None
    return BestTeacher(
        student=question.student, dataset=question.dataset, method=question.method,
        verdict=verdict.kind, teacher=verdict.best, tied=verdict.tied,
        sentence=f"{stale_sentence(because)} It was: {sentence}" if because else sentence, cautions=verdict.cautions,
        stale=bool(because), stale_because=because,
        chance=numbers and numbers.chance, chance_within_margin=numbers and numbers.near,
        margin=verdict.margin, expected_loss=numbers and numbers.regret,
        expected_accuracy=row and row.expected, gain=row and row.gain,
        seeds=job.seeds, epochs=plan.epochs, candidates=len(plan.arms) - 1,
        teachers_tried=job.tried, teachers_trained=job.trained,
        data=DataThenAndNow(then=plan.data_fingerprint, now=data.fingerprint, reason=data.reason),
        job=job.job_id, page=links(job.job_id).page, finished_at=job.finished_at,
        age_seconds=max(0.0, (utc_now() - job.finished_at).total_seconds()),
        stamp=board.trust.stamp, running=running, others=_others(job, finished),
    )  # fmt: skip


def _others(answer: Finished, finished: Sequence[Finished]) -> list[OtherAnswer]:
    """The other jobs of the answer's protocol, then the first of each other protocol."""
    own = stored_stamp(answer.plan)
    same: list[OtherAnswer] = []
    apart: dict[str, OtherAnswer] = {}
    for job in finished:
        if job is answer:
            continue
        stamp = stored_stamp(job.plan)
        if stamp == own:
            same.append(_other(job, stamp, answer, same_protocol=True))
        else:
            apart.setdefault(stamp, _other(job, stamp, answer, same_protocol=False))
    return [*same[: MOST_OTHERS - min(len(apart), MOST_OTHERS // 2)], *apart.values()][:MOST_OTHERS]


def _other(job: Finished, stamp: str, answer: Finished, *, same_protocol: bool) -> OtherAnswer:
    recipe = job.plan["student_recipe"]
    return OtherAnswer(
        stamp=stamp, same_protocol=same_protocol, differs=differences(job, answer), recipe=recipe["name"],
        epochs=recipe["epochs"], seeds=job.seeds, teachers=job.tried, verdict=job.verdict["kind"],
        teacher=job.verdict["best"], job=job.job_id, page=links(job.job_id).page, finished_at=job.finished_at,
    )  # fmt: skip


def _nothing(
    question: Question, stamp: str | None, finished: Sequence[Finished], running: RunningJob | None
) -> NotFound:
    """Why there is no answer. Raises InvalidRequest where a name is unknown."""
    if running is not None:
        return StillRunning(
            f"No finished job says yet which teacher {question.student} should learn from on {question.dataset} with "
            f"{question.method}; job {running.job} is {running.state} (dpk watch {running.job})."
        )
    if not finished:
        model_card(split_weights(question.student)[0], "student")
        check_dataset_name(question.dataset, settings().data_root, "dataset")
    stamps = dict.fromkeys(stored_stamp(job.plan) for job in finished)
    under = "" if stamp is None or not finished else f" under protocol {stamp} (there are {', '.join(stamps)})"
    return NotFound(
        f"No finished job says which teacher {question.student} should learn from on {question.dataset} with "
        f"{question.method}{under}. Submit a selection job that names student, dataset and teachers (dpk submit, or "
        "POST /selection-jobs)."
    )
