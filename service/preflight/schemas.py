"""The answer to `POST /preflight`."""

from __future__ import annotations

from pydantic import Field

from service.schemas import Wire
from service.wire.jobs import Detectors, TappedStage


class PreflightTeacher(Wire):
    """A teacher as the job would use it."""

    label: str
    parameters: int | None = Field(description="Without those of the head; null: not known.")
    taps: list[TappedStage] = Field(description="The maps that are compared; none under methods of logits alone.")
    epochs: int = Field(description="Of its preparation.")
    ready: bool = Field(description="Whether the store holds it prepared in just this way, which costs nothing.")


class Preflight(Wire):
    """What the job would come to. Device seconds are estimated from trainings that this server has timed."""

    student: str
    parameters: int | None
    teachers: list[PreflightTeacher]
    channels: int
    side: int = Field(description="Of a picture, in pixels, as the student sees it.")
    detectors: Detectors | None = Field(
        default=None, description="Of a job of detection: the canvas, the levels that are compared, parameters."
    )
    train_pictures: int
    epochs: int
    rungs: list[int]
    batch_size: int
    trainings: int = Field(description="Of students, at most: every arm on every seed.")
    least_seconds: float | None = Field(
        description="Device seconds where all is clear early: teachers, a first look at each, and the full trainings "
        "that a verdict takes. Null where nothing like it was timed here yet."
    )
    most_seconds: float | None = Field(description="Device seconds where every teacher is trained fully.")
    slots: int = Field(description="Trainings that the workers carry out at once now.")
    rough: bool = Field(description="Whether a part was estimated from other models' trainings.")
    notes: list[str] = Field(description="About the data and how the recipe was fitted.")
