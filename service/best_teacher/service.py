"""The best teacher that is known already."""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.catalogue.datasets import check_dataset_name
from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.weights import join_weights, split_weights
from service.best_teacher.schemas import BestTeacher
from service.problems import NotFound
from service.selection_jobs import repository
from service.selection_jobs.service import leaderboard
from service.settings import settings


def best_teacher(session: Session, student: str, dataset: str, method: str) -> BestTeacher:
    """What the newest finished job says about `student` (`model[@weights]`).

    Raises InvalidRequest for an unknown name, NotFound without such a job.
    """
    model, weights = split_weights(student)
    model_card(model, "student")
    student = join_weights(model, weights)
    check_dataset_name(dataset, settings().data_root, "dataset")
    job = repository.newest_finished(session, student, dataset, method)
    if job is None:
        raise NotFound(
            f"No finished job says which teacher {student} should learn from on {dataset} with {method}. "
            "Submit a selection job that names student, dataset and teachers (dpk submit, or POST /selection-jobs)."
        )
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
        job=job.id, page=board.job.links.page, finished_at=job.finished_at,
    )  # fmt: skip
