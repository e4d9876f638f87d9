"""Real data in sizes that two CPU cores can train on: stratified subsets, cut from larger `.npz` files.

A subset is a function of its source and of what is written here, byte for byte, so its fingerprint is the same for
everybody. It is an ordinary data set of the product: a validation part is held out of its training pictures.
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.splits import stratified
from dpk_core.errors import InvalidRequest

WORK = Path(os.environ.get("DPK_BENCHMARK_WORK", ".dpk/benchmarks"))
"""Where benchmarks keep what they can make again: subsets, weights, single trials."""

EPOCH_OF_ZIP = (1980, 1, 1, 0, 0, 0)
"""The time that every member is said to be from: the real one would change the fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """`train` pictures of `source`, class-balanced, with all its test pictures.

    `halved`: how often pictures are made half as large (2x2 means); `coarse`: superclasses instead of classes; `kept`:
    only the source's classes from the one up to before the other (before superclasses).
    """

    name: str
    source: str
    train: int
    halved: int = 0
    coarse: bool = False
    kept: tuple[int, int] | None = None


FASHION = Subset(name="fashion_7k", source="fashion_mnist", train=7_500)
CIFAR = Subset(name="cifar100_coarse_16px", source="cifar100_20k", train=12_500, halved=1, coarse=True)
FASHION_TABLE = Subset(name="fashion_14px_5k", source="fashion_mnist", train=5_000, halved=1)
CIFAR_TABLE = Subset(name="cifar100_coarse_16px_7k", source="cifar100_20k", train=7_500, halved=1, coarse=True)
FINE_TABLE = Subset(name="cifar100_first50_16px", source="cifar100_20k", train=7_500, halved=1, kept=(0, 50))
REST_TABLE = Subset(name="cifar100_last50_16px", source="cifar100_20k", train=5_000, halved=1, kept=(50, 100))
SPARSE_TABLE = Subset(name="fashion_14px_2k", source="fashion_mnist", train=2_500, halved=1)
GREY_TABLE = Subset(name="fashion_14px_3k", source="fashion_mnist", train=3_500, halved=1)
MIDDLE_TABLE = Subset(name="cifar100_middle50_16px", source="cifar100_20k", train=5_000, halved=1, kept=(25, 75))
SLIM_TABLE = Subset(name="fashion_14px_3000", source="fashion_mnist", train=3_000, halved=1)
SHIFTED_TABLE = Subset(name="cifar100_shifted50_16px", source="cifar100_20k", train=5_000, halved=1, kept=(12, 62))
FOUR_TABLE = Subset(name="fashion_14px_4k", source="fashion_mnist", train=4_000, halved=1)
LONG_TABLE = Subset(name="fashion_14px_1200", source="fashion_mnist", train=1_200, halved=1)
PRETRAINING = Subset(name="cifar100_first60_16px", source="cifar100_20k", train=6_000, halved=1, kept=(0, 60))
FINETUNED_TABLE = Subset(name="cifar100_last40_16px", source="cifar100_20k", train=2_000, halved=1, kept=(60, 100))
FEW_TABLE = Subset(name="cifar100_coarse_16px_600", source="cifar100_20k", train=600, halved=1, coarse=True)
COARSE_TABLE = Subset(name="cifar100_coarse_16px_4k", source="cifar100_20k", train=4_000, halved=1, coarse=True)


def source_root() -> Path:
    """The folder of the source files. Raises InvalidRequest where `DPK_DATA_ROOT` is not set."""
    root = os.environ.get("DPK_DATA_ROOT")
    if root is None:
        raise InvalidRequest("DPK_DATA_ROOT", "Set DPK_DATA_ROOT to the folder with fashion_mnist.npz and the others.")
    return Path(root)


def make(subset: Subset) -> Path:
    """The folder that holds `<subset>.npz`, a data root; the file is made where it is not there yet."""
    folder = WORK / "data"
    path = folder / f"{subset.name}.npz"
    if path.exists():
        return folder
    with np.load(source_root() / f"{subset.source}.npz", allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    if subset.kept is not None:
        found = _only(found, *subset.kept)
    labels = found["y_train"].astype(np.int64)
    chosen, _ = stratified(labels, [subset.train / len(labels)])
    classes, of_class = found["classes"], np.arange(len(found["classes"]))
    if subset.coarse:
        classes, of_class = found["coarse_classes"], found["coarse_of_fine"].astype(np.int64)
    made = {
        "x_train": _halve(found["x_train"][chosen], subset.halved),
        "y_train": of_class[labels[chosen]].astype(np.uint8),
        "x_test": _halve(found["x_test"], subset.halved),
        "y_test": of_class[found["y_test"].astype(np.int64)].astype(np.uint8),
        "classes": classes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with zipfile.ZipFile(partial, "w") as archive:
        for name, values in made.items():
            content = io.BytesIO()
            np.save(content, values, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH_OF_ZIP), content.getvalue())
    partial.replace(path)
    return folder


def _only(found: dict[str, NDArray[Any]], first: int, end: int) -> dict[str, NDArray[Any]]:
    """Only the pictures of the classes from `first` to before `end`, which are counted from 0 again."""
    made = {**found, "classes": found["classes"][first:end]}
    for part in ("train", "test"):
        labels = found[f"y_{part}"]
        kept = (labels >= first) & (labels < end)
        made |= {f"x_{part}": found[f"x_{part}"][kept], f"y_{part}": labels[kept] - first}
    return made


def _halve(pictures: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Means of 2x2 pixels, rounded half up."""
    for _ in range(times):
        wide = pictures.astype(np.uint16)
        total = wide[:, ::2, ::2] + wide[:, 1::2, ::2] + wide[:, ::2, 1::2] + wide[:, 1::2, 1::2]
        pictures = ((total + 2) // 4).astype(np.uint8)
    return pictures
