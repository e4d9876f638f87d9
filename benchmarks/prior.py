"""What the tables of real trainings say about the prior: how likely it makes their results when one number is changed.

    python -m benchmarks.prior

Every table is one job whose results are all known (every eighth, every teacher, every seed). A row is a number of the
belief's tables (`dpk_core.selection.belief.effects`), halved, as it is, and doubled: the log-likelihood of all tables'
results, in nats above that as it is, and on how many tables the change is likelier. The numbers in force were taken
from such likelihoods and then widened, as a new job may differ from these tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks import record, table
from benchmarks.replay import rung_epochs, taught
from benchmarks.table import Table
from dpk_core.selection.belief import choosing, effects
from dpk_core.selection.belief.choosing import believe
from dpk_core.selection.belief.effects import Places, Setting
from dpk_core.selection.decide.job_results import EIGHTHS

FACTORS = (0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number of the prior: an effect's sd, a row of `PRIORS`, or a constant of `effects`."""

    table: str
    name: str


def numbers() -> list[Number]:
    """Every number that the tables can say something about."""
    sds = [effect.name for effect in effects.EFFECTS if effect.sd != effects.FLAT]
    return [
        *(Number(table="sd of an effect", name=name) for name in sds),
        *(Number(table="over rungs", name=name) for name in effects.PRIORS),
        *(Number(table="constant", name=name) for name in ("SLOPE", "TRAINING_SHARE")),
    ]


@contextmanager
def scaled(number: Number, factor: float) -> Iterator[None]:
    """The prior with the number times `factor`, until the block ends."""
    kept = effects.EFFECTS, dict(effects.PRIORS), getattr(effects, number.name, None)
    if number.table == "sd of an effect":
        changed = [each._replace(sd=each.sd * factor) if each.name == number.name else each for each in effects.EFFECTS]
        _use(tuple(changed))
    elif number.table == "over rungs":
        values, source = effects.PRIORS[number.name]
        effects.PRIORS[number.name] = (tuple(factor * value for value in values), source)  # type: ignore[assignment]
    else:
        setattr(effects, number.name, getattr(effects, number.name) * factor)
    try:
        yield
    finally:
        _use(kept[0])
        effects.PRIORS.update(kept[1])
        if number.table == "constant":
            setattr(effects, number.name, kept[2])


def _use(found: tuple[effects.Effect, ...]) -> None:
    for room in (effects, choosing):
        setattr(room, "EFFECTS", found)  # noqa: B010 - a constant everywhere else


def log_likelihood(own: Table) -> float:
    """Of every result of a table under the prior as it is now, in nats."""
    arms = taught(own)
    score_ASR = own.validation_right_ASEV[arms][:, :, rung_epochs(own.validation_right_ASEV.shape[2])].mean(-1)
    teachers_A = np.array([own.metadata["arms"][index]["validation_accuracy"] for index in arms])
    p = float(teachers_A.mean())
    setting = Setting(
        teacher_score_A=teachers_A, fractions=EIGHTHS, seeds=score_ASR.shape[1],
        sampling_variance=p * (1 - p) / own.validation_right_ASEV.shape[-1],
    )  # fmt: skip
    places = np.indices(score_ASR.shape).reshape(3, -1)
    return believe(setting, Places(*places), score_ASR.ravel()).log_likelihood


def rows(tables: list[Table]) -> list[dict[str, Any]]:
    """A row for each number and factor."""
    usual = np.array([log_likelihood(each) for each in tables])
    found = []
    for number in numbers():
        for factor in FACTORS:
            with scaled(number, factor):
                apart = np.array([log_likelihood(each) for each in tables]) - usual
            found.append({
                "table": number.table, "number": number.name, "factor": factor, "nats": round(float(apart.sum()), 2),
                "likelier_on": int((apart > 0).sum()), "tables": len(tables),
            })  # fmt: skip
    return found


def main() -> None:
    """Prints the table and writes `results/prior.json`."""
    tables = table.read_all()
    found = rows(tables)
    for row in found:
        print(
            f"{row['table']:18} {row['number']:18} x {row['factor']:<4} {row['nats']:10.2f} nats  likelier on "
            f"{row['likelier_on']} of {row['tables']}"
        )
    record.write("prior", {
        "command": "python -m benchmarks.prior", "seeds": [], "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(), "tables": [each.name for each in tables], "targets": [], "rows": found,
    })  # fmt: skip


if __name__ == "__main__":
    main()
