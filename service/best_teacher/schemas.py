"""The answer to `GET /best-teacher`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from service.schemas import Wire
from service.selection_jobs.schemas import Interval


class OtherProtocol(Wire):
    """What the newest finished job under another protocol says; not to be ranked with the answer."""

    stamp: str
    recipe: str
    epochs: int
    verdict: Literal["best", "tie", "no_teacher", "undecided"]
    teacher: str | None
    job: str
    page: str
    finished_at: datetime


class BestTeacher(Wire):
    """The newest finished job's verdict for a student on a data set. `stamp`: the protocol it holds under."""

    student: str
    dataset: str
    method: str
    verdict: Literal["best", "tie", "no_teacher", "undecided"]
    teacher: str | None
    tied: list[str]
    sentence: str
    expected_accuracy: Interval | None
    gain: Interval | None
    job: str
    page: str
    finished_at: datetime
    stamp: str
    others: list[OtherProtocol]
