"""`dpk evaluate`: an exported student on the test pictures of a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from client import torch_half
from client.extras import need
from client.options import AsJson, console, write
from client.terminal import say
from service.presentation.numbers import percent


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
    """Measure the test accuracy of an exported student, on this machine and without a server.

    On the data that it was trained on it is the accuracy of its model card.
    """
    need("dpk evaluate", "runner", "torch")
    root: list[str | Path] = [] if data_root is None else ["--data-root", data_root.absolute()]
    found = torch_half.ask("--threads", str(threads), "evaluate", folder.absolute(), dataset, "--device", device, *root)
    if as_json:
        write(json.dumps(found, indent=2) + "\n")
        return
    accuracy, pictures = found["test_score"], found["test_pictures"]
    low, high = found["interval"]
    say(
        console(),
        f"{found['architecture']} on {found['dataset']}: {percent(accuracy)} of {pictures} test pictures "
        f"({percent(low)} to {percent(high)}).",
    )
    if not found["same_data"]:
        say(console(), "These are not the data that it was trained on; their fingerprint is another.")
