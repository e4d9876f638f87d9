"""Is a teacher of any use to a small detector, and which way of teaching? Full trainings on a small detection data set.

    DPK_DATA_ROOT=… python -m benchmarks.detection [--dataset NAME] [--processes N] [--report]

A Faster R-CNN on MobileNetV3-small under recipe `detection_small`, alone, with inherited neck and heads, and under
feature MSE, FGD and DPK, each from three teachers that differ, on three seeds. Every training is kept when it is over,
at the end in `results/detection_trials.jsonl`, so the benchmark goes on where it was stopped, on any machine (1 to 1.5
hours of two cores on BCCD, 364 pictures).

- *Equal epochs*: test AP of each arm less that of the student alone, with the interval of the product's verdict.
- *Equal seconds*: the student alone is also trained for 1.5 and 2 times the epochs; its mean AP at an arm's CPU seconds
  is interpolated between these lengths, and no more than a difference of means.

What it cannot resolve: on some hundred pictures three seeds leave about ± 1.5 points, so neighbouring methods, and
teachers under one method, are not distinguishable.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from benchmarks import record, subsets
from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card
from dpk_core.data.source import load_dataset
from dpk_core.detection_settings import DetectionSettings
from dpk_core.recipes import recipe
from dpk_core.selection.belief.crossed import difference, final_scores
from dpk_core.spec import DetectionMethodName, MethodSpec, RunSpec, TeacherReference, TrainingSpec
from dpk_core.training.detectors import detector_of
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import Unobserved, train
from dpk_core.training.training import begin, make_deterministic

COMMAND = "python -m benchmarks.detection"
FOLDER = subsets.WORK / "detection"
KEPT = record.RESULTS / "detection_trials.jsonl"
STUDENT = "detection/fasterrcnn_mobilenet_v3_small"
EPOCHS, SEEDS = 15, 3
LONGER = (15, 22, 30)
"""Epochs of the student alone; the first are those of every arm."""
LEAST_AP = 40.0
TEACHERS = {
    "V3-large": ("detection/fasterrcnn_mobilenet_v3_large", 12, 12),
    "ResNet-18": ("detection/fasterrcnn_resnet18", 18, 18),
    "ResNet-18, stopped early": ("detection/fasterrcnn_resnet18", 18, 6),
}
"""Model, epochs of the recipe, and the epoch that the training ends with."""
METHODS: tuple[DetectionMethodName, ...] = ("inherit", "feature_mse", "fgd", "dpk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A finished training: AP on validation and test, a number per test picture, CPU seconds with evaluations."""

    validation: float
    test: float
    seconds: float
    measured: dict[str, float]
    evidence_N: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Plan:
    """Every training of the benchmark, by what it is called in tables."""

    card: DatasetCard
    teachers: dict[str, RunSpec] = field(default_factory=dict)
    students: dict[tuple[str, str, int], RunSpec] = field(default_factory=dict)
    """By method, teacher (or epochs of the student alone) and seed."""


def plan(card: DatasetCard) -> Plan:
    """What is trained on this data set."""
    made = Plan(card)
    for label, (model, epochs, stop) in TEACHERS.items():
        made.teachers[label] = RunSpec(training=_spec(card, "none", epochs, 0, model), stop_epoch=stop)
    for seed in range(SEEDS):
        for epochs in LONGER:
            made.students["none", str(epochs), seed] = _full(_spec(card, "none", epochs, seed, STUDENT))
        for method in METHODS:
            for label, run in made.teachers.items():
                taught = _spec(card, method, EPOCHS, seed, STUDENT, (TEACHERS[label][0], run.key()))
                made.students[method, label, seed] = _full(taught)
    return made


def _spec(
    card: DatasetCard, method: DetectionMethodName, epochs: int, seed: int, model: str,
    teacher: tuple[str, str] | None = None,
) -> TrainingSpec:  # fmt: skip
    return TrainingSpec(
        role="student" if model == STUDENT else "teacher", model=model, dataset=card.name,
        data_fingerprint=card.fingerprint, method=MethodSpec(name=method),
        teacher=None if teacher is None else TeacherReference(model=teacher[0], training_key=teacher[1]),
        recipe=recipe("detection_small", epochs=epochs), seed=seed, task="detection",
    )  # fmt: skip


def _full(spec: TrainingSpec) -> RunSpec:
    return RunSpec(training=spec, stop_epoch=spec.recipe.epochs)


def kept(run: RunSpec) -> Kept | None:
    """A training that is over, on this machine or as committed; None where it is not."""
    path = FOLDER / f"{run.key()}.json"
    facts = json.loads(path.read_text()) if path.exists() else committed().get(run.key())
    if facts is None:
        return None
    return Kept(
        validation=facts["validation"], test=facts["test"], seconds=facts["seconds"], measured=facts["measured"],
        evidence_N=np.array(facts["evidence"], np.float32),
    )  # fmt: skip


def committed() -> dict[str, dict[str, Any]]:
    """Finished trainings of whatever machine, by key."""
    return record.by_key(KEPT)


def keep_new(made: Plan) -> None:
    """Adds this machine's finished trainings to those that are committed."""
    done = committed()
    paths = [FOLDER / f"{run.key()}.json" for run in (*made.teachers.values(), *made.students.values())]
    lines = [path.read_text() for path in paths if path.exists() and path.stem not in done]
    with KEPT.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def carry_out(run: RunSpec, data_root: Path) -> str:
    """One training to its end, kept; a line about it for people."""
    spec = run.training
    assert spec.recipe.detection is not None
    card = box_dataset_card(spec.dataset, data_root, "dataset", spec.recipe.detection)
    data, teacher = load_dataset(card, data_root, torch.device("cpu")), None
    if spec.teacher is not None:
        teacher = detector_of(spec.teacher.model, spec.recipe.detection, card, seed=0)
        teacher.load_state_dict(load_file(weights_path(spec.teacher.training_key)))
        teacher = teacher.eval().requires_grad_(False)
    training, began = begin(spec, data, teacher), time.process_time()
    train(training, run.stop_epoch, Unobserved())
    seconds = time.process_time() - began
    test = EVALUATORS["detection"].evaluate(training.judged, data, data.read_test(), reported=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if spec.role == "teacher":
        weights_path(run.key()).with_suffix(".partial").unlink(missing_ok=True)
        save_file(training.judged.state_dict(), weights_path(run.key()).with_suffix(".partial"))
        weights_path(run.key()).with_suffix(".partial").replace(weights_path(run.key()))
    facts = {
        "key": run.key(), "model": spec.model, "method": spec.method.name, "seed": spec.seed,
        "validation": training.last_measured["validation_average_precision"], "test": test.score,
        "seconds": round(seconds, 1),
        "measured": {name: round(value, 6) for name, value in training.last_measured.items()},
        "evidence": [round(each, 6) for each in test.evidence_N.tolist()],
        "machine": record.machine(torch.device("cpu")),
    }  # fmt: skip
    partial = FOLDER / f"{run.key()}.partial"
    partial.write_text(json.dumps(facts))
    partial.replace(FOLDER / f"{run.key()}.json")
    taught = "" if spec.teacher is None else f" from {spec.teacher.model}"
    return f"{spec.model} {spec.method.name}{taught}, seed {spec.seed}: AP {100 * test.score:.1f} in {seconds:.0f} s"


def carry_out_all(made: Plan, data_root: Path, processes: int) -> None:
    """What is missing, and the teachers that it needs first, `processes` at a time; a line for each."""
    students = [run for run in made.students.values() if kept(run) is None]
    needed = {run.training.teacher.training_key for run in students if run.training.teacher is not None}
    teachers = [run for run in made.teachers.values() if run.key() in needed and not weights_path(run.key()).exists()]
    for missing in (teachers, students):
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        with ProcessPoolExecutor(processes, context, make_deterministic, (1,)) as pool:
            under_way = [pool.submit(carry_out, run, data_root) for run in missing]
            for done, future in enumerate(as_completed(under_way), 1):
                print(f"[{done}/{len(missing)}] {future.result()}", flush=True)


def rows(made: Plan) -> Iterator[dict[str, Any]]:
    """A row for each arm whose trainings are over, the student alone first; AP in points."""
    arms: dict[tuple[str, str], list[Kept]] = {}
    for (method, teacher, _), run in made.students.items():
        if (found := kept(run)) is not None:
            arms.setdefault((method, teacher), []).append(found)
    whole = {arm: found for arm, found in arms.items() if len(found) == SEEDS}
    alone = [whole.pop(("none", str(epochs)), None) for epochs in LONGER]
    if alone[0] is None:
        return
    order = [*whole, ("none", str(EPOCHS))]
    evidence = np.array([[each.evidence_N for each in found] for found in (*whole.values(), alone[0])])
    scores = final_scores(evidence)
    yield from (_row("none", str(epochs), found) for epochs, found in zip(LONGER, alone, strict=True) if found)
    for place, (method, teacher) in enumerate(order[:-1]):
        taught = whole[method, teacher]
        gain = difference(scores, place)
        row = _row(method, teacher, taught) | {
            "gain": round(100 * gain.value, 2), "low": round(100 * gain.low, 2), "high": round(100 * gain.high, 2)
        }  # fmt: skip
        if all(each is not None for each in alone):
            row["gain_at_equal_seconds"] = round(row["test"] - _at_seconds(alone, row["seconds"]), 2)
        yield row


def _row(method: str, teacher: str, found: list[Kept]) -> dict[str, Any]:
    row = {
        "method": method, "teacher": teacher,
        "validation": round(100 * float(np.mean([each.validation for each in found])), 2),
        "test": round(100 * float(np.mean([each.test for each in found])), 2),
        "seconds": round(float(np.mean([each.seconds for each in found])), 1),
    }  # fmt: skip
    for name in ("gradient.detector", "gradient.features", "share_fallback.P4", "share_fallback.P5"):
        if all(name in each.measured for each in found):
            row[name] = round(float(np.mean([each.measured[name] for each in found])), 4)
    return row


def _at_seconds(alone: list[list[Kept] | None], seconds: float) -> float:
    """Test AP in points of the student alone after so many seconds, linear in their logarithm between its lengths."""
    spent = [float(np.mean([each.seconds for each in found or ()])) for found in alone]
    score = [100 * float(np.mean([each.test for each in found or ()])) for found in alone]
    return float(np.interp(np.log(seconds), np.log(spent), score))


def weights_path(key: str) -> Path:
    """Where the weights of a teacher are that this machine trained."""
    return FOLDER / f"{key}.safetensors"


def report(made: Plan) -> None:
    """Prints the table and writes `results/detection.json`."""
    table = list(rows(made))
    teachers = {
        label: {"validation": round(100 * found.validation, 2), "test": round(100 * found.test, 2)}
        for label, run in made.teachers.items()
        if (found := kept(run)) is not None
    }
    print(json.dumps(teachers, indent=1))
    for row in table:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    if len(table) == len(LONGER) + len(METHODS) * len(TEACHERS):
        record.write("detection", {
            "command": COMMAND, "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
            "dataset": made.card.name, "fingerprint": made.card.fingerprint, "seeds": SEEDS, "epochs": EPOCHS,
            "teachers": teachers, "targets": [target(table)], "rows": table,
        })  # fmt: skip


def target(table: list[dict[str, Any]]) -> dict[str, Any]:
    """Is the recipe known to work? The issue asks for 40 points after 20 epochs; the nearest length here is 22."""
    value = next(row["validation"] for row in table if (row["method"], row["teacher"]) == ("none", str(LONGER[1])))
    name = f"the student alone after {LONGER[1]} epochs, validation"
    return {
        "name": name,
        "value": value,
        "target": LEAST_AP,
        "unit": "points of AP, at least",
        "met": value >= LEAST_AP,
    }


def main() -> None:
    """Trains what is missing, and reports what is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="boxes/bccd")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="train nothing, report what is there")
    options = parser.parse_args()
    data_root = Path(os.environ["DPK_DATA_ROOT"])
    make_deterministic(1)
    made = plan(box_dataset_card(options.dataset, data_root, "--dataset", DetectionSettings()))
    if not options.report:
        carry_out_all(made, data_root, options.processes)
    keep_new(made)
    report(made)


if __name__ == "__main__":
    main()
