"""The ablation's main arms on CIFAR-100 (15,000 pictures) for 60 epochs: teacher R56, student R8, runs side by side.

A training that the time did not reach has a row that names the epoch in which it ended, and is not compared.
Differences are paired by seed.
"""

from __future__ import annotations

import functools
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.dpk_settings import DpkSettings
from dpk_core.models.build import build_model
from dpk_core.recipes import SMALL
from dpk_core.spec import MethodSpec, Recipe, TeacherReference, TrainingSpec
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin, make_deterministic

DATA = "cifar100_20k"
ARMS: dict[str, MethodSpec] = {
    "no teacher": MethodSpec(name="none"),
    "KD, T = 4, .1 and .9": MethodSpec(name="kd"),
    "DPK's weights, no feature loss": MethodSpec(name="dpk", dpk=DpkSettings(feature_weight=0.0)),
    "DPK": MethodSpec(name="dpk"),
}
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
        done: dict[tuple[str, int], float] = {}
        with ProcessPoolExecutor(processes, context, make_deterministic, (1,)) as pool:
            teacher = pool.submit(work, TEACHER_ARM, 0)
            # The first arm needs no teacher and goes on beside it.
            first = [pool.submit(work, next(iter(ARMS)), seed) for seed in planned.seeds]
            trained = _row(teacher)
            yield trained
            others: list[Future[dict[str, Any]]] = []
            if "test_accuracy" in trained:
                others = [pool.submit(work, arm, seed) for seed in planned.seeds for arm in list(ARMS)[1:]]
            for future in as_completed([*first, *others]):
                row = _row(future)
                if "test_accuracy" in row:
                    done[row["arm"], row["seed"]] = row["test_accuracy"]
                yield row
        yield compared(done)


def _row(future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    except Exception as error:  # one training that fails must not cost the others
        return {"failed": f"{type(error).__name__}: {str(error)[:300]}"}


def carry_out(planned: Plan, device_name: str, folder: Path, until: float, arm: str, seed: int) -> dict[str, Any]:
    """One training, in a process of the pool; its row."""
    data = _data(planned.data, planned.root, torch.device(device_name))
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
    row: dict[str, Any] = {"arm": arm, "seed": seed, "model": spec.model, "epochs": planned.recipe.epochs}
    watcher = _Watcher(until)
    if not train(training, planned.recipe.epochs, watcher):
        return row | {"ended_in_epoch": training.epoch + 1, "seconds": round(training.seconds, 1)}
    if is_teacher:
        torch.save({name: value.cpu() for name, value in training.model.state_dict().items()}, weights)
    accuracy = EVALUATORS[training.spec.task].evaluate(training.judged, data, data.read_test()).score
    return row | {
        "test_accuracy": accuracy, "seconds": round(training.seconds, 1),
        "last_epoch": {name: round(value, 5) for name, value in training.last_measured.items()},
        "shares": watcher.shares,
    }  # fmt: skip


@functools.cache
def _data(name: str, root: Path, device: torch.device) -> ImageData:
    return load_dataset(dataset_card(name, root, "dataset"), root, device)


class _Watcher:
    """Ends a training when its time is over and keeps the shares of DPK's last stage, epoch by epoch."""

    def __init__(self, until: float) -> None:
        self._until = until
        self.shares: list[float] = []

    def wants_stop(self) -> bool:
        return time.monotonic() > self._until

    def stepped(self, training: Training) -> None:
        pass

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:  # noqa: ARG002  (an observer's signature)
        if "share.last" in values:
            self.shares.append(round(values["share.last"], 4))


def compared(done: dict[tuple[str, int], float]) -> dict[str, Any]:
    """Mean accuracy of each arm in %, and differences in points with their standard errors, over common seeds."""
    seeds = {arm: sorted(seed for found, seed in done if found == arm) for arm in ARMS}
    means = {
        arm: round(100 * statistics.fmean(done[arm, seed] for seed in found), 3)
        for arm, found in seeds.items()
        if found
    }
    differences = []
    for arm, base in COMPARED:
        common = sorted(set(seeds[arm]) & set(seeds[base]))
        points = [100 * (done[arm, seed] - done[base, seed]) for seed in common]
        if len(points) > 1:
            error = statistics.stdev(points) / math.sqrt(len(points))
            differences.append({
                "arm": arm, "over": base, "seeds": common,
                "points": round(statistics.fmean(points), 3), "standard_error": round(error, 3),
            })  # fmt: skip
    return {"means": means, "differences": differences}


def _make_up(path: Path) -> None:
    chance = np.random.default_rng(0)
    np.savez(
        path, x_train=chance.integers(0, 256, (80, 16, 16, 3), dtype=np.uint8), y_train=np.arange(80) % 4,
        x_test=chance.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8), y_test=np.arange(16) % 4,
        classes=np.array(["a", "b", "c", "d"]),
    )  # fmt: skip
