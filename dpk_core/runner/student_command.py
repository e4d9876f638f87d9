"""What `dpk evaluate` and `dpk export --format` do with a folder, in a process that has torch.

    python -m dpk_core.runner.student_command [--threads 1] evaluate DIR NAME [--data-root DIR] [--device auto]
    python -m dpk_core.runner.student_command [--threads 1] convert DIR FORMAT…

The last line on standard output is JSON: `{"refused": sentence}`, or what was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data.source import load_dataset
from dpk_core.errors import DataFault, DpkError, InvalidRequest
from dpk_core.runner.exporters import EXPORTERS
from dpk_core.runner.student_folder import read_student
from dpk_core.selection.statistics import wilson
from dpk_core.training.evaluate import EVALUATORS


def evaluated(folder: Path, dataset: str, data_root: Path | None, device: torch.device) -> dict[str, Any]:
    """The folder's student on the test pictures of a data set, as a full training evaluates it at its end.

    Raises InvalidRequest for a data set that is not there, DataFault for one that the student does not fit.
    """
    student = read_student(folder)
    card = dataset_card(dataset, data_root, "dataset")
    takes, has = (student.channels, student.side, student.classes), (card.channels, card.side, card.classes)
    if takes != has:
        raise DataFault(f"{card.name} has {_shape(*has)}; the student of {folder} is for {_shape(*takes)}.")
    data = load_dataset(card, data_root, device)
    mean, std = (torch.tensor(each, device=device) for each in (student.mean, student.deviation))
    data = replace(data, mean=mean, std=std)
    found = EVALUATORS["classification"].evaluate(student.model.to(device), data, data.read_test())
    around = wilson(found.score * len(found.evidence_N), len(found.evidence_N))
    return {
        "architecture": student.architecture, "dataset": card.name, "data_fingerprint": card.fingerprint,
        "same_data": card.fingerprint == student.fingerprint, "test_score": found.score,
        "interval": [around.low, around.high], "test_pictures": len(found.evidence_N), "test_loss": found.loss,
    }  # fmt: skip


def converted(folder: Path, formats: Sequence[str]) -> dict[str, Any]:
    """Writes `model.FORMAT` for each format into the folder. Raises DataFault where one is not possible."""
    student = read_student(folder)
    files = [folder / f"model.{name}" for name in formats]
    for name, file in zip(formats, files, strict=True):
        EXPORTERS[name](student, file)
    return {"files": [file.name for file in files]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out one command and prints its answer."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(asked.threads)
    try:
        if asked.command == "convert":
            answer = converted(asked.folder, asked.formats)
        else:
            answer = evaluated(asked.folder, asked.dataset, asked.data_root, _device(asked.device))
    except DpkError as error:
        answer = {"refused": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _device(wanted: str) -> torch.device:
    try:
        device = torch.device(("cuda:0" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted)
        torch.empty(1, device=device)
    # A build of torch without CUDA, one without the device, and a kind that it does not know refuse in different ways.
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InvalidRequest("device", f"This machine has no device {wanted!r}; take auto, cpu or cuda:0.") from None
    return device


def _shape(channels: int, side: int, classes: int) -> str:
    return f"{side}x{side} pictures of {channels} channel{'' if channels == 1 else 's'} in {classes} classes"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dpk_core.runner.student_command")
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)
    evaluating = commands.add_parser("evaluate")
    evaluating.add_argument("folder", type=Path)
    evaluating.add_argument("dataset")
    evaluating.add_argument("--data-root", type=Path)
    evaluating.add_argument("--device", default="auto")
    converting = commands.add_parser("convert")
    converting.add_argument("folder", type=Path)
    converting.add_argument("formats", nargs="+", choices=sorted(EXPORTERS))
    return parser


if __name__ == "__main__":
    main()
