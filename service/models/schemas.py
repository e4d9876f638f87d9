"""Models on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dpk_core.tasks import TaskName
from service.schemas import Wire

Source = Literal["cifar", "timm", "torchvision", "detection", "plugin", "own"]
"""The families: three libraries, detectors, installed plug-ins and uploads."""


class ModelTap(Wire):
    """A feature map that methods may compare."""

    module: str
    channels: int
    stride: int


class PictureSizes(Wire):
    """Which square pictures are taken: of exactly side `only`, else of every multiple of `step` from `least` up."""

    least: int
    step: int
    only: int | None


class ModelView(Wire):
    """What is known of a model without building it."""

    name: str
    source: Source
    task: TaskName = Field(description="Whether it tells classes or finds boxes.")
    parameters: int | None = Field(
        description="Without those of the head, which follow the classes; of a detector under recipe "
        "`detection_small`, with the heads for one class; null: not known."
    )
    taps: list[ModelTap] = Field(description="From shallow to deep.")
    obstacle: str | None = Field(description="Why there are no feature maps, or why it cannot be used.")
    pictures: PictureSizes
    channels: int | None = Field(description="Null: it is built for the channels of the data.")
    classes: int | None = Field(description="Null: it is built for the classes of the data.")
    weights: list[str] = Field(description="What may follow the name after an @.")
    sha256: str | None = Field(description="Of the uploaded file, or of a plug-in's code.")
    notes: list[str] = Field(default=[], description="What an upload was changed in, one sentence each.")


class ModelList(Wire):
    """A page of the catalogue, by name."""

    models: list[ModelView]
    count: int = Field(description="Of all models that match.")
    next_after: str | None = Field(description="Ask for `after` this to go on; null: there are no more.")
