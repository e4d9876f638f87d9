"""What full trainings of a model, and under it, came to over all jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.codec import content_key
from service.database.tables import Run
from service.models import repository
from service.scheduling.protocol_id import DIGITS, training_stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Trainings that differ in their seed alone: mean validation score and its spread over `seeds`.

    `protocol`: their protocol id; None without a teacher, as such a training belongs to the protocol of each method
    that it is compared with. `preparation`: eight digits for what else decides a score. Under a teacher that is the
    teacher's training, of `teacher_epochs` (None: not known any more); without one it is everything but the seed.
    `role`: what the trained network is for. `trains`: the whole network or its head.
    """

    dataset: str
    student: str
    teacher: str | None
    method: str
    recipe: str
    epochs: int
    protocol: str | None
    preparation: str
    teacher_epochs: int | None
    role: str
    trains: str
    score: float
    low: float
    high: float
    seeds: int


def results_as_student(session: Session, model: str) -> list[Results]:
    """Of the model itself, alone, as a teacher's preparation or under a teacher; the best of each data set first."""
    return _grouped(session, repository.full_runs(session, Run.student == model))


def results_as_teacher(session: Session, model: str) -> list[Results]:
    """Of students that learned from it."""
    return _grouped(session, repository.full_runs(session, Run.teacher == model))


def _grouped(session: Session, runs: Sequence[Run]) -> list[Results]:
    found: dict[tuple[Any, ...], dict[int, float]] = defaultdict(dict)
    trainings: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run in runs:
        training = run.spec["training"]
        place = (run.dataset, run.student, run.teacher, run.method, training_stamp(training), _preparation(training))
        if run.result is not None:
            trainings[place] = training
            found[place].setdefault(run.seed, float(run.result["validation_score"]))
    taught = [training["teacher"]["training_key"] for training in trainings.values() if training["teacher"]]
    epochs = repository.teacher_epochs(session, taught)
    results = [_results(place, trainings[place], scores.values(), epochs) for place, scores in found.items()]
    return sorted(results, key=lambda each: (each.dataset, each.student, -each.score))


def _results(
    place: tuple[Any, ...], training: dict[str, Any], scores: Collection[float], epochs: Mapping[str, int]
) -> Results:
    dataset, student, teacher, method, protocol, preparation = place
    recipe, taught = training["recipe"], training["teacher"]
    return Results(
        dataset=dataset, student=student, teacher=teacher, method=method, recipe=recipe["name"],
        epochs=recipe["epochs"], protocol=protocol if taught else None,
        preparation=(preparation if taught else content_key([protocol, preparation]))[:DIGITS],
        teacher_epochs=epochs.get(taught["training_key"]) if taught else None, role=training["role"],
        trains=training["trains"], score=fmean(scores), low=min(scores), high=max(scores), seeds=len(scores),
    )  # fmt: skip


def _preparation(training: dict[str, Any]) -> str:
    """What decides a score beside protocol and seed: the training of the teacher, or how a teacher is prepared."""
    if training["teacher"] is not None:
        return str(training["teacher"]["training_key"])
    return content_key([training.get(name) for name in ("role", "trains", "preprocessing", "class_map")])
