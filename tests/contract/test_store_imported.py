"""Results from elsewhere keep a protocol of their own, on SQLite and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from service.database.session import reading, transaction
from service.imported_results import service
from service.imported_results.schemas import Imported, ImportedRows, ImportRequest
from service.problems import NotFound

pytestmark = pytest.mark.usefixtures("store")
SCORES: list[dict[str, Any]] = [
    {"teacher": "cifar/resnet20", "seed": 0, "test_score": 0.94},
    {"teacher": "cifar/resnet20", "seed": 1, "test_score": 0.96},
    {"seed": 0, "test_score": 0.93},
]


def add(source: str = "here", results: list[dict[str, Any]] = SCORES, **settings: Any) -> Imported:
    asked = {"student": "cifar/resnet8w4", "dataset": "digits", "method": "kd", "source": source}
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
