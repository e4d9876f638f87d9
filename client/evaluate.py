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
from service.presentation.numbers import percent


class Evaluated(BaseModel):
    """What `--json` prints. Scores are fractions; `interval`: Wilson's. `same_data`: whether the student was trained on
    these data."""

    architecture: str
    dataset: str
    data_fingerprint: str
    same_data: bool
    test_score: float
    interval: tuple[float, float]
    test_pictures: int
    test_loss: float


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
    as_json: AsJson = False,
) -> None:
    """Measure an exported student's test accuracy.

    It runs on this machine, without a server. On the data of its training it is its model card's accuracy.

    For example: dpk evaluate my-student --dataset digits
    """
    need("dpk evaluate", "runner", "torch")
    root: list[str | Path] = [] if data_root is None else ["--data-root", data_root.absolute()]
    options = ("--threads", str(threads))
    answer = torch_half.ask(*options, "evaluate", folder.absolute(), dataset, "--device", device, *root)
    found = Evaluated.model_validate(answer)
    if as_json:
        print_document(found)
        return
    low, high = found.interval
    say(
        console(),
        f"{found.architecture} on {found.dataset}: {percent(found.test_score)} of {found.test_pictures} test pictures "
        f"({percent(low)} to {percent(high)}).",
    )
    if not found.same_data:
        say(console(), "These are not the data that it was trained on; their fingerprint is another.")
