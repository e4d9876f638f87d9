"""`dpk evaluate`: an exported student on the test pictures of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from client import torch_half
from client.extras import need
from client.options import AsJson, console, print_document
from client.terminal import say
from dpk_core.tasks import TaskName
from service.presentation.score_words import measured, precision_table


class Evaluated(BaseModel):
    """What `--json` prints. Scores are fractions; `interval` is theirs at 90 %. `same_data`: whether the student was
    trained on these data. `test_loss`: cross-entropy in nats; null for a detector. `test_details`: of a detector,
    average precision by overlap, size and class, with errors."""

    architecture: str
    task: TaskName
    dataset: str
    data_fingerprint: str
    same_data: bool
    test_score: float
    interval: tuple[float, float]
    test_pictures: int
    test_loss: float | None
    test_details: dict[str, float] = {}
    classes: list[str] | None = None


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="What dpk export wrote.")],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set, as `digits` or kind/name.")],
    data_root: Annotated[
        Path | None, typer.Option(envvar="DPK_DATA_ROOT", file_okay=False, help="The folder of data sets.")
    ] = None,
    device: Annotated[str, typer.Option(envvar="DPK_DEVICE", help="auto, cpu or cuda:0.")] = "auto",
    threads: Annotated[
        int,
        typer.Option(envvar="DPK_THREADS", min=1, help="CPU threads; default: 1, as a worker has."),
    ] = 1,
    detections: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the boxes that a detector finds, as COCO's evaluators read them."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure an exported student on the test pictures: its accuracy, or a detector's average precision.

    It runs on this machine, without a server. On the data of its training it is its model card's score.

    For example: dpk evaluate my-student --dataset digits
    """
    need("dpk evaluate", "runner", "torch")
    options: list[str | Path] = [] if data_root is None else ["--data-root", data_root.absolute()]
    options += [] if detections is None else ["--detections", detections.absolute()]
    answer = torch_half.ask(
        "--threads", str(threads), "evaluate", folder.absolute(), dataset, "--device", device, *options
    )
    found = Evaluated.model_validate(answer)
    if as_json:
        print_document(found)
        return
    details = found.test_details
    score = measured(found.task, found.test_score, found.test_pictures, details.get("error_ap"))
    say(console(), f"{found.architecture} on {found.dataset}: {score.replace(' pictures', ' test pictures')}.")
    if details:
        rows = precision_table(found.test_score, details, found.classes)
        say(console(), "; ".join(f"{name.partition(',')[0]} {value}" for name, value, _ in [*rows][1:]) + ".")
    if not found.same_data:
        say(console(), "These are not the data that it was trained on; their fingerprint is another.")
