"""Results obtained elsewhere, on the wire. Scores are fractions in 0 … 1."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from service.schemas import Wire, WireRequest
from service.wire.boards import Summary

GREATEST = 2**31 - 1
"""What an integer column of Postgres holds."""
LONGEST_MODEL = 400
"""Characters of a model with its weights."""


class ImportedScore(WireRequest):
    """One training."""

    teacher: str | None = Field(default=None, max_length=LONGEST_MODEL, description="None: without a teacher.")
    seed: int = Field(default=0, ge=0, le=GREATEST)
    epochs: int | None = Field(default=None, ge=1, le=GREATEST)
    validation_score: float | None = Field(default=None, ge=0, le=1)
    test_score: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _has_a_score(self) -> Self:
        if self.validation_score is None and self.test_score is None:
            raise PydanticCustomError("no_score", "Give validation_score or test_score")
        return self


class ImportRequest(WireRequest):
    """Trainings of one student on one data set under one protocol."""

    student: str = Field(max_length=LONGEST_MODEL, examples=["cifar/resnet8w4"])
    dataset: str = Field(max_length=200, examples=["digits"])
    method: str = Field(min_length=1, max_length=40, examples=["kd"], description="Also one that is not among ours.")
    source: str = Field(
        min_length=1, max_length=400, examples=["arXiv 2206.06067, table 3"],
        description="Who measured it and where; a part of the protocol.",
    )  # fmt: skip
    settings: dict[str, Any] = Field(
        default={}, description="What the trainings depend on, as far as it is known; a part of the protocol."
    )
    results: list[ImportedScore] = Field(min_length=1, max_length=1000, fail_fast=True)


class Imported(Wire):
    """What an import did. `known`: results that were there already."""

    stamp: str
    added: int
    known: int


class ImportedRow(Wire):
    """A teacher under a protocol of its own; `teacher` None is the student without one, `epochs` None: not known."""

    stamp: str
    source: str
    settings: dict[str, Any]
    method: str
    teacher: str | None
    epochs: int | None
    seeds: int
    validation: Summary | None
    test: Summary | None
    gain: float | None = Field(
        description="Mean test score, or where there is none validation score, over that without a teacher of the same "
        "protocol, method and epochs."
    )


class ImportedRows(Wire):
    """Rows by protocol, the best first. Rows with different stamps must not be ranked together, nor with jobs' rows."""

    student: str
    dataset: str
    rows: list[ImportedRow]
