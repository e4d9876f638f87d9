"""What each part of DPK is worth, on real data: arms that differ in one choice, on common random numbers.

    DPK_DATA_ROOT=… python -m benchmarks.ablation [--processes N] [--report]

Every arm trains the same student under the same teacher on the same seeds. Three levers are separated: the weights of
the logit term (KD as in the literature against DPK's weights without a feature term, β = 0), the feature term itself
(β = .3 as the authors', 3, 30), and the prior knowledge in it (a share that follows CKA, a fixed one, none). How much
the feature term can matter at all is measured: the norm of its gradient on the student beside the other terms'.

Differences are paired by seed; their 90% intervals are Student's. What was trained is kept in
`results/ablation_trials.jsonl`, a line a training, so the benchmark goes on where it stopped, on any machine.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks import record, trials
from benchmarks.subsets import COARSE_TABLE, FOUR_TABLE, Subset
from dpk_core.dpk_settings import DpkSettings, KdSettings, ShareSettings
from dpk_core.recipes import SMALL
from dpk_core.spec import MethodSpec, Recipe, TrainingSpec

SEEDS = (0, 1, 2, 3, 4)
STUDENT_RECIPE = replace(SMALL, name="ablation", epochs=32, batch_size=64, augmentation="crop_flip", channels_last=True)
TEACHER_RECIPE = replace(STUDENT_RECIPE, epochs=64)
CONFIDENCE = 0.9

CKA = ShareSettings()
NO_SHARE = ShareSettings(schedule="none")


def _fixed(value: float) -> ShareSettings:
    """.4 is near the share that CKA asks for in the mean; .2 and .7, at β = 3, show whether another would be better."""
    return ShareSettings(schedule="fixed", value=value)


def _dpk(beta: float, share: ShareSettings) -> MethodSpec:
    return MethodSpec(name="dpk", dpk=DpkSettings(feature_weight=beta, share=share))


NONE, LITERATURE = "no teacher", "KD, T = 4, .1 and .9"
LOGITS = "logits alone, DPK's weights"
ARMS: dict[str, MethodSpec] = {
    NONE: MethodSpec(name="none"),
    LITERATURE: MethodSpec(name="kd"),
    LOGITS: MethodSpec(name="kd", kd=KdSettings(class_weight=1.0, logit_weight=1.0, temperature=1.0)),
    "features alone, β = 3": MethodSpec(name="dpk_features_only", dpk=DpkSettings(feature_weight=3.0)),
    "DPK, β = .3, CKA": _dpk(0.3, CKA),
    "DPK, β = .3, fixed .4": _dpk(0.3, _fixed(0.4)),
    "DPK, β = .3, no share": _dpk(0.3, NO_SHARE),
    "DPK, β = 3, CKA": _dpk(3.0, CKA),
    "DPK, β = 3, fixed .2": _dpk(3.0, _fixed(0.2)),
    "DPK, β = 3, fixed .4": _dpk(3.0, _fixed(0.4)),
    "DPK, β = 3, fixed .7": _dpk(3.0, _fixed(0.7)),
    "DPK, β = 3, no share": _dpk(3.0, NO_SHARE),
    "DPK, β = 30, CKA": _dpk(30.0, CKA),
    "DPK, β = 30, fixed .4": _dpk(30.0, _fixed(0.4)),
    "DPK, β = 30, no share": _dpk(30.0, NO_SHARE),
}
"""DPK's loss with β = 0 is that of KD with weights 1 and 1 at T = 1, which costs less to train."""

COMPARISONS: tuple[tuple[str, str, str], ...] = (
    ("KD beats no teacher", LITERATURE, NONE),
    ("DPK's logit weights beat no teacher", LOGITS, NONE),
    ("DPK's logit weights beat KD's", LOGITS, LITERATURE),
    ("features alone beat no teacher", "features alone, β = 3", NONE),
    *((f"the feature term helps at β = {beta}", f"DPK, β = {beta}, CKA", LOGITS) for beta in (".3", "3", "30")),
    *(
        (f"features without a share help at β = {beta}", f"DPK, β = {beta}, no share", LOGITS)
        for beta in (".3", "3", "30")
    ),
    *(
        (f"prior knowledge helps at β = {beta}", f"DPK, β = {beta}, CKA", f"DPK, β = {beta}, no share")
        for beta in (".3", "3", "30")
    ),
    *(
        (f"a CKA share beats one of {value} at β = {beta}", f"DPK, β = {beta}, CKA", f"DPK, β = {beta}, fixed {value}")
        for beta, value in ((".3", ".4"), ("3", ".2"), ("3", ".4"), ("3", ".7"), ("30", ".4"))
    ),
)  # fmt: skip
"""The claims that the arms can decide: what is claimed, the arm that is to be better, the other one."""

KEPT = record.RESULTS / "ablation_trials.jsonl"
KEPT_VALUES = ("validation_accuracy", "train_loss")
KEPT_PREFIXES = ("gradient.", "share.", "cka.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A teacher and a student on a data set."""

    subset: Subset
    teacher: str
    student: str

    def teacher_spec(self) -> TrainingSpec:
        """The teacher's own training."""
        return trials.teacher_spec(self.subset, self.teacher, TEACHER_RECIPE)

    def spec(self, method: MethodSpec, seed: int, recipe: Recipe = STUDENT_RECIPE) -> TrainingSpec:
        """One of the student's trainings under `method`."""
        teacher = None if method.name == "none" else self.teacher_spec()
        return trials.student_spec(self.subset, self.student, recipe, seed, method, teacher)


PAIRS = (
    Pair(subset=FOUR_TABLE, teacher="cifar/resnet20", student="cifar/resnet8w8"),
    Pair(subset=COARSE_TABLE, teacher="cifar/resnet32", student="cifar/resnet8w8"),
)


def kept() -> dict[str, dict[str, Any]]:
    """What was trained so far, on whatever machine, by training key."""
    return record.by_key(KEPT)


def wanted() -> list[tuple[Subset, TrainingSpec]]:
    """Every training that is not kept yet, seed by seed, and the teachers that they need."""
    done = kept()
    rows: list[tuple[Subset, TrainingSpec]] = []
    for seed in SEEDS:
        for pair in PAIRS:
            missing = [spec for spec in (pair.spec(method, seed) for method in ARMS.values()) if spec.key() not in done]
            if any(spec.teacher is not None for spec in missing):
                rows.append((pair.subset, pair.teacher_spec()))
            rows += [(pair.subset, spec) for spec in missing]
    return rows


def keep_new() -> None:
    """Adds this machine's finished trainings to those that are kept."""
    done = kept()
    lines = []
    for pair in PAIRS:
        for arm, method in ARMS.items():
            for seed in SEEDS:
                spec = pair.spec(method, seed)
                if spec.key() in done or (trial := trials.load(spec)) is None:
                    continue
                curves = {
                    name: [round(values.get(name, math.nan), 5) for values in trial.values]
                    for name in trial.values[0] if name in KEPT_VALUES or name.startswith(KEPT_PREFIXES)
                }  # fmt: skip
                row = {
                    "key": spec.key(), "data": pair.subset.name, "arm": arm, "seed": seed,
                    "test_accuracy": round(trial.test_accuracy, 5), "cpu_seconds": round(sum(trial.seconds), 1),
                    "diverged": trial.diverged, "curves": curves,
                    "teacher_weights": None if spec.teacher is None else trials.weights_hash(spec.teacher.training_key),
                    "machine": record.machine(torch.device("cpu")),
                }  # fmt: skip
                lines.append(json.dumps(row))
    if lines:
        with KEPT.open("a") as file:
            file.write("\n".join(lines) + "\n")


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean difference in points with Student's interval over seeds."""
    differences = [100 * (a - b) for a, b in zip(ours, theirs, strict=True)]
    mean, count = statistics.fmean(differences), len(differences)
    from scipy import special  # here, as trainings run where it is not installed

    reach = float(special.stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * statistics.stdev(differences) / math.sqrt(count)
    return {"points": round(mean, 3), "low": round(mean - reach, 3), "high": round(mean + reach, 3), "seeds": count}


def rows_of(pair: Pair) -> tuple[list[int], list[dict[str, Any]]]:
    """The seeds on which every arm is finished, and a row for each arm."""
    done = kept()
    found = {arm: {seed: done.get(pair.spec(method, seed).key()) for seed in SEEDS} for arm, method in ARMS.items()}
    seeds = [seed for seed in SEEDS if all(of_arm[seed] is not None for of_arm in found.values())]
    rows = []
    for arm, of_arm in found.items():
        trained = [row for seed in seeds if (row := of_arm[seed]) is not None]
        if len(trained) < 2:
            continue
        curves = {name: _mean_curve(trained, name) for name in trained[0]["curves"]}
        rows.append({
            "data": pair.subset.name, "teacher": pair.teacher, "student": pair.student, "arm": arm,
            "test_accuracy": [row["test_accuracy"] for row in trained],
            "mean": round(100 * statistics.fmean(row["test_accuracy"] for row in trained), 3),
            "spread": round(100 * statistics.stdev(row["test_accuracy"] for row in trained), 3),
            "cpu_seconds": round(statistics.fmean(row["cpu_seconds"] for row in trained), 1),
            "diverged": sum(row["diverged"] is not None for row in trained),
            "teacher_weights": [row["teacher_weights"] for row in trained],
            "gradient_norms": {
                name.removeprefix("gradient."): round(statistics.fmean(curve), 4)
                for name, curve in curves.items() if name.startswith("gradient.")
            },
            "shares": {
                name.removeprefix("share."): curve for name, curve in curves.items() if name.startswith("share.")
            },
            "cka": {name.removeprefix("cka."): curve for name, curve in curves.items() if name.startswith("cka.")},
        })  # fmt: skip
    return seeds, rows


def _mean_curve(trained: list[dict[str, Any]], name: str) -> list[float]:
    """Mean over seeds of each epoch's value."""
    curves = [row["curves"][name] for row in trained]
    return [round(statistics.fmean(values), 4) for values in zip(*curves, strict=False)]


def claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each comparison on each data set as a target: the low end of the interval of the difference is to be above 0.

    Of the seeds on which both arms had the same teacher: one that is trained anew on another machine may differ.
    """
    by_arm = {(row["data"], row["arm"]): row for row in rows}
    targets = []
    for data in dict.fromkeys(row["data"] for row in rows):
        for claim, ours, theirs in COMPARISONS:
            difference = paired(*_of_one_teacher(by_arm[data, ours], by_arm[data, theirs]))
            targets.append({
                "name": f"{data}: {claim}", "value": difference["low"], "target": 0.0,
                "unit": "points, low end of the 90% interval", "met": difference["low"] > 0, "difference": difference,
            })  # fmt: skip
    return targets


def _of_one_teacher(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The accuracies of both arms on the seeds on which they had the same teacher, or one had none."""
    teachers = zip(ours["teacher_weights"], theirs["teacher_weights"], strict=True)
    same = [place for place, pair in enumerate(teachers) if None in pair or pair[0] == pair[1]]
    return [ours["test_accuracy"][place] for place in same], [theirs["test_accuracy"][place] for place in same]


def report() -> None:
    """Keeps what is new, prints the table and writes `results/ablation.json` and the share curves."""
    from benchmarks.charts import share_curves  # here, as trainings run where charts are not drawn

    keep_new()
    found = {pair.subset.name: rows_of(pair) for pair in PAIRS}
    rows = [row for _, of_pair in found.values() for row in of_pair]
    for row in rows:
        print(_line(row))
    targets = claims(rows)
    result = {
        "command": "python -m benchmarks.ablation", "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(), "seeds": {data: seeds for data, (seeds, _) in found.items()},
        "epochs": STUDENT_RECIPE.epochs, "teacher_epochs": TEACHER_RECIPE.epochs, "teachers": _teachers(),
        "targets": targets, "rows": rows,
    }  # fmt: skip
    path = record.write("ablation", result)
    chart = share_curves([row for row in rows if row["arm"] == "DPK, β = .3, CKA"], record.RESULTS)
    for each in targets:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {_interval(each['difference'])}")
    print(f"Written to benchmarks/results: {path.name}{', ' + chart.name if chart else ''}.")


def _teachers() -> dict[str, float]:
    """Test accuracy of each pair's teacher, trained on this machine or taken from the result before."""
    path = record.RESULTS / "ablation.json"
    before: dict[str, float] = json.loads(path.read_text()).get("teachers", {}) if path.exists() else {}
    trained = {pair: trials.load(pair.teacher_spec()) for pair in PAIRS}
    return before | {
        f"{pair.subset.name}, {pair.teacher}": round(trial.test_accuracy, 5)
        for pair, trial in trained.items() if trial is not None
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    norms = ", ".join(f"{name} {norm:.3f}" for name, norm in row["gradient_norms"].items())
    return (
        f"{row['data']:22} {row['arm']:28} {row['mean']:6.2f} ± {row['spread']:.2f}  {row['cpu_seconds']:5.0f} s"
        f"  gradient norms on the student: {norms or '–'}"
    )


def _interval(found: dict[str, float]) -> str:
    return f"{found['points']:+.2f} ({found['low']:+.2f} … {found['high']:+.2f}) points"


if __name__ == "__main__":
    trials.command(__doc__, wanted, report)
