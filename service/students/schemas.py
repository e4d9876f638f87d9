"""A trained student on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dpk_core.tasks import TaskName
from service.schemas import Wire


class WeightsFile(Wire):
    """A safetensors file; `path` is to be put behind the server's address."""

    path: str
    sha256: str
    bytes: int


class Student(Wire):
    """A fully trained student of a finished job, with everything to use it and to say where it comes from."""

    job: str
    model: str
    teacher: str | None
    seed: int
    chosen: str = Field(description="Why this teacher and this seed, as a sentence.")
    seeds: list[int] = Field(description="Those of the full trainings under this teacher.")
    validation_score: float
    test_score: float | None
    task: TaskName = Field(default="classification", description="What it does, and so what its scores are.")
    test_details: dict[str, float] | None = Field(
        default=None,
        description="Of a detector, its average precision on the test pictures at overlaps .50 and .75, by size and by "
        "class, and standard errors over pictures.",
    )
    weights: WeightsFile
    program: WeightsFile | None = Field(
        default=None, description="Of an uploaded network, the checked program that it is built from, as safetensors."
    )
    config: dict[str, Any] = Field(description="config.json: architecture, classes and preprocessing.")
    card: str = Field(description="README.md: the model card.")
    device: str = Field(description="What it was trained on.")
    versions: dict[str, str] = Field(
        description="Of Python and the packages that trained it; empty where not recorded."
    )
    request: dict[str, Any] = Field(description="The request that repeats the job.")
