"""What can be done with results obtained elsewhere, in the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.weight_names import join_weights, split_weights
from dpk_core.codec import content_key
from service.database.imported_tables import ImportedResult
from service.database.types import utc_now
from service.imported_results import repository, schemas
from service.problems import Conflict, NotFound, Rejected
from service.scheduling import repository as scheduling
from service.wire.boards import Summary

_DIGITS = 8
_TRAINING = ("stamp", "student", "dataset", "method", "teacher", "seed", "epochs")
"""What identifies a training; `stamp` has source and settings in it."""
_SCORES = ("validation_score", "test_score")
_Place = tuple[str, str, int | None, str | None]
"""Of a row: protocol, method, epochs and teacher. Rows that differ in the teacher alone are compared."""


def add(session: Session, asked: schemas.ImportRequest) -> schemas.Imported:
    """Stores the results under the protocol that their source and settings are; a score that a training lacked is
    filled in.

    Raises Rejected where the request gives two scores of one training, or too long a model; Conflict where the
    store has another score than the request: the mean of the two would be that of no training.
    """
    stamp = content_key(["imported", asked.source, asked.settings])[:_DIGITS]
    now = utc_now()
    shared = {
        "stamp": stamp, "source": asked.source, "settings": asked.settings,
        "student": _stored_name(asked.student, "student"), "dataset": asked.dataset, "method": asked.method,
    }  # fmt: skip
    rows: dict[str, dict[str, Any]] = {}
    for place, each in enumerate(asked.results):
        teacher = None if each.teacher is None else _stored_name(each.teacher, f"results[{place}].teacher")
        facts = {**shared, **each.model_dump(), "teacher": teacher}
        key = content_key([facts[name] for name in _TRAINING])
        row = rows.setdefault(key, {**facts, "key": key, "created_at": now})
        for name, score, other in _differing(facts, row):
            if other is not None:
                raise Rejected.at(
                    f"results[{place}].{name}",
                    f"{_training(facts)} is given twice, with {other} and with {score}. Leave one of them out.",
                )
            row[name] = score
    added = repository.add(session, list(rows.values()))
    for stored in repository.of_keys(session, rows):
        row = rows[stored.key]
        for name, score, other in _differing(row, {name: getattr(stored, name) for name in _SCORES}):
            if other is not None:
                raise Conflict(
                    f"{_training(row)} is there with {name} {other}, not {score}. To replace it, remove protocol "
                    f"{stamp} first and import its results anew."
                )
            setattr(stored, name, score)
    return schemas.Imported(stamp=stamp, added=added, known=len(asked.results) - added)


def _differing(given: Mapping[str, Any], there: Mapping[str, Any]) -> list[tuple[str, float, float | None]]:
    """The scores that are given and not there, or not the same: their name, what is given and what is there."""
    names = [name for name in _SCORES if given[name] is not None and given[name] != there[name]]
    return [(name, given[name], there[name]) for name in names]


def _training(facts: Mapping[str, Any]) -> str:
    return f"Seed {facts['seed']} under {facts['teacher'] or 'no teacher'}"


def rows(session: Session, student: str, dataset: str) -> schemas.ImportedRows:
    """A row for each protocol, method, teacher and number of epochs."""
    found = _rows(repository.find(session, _name(student), dataset))
    return schemas.ImportedRows(student=_name(student), dataset=dataset, rows=found)


def every(session: Session) -> list[schemas.ImportedRows]:
    """The rows of every question that has some."""
    asked = groupby(repository.every(session), key=lambda each: (each.student, each.dataset))
    return [
        schemas.ImportedRows(student=student, dataset=dataset, rows=_rows(list(found)))
        for (student, dataset), found in asked
    ]


def of_job(session: Session, job_id: str) -> schemas.ImportedRows | None:
    """The rows about what a job asks; None without the job, or without rows."""
    job = scheduling.find(session, job_id)
    found = None if job is None else rows(session, job.student, job.dataset)
    return found if found is not None and found.rows else None


def _rows(results: Sequence[ImportedResult]) -> list[schemas.ImportedRow]:
    """Of one student on one data set, protocol by protocol, the best first."""
    by_row: dict[_Place, list[ImportedResult]] = defaultdict(list)
    for result in results:
        by_row[result.stamp, result.method, result.epochs, result.teacher].append(result)
    scores = {place: _score(own) for place, own in by_row.items()}
    alone = {place[:-1]: score for place, score in scores.items() if place[-1] is None}
    ordered = sorted(by_row, key=lambda place: (place[0], -scores[place][1]))
    return [
        _row(by_row[place], scores[place], None if place[-1] is None else alone.get(place[:-1])) for place in ordered
    ]


def remove(session: Session, stamp: str) -> None:
    """Deletes a protocol's results. Raises NotFound."""
    if not repository.remove(session, stamp):
        raise NotFound(f"There are no imported results under protocol {stamp!r}.")


def _row(
    results: Sequence[ImportedResult], score: tuple[str, float], alone: tuple[str, float] | None
) -> schemas.ImportedRow:
    first = results[0]
    # Test is compared with test and validation with validation only.
    gain = score[1] - alone[1] if alone is not None and alone[0] == score[0] else None
    return schemas.ImportedRow(
        stamp=first.stamp, source=first.source, settings=first.settings, method=first.method, teacher=first.teacher,
        epochs=first.epochs, seeds=len({each.seed for each in results}),
        validation=Summary.of([each.validation_score for each in results if each.validation_score is not None]),
        test=Summary.of([each.test_score for each in results if each.test_score is not None]), gain=gain,
    )  # fmt: skip


def _score(results: Sequence[ImportedResult]) -> tuple[str, float]:
    """The kind of score that a row is compared by, and its mean."""
    tests = [each.test_score for each in results if each.test_score is not None]
    if tests:
        return "test", fmean(tests)
    return "validation", fmean(each.validation_score for each in results if each.validation_score is not None)


def _stored_name(model: str, field: str) -> str:
    """`_name`, which may be longer than what was given. Raises Rejected on `field` where it cannot be stored."""
    name = _name(model)
    if len(name) > schemas.LONGEST_MODEL:
        raise Rejected.at(field, f"In the catalogue's words this has more than {schemas.LONGEST_MODEL} characters.")
    return name


def _name(model: str) -> str:
    """The model in the catalogue's words, where it is known there."""
    return join_weights(*canonical(*split_weights(model)))
