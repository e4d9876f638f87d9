"""Fully trains every teacher's student on every seed and writes the tables that policies are replayed on.

    DPK_DATA_ROOT=… python -m benchmarks.train_tables [--processes N] [TABLE …]

Goes on where it stopped. A table is written when it is whole.
"""

from __future__ import annotations

import argparse
import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks import record, table, trials
from benchmarks.subsets import (
    CIFAR_TABLE,
    COARSE_TABLE,
    FASHION_TABLE,
    FINE_TABLE,
    FOUR_TABLE,
    GREY_TABLE,
    MIDDLE_TABLE,
    REST_TABLE,
    SHIFTED_TABLE,
    SLIM_TABLE,
    SPARSE_TABLE,
    Subset,
)
from benchmarks.table import Table
from benchmarks.trials import Trial
from dpk_core.codec import to_json
from dpk_core.distill.survey import cka_gap, survey
from dpk_core.models.build import build_model
from dpk_core.randomness import derive
from dpk_core.recipes import SMALL
from dpk_core.selection.rivals import h_score, leep, logme
from dpk_core.spec import MethodName, MethodSpec, TrainingSpec

SEEDS = (0, 1, 2, 3, 4)
STUDENT_RECIPE = replace(SMALL, name="benchmark", epochs=8, batch_size=64, augmentation="crop_flip")
TEACHER_RECIPE = replace(STUDENT_RECIPE, epochs=16)
METHODS: tuple[MethodName, ...] = ("dpk", "kd")
COMMAND = "python -m benchmarks.train_tables"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A student, its candidate teachers of different families, and the data."""

    name: str
    subset: Subset
    student: str
    teachers: tuple[str, ...]

    def teacher(self, model: str) -> TrainingSpec:
        """A teacher's own training."""
        return trials.teacher_spec(self.subset, model, TEACHER_RECIPE)

    def spec(self, method: MethodName, teacher: str | None, seed: int) -> TrainingSpec:
        """One training of the student; without a teacher the method is `none`."""
        taught = MethodSpec(name="none" if teacher is None else method)
        own = None if teacher is None else self.teacher(teacher)
        return trials.student_spec(self.subset, self.student, STUDENT_RECIPE, seed, taught, own)


TEACHERS = (
    "cifar/resnet20", "cifar/resnet56", "cifar/wrn_16_2", "cifar/vgg8", "cifar/shufflenetv2", "cifar/plain6",
)  # fmt: skip
OTHER_TEACHERS = (
    "cifar/resnet32", "cifar/resnet8x4", "cifar/wrn_40_1", "cifar/shufflenetv2", "cifar/vgg13", "cifar/plain8",
)  # fmt: skip
THIRD_TEACHERS = (
    "cifar/resnet44", "cifar/resnet8x4", "cifar/wrn_40_2", "cifar/vgg8", "cifar/shufflenetv1", "cifar/plain10",
)  # fmt: skip
FOURTH_TEACHERS = (
    "cifar/resnet32", "cifar/wrn_16_2", "cifar/vgg8", "cifar/shufflenetv2", "cifar/shufflenetv1", "cifar/plain8",
)  # fmt: skip
FIFTH_TEACHERS = (
    "cifar/resnet20", "cifar/resnet8x4", "cifar/wrn_40_1", "cifar/vgg8", "cifar/shufflenetv2", "cifar/plain10",
)  # fmt: skip
SIXTH_TEACHERS = (
    "cifar/resnet56", "cifar/resnet8x4", "cifar/wrn_16_2", "cifar/vgg13", "cifar/shufflenetv1", "cifar/plain6",
)  # fmt: skip
DEFINITIONS = (
    Definition(name="fashion-resnet8w8", subset=FASHION_TABLE, student="cifar/resnet8w8", teachers=TEACHERS),
    Definition(name="cifar-resnet8", subset=CIFAR_TABLE, student="cifar/resnet8", teachers=TEACHERS),
    Definition(name="fashion-plain2", subset=FASHION_TABLE, student="cifar/plain2", teachers=TEACHERS),
    Definition(name="cifar-plain4", subset=CIFAR_TABLE, student="cifar/plain4", teachers=TEACHERS),
    Definition(name="fine-resnet14w8", subset=FINE_TABLE, student="cifar/resnet14w8", teachers=OTHER_TEACHERS),
    Definition(name="fine-plain2", subset=FINE_TABLE, student="cifar/plain2", teachers=OTHER_TEACHERS),
    Definition(name="sparse-plain4", subset=SPARSE_TABLE, student="cifar/plain4", teachers=THIRD_TEACHERS),
    Definition(name="sparse-resnet14w8", subset=SPARSE_TABLE, student="cifar/resnet14w8", teachers=THIRD_TEACHERS),
    Definition(name="rest-resnet8", subset=REST_TABLE, student="cifar/resnet8", teachers=THIRD_TEACHERS),
    Definition(name="rest-plain4", subset=REST_TABLE, student="cifar/plain4", teachers=THIRD_TEACHERS),
    Definition(name="grey-resnet8", subset=GREY_TABLE, student="cifar/resnet8", teachers=FOURTH_TEACHERS),
    Definition(name="middle-resnet8w8", subset=MIDDLE_TABLE, student="cifar/resnet8w8", teachers=FOURTH_TEACHERS),
    Definition(name="slim-resnet8w4", subset=SLIM_TABLE, student="cifar/resnet8w4", teachers=FIFTH_TEACHERS),
    Definition(name="shifted-plain4", subset=SHIFTED_TABLE, student="cifar/plain4", teachers=FIFTH_TEACHERS),
    Definition(name="four-plain4", subset=FOUR_TABLE, student="cifar/plain4", teachers=SIXTH_TEACHERS),
    Definition(name="four-resnet14w8", subset=FOUR_TABLE, student="cifar/resnet14w8", teachers=SIXTH_TEACHERS),
    Definition(name="coarse-plain2", subset=COARSE_TABLE, student="cifar/plain2", teachers=SIXTH_TEACHERS),
)


def wanted(definition: Definition) -> list[tuple[Subset, TrainingSpec]]:
    """Every training of a table, teachers first."""
    specs = [definition.teacher(model) for model in definition.teachers]
    for seed in SEEDS:
        specs.append(definition.spec("kd", None, seed))
        specs += [definition.spec(method, model, seed) for method in METHODS for model in definition.teachers]
    return [(definition.subset, spec) for spec in specs]


def gather(definition: Definition, method: MethodName) -> Table:
    """The table of finished trainings. Raises LookupError where one is missing."""
    teachers = (None, *definition.teachers)
    rows = [[_trial(definition.spec(method, teacher, seed)) for seed in SEEDS] for teacher in teachers]
    first, epochs = rows[0][0], STUDENT_RECIPE.epochs
    found = trials.card(definition.subset)
    told: dict[str, Any] = {
        "name": f"{definition.name}-{method}", "dataset": definition.subset.name, "fingerprint": found.fingerprint,
        "student": definition.student, "method": method, "seeds": list(SEEDS), "recipe": to_json(STUDENT_RECIPE),
        "teacher_recipe": to_json(TEACHER_RECIPE), "command": COMMAND,
        "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
        "validation_pictures": first.validation_right_EV.shape[1], "test_pictures": len(first.test_right_N),
        "arms": [_arm(definition, teacher) for teacher in teachers],
        "diverged": [[trial.diverged is not None for trial in row] for row in rows],
    }  # fmt: skip
    return Table(
        told=told,
        validation_right_ASEV=np.array([[trial.validation_right_EV for trial in row] for row in rows]),
        test_right_ASN=np.array([[trial.test_right_N for trial in row] for row in rows]),
        seconds_ASE=np.array([[_padded(trial.seconds, epochs) for trial in row] for row in rows], np.float32),
        train_loss_ASE=np.array(
            [[_padded([v["train_loss"] for v in trial.values], epochs) for trial in row] for row in rows], np.float32
        ),
    )


def _trial(spec: TrainingSpec) -> Trial:
    found = trials.load(spec)
    if found is None:
        raise LookupError(f"{spec.model} under {spec.teacher}, seed {spec.seed}, is not finished")
    return found


def _arm(definition: Definition, teacher: str | None) -> dict[str, Any]:
    if teacher is None:
        return {"teacher": None}
    trial = _trial(definition.teacher(teacher))
    return {
        "teacher": teacher, "validation_accuracy": round(float(trial.validation_right_EV[-1].mean()), 5),
        "test_accuracy": round(trial.test_accuracy, 5), "parameters": trial.parameters,
        "training_cpu_seconds": round(sum(trial.seconds), 1), "training_key": trial.key,
        **_rivals(definition, teacher),
    }  # fmt: skip


@functools.cache
def _rivals(definition: Definition, teacher: str) -> dict[str, float]:
    """What rivals say of the teacher; higher is said to be better (of the gap, its negative)."""
    network, data = trials.teacher_network(definition.subset, definition.teacher(teacher))
    seen = survey(network, teacher, data)
    features_ND, labels_N = seen.features_ND.double().numpy(), seen.labels_N.numpy()
    card = data.card
    student = build_model(
        definition.student, classes=card.classes, channels=card.channels, seed=derive(0, "student"), side=card.side
    )
    gap = cka_gap(student, definition.student, network, teacher, data)
    scores = {
        "logme": logme(features_ND, labels_N), "h_score": h_score(features_ND, labels_N),
        "leep": leep(seen.logits_NC.double().numpy(), labels_N), "cka_gap": -gap,
    }  # fmt: skip
    return {name: round(value, 6) for name, value in scores.items()}


def _padded(values: tuple[float, ...] | list[float], epochs: int) -> list[float]:
    """A training that diverged has fewer; what is missing is not a number."""
    return [*values, *[float("nan")] * (epochs - len(values))]


def main() -> None:
    """Trains what is missing and writes each table that is whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(each.name for each in DEFINITIONS))
    options = parser.parse_args()
    for definition in DEFINITIONS:
        if options.tables and definition.name not in options.tables:
            continue
        trials.carry_out_all(wanted(definition), options.processes)
        for method in METHODS:
            path = table.write(gather(definition, method))
            print(f"Written: {path.name}, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
