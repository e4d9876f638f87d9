"""The ablation's main arms on CIFAR-100 (15,000 pictures) for 60 epochs: teacher R56, student R8, runs side by side.

A training that the time cuts off has a row with the validation accuracy of each epoch that it finished. Differences are
paired by seed.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import ablation
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.models.build import build_model
from dpk_core.recipes import SMALL
from dpk_core.spec import MethodSpec, Recipe, TeacherReference, TrainingSpec
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin, make_current, make_deterministic

DATA = "cifar100_20k"
FIRST = (ablation.LITERATURE, ablation.LOGITS, "DPK, β = .3, CKA")
"""The arms with a teacher that begin first, seed by seed."""
LAST = ("DPK, β = 3, CKA", "DPK, β = 3, no share", "features alone, β = 3")
"""Those that begin where a process is free, one arm after the other: what time cuts off is theirs."""
ARMS = {arm: ablation.ARMS[arm] for arm in (ablation.NONE, *FIRST, *LAST)}
TEACHER_ARM = "teacher"
COMPARED = tuple((arm, base) for index, arm in enumerate(ARMS) for base in list(ARMS)[:index])
LAST_SECONDS = 10.0
"""Before the end, in which a training under way ends and results are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is trained: data set and where it is, models, recipe, seeds."""

    data: str
    root: Path
    teacher: str
    student: str
    recipe: Recipe
    seeds: tuple[int, ...]


def plan(device: torch.device, small: bool, folder: Path) -> Plan | str:
    """The trainings; a sentence where the data is not there."""
    if small:
        _make_up(folder / "small.npz")
        recipe = replace(SMALL, epochs=1, batch_size=16, augmentation="crop_flip", warmup_epochs=0)
        return Plan(
            data="npz/small", root=folder, teacher="cifar/resnet8", student="cifar/resnet8w4", recipe=recipe, seeds=(0,)
        )
    root = os.environ.get("DPK_DATA_ROOT")
    if root is None or not Path(root, f"{DATA}.npz").exists():
        return f"Set DPK_DATA_ROOT to the folder with {DATA}.npz."
    recipe = replace(
        SMALL, name="gpu", epochs=60, batch_size=256, learning_rate=0.1, warmup_epochs=2, augmentation="crop_flip",
        precision="bfloat16" if device.type == "cuda" else "float32", channels_last=True,
    )  # fmt: skip
    return Plan(
        data=f"npz/{DATA}", root=Path(root), teacher="cifar/resnet56", student="cifar/resnet8", recipe=recipe,
        seeds=(0, 1, 2),
    )  # fmt: skip


def rows(device: torch.device, *, small: bool, until: float) -> Iterator[dict[str, Any]]:
    """A row for each training as it ends, and one that compares the arms."""
    with tempfile.TemporaryDirectory(prefix="dpk-arms-") as folder:
        planned = plan(device, small, Path(folder))
        if isinstance(planned, str):
            yield {"skipped": planned}
            return
        work = functools.partial(carry_out, planned, str(device), Path(folder), until - LAST_SECONDS)
        processes = 2 if small else min(12, os.cpu_count() or 1)
        context = multiprocessing.get_context("spawn")
        finished: list[dict[str, Any]] = []
        with ProcessPoolExecutor(processes, context, make_deterministic, (1,)) as pool:
            teacher = pool.submit(work, TEACHER_ARM, 0)
            # Needs no teacher and goes on beside it.
            running = {pool.submit(work, ablation.NONE, seed): (ablation.NONE, seed) for seed in planned.seeds}
            trained = _row(teacher, TEACHER_ARM, 0)
            yield trained
            taught = [(arm, seed) for seed in planned.seeds for arm in FIRST]
            taught += [(arm, seed) for arm in LAST for seed in planned.seeds]
            if "test_accuracy" in trained:
                running |= {pool.submit(work, *one): one for one in taught}
            else:
                yield from ({"arm": arm, "seed": seed, "skipped": "there was no teacher"} for arm, seed in taught)
            for future in as_completed(running):
                finished.append(_row(future, *running[future]))
                yield finished[-1]
        yield compared(finished)


def _row(future: Future[dict[str, Any]], arm: str, seed: int) -> dict[str, Any]:
    try:
        found = future.result()
    except Exception as error:  # one training that fails must not cost the others
        found = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
    return {"arm": arm, "seed": seed, **found}


def carry_out(planned: Plan, device_name: str, folder: Path, until: float, arm: str, seed: int) -> dict[str, Any]:
    """One training, in a process of the pool; its row."""
    if time.monotonic() > until:
        return {"skipped": "no time was left"}
    device = torch.device(device_name)
    make_current(device)
    data = _data(planned.data, planned.root, device)
    is_teacher = arm == TEACHER_ARM
    method = MethodSpec(name="none") if is_teacher else ARMS[arm]
    spec = TrainingSpec(
        role="teacher" if is_teacher else "student", model=planned.teacher if is_teacher else planned.student,
        dataset=data.card.name, data_fingerprint=data.card.fingerprint, method=method, recipe=planned.recipe, seed=seed,
        teacher=None if method.name == "none" else TeacherReference(model=planned.teacher, training_key="benchmark"),
    )  # fmt: skip
    weights = folder / "teacher.pt"
    teacher = None
    if spec.teacher is not None:
        teacher = build_model(planned.teacher, classes=data.card.classes, channels=data.card.channels, seed=0)
        teacher.load_state_dict(torch.load(weights, weights_only=True))
        teacher = teacher.eval().requires_grad_(False).to(data.device)
    training = begin(spec, data, teacher)
    watcher = _Watcher(until)
    whole = train(training, planned.recipe.epochs, watcher)
    row: dict[str, Any] = {
        "model": spec.model, "epochs": training.epoch, "of_epochs": planned.recipe.epochs,
        "seconds": round(training.seconds, 1), "validation_accuracy": watcher.accuracies, "shares": watcher.shares,
        "last_epoch": {name: round(value, 5) for name, value in training.last_measured.items()},
    }  # fmt: skip
    if whole:
        row["test_accuracy"] = EVALUATORS[training.spec.task].evaluate(training.judged, data, data.read_test()).score
        if is_teacher:
            torch.save({name: value.cpu() for name, value in training.model.state_dict().items()}, weights)
    return row


@functools.cache
def _data(name: str, root: Path, device: torch.device) -> ImageData:
    return load_dataset(dataset_card(name, root, "dataset"), root, device)


class _Watcher:
    """Ends a training when its time is over. Keeps accuracy and the share of DPK's last stage, epoch by epoch."""

    def __init__(self, until: float) -> None:
        self._until = until
        self.accuracies: list[float] = []
        self.shares: list[float] = []

    def wants_stop(self) -> bool:
        return time.monotonic() > self._until

    def stepped(self, training: Training) -> None:
        pass

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:  # noqa: ARG002  (an observer's signature)
        self.accuracies.append(round(values["validation_accuracy"], 5))
        if "share.last" in values:
            self.shares.append(round(values["share.last"], 4))


Accuracies = dict[tuple[str, int], float]
"""By arm and seed."""


def compared(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean test accuracy of each arm in %, and differences between arms in points.

    Each pair of arms is compared twice, as far as there are trainings: on the test split after the whole training, and
    on the validation split after the last epoch that both reached on all their common seeds. A seed that got less than
    half as far as another is left out of that.
    """
    tested: Accuracies = {(row["arm"], row["seed"]): row["test_accuracy"] for row in rows if "test_accuracy" in row}
    curves = {(row["arm"], row["seed"]): row["validation_accuracy"] for row in rows if row.get("validation_accuracy")}
    means = {arm: [value for (found, _), value in tested.items() if found == arm] for arm in ARMS}
    differences = []
    for arm, base in COMPARED:
        differences += _difference(tested, arm, base, measure="test_accuracy")
        both = {seed: min(len(curves[each, seed]) for each in (arm, base)) for seed in _common(curves, arm, base)}
        far = [seed for seed, epochs in both.items() if 2 * epochs >= max(both.values())]
        epoch = min((both[seed] for seed in far), default=0)
        reached = {(each, seed): curves[each, seed][epoch - 1] for seed in far for each in (arm, base)}
        differences += _difference(reached, arm, base, measure="validation_accuracy", epoch=epoch)
    return {
        "means": {arm: round(100 * statistics.fmean(values), 3) for arm, values in means.items() if values},
        "differences": differences,
    }


def _common(found: Mapping[tuple[str, int], object], arm: str, base: str) -> list[int]:
    """The seeds that both arms have."""
    return sorted({seed for one, seed in found if one == arm} & {seed for one, seed in found if one == base})


def _difference(values: Accuracies, arm: str, base: str, **of: object) -> list[dict[str, Any]]:
    """The mean difference over common seeds with its standard error; none with fewer than two seeds."""
    seeds = _common(values, arm, base)
    points = [100 * (values[arm, seed] - values[base, seed]) for seed in seeds]
    if len(points) < 2:
        return []
    error = statistics.stdev(points) / math.sqrt(len(points))
    found = {"points": round(statistics.fmean(points), 3), "standard_error": round(error, 3)}
    return [{"arm": arm, "over": base, "seeds": seeds, **of, **found}]


def _make_up(path: Path) -> None:
    chance = np.random.default_rng(0)
    np.savez(
        path, x_train=chance.integers(0, 256, (80, 16, 16, 3), dtype=np.uint8), y_train=np.arange(80) % 4,
        x_test=chance.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), y_test=np.arange(16) % 4,
        classes=np.array(["a", "b", "c", "d"]),
    )  # fmt: skip
