"""What full trainings of a model, and under it, came to over all jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.codec import content_key
from service.database.tables import Run
from service.models import repository
from service.scheduling.protocol_id import training_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Trainings that differ in their seed alone: mean validation score and its spread over `seeds`.

    `protocol`: their protocol id. Two rows of one protocol differ in how the teacher was prepared.
    """

    dataset: str
    student: str
    teacher: str | None
    method: str
    recipe: str
    epochs: int
    protocol: str
    score: float
    low: float
    high: float
    seeds: int


def results_as_student(session: Session, model: str) -> list[Results]:
    """Of the model itself, alone, as a teacher's preparation or under a teacher; the best of each data set first."""
    return _grouped(repository.full_runs(session, Run.student == model))


def results_as_teacher(session: Session, model: str) -> list[Results]:
    """Of students that learned from it."""
    return _grouped(repository.full_runs(session, Run.teacher == model))


def _grouped(runs: Iterable[Run]) -> list[Results]:
    found: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    for run in runs:
        training = run.spec["training"]
        recipe, protocol = training["recipe"], training_stamp(training)
        place = (
            run.dataset, run.student, run.teacher, run.method, recipe["name"], recipe["epochs"], protocol,
            _preparation(training),
        )  # fmt: skip
        if run.result is not None:
            found[place].setdefault(run.seed, float(run.result["validation_score"]))
    results = [
        Results(
            dataset=dataset, student=student, teacher=teacher, method=method, recipe=recipe, epochs=epochs,
            protocol=protocol, score=fmean(scores.values()), low=min(scores.values()), high=max(scores.values()),
            seeds=len(scores),
        )
        for (dataset, student, teacher, method, recipe, epochs, protocol, _), scores in found.items()
    ]  # fmt: skip
    return sorted(results, key=lambda each: (each.dataset, each.student, -each.score))


def _preparation(training: dict[str, Any]) -> str:
    """What decides a score beside protocol and seed: the training of the teacher, or how a teacher is prepared."""
    if training["teacher"] is not None:
        return str(training["teacher"]["training_key"])
    return content_key([training.get(name) for name in ("role", "trains", "preprocessing", "class_map")])
