"""What a request would come to, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from service.preflight.service import preflight
from service.problems import Rejected
from tests.contract import job_driver as drive

pytestmark = pytest.mark.usefixtures("store")


def asked(*teachers: str, seeds: int = 2) -> drive.SelectionJobRequest:
    return drive.request(*teachers, seeds=seeds, promote=1, epochs=2, rungs=(1, 2))


def test_nothing_is_known_of_the_time_before_anything_was_timed() -> None:
    found = preflight(asked("cifar/resnet20", "cifar/resnet8w8"))
    assert (found.least_seconds, found.most_seconds) == (None, None)
    assert found.trainings == 6
    assert [each.ready for each in found.teachers] == [False, False]
    assert [(tap.student.channels, tap.teacher.channels) for tap in found.teachers[0].taps] == [(16, 64), (8, 32)]
    assert found.parameters == 5044


def test_what_was_timed_here_is_the_price_and_what_is_stored_costs_nothing() -> None:
    drive.run_to_end(drive.submit(asked("cifar/resnet20")))
    same = preflight(asked("cifar/resnet20"))
    assert same.teachers[0].ready
    assert (same.least_seconds, same.most_seconds) == (0.0, 0.0)
    more = preflight(asked("cifar/resnet20", seeds=4))
    assert more.most_seconds == pytest.approx(8.0), "two more seeds of two arms, two epochs each, at a second an epoch"
    assert not more.rough
    other = preflight(asked("cifar/resnet8w8"))
    assert other.rough, "no training under this teacher was timed"
    assert other.most_seconds == pytest.approx(24.0 + 4.0), "its preparation, and two seeds under it"


def test_what_cannot_work_is_said_as_at_submission() -> None:
    with pytest.raises(Rejected, match=r"teachers\[0\]"):
        preflight(asked("cifar/resnet21"))
