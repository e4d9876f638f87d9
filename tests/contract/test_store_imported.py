"""Results from elsewhere keep a protocol of their own, on SQLite and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from service.database.session import reading, transaction
from service.imported_results import service
from service.imported_results.schemas import Imported, ImportedRows, ImportRequest
from service.problems import Conflict, NotFound, Rejected

pytestmark = pytest.mark.usefixtures("store")
SCORES: list[dict[str, Any]] = [
    {"teacher": "cifar/resnet20", "seed": 0, "test_score": 0.94},
    {"teacher": "cifar/resnet20", "seed": 1, "test_score": 0.96},
    {"seed": 0, "test_score": 0.93},
]


def add(source: str = "here", results: list[dict[str, Any]] = SCORES, method: str = "kd", **settings: Any) -> Imported:
    asked = {"student": "cifar/resnet8w4", "dataset": "digits", "method": method, "source": source}
    with transaction() as session:
        return service.add(session, ImportRequest.model_validate({**asked, "settings": settings, "results": results}))


def rows() -> ImportedRows:
    with reading() as session:
        return service.rows(session, "cifar/resnet8w4", "digits")


def test_a_row_for_each_teacher_with_its_gain_under_the_same_protocol() -> None:
    first = add(epochs=240)
    assert (first.added, first.known) == (3, 0)
    again = add(epochs=240)
    assert (again.stamp, again.added, again.known) == (first.stamp, 0, 3)
    best, alone = rows().rows
    assert (best.teacher, best.seeds, alone.teacher) == ("cifar/resnet20", 2, None)
    assert best.test is not None
    assert best.test.mean == pytest.approx(0.95)
    assert best.gain == pytest.approx(0.02)
    assert alone.gain is None


def test_other_sources_and_settings_are_other_protocols() -> None:
    stamps = {add().stamp, add("there").stamp, add(epochs=240).stamp, add(epochs=120).stamp}
    assert len(stamps) == 4
    assert {row.stamp for row in rows().rows} == stamps
    with transaction() as session:
        service.remove(session, min(stamps))
        with pytest.raises(NotFound):
            service.remove(session, min(stamps))
    assert len({row.stamp for row in rows().rows}) == 3


def test_validation_is_not_compared_with_test() -> None:
    add(results=[{"teacher": "cifar/resnet20", "validation_score": 0.9}, {"test_score": 0.8}])
    assert [row.gain for row in rows().rows] == [None, None]


def test_a_gain_is_over_the_same_method_without_a_teacher() -> None:
    for method, alone, taught in (("dpk", 0.95, 0.96), ("kd", 0.80, 0.94)):
        add(method=method, results=[{"test_score": alone}, {"teacher": "cifar/resnet20", "test_score": taught}])
    gains = {row.method: row.gain for row in rows().rows if row.teacher is not None}
    assert gains == {"dpk": pytest.approx(0.01), "kd": pytest.approx(0.14)}


def test_another_score_of_a_training_is_refused_until_its_protocol_is_removed() -> None:
    wrong, right = ([{"teacher": "cifar/resnet20", "seed": 0, "test_score": score}] for score in (0.9, 0.1))
    stamp = add(results=wrong).stamp
    with pytest.raises(Conflict, match=rf"Seed 0 under cifar/resnet20 .* test_score 0\.9, not 0\.1\. .* {stamp} first"):
        add(results=right)
    assert [row.test.mean for row in rows().rows if row.test is not None] == [0.9]
    with transaction() as session:
        service.remove(session, stamp)
    assert add(results=right).added == 1


def test_two_scores_of_a_training_in_one_request_are_an_error_of_the_request() -> None:
    twice = [{"seed": 0, "test_score": 0.9}, {"seed": 1, "test_score": 0.8}, {"seed": 0, "test_score": 0.1}]
    with pytest.raises(
        Rejected, match=r"^results\[2\]\.test_score: Seed 0 under no teacher is given twice, with 0\.9 and"
    ):
        add(results=twice)
    assert rows().rows == []


def test_a_score_that_was_missing_is_filled_in() -> None:
    teacher = {"teacher": "cifar/resnet20", "seed": 0}
    validation, test = {**teacher, "validation_score": 0.9}, {**teacher, "test_score": 0.8}
    add(results=[validation])
    again = add(results=[test])
    assert (again.added, again.known) == (0, 1)
    stamps = {again.stamp, add("there", results=[validation, test]).stamp}
    found = rows().rows
    assert {row.stamp for row in found} == stamps
    for row in found:
        assert row.validation is not None
        assert row.test is not None
        assert (row.validation.mean, row.test.mean, row.seeds) == (0.9, 0.8, 1)
    with pytest.raises(Conflict, match=r"test_score 0\.8, not 0\.7\."):
        add(results=[{**validation, "test_score": 0.7}])


def test_trainings_of_other_lengths_are_rows_of_their_own() -> None:
    add(results=[
        {"teacher": teacher, "epochs": epochs, "test_score": score}
        for teacher, epochs, score in (("a/t", 12, 0.8), ("a/t", 240, 0.95), (None, 12, 0.7), (None, 240, 0.9))
    ])  # fmt: skip
    found = {(row.teacher, row.epochs): (row.seeds, row.gain) for row in rows().rows}
    assert found == {
        ("a/t", 12): (1, pytest.approx(0.1)), ("a/t", 240): (1, pytest.approx(0.05)),
        (None, 12): (1, None), (None, 240): (1, None),
    }  # fmt: skip
