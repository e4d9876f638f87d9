"""The best teacher that is known already."""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.weights import join_weights, split_weights
from service.best_teacher import repository
from service.best_teacher.schemas import BestTeacher, OtherProtocol
from service.problems import NotFound
from service.selection_jobs import repository as jobs
from service.selection_jobs.service import leaderboard
from service.selection_jobs.snapshot import Snapshot
from service.selection_jobs.trust import job_stamp
from service.selection_jobs.views import links
from service.settings import settings


def best_teacher(session: Session, student: str, dataset: str, method: str, stamp: str | None = None) -> BestTeacher:
    """What the newest finished job says about `student` (`model[@weights]`); of those with `stamp`, if given.

    Raises InvalidRequest for an unknown name, NotFound without such a job.
    """
    model, weights = canonical(*split_weights(student))
    model_card(model, "student")
    student = join_weights(model, weights)
    check_dataset_name(dataset, settings().data_root, "dataset")
    newest = _newest_by_stamp(session, student, dataset, method)
    found = next(iter(newest.values()), None) if stamp is None else newest.get(stamp)
    if found is None:
        under = "" if stamp is None or not newest else f" under protocol {stamp} (there are {', '.join(newest)})"
        raise NotFound(
            f"No finished job says which teacher {student} should learn from on {dataset} with {method}{under}. "
            "Submit a selection job that names student, dataset and teachers (dpk submit, or POST /selection-jobs)."
        )
    job = found.job
    board = leaderboard(session, job.id)
    assert board.verdict is not None
    assert job.finished_at is not None
    verdict = board.verdict
    row = next((row for row in board.rows if row.teacher == verdict.best), None)
    return BestTeacher(
        student=student, dataset=dataset, method=method, verdict=verdict.kind, teacher=verdict.best,
        tied=verdict.tied, sentence=verdict.sentence,
        expected_accuracy=None if row is None or verdict.kind == "undecided" else row.expected,
        gain=None if row is None else row.gain,
        job=job.id, page=board.job.links.page, finished_at=job.finished_at, stamp=board.trust.stamp,
        others=_others(session, {other: each for other, each in newest.items() if each is not found}),
    )  # fmt: skip


def _newest_by_stamp(session: Session, student: str, dataset: str, method: str) -> dict[str, Snapshot]:
    """The newest finished job of each protocol, newest first."""
    newest: dict[str, Snapshot] = {}
    for snapshot in jobs.snapshots(session, repository.finished_jobs(session, student, dataset, method)):
        newest.setdefault(job_stamp(snapshot), snapshot)
    return newest


def _others(session: Session, newest: dict[str, Snapshot]) -> list[OtherProtocol]:
    verdicts = jobs.newest_verdicts(session, [snapshot.job.id for snapshot in newest.values()])
    return [
        OtherProtocol.model_validate(
            {
                "stamp": stamp,
                "recipe": snapshot.plan.student_recipe.name,
                "epochs": snapshot.plan.student_recipe.epochs,
                "verdict": verdicts[snapshot.job.id].document["kind"],
                "teacher": verdicts[snapshot.job.id].document["best"],
                "job": snapshot.job.id,
                "page": links(snapshot.job.id).page,
                "finished_at": snapshot.job.finished_at,
            }
        )
        for stamp, snapshot in newest.items()
    ]
