"""Does the light `probe` profile rank teachers as the authors' `paper` profile does?

    DPK_DATA_ROOT=… python -m benchmarks.profiles [--processes N] [--report]

The teachers and the student of a table whose teachers differ (`train_tables`), under both profiles on the same five
seeds; the trainings of `probe` are the table's own. Kendall's τ-b is between the teachers' mean test accuracies over
seeds. Its 90% interval is a bootstrap over seeds, with the teachers as they are; beside it stands how far a profile
agrees with itself between two halves of its seeds, which no profile can be expected to beat. Goes on where it stopped.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks import record, trials
from benchmarks.subsets import Subset
from benchmarks.train_tables import DEFINITIONS, SEEDS
from dpk_core.spec import ProfileName, TrainingSpec

DEFINITION = next(each for each in DEFINITIONS if each.name == "cifar-plain4")
PROFILES: tuple[ProfileName, ...] = ("probe", "paper")
DRAWS = 10_000
CONFIDENCE = 0.9
LEAST_TAU = 0.8
"""What would let the light profile stand in for the heavy one; ours, the sheet names none."""

Accuracies = NDArray[np.float64]


def student(profile: ProfileName, model: str, seed: int) -> TrainingSpec:
    """The student's training under a teacher and a profile."""
    found = DEFINITION.spec("dpk", model, seed)
    return replace(found, method=replace(found.method, profile=profile))


def wanted() -> list[tuple[Subset, TrainingSpec]]:
    """Every training, seed by seed."""
    specs = [DEFINITION.teacher(model) for model in DEFINITION.teachers]
    specs += [student(profile, model, seed) for seed in SEEDS for profile in PROFILES for model in DEFINITION.teachers]
    return [(DEFINITION.subset, spec) for spec in specs]


def accuracies(profile: ProfileName) -> Accuracies:
    """Test accuracies, teachers x seeds. Raises LookupError where a training is missing."""
    rows = []
    for model in DEFINITION.teachers:
        done = [trials.load(student(profile, model, seed)) for seed in SEEDS]
        if any(trial is None for trial in done):
            raise LookupError(f"{model} under {profile} is not finished on every seed")
        rows.append([trial.test_accuracy for trial in done if trial is not None])
    return np.array(rows)


def tau(one_T: Accuracies, other_T: Accuracies) -> float:
    """Kendall's τ-b."""
    return float(stats.kendalltau(one_T, other_T).statistic)


def interval(probe_TS: Accuracies, paper_TS: Accuracies) -> tuple[float, float]:
    """Percentile bootstrap over seeds, which both profiles share."""
    chance = np.random.Generator(np.random.PCG64(0))
    drawn_DS = chance.integers(0, len(SEEDS), (DRAWS, len(SEEDS)))
    taus = [tau(probe_TS[:, seeds].mean(1), paper_TS[:, seeds].mean(1)) for seeds in drawn_DS]
    low, high = np.nanquantile(taus, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def agreement_with_itself(found_TS: Accuracies) -> float:
    """Mean τ between the means over two seeds and over the other three, over all ways to part them."""
    every = set(range(len(SEEDS)))
    parts = [list(part) for part in itertools.combinations(sorted(every), 2)]
    return float(
        np.mean([tau(found_TS[:, part].mean(1), found_TS[:, sorted(every - set(part))].mean(1)) for part in parts])
    )


def report() -> None:
    """Prints the table and writes `results/profiles.json`."""
    found = {profile: accuracies(profile) for profile in PROFILES}
    value, (low, high) = tau(*(each.mean(1) for each in found.values())), interval(found["probe"], found["paper"])
    rows: list[dict[str, Any]] = []
    for index, model in enumerate(DEFINITION.teachers):
        own = trials.load(DEFINITION.teacher(model))
        assert own is not None
        row: dict[str, Any] = {"teacher": model, "teacher_test_accuracy": round(100 * own.test_accuracy, 2)}
        for profile, found_TS in found.items():
            seconds = [
                sum(t.seconds) for seed in SEEDS if (t := trials.load(student(profile, model, seed))) is not None
            ]
            row[profile] = [round(100 * value, 2) for value in found_TS[index]]
            row[f"{profile}_mean"] = round(100 * float(found_TS[index].mean()), 3)
            row[f"{profile}_cpu_seconds"] = round(float(np.mean(seconds)), 1)
        rows.append(row)
        print(
            f"{model:22} teacher {row['teacher_test_accuracy']:6.2f}   probe {row['probe_mean']:6.2f} "
            f"({row['probe_cpu_seconds']:.0f} s)   paper {row['paper_mean']:6.2f} ({row['paper_cpu_seconds']:.0f} s)"
        )
    itself = {profile: round(agreement_with_itself(each), 3) for profile, each in found.items()}
    result = {
        "command": "python -m benchmarks.profiles", "machine": record.machine(torch.device("cpu")),
        "versions": record.versions(), "seeds": list(SEEDS), "student": DEFINITION.student,
        "data": DEFINITION.subset.name,
        "tau": round(value, 3), "tau_low": round(low, 3), "tau_high": round(high, 3), "confidence": CONFIDENCE,
        "agreement_with_itself": itself,
        "targets": [{"name": "Kendall's tau of probe and paper", "value": round(value, 3), "target": LEAST_TAU,
                     "unit": "tau-b, at least", "met": value >= LEAST_TAU}],
        "rows": rows,
    }  # fmt: skip
    path = record.write("profiles", result)
    print(f"Kendall's τ-b {value:.2f} ({CONFIDENCE:.0%} interval {low:.2f} … {high:.2f}); with itself {itself}")
    print(f"Written to benchmarks/results/{path.name}.")


if __name__ == "__main__":
    trials.command(__doc__, wanted, report)
