"""Fully trains every teacher's student on every seed and writes the tables that policies are replayed on.

    DPK_DATA_ROOT=… python -m benchmarks.train_tables [--processes N] [TABLE …]

A table grows by whole seeds: those finished so far are in `benchmarks/tables/growing/`, so it can be trained in several
sessions. With all five seeds its file moves to `benchmarks/tables/`, and nothing of it is trained again.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import record, table, trials
from benchmarks.definitions import DEFINITIONS, METHODS, SEEDS, Definition
from benchmarks.table import Table
from benchmarks.trials import Trial
from dpk_core.codec import to_json
from dpk_core.models.build import build_model
from dpk_core.randomness import derive
from dpk_core.runner.teacher_features import cka_gap, teacher_features
from dpk_core.selection.evaluate.transfer_scores import h_score, leep, logme, ratio_1_2
from dpk_core.spec import TRAINING_VERSION, TrainingSpec


def train(definition: Definition, processes: int, command: str, folder: Path = table.TABLES) -> None:
    """Trains the missing seeds of a definition's tables, one after the other, and adds each to its table.

    `command`: what a table says that it was trained by; `folder`: where tables are kept.
    """
    for seed in SEEDS:
        labels = tuple(label for label in definition.labels if seed not in _finished(definition, label, folder))
        if not labels:
            continue
        trials.carry_out_all(definition.pretrainings(), processes)
        trials.carry_out_all(definition.wanted(labels, seed), processes)
        for label in labels:
            path = table.grow(gather(definition, label, seed, command), SEEDS, folder)
            print(f"Written: {path.relative_to(folder)}, {path.stat().st_size / 1024:.0f} KiB")


def _finished(definition: Definition, label: str, folder: Path) -> list[int]:
    found = table.kept(f"{definition.name}-{label}", folder)
    return [] if found is None else list(found.metadata["seeds"])


def gather(definition: Definition, label: str, seed: int, command: str) -> Table:
    """The table of one seed. Raises LookupError where a training is missing."""
    teachers = (None, *definition.teachers)
    rows = [_trial(definition.spec(label, teacher, seed)) for teacher in teachers]
    epochs, found = definition.student_recipe.epochs, trials.card(definition.subset)
    metadata: dict[str, Any] = {
        "name": f"{definition.name}-{label}", "dataset": definition.subset.name, "fingerprint": found.fingerprint,
        "student": definition.student, "method": label, "settings": to_json(METHODS[label]),
        "recipe": to_json(definition.student_recipe), "teacher_recipe": to_json(definition.teacher_recipe),
        "pretraining": _pretraining(definition), "version": TRAINING_VERSION, "command": command,
        "validation_pictures": rows[0].validation_right_EV.shape[1], "test_pictures": len(rows[0].test_right_N),
        "arms": [_arm(definition, teacher) for teacher in teachers], "seeds": [seed],
        "diverged": [[trial.diverged is not None] for trial in rows],
        "trained": [{
            "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
            "teacher_weights": {
                model: trials.weights_hash(definition.teacher(model).key()) for model in definition.teachers
            },
        }],
    }  # fmt: skip
    return Table(
        metadata=metadata,
        validation_right_ASEV=np.array([[trial.validation_right_EV] for trial in rows]),
        test_right_ASN=np.array([[trial.test_right_N] for trial in rows]),
        seconds_ASE=np.array([[_padded(trial.seconds, epochs)] for trial in rows], np.float32),
        train_loss_ASE=np.array(
            [[_padded([v["train_loss"] for v in trial.values], epochs)] for trial in rows], np.float32
        ),
    )


def _pretraining(definition: Definition) -> dict[str, Any] | None:
    if definition.pretrained_on is None:
        return None
    return {"dataset": definition.pretrained_on.name, "recipe": to_json(definition.pretraining_recipe)}


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
    """What rivals say of the teacher; a higher one predicts a better student (the gap and the ratio are negated)."""
    network, data = trials.teacher_network(definition.subset, definition.teacher(teacher))
    seen = teacher_features(network, teacher, data)
    features_ND, labels_N = seen.features_ND.double().numpy(), seen.labels_N.numpy()
    logits_NC = seen.logits_NC.double().numpy()
    card = data.card
    student = build_model(
        definition.student, classes=card.classes, channels=card.channels, seed=derive(0, "student"), side=card.side
    )
    gap = cka_gap(student, definition.student, network, teacher, data)
    scores = {
        "logme": logme(features_ND, labels_N), "h_score": h_score(features_ND, labels_N),
        "leep": leep(logits_NC, labels_N), "cka_gap": -gap, "ratio_1_2": -ratio_1_2(logits_NC),
    }  # fmt: skip
    return {name: round(value, 6) for name, value in scores.items()}


def _padded(values: tuple[float, ...] | list[float], epochs: int) -> list[float]:
    """A training that diverged has fewer; what is missing is not a number."""
    return [*values, *[float("nan")] * (epochs - len(values))]


def main() -> None:
    """Trains what is missing of the tables that are named, or of all."""
    names = [each.name for each in DEFINITIONS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(names))
    options = parser.parse_args()
    if unknown := set(options.tables) - set(names):
        parser.error(f"There is no table {', '.join(sorted(unknown))}. There are {', '.join(names)}.")
    for definition in DEFINITIONS:
        if not options.tables or definition.name in options.tables:
            train(definition, options.processes, "python -m benchmarks.train_tables")


if __name__ == "__main__":
    main()
