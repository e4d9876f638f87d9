"""The answers to `GET /datasets` and `GET /datasets/{name}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel

from dpk_core.catalogue.finding import Level
from dpk_core.catalogue.reading import Background, Fit
from dpk_core.detection_settings import Canvas
from service.schemas import Wire


class DatasetLinks(Wire):
    """Where to go from a data set. Each is to be put behind the server's address, the path of that included."""

    self: str
    page: str


class DatasetEntry(Wire):
    """A data set by name; it is not looked into before it is asked for."""

    name: str
    links: DatasetLinks


class UnusedEntry(Wire):
    """What lies under the data root and is no data set."""

    name: str
    reason: str


class DatasetList(Wire):
    """Every data set that can be asked for, and what else lies under the data root."""

    datasets: list[DatasetEntry]
    unused: list[UnusedEntry] = Field(description="At most 50.")


class ClassPictures(Wire):
    """Pictures of one class in each split."""

    name: str
    train: int
    validation: int
    test: int


class LeftOut(Wire):
    """Files that are not read, for one reason."""

    what: str = Field(description="Their ending, `hidden`, `hidden picture` or `no label`.")
    count: int
    example: str


class Survey(Wire):
    """What the headers of the pictures that were looked at say. Sizes are width and height in pixels, upright."""

    pictures: int = Field(description="That were looked at: all, or a sample of large data.")
    grey: int
    deep: int = Field(description="Grey with 16 bits; the upper 8 are read.")
    turned: int = Field(description="Turned by an EXIF mark; they are read upright.")
    transparent: int
    oblong: int = Field(description="Longer than 4:3.")
    most_oblong: float = Field(description="The largest ratio of longer to shorter edge.")
    far_larger: int = Field(description="More than 4 times as long as nearly all others.")
    longer_edge: int = Field(description="Nearly all pictures have none that is longer.")
    shorter_edge: int
    smallest: list[int]
    usual_size: list[int]
    usual: int = Field(description="Pictures of the usual size.")
    largest: list[int]
    largest_name: str


class Copies(Wire):
    """Pictures with the same content, among those that were compared."""

    validation_pictures: int
    validation: int = Field(description="Validation pictures that are copies of training pictures.")
    test_pictures: int
    test: int = Field(description="Test pictures that are copies of training or validation pictures.")
    train: int | None = Field(description="Training pictures that are there more than once.")
    two_classes: int | None = Field(description="Pictures whose content also lies under another class.")
    example: list[str]


class Finding(Wire):
    """One thing to know. `refusal`: no job trains on this data set."""

    code: str
    level: Level
    message: str


class Sample(Wire):
    """A training picture as networks see it; `picture` is a data URI, None where it cannot be decoded."""

    name: str
    label: str
    picture: str | None


class Dataset(Wire):
    """What is known of a data set of classes: facts, what they mean (`findings`, the worst first), and a few
    pictures."""

    task: Literal["classification"] = "classification"
    version: int = Field(description="Of the meaning of these facts.")
    name: str
    fingerprint: str = Field(description="Identity of its content and of how it is split and read.")
    default_recipe: str
    channels: int
    side: int = Field(description="Working size in pixels.")
    fit: Fit = Field(description="Whether the whole picture is fitted in, or it is cut to its middle.")
    background: Background = Field(description="What transparent parts are read as.")
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    held_out: list[Literal["validation", "test"]] = Field(
        description="Splits that are held out of the training pictures on disk."
    )
    classes: list[ClassPictures]
    most_frequent: str = Field(description="The class with the most validation pictures.")
    base_rate: float = Field(description="Validation accuracy of always naming it.")
    smallest: str = Field(description="The class with the fewest training pictures.")
    left_out: list[LeftOut]
    survey: Survey | None
    copies: Copies | None = Field(description="None where pictures were not compared.")
    findings: list[Finding]
    refused: bool = Field(description="Whether one of the findings is a refusal.")
    samples: list[Sample]
    links: DatasetLinks


class BoxFault(Wire):
    """Annotations, pictures or categories of one kind of fault: `count` of `of` in a split; the first one by name."""

    kind: str
    level: Level
    split: str = Field(description="Empty where it concerns all.")
    count: int
    of: int
    picture: str
    annotation: str
    example: str


class Boxes(Wire):
    """Boxes of one class, or of one size, in each split."""

    name: str
    train: int
    validation: int
    test: int


class TrueBox(Wire):
    """A box as annotated. `corners`: left, top, right, bottom as parts of width and height."""

    corners: list[float]
    label: str
    score: None = None


class BoxSample(Wire):
    """A training picture with its boxes; `picture` is a data URI, null where it cannot be decoded."""

    name: str
    width: int
    height: int
    picture: str | None
    truth: list[TrueBox]


class BoxDataset(Wire):
    """What is known of a data set of boxes: facts, faults by kind, what they mean (`findings`), and a few pictures."""

    task: Literal["detection"] = "detection"
    name: str
    fingerprint: str
    default_recipe: str
    canvas: Canvas = Field(description="That pictures are fitted into under the default recipe, in pixels.")
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    held_out: list[Literal["train", "validation", "test"]] = Field(
        description="Splits that are not on disk and come out of another."
    )
    usual_size: list[int] = Field(description="Height and width in pixels that most pictures have.")
    classes: list[Boxes]
    sizes: list[Boxes] = Field(description="Small below 32 x 32 px of the picture, large from 96 x 96 px on.")
    faults: list[BoxFault]
    findings: list[Finding]
    refused: bool = Field(description="Whether one of the findings is a refusal.")
    samples: list[BoxSample]
    links: DatasetLinks


class AnyDataset(RootModel[Annotated[Dataset | BoxDataset, Field(discriminator="task")]]):
    """A data set of either kind."""
