"""One DPK step with every kind of vision model, as student and as teacher: does it work, and if not, why?

    python -m benchmarks.sweep_models [--family timm|torchvision] [--limit N]

The targets are the smallest member of each of timm's families (its modules; timm's own miniature test models left out)
and every torchvision classifier. Each is joined with a small CIFAR ResNet under the probe profile, on random pictures
of the smallest side on which pre-flight lets both be tapped. A row works when the loss is finite, the student has a
finite, non-zero gradient, and the teacher has none. Rows are written one by one; what is there is not measured again.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import platform
import time
import warnings
from pathlib import Path
from typing import Any, Literal

import timm
import torch
import torchvision

from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.tapping import tapped_stages
from dpk_core.distill.build import build_method
from dpk_core.distill.method import Method, StepContext
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model, parameter_count
from dpk_core.spec import MethodSpec

RESULT = Path(__file__).parent / "results" / "sweep.json"
PARTNER = "cifar/resnet8"
METHOD = MethodSpec(name="dpk", profile="probe")
CLASSES = 10
PICTURES = 8
SIDES = (32, 64, 96, 112, 128, 144, 160, 192, 224, 240, 256, 288, 299, 320, 384, 448, 512)

Role = Literal["student", "teacher"]
ROLES: tuple[Role, ...] = ("student", "teacher")
LIBRARIES = ("timm", "torchvision")


def targets(library: str) -> list[str]:
    """Names of the models of a library to try."""
    if library == "torchvision":
        return [f"torchvision/{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    smallest = []
    for module in timm.list_modules():
        members = [f"timm/{name}" for name in timm.list_models(module=module) if not name.startswith("test_")]
        if members:
            smallest.append(min(members, key=_parameters))
    return smallest


def smallest_side(name: str) -> int:
    """The smallest picture side on which pre-flight lets the model be tapped.

    Raises InvalidRequest, with pre-flight's reason for pictures of the last side, where there is none.
    """
    card, partner = model_card(name, "model"), model_card(PARTNER, "student")
    sides = SIDES if card.sides.only is None else (card.sides.only,)
    for side in sides[:-1]:
        try:
            tapped_stages(METHOD, partner, card, side, "model")
        except InvalidRequest:
            continue
        return side
    tapped_stages(METHOD, partner, card, sides[-1], "model")
    return sides[-1]


def attempt(name: str, role: Role) -> dict[str, Any]:
    """One row: whether one step works, and the reason where it does not."""
    began = time.perf_counter()
    row: dict[str, Any] = {"name": name, "role": role, "side": None, "works": False, "reason": None}
    try:
        row["side"] = smallest_side(name)
        row["reason"] = _step(name, role, row["side"])
    except InvalidRequest as refused:
        row["reason"] = f"pre-flight: {refused.message}"
    except Exception as error:  # whatever a library's model raises, the sweep goes on and the table says so
        row["reason"] = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    row["works"] = row["reason"] is None
    row["seconds"] = round(time.perf_counter() - began, 2)
    return row


def _step(name: str, role: Role, side: int) -> str | None:
    """One step forward and backward; what is wrong with it, or None."""
    other: Role = "teacher" if role == "student" else "student"
    names = {role: name, other: PARTNER}
    models = {
        part: build_model(names[part], classes=CLASSES, channels=3, seed=seed, side=side)
        for seed, part in enumerate(ROLES)
    }
    method = build_method(
        METHOD, student=models["student"], student_name=names["student"],
        teacher=models["teacher"], teacher_name=names["teacher"], picture_shape=(3, side, side), seed=0,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    pictures_BCHW = torch.randn(PICTURES, 3, side, side, generator=generator)
    labels_B = torch.randint(CLASSES, (PICTURES,), generator=generator)
    outcome = method(pictures_BCHW, labels_B, StepContext(seed=0, step=0))
    if not torch.isfinite(outcome.loss):
        return f"the loss is {outcome.loss.item()}"
    outcome.loss.backward()
    return _wrong_gradient(method)


def _wrong_gradient(method: Method) -> str | None:
    assert method.teacher is not None
    if any(parameter.grad is not None for parameter in method.teacher.parameters()):
        return "the teacher has a gradient"
    gradients = [parameter.grad for parameter in method.student.parameters() if parameter.grad is not None]
    if not all(torch.isfinite(gradient).all() for gradient in gradients):
        return "the student's gradient is not finite"
    if not any(gradient.any() for gradient in gradients):
        return "the student has no gradient"
    return None


def _parameters(name: str) -> int:
    try:
        with torch.device("meta"):
            return parameter_count(build_model(name, classes=CLASSES, channels=3, seed=0))
    except (NotImplementedError, RuntimeError):  # a constructor that computes with tensor values
        return parameter_count(build_model(name, classes=CLASSES, channels=3, seed=0))


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}


def _write(rows: list[dict[str, Any]], wanted: list[str]) -> None:
    result = {
        "command": "python -m benchmarks.sweep_models",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, CPU only, {torch.get_num_threads()} thread(s)",
        "versions": _versions(),
        "partner": PARTNER,
        "batch": PICTURES,
        "seeds": [0],
        "models": wanted,
        "targets": [target for role in ROLES for target in _targets_met(rows, role, len(wanted))],
        "works": {role: sum(row["works"] for row in rows if row["role"] == role) for role in ROLES},
        "measured": {role: sum(row["role"] == role for row in rows) for role in ROLES},
        "rows": rows,
    }
    partial = RESULT.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1) + "\n")
    partial.replace(RESULT)


def _targets_met(rows: list[dict[str, Any]], role: Role, models: int) -> list[dict[str, Any]]:
    """Every model is tried, and what does not work is refused by pre-flight, before any compute is spent."""
    mine = [row for row in rows if row["role"] == role]
    late = [row for row in mine if not row["works"] and not str(row["reason"]).startswith("pre-flight: ")]
    return [
        {
            "name": f"tried as {role}",
            "value": len(mine),
            "target": models,
            "unit": "models",
            "met": len(mine) == models,
        },
        {"name": f"fails unforeseen as {role}", "value": len(late), "target": 0, "unit": "models", "met": not late},
    ]


def _earlier() -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and models of a result by the same versions."""
    if not RESULT.exists():
        return [], []
    result = json.loads(RESULT.read_text())
    return (result["rows"], result["models"]) if result["versions"] == _versions() else ([], [])


def main() -> None:
    """Tries what has not been tried and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=LIBRARIES, help="only this library")
    parser.add_argument("--limit", type=int, help="stop after so many models")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecations inside the libraries' own models
    logging.disable(logging.WARNING)
    rows, earlier = _earlier()
    chosen = []
    for library in LIBRARIES if options.family is None else (options.family,):
        chosen += [name for name in earlier if name.startswith(f"{library}/")] or targets(library)
    done = {(row["name"], row["role"]) for row in rows}
    for name in chosen[: options.limit]:
        for role in ROLES:
            if (name, role) not in done:
                rows.append(attempt(name, role))
                _write(rows, sorted({*earlier, *chosen}))
                print(_line(rows[-1]), flush=True)
                gc.collect()


def _line(row: dict[str, Any]) -> str:
    return f"{row['name']:44} {row['role']:8} {row['seconds']:7.2f} s  {row['reason'] or 'works'}"


if __name__ == "__main__":
    main()
