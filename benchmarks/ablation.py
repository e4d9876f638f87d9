"""What each part of DPK is worth, on real data: arms that differ in one choice, on common random numbers.

    DPK_DATA_ROOT=… python -m benchmarks.ablation [--processes N] [--report]

Every arm trains the same student under the same teacher on the same seeds: no teacher, KD, DPK as it is, with a share
that lags a step, with four fixed shares, with a random share, and without prior knowledge (the same modules, no teacher
tokens). Differences are paired by seed; their 90% intervals are Student's. Goes on where it stopped; `--report` writes
what is there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from scipy import special

from benchmarks import record, trials
from benchmarks.charts import share_curves
from benchmarks.subsets import CIFAR, FASHION, Subset
from benchmarks.trials import Trial
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.recipes import SMALL
from dpk_core.spec import MethodSpec, Recipe, TrainingSpec

SEEDS = (0, 1, 2, 3, 4)
STUDENT_RECIPE = replace(SMALL, name="benchmark", epochs=8, batch_size=64, augmentation="crop_flip")
TEACHER_RECIPE = replace(STUDENT_RECIPE, epochs=16)
FIXED_SHARES = (0.15, 0.4, 0.65, 0.9)
CONFIDENCE = 0.9


def _share(settings: ShareSettings) -> MethodSpec:
    return MethodSpec(name="dpk", dpk=DpkSettings(share=settings))


ARMS: dict[str, MethodSpec] = {
    "no teacher": MethodSpec(name="none"),
    "KD": MethodSpec(name="kd"),
    "DPK, share follows CKA": MethodSpec(name="dpk"),
    "DPK, share a step late": _share(ShareSettings(lag=True)),
    **{f"DPK, fixed share {value}": _share(ShareSettings(schedule="fixed", value=value)) for value in FIXED_SHARES},
    "DPK, random share": _share(ShareSettings(schedule="random")),
    "DPK without prior knowledge": MethodSpec(name="dpk_no_teacher_tokens"),
}
DYNAMIC = "DPK, share follows CKA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A teacher and a student on a data set."""

    subset: Subset
    teacher: str
    student: str

    def teacher_spec(self) -> TrainingSpec:
        """The teacher's own training."""
        return trials.teacher_spec(self.subset, self.teacher, TEACHER_RECIPE)

    def specs(self, method: MethodSpec, recipe: Recipe = STUDENT_RECIPE) -> list[TrainingSpec]:
        """The student's trainings under `method`, one a seed."""
        teacher = None if method.name == "none" else self.teacher_spec()
        return [trials.student_spec(self.subset, self.student, recipe, seed, method, teacher) for seed in SEEDS]


PAIRS = (
    Pair(subset=FASHION, teacher="cifar/resnet20", student="cifar/resnet8w8"),
    Pair(subset=CIFAR, teacher="cifar/resnet56", student="cifar/resnet8"),
)


def wanted() -> list[tuple[Subset, TrainingSpec]]:
    """Every training, seed by seed, so that what is there at any time can be compared."""
    rows = [(pair.subset, pair.teacher_spec()) for pair in PAIRS]
    for index in range(len(SEEDS)):
        rows += [(pair.subset, pair.specs(method)[index]) for pair in PAIRS for method in ARMS.values()]
    return rows


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean difference in points with Student's interval over seeds."""
    differences = [100 * (a - b) for a, b in zip(ours, theirs, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    reach = float(special.stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * statistics.stdev(differences) / math.sqrt(count)
    return {"points": round(mean, 3), "low": round(mean - reach, 3), "high": round(mean + reach, 3)}


def rows_of(pair: Pair) -> list[dict[str, Any]]:
    """A row for each arm that is finished on every seed."""
    found: dict[str, list[Trial]] = {}
    for arm, method in ARMS.items():
        done = [trial for spec in pair.specs(method) if (trial := trials.load(spec)) is not None]
        if len(done) == len(SEEDS):
            found[arm] = done
    accuracies = {arm: [trial.test_accuracy for trial in done] for arm, done in found.items()}
    rows = []
    for arm, done in found.items():
        row: dict[str, Any] = {
            "data": pair.subset.name, "teacher": pair.teacher, "student": pair.student, "arm": arm,
            "test_accuracy": [round(value, 5) for value in accuracies[arm]],
            "mean": round(100 * statistics.fmean(accuracies[arm]), 3),
            "spread": round(100 * statistics.stdev(accuracies[arm]), 3),
            "cpu_seconds": round(statistics.fmean(sum(trial.seconds) for trial in done), 1),
            "diverged": sum(trial.diverged is not None for trial in done),
        }  # fmt: skip
        for name, other in (("over_no_teacher", "no teacher"), ("over_kd", "KD"), ("over_dynamic", DYNAMIC)):
            if other in accuracies and other != arm:
                row[name] = paired(accuracies[arm], accuracies[other])
        if "share.last" in done[0].values[0]:
            row["shares"] = {stage: _curve(done, f"share.{stage}") for stage in ("last", "second_last")}
        rows.append(row)
    return rows


def _curve(done: list[Trial], name: str) -> list[float]:
    """Mean over seeds of each epoch's value."""
    epochs = min(len(trial.values) for trial in done)
    return [round(statistics.fmean(trial.values[epoch][name] for trial in done), 4) for epoch in range(epochs)]


def findings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The paper's findings as targets: differences in points that are to be above zero, lower end of the interval."""
    by_arm = {(row["data"], row["arm"]): row for row in rows}
    targets = []
    for data in dict.fromkeys(row["data"] for row in rows):
        fixed = [by_arm[data, arm] for arm in ARMS if "fixed" in arm and (data, arm) in by_arm]
        dynamic, without = by_arm.get((data, DYNAMIC)), by_arm.get((data, "DPK without prior knowledge"))
        claims: list[tuple[str, dict[str, float] | None]] = []
        if dynamic is not None:
            claims.append(("DPK beats no teacher", dynamic.get("over_no_teacher")))
            claims.append(("DPK beats KD", dynamic.get("over_kd")))
        if fixed and dynamic is not None:
            worst, *_, best = sorted(fixed, key=lambda row: row["mean"])
            claims.append((f"even the worst of them helps, {worst['arm']}", worst["over_no_teacher"]))
            claims.append((f"the dynamic share beats the best, {best['arm']}", _turned(best["over_dynamic"])))
        if without is not None and dynamic is not None:
            claims.append(("prior knowledge helps", _turned(without["over_dynamic"])))
        targets += [
            {"name": f"{data}: {name}", "value": claim["low"], "target": 0.0, "unit": "points, low end of 90% interval",
             "met": claim["low"] > 0}
            for name, claim in claims if claim is not None
        ]  # fmt: skip
    return targets


def _turned(difference: dict[str, float]) -> dict[str, float]:
    return {"points": -difference["points"], "low": -difference["high"], "high": -difference["low"]}


def report() -> None:
    """Prints the table and writes `results/ablation.json` and the share curves."""
    rows = [row for pair in PAIRS for row in rows_of(pair)]
    for row in rows:
        print(_line(row))
    targets = findings(rows)
    result = {
        "command": "python -m benchmarks.ablation", "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(), "seeds": list(SEEDS), "recipe": STUDENT_RECIPE.name,
        "epochs": STUDENT_RECIPE.epochs, "targets": targets, "rows": rows,
    }  # fmt: skip
    path = record.write("ablation", result)
    chart = share_curves([row for row in rows if row["arm"] == DYNAMIC], Path(__file__).parent / "results")
    for each in targets:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']}")
    print(f"Written to benchmarks/results: {path.name}{', ' + chart.name if chart else ''}.")


def _line(row: dict[str, Any]) -> str:
    def told(name: str) -> str:
        found = row.get(name)
        return f"{found['points']:+6.2f} ({found['low']:+.2f} … {found['high']:+.2f})" if found else ""

    return (
        f"{row['data']:22} {row['arm']:28} {row['mean']:6.2f} ± {row['spread']:.2f}  "
        f"over no teacher {told('over_no_teacher'):24} over KD {told('over_kd'):24} {row['cpu_seconds']:5.0f} s"
    )


if __name__ == "__main__":
    trials.command(__doc__, wanted, report)
