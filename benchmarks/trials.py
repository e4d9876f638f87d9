"""Full trainings by the project's own loop, kept one by one with every curve and every picture's verdict.

A trial is a training from start to finish. It is kept under its content key, so a benchmark that is stopped goes on
where it was, and benchmarks that share a training share its trial. Costs are seconds of CPU time on one thread, which
other load on the machine changes little; where a teacher looks at a batch for several students, each pays for it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks import subsets
from benchmarks.shared_teacher import SharedTeacher
from benchmarks.subsets import Subset
from dpk_core.catalogue.datasets import DatasetCard, dataset_card
from dpk_core.catalogue.weights import file_identity
from dpk_core.codec import content_key, to_json
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.errors import TrainingDiverged
from dpk_core.models.build import build_model, parameter_count
from dpk_core.spec import MethodSpec, Recipe, Start, TeacherReference, TrainingSpec
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin, make_deterministic

Bits = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A finished training. E epochs, V validation and N test pictures.

    `values`: measurements of each epoch; `seconds`: CPU seconds of each epoch, its evaluation included;
    `diverged`: why the training ended early; in the epochs that are missing no picture is said to be right.
    """

    key: str
    values: tuple[dict[str, float], ...]
    seconds: tuple[float, ...]
    parameters: int
    validation_right_EV: Bits
    test_right_N: Bits
    diverged: str | None

    @property
    def test_accuracy(self) -> float:
        """As a fraction."""
        return float(self.test_right_N.mean())


def card(subset: Subset) -> DatasetCard:
    """The card of a subset, which is made where it is not there yet."""
    return dataset_card(f"npz/{subset.name}", subsets.make(subset), "dataset")


def teacher_spec(subset: Subset, model: str, recipe: Recipe, seed: int = 0, start: Start | None = None) -> TrainingSpec:
    """A teacher's own training. `start`: trained weights that it starts from; None: random ones."""
    found = card(subset)
    return TrainingSpec(
        role="teacher", model=model, dataset=found.name, data_fingerprint=found.fingerprint,
        method=MethodSpec(name="none"), teacher=None, recipe=recipe, seed=seed, start=start,
    )  # fmt: skip


def start_from(pretraining: TrainingSpec) -> Start:
    """The weights of a finished teacher as another training's start. Raises LookupError where it is not finished."""
    path = weights_path(pretraining.key())
    if not path.exists():
        raise LookupError(f"{pretraining.model} on {pretraining.dataset} is not finished")
    return Start(source="file", name=path.name, identity=file_identity(path, path.name, "weights"))


def student_spec(
    subset: Subset, model: str, recipe: Recipe, seed: int, method: MethodSpec, teacher: TrainingSpec | None
) -> TrainingSpec:
    """A student's training under `teacher`, whose own training it names."""
    found = card(subset)
    reference = None if teacher is None else TeacherReference(model=teacher.model, training_key=teacher.key())
    return TrainingSpec(
        role="student", model=model, dataset=found.name, data_fingerprint=found.fingerprint,
        method=method, teacher=reference, recipe=recipe, seed=seed,
    )  # fmt: skip


def load(spec: TrainingSpec) -> Trial | None:
    """The trial of a training; None where it was not carried out yet."""
    path = _path(spec.key())
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        metadata: dict[str, Any] = json.loads(str(arrays["metadata"]))
        return Trial(
            key=spec.key(), values=tuple(metadata["values"]), seconds=tuple(metadata["seconds"]),
            parameters=metadata["parameters"], diverged=metadata["diverged"],
            validation_right_EV=_unpack(arrays["validation_right"], metadata["validation_pictures"]),
            test_right_N=_unpack(arrays["test_right"], metadata["test_pictures"]),
        )  # fmt: skip


def command(
    description: str | None, wanted: Callable[[], list[tuple[Subset, TrainingSpec]]], report: Callable[[], None]
) -> None:
    """The command line of a benchmark that trains what is missing and reports what is there."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="train nothing, report what is there")
    options = parser.parse_args()
    if not options.report:
        carry_out_all(wanted(), options.processes)
    report()


def carry_out_all(specs: Iterable[tuple[Subset, TrainingSpec]], processes: int) -> None:
    """Carries out what is missing, teachers first, `processes` at a time; prints a line for each.

    Students of one seed under one teacher see the same pictures in the same order, so they are trained side by side, an
    epoch of one after the other, and the teacher looks at each batch once for all of them.
    """
    wanted = {spec.key(): (subset, spec) for subset, spec in specs}
    missing = {key: each for key, each in wanted.items() if not _path(key).exists()}
    for role in ("teacher", "student"):
        groups: dict[tuple[str, str, int, str], list[TrainingSpec]] = {}
        subset_of: dict[tuple[str, str, int, str], Subset] = {}
        for subset, spec in (each for each in missing.values() if each[1].role == role):
            teacher = spec.model if spec.teacher is None else spec.teacher.training_key
            group = (subset.name, teacher, spec.seed, content_key(spec.recipe))
            groups.setdefault(group, []).append(spec)
            subset_of[group] = subset
        context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
        with ProcessPoolExecutor(processes, context, _enter, max_tasks_per_child=50) as pool:
            under_way = [pool.submit(carry_out, subset_of[group], each) for group, each in groups.items()]
            for done, future in enumerate(as_completed(under_way), 1):
                print("\n".join(f"[{role}s {done}/{len(groups)}] {line}" for line in future.result()), flush=True)


def carry_out(subset: Subset, specs: list[TrainingSpec]) -> list[str]:
    """Trainings of one recipe, seed and teacher (or none) from start to finish, kept; a line about each for people."""
    root = subsets.make(subset)
    data = load_dataset(dataset_card(specs[0].dataset, root, "dataset"), root, torch.device("cpu"))
    reference = specs[0].teacher
    teacher = None if reference is None else SharedTeacher(_teacher(reference, data), reference.model)
    under_way = [_UnderWay(begin(spec, data, teacher, weights_root=_weights_root()), teacher) for spec in specs]
    for epoch in range(1, specs[0].recipe.epochs + 1):
        if teacher is not None:
            teacher.forget()
        for each in under_way:
            each.go_on(epoch)
    return [_keep(each, data) for each in under_way]


def _keep(under_way: _UnderWay, data: ImageData) -> str:
    training, watcher, diverged = under_way.training, under_way.watcher, under_way.diverged
    spec = training.spec
    test = EVALUATORS[spec.task].evaluate(training.judged, data, data.read_test())
    if spec.role == "teacher":
        _write_weights(training.judged, spec.key())
    validation_right_EV = np.zeros((spec.recipe.epochs, len(data.validation)), np.bool_)
    for epoch, right_V in enumerate(watcher.right):
        validation_right_EV[epoch] = right_V
    metadata = {
        "spec": to_json(spec), "values": watcher.values, "seconds": under_way.seconds, "diverged": diverged,
        "parameters": parameter_count(training.model),
        "validation_pictures": len(data.validation), "test_pictures": len(test.evidence_N),
    }  # fmt: skip
    _write(spec.key(), metadata, validation_right_EV, test.evidence_N.numpy())
    teacher = "" if spec.teacher is None else f" from {spec.teacher.model}"
    return (
        f"{spec.dataset} {spec.model} {spec.method.name}{teacher}, seed {spec.seed}: "
        f"{100 * test.score:.2f}% in {sum(under_way.seconds):.0f} s of CPU time {diverged or ''}"
    )


@dataclass(slots=True)
class _Watcher:
    """The loop's observer: keeps what each epoch gave and cost."""

    values: list[dict[str, float]] = field(default_factory=list)
    right: list[Bits] = field(default_factory=list)

    def wants_stop(self) -> bool:
        return False

    def stepped(self, training: Training) -> None:
        pass

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:  # noqa: ARG002  (an observer's signature)
        self.values.append({name: round(value, 6) for name, value in values.items()})
        self.right.append(validation.evidence_N.numpy())


@dataclass(slots=True)
class _UnderWay:
    """A training between two epochs. `seconds`: of CPU time, each epoch's; the teacher's looks among them."""

    training: Training
    teacher: SharedTeacher | None
    watcher: _Watcher = field(default_factory=_Watcher)
    seconds: list[float] = field(default_factory=list)
    diverged: str | None = None

    def go_on(self, epoch: int) -> None:
        """Trains up to the end of `epoch`, unless it diverged before."""
        if self.diverged is not None:
            return
        began, looked = time.process_time(), self._looked()
        try:
            train(self.training, epoch, self.watcher)
        except TrainingDiverged as error:
            self.diverged = str(error)
            return
        own = time.process_time() - began - (self._looked() - looked)
        self.seconds.append(round(own + self._looked(), 3))

    def _looked(self) -> float:
        return 0.0 if self.teacher is None else self.teacher.seconds


def _enter() -> None:
    make_deterministic(threads=1)


def _teacher(reference: TeacherReference, data: ImageData) -> nn.Module:
    found = data.card
    teacher = build_model(reference.model, classes=found.classes, channels=found.channels, seed=0, side=found.side)
    teacher.load_state_dict(safetensors.torch.load_file(weights_path(reference.training_key)))
    return teacher.eval().requires_grad_(False)


def teacher_network(subset: Subset, spec: TrainingSpec) -> tuple[nn.Module, ImageData]:
    """A trained teacher, frozen, with the data it was trained on."""
    root = subsets.make(subset)
    data = load_dataset(dataset_card(spec.dataset, root, "dataset"), root, torch.device("cpu"))
    return _teacher(TeacherReference(model=spec.model, training_key=spec.key()), data), data


def _path(key: str) -> Path:
    return subsets.WORK / "trials" / f"{key}.npz"


def weights_path(key: str) -> Path:
    """Where the weights of a finished teacher are."""
    return _weights_root() / f"{key}.safetensors"


def weights_hash(key: str) -> str:
    """The first 12 hex digits of the SHA-256 of a finished teacher's weights."""
    return hashlib.sha256(weights_path(key).read_bytes()).hexdigest()[:12]


def _weights_root() -> Path:
    return subsets.WORK / "weights"


def _write_weights(model: nn.Module, key: str) -> None:
    path = weights_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    safetensors.torch.save_file({name: value.contiguous() for name, value in model.state_dict().items()}, partial)
    partial.replace(path)


def _write(key: str, metadata: dict[str, Any], validation_right_EV: Bits, test_right_N: Bits) -> None:
    path = _path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, metadata=np.array(json.dumps(metadata)),
            validation_right=np.packbits(validation_right_EV, axis=-1), test_right=np.packbits(test_right_N),
        )  # fmt: skip
    partial.replace(path)


def _unpack(packed: NDArray[np.uint8], pictures: int) -> Bits:
    return np.unpackbits(packed, axis=-1, count=pictures).astype(np.bool_)
