"""The answer to `GET /best-teacher`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from dpk_core.selection.decide.facts import VerdictKind
from dpk_core.tasks import Metric
from service.schemas import Wire
from service.wire.boards import Interval
from service.wire.jobs import Job, SelectionJobRequest


class OtherAnswer(Wire):
    """Another finished job that asked this question. `differs`: in what it differs from the one that answers."""

    stamp: str
    same_protocol: bool = Field(description="Only answers of the same protocol may be ranked together.")
    differs: list[str]
    recipe: str
    epochs: int
    seeds: int
    teachers: int = Field(description="Teachers under which a student was trained.")
    verdict: VerdictKind
    teacher: str | None
    job: str
    page: str
    finished_at: datetime


class RunningJob(Wire):
    """A job that asks this question and has not ended."""

    job: str
    page: str
    state: Literal["queued", "running"]


class DataThenAndNow(Wire):
    """The data set's fingerprint when the job was made and at present."""

    then: str
    now: str | None = Field(description="None where the data set cannot be read.")
    reason: str | None = Field(description="Why the data set cannot be read now.")


class BestTeacher(Wire):
    """What is known about the best teacher for a student on a data set: one finished job's verdict.

    `chance` to `expected_loss` are those of `teacher`; where the verdict is undecided, of the teacher that its sentence
    names first; None where the verdict is that no teacher helps. Scores and differences are fractions.
    """

    student: str
    dataset: str
    method: str
    metric: Metric = Field(description="Of scores and differences.")
    verdict: VerdictKind
    teacher: str | None
    tied: list[str]
    sentence: str = Field(description="The verdict for people, with its cautions; says it where the answer is stale.")
    cautions: list[str] = Field(default=[], description="Why the verdict may not mean what it seems to.")
    stale: bool = Field(description="Whether data, weights or training code changed since, so that it may not hold.")
    stale_because: list[str]
    chance: float | None = Field(description="That no teacher is better.")
    chance_within_margin: float | None = Field(description="That no teacher is better by more than the margin.")
    margin: float | None
    expected_loss: float | None = Field(description="Score that taking this teacher is expected to lose.")
    expected_score: Interval | None
    gain: Interval | None = Field(description="Full score over the student without a teacher.")
    seeds: int = Field(description="Of full trainings, the most under one teacher.")
    epochs: int = Field(description="Of a full training.")
    candidates: int = Field(description="Teachers that were asked about.")
    teachers_tried: int = Field(description="Those of them under which a student was trained.")
    teachers_trained: int = Field(description="Those of them under which a student was trained fully.")
    data: DataThenAndNow
    job: str
    page: str
    finished_at: datetime
    age_seconds: float = Field(description="Since `finished_at`, in whole minutes.")
    stamp: str = Field(description="The protocol it holds under.")
    running: RunningJob | None = Field(description="The newest job under way that asks this question on today's data.")
    others: list[OtherAnswer] = Field(
        description="Other finished jobs, at most 50: those of this protocol, and the first of each other one."
    )


class BestTeacherRequest(SelectionJobRequest):
    """A question, and how old its answer may be."""

    max_age_seconds: float | None = Field(
        default=None, ge=0, description="A job is started where the answer is older; default: it may have any age."
    )


class AskedBestTeacher(Wire):
    """What is known, and the job that is to say more. `answer`: under the request's protocol, None where none is."""

    answer: BestTeacher | None
    holds: bool = Field(description="Whether the answer is decided, fresh, young enough and about all of the teachers.")
    because: str = Field(description="Why a job is needed, or that none is, as a sentence.")
    job: Job | None = Field(description="The job that is to answer, or that could not decide; None where one `holds`.")
    stamp: str = Field(description="The request's protocol: for `GET /best-teacher`.")
