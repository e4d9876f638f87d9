"""A table of teachers and students: every teacher fully taught on every seed, with every curve and picture kept.

One `.npz` file a table and method under `benchmarks/tables/` (in `growing/` until all its seeds are trained), plain
arrays only (`np.load` needs no `allow_pickle`):

| array | shape | what |
|---|---|---|
| `metadata` | text | JSON: data set, student, method, recipe, seeds, arms (teacher and its own accuracies), command |
| `validation_right` | A x S x E x ⌈V/8⌉ | packed bits: was validation picture v right after epoch e (`np.unpackbits`) |
| `test_right` | A x S x ⌈N/8⌉ | packed bits of the test pictures after the last epoch |
| `seconds` | A x S x E | CPU seconds of each epoch on one thread |
| `train_loss` | A x S x E | mean training loss of each epoch |

Legend: A arms, S seeds, E epochs, V validation and N test pictures. The first arm has no teacher.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TABLES = Path(__file__).parent / "tables"
DEFINED_BY = (
    "name", "fingerprint", "student", "method", "settings", "recipe", "teacher_recipe", "pretraining", "version",
    "validation_pictures", "test_pictures",
)  # fmt: skip
"""What seeds of one table have in common."""
OWN_ACCURACIES = ("validation_accuracy", "test_accuracy")
DRAWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """See the module. `metadata["arms"]` is in the order of the first axis."""

    metadata: dict[str, Any]
    validation_right_ASEV: NDArray[np.bool_]
    test_right_ASN: NDArray[np.bool_]
    seconds_ASE: NDArray[np.float32]
    train_loss_ASE: NDArray[np.float32]

    @property
    def name(self) -> str:
        """Of the file."""
        return str(self.metadata["name"])

    @property
    def teachers(self) -> tuple[str | None, ...]:
        """The arms' teachers; None: no teacher."""
        return tuple(arm["teacher"] for arm in self.metadata["arms"])

    @property
    def truth_A(self) -> NDArray[np.float64]:
        """Each arm's mean test accuracy over all seeds."""
        return np.asarray(self.test_right_ASN.mean((1, 2)))

    @property
    def truth_error_A(self) -> NDArray[np.float64]:
        """Its standard error over seeds."""
        by_seed_AS = self.test_right_ASN.mean(2)
        return np.asarray(by_seed_AS.std(1, ddof=1) / np.sqrt(by_seed_AS.shape[1]))

    def chances_of_best(self, arms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Chance that each of `arms` has the highest accuracy, from means over few seeds: errors of one variance for
        all arms, after what a seed does to all alike, and a flat prior of their differences. Among equals the one with
        the highest mean is therefore rated too high; the noise of the test pictures is left out."""
        accuracy_AS = self.test_right_ASN[arms].mean(2)
        mean_A = accuracy_AS.mean(1)
        rest_AS = accuracy_AS - mean_A[:, None] - accuracy_AS.mean(0) + accuracy_AS.mean()
        freedom = (len(arms) - 1) * (accuracy_AS.shape[1] - 1)
        error = np.sqrt((rest_AS**2).sum() / freedom / accuracy_AS.shape[1])
        chance = np.random.Generator(np.random.PCG64(0))
        draws_DA = chance.normal(mean_A, error, (DRAWS, len(arms)))
        return np.bincount(draws_DA.argmax(1), minlength=len(arms)) / DRAWS


def grow(found: Table, seeds: Sequence[int], folder: Path = TABLES) -> Path:
    """Adds the seeds of `found` to the table of its name. With all `seeds` the table is whole and moves to `folder`.

    Raises ValueError where the seeds so far are of another definition.
    """
    growing, whole = _paths(found.name, folder)
    if growing.exists():
        found = joined(read(growing), found)
    growing.parent.mkdir(parents=True, exist_ok=True)
    _write(found, growing)
    if not set(seeds) <= set(found.metadata["seeds"]):
        return growing
    return growing.replace(whole)


def kept(name: str, folder: Path = TABLES) -> Table | None:
    """The table of this name, whole or with the seeds so far; None without any."""
    growing, whole = _paths(name, folder)
    return next((read(path) for path in (whole, growing) if path.exists()), None)


def joined(one: Table, other: Table) -> Table:
    """The table of both tables' seeds, in order.

    A teacher's accuracies are means over seeds: where it was trained anew for later seeds, it may differ in rounding.
    Its size, cost, key and scores are those of `one`. Raises ValueError where the tables are of different definitions.
    """
    differing = [name for name in DEFINED_BY if one.metadata[name] != other.metadata[name]]
    differing += [] if one.teachers == other.teachers else ["teachers"]
    if differing:
        raise ValueError(
            f"{one.name}: the seeds trained so far differ in {', '.join(differing)}. Give the new definition another "
            "name, or delete the growing table to train all its seeds anew."
        )
    of_both = [*one.metadata["seeds"], *other.metadata["seeds"]]
    if len(set(of_both)) < len(of_both):
        raise ValueError(f"{one.name}: seeds {of_both} are not distinct.")
    order = np.argsort(of_both)

    def by_seed(name: str) -> list[Any]:
        values = [*one.metadata[name], *other.metadata[name]]
        return [values[index] for index in order]

    def array(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(one, name), getattr(other, name)], axis=1)[:, order]

    counts = [len(each.metadata["seeds"]) for each in (one, other)]
    arms = [
        {**arm, **{name: round(float(np.average([arm[name], later[name]], weights=counts)), 5)
                   for name in OWN_ACCURACIES if name in arm}}
        for arm, later in zip(one.metadata["arms"], other.metadata["arms"], strict=True)
    ]  # fmt: skip
    diverged = [[*a, *b] for a, b in zip(one.metadata["diverged"], other.metadata["diverged"], strict=True)]
    metadata = {
        **one.metadata, "seeds": by_seed("seeds"), "trained": by_seed("trained"), "arms": arms,
        "diverged": [[row[index] for index in order] for row in diverged],
    }  # fmt: skip
    return Table(
        metadata=metadata, validation_right_ASEV=array("validation_right_ASEV"), test_right_ASN=array("test_right_ASN"),
        seconds_ASE=array("seconds_ASE"), train_loss_ASE=array("train_loss_ASE"),
    )  # fmt: skip


def _write(table: Table, path: Path) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file, metadata=np.array(json.dumps(table.metadata)),
            validation_right=np.packbits(table.validation_right_ASEV, axis=-1),
            test_right=np.packbits(table.test_right_ASN, axis=-1),
            seconds=table.seconds_ASE, train_loss=table.train_loss_ASE,
        )  # fmt: skip
    partial.replace(path)


def _paths(name: str, folder: Path) -> tuple[Path, Path]:
    """Of a table that grows, and of the whole one."""
    return folder / "growing" / f"{name}.npz", folder / f"{name}.npz"


def read(path: Path) -> Table:
    """The table of a file."""
    with np.load(path, allow_pickle=False) as arrays:
        metadata = json.loads(str(arrays["metadata"]))
        return Table(
            metadata=metadata,
            validation_right_ASEV=_unpack(arrays["validation_right"], metadata["validation_pictures"]),
            test_right_ASN=_unpack(arrays["test_right"], metadata["test_pictures"]),
            seconds_ASE=arrays["seconds"], train_loss_ASE=arrays["train_loss"],
        )  # fmt: skip


def read_all(labels: Sequence[str] = ("dpk", "kd")) -> list[Table]:
    """Every whole table of these methods, by name."""
    paths = [path for path in sorted(TABLES.glob("*.npz")) if path.stem.rpartition("-")[2] in labels]
    return [read(path) for path in paths]


def _unpack(packed: NDArray[np.uint8], pictures: int) -> NDArray[np.bool_]:
    return np.unpackbits(packed, axis=-1, count=pictures).astype(np.bool_)
