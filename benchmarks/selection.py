"""Every policy on every table: what it regrets and what it costs, beside Optuna, LogME, chance and everything.

    python -m benchmarks.selection [--jobs N] [--processes N]

Replays N resampled jobs a table (`replay`). A job believes beforehand what it would in a store that has answered for
the table's other student: the prior is learnt from the table of the same data and method with that student, as
`service.selection_jobs.history` does; "empty store" is the default prior, whose slope, and the rule for how little
early rungs say (`experience.RISE`), were set by looking at the Fashion tables; the CIFAR tables were looked at by
nobody before they were replayed. Regret is in points of test accuracy, cost a share of training every teacher on the
job's three seeds; teachers' own training is counted apart, as all ways of choosing need it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import torch

from benchmarks import record, table
from benchmarks.replay import (
    RUNGS,
    Job,
    Outcome,
    at_random,
    by_optuna,
    by_wilcoxon,
    draw,
    follow,
    most_accurate,
    qualified,
    rung_epochs,
)
from benchmarks.table import Table
from dpk_core.randomness import derive
from dpk_core.selection.experience import learn
from dpk_core.selection.knowledge import Arm, Knowledge, Prior
from dpk_core.selection.policies.registry import POLICIES
from dpk_core.selection.spreads import picture_spread
from dpk_core.selection.statistics import CONFIDENCE

BUDGETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5)
MOST_REGRET = 0.2
"""Points above the exhaustive policy's, at a share of at most `SHARE` of its cost."""
SHARE = 0.15
UNLIMITED = 9.0
MOST_OF_EVERYTHING = 0.98
BY_DEFAULT = "posterior, until a job's default certainty"
RIVALS = ("logme", "leep", "h_score", "cka_gap")

Way = Callable[[Job, np.random.Generator], Outcome]


def ways(own: Table) -> dict[str, Way]:
    """Every way of choosing by name."""
    found: dict[str, Way] = {
        "random": at_random,
        "teacher accuracy": lambda job, _: most_accurate(job),
        "exhaustive": _policy("exhaustive", UNLIMITED),
        "halving": _policy("halving", UNLIMITED),
    }
    for budget in BUDGETS:
        found[f"halving, at most {budget:.0%}"] = _policy("halving", budget)
        found[f"posterior, at most {budget:.0%}"] = _policy("posterior", budget)
    found["posterior, no limit"] = _policy("posterior", UNLIMITED)
    found[BY_DEFAULT] = _policy("posterior", UNLIMITED, sure=CONFIDENCE)
    found[f"posterior, empty store, at most {SHARE:.0%}"] = _policy("posterior", SHARE, base_prior())
    for rival in RIVALS:
        scores = [arm.get(rival) for arm in own.told["arms"] if arm["teacher"] is not None]
        if None not in scores:
            found[rival] = _scored(np.array(scores, dtype=np.float64))
    for seeds in (1, 3):
        for name, pruner in _pruners().items():
            found[f"Optuna {name}, {seeds} seed{'s' if seeds > 1 else ''}"] = _optuna(pruner, seeds)
        found[f"Optuna {name}, 1 seed, best teacher first"] = _optuna(pruner, 1, informed=True)
    for threshold in (0.3, 0.6):
        found[f"Optuna Wilcoxon p<{threshold}"] = _wilcoxon(threshold)
    return found


def _policy(name: str, budget: float, prior: Prior | None = None, sure: float | None = None) -> Way:
    return lambda job, _: follow(POLICIES[name], job if prior is None else replace(job, prior=prior), budget, sure)


def _scored(scores_T: np.ndarray[Any, np.dtype[np.float64]]) -> Way:
    return lambda job, _: most_accurate(job, scores_T)


def _optuna(pruner: Callable[[], optuna.pruners.BasePruner], seeds: int, *, informed: bool = False) -> Way:
    return lambda job, chance: by_optuna(job, pruner, seeds, chance, informed=informed)


def _wilcoxon(threshold: float) -> Way:
    return lambda job, chance: by_wilcoxon(job, threshold, chance)


def _pruners() -> dict[str, Callable[[], optuna.pruners.BasePruner]]:
    return {
        "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=1),
        "halving, factor 2": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        "halving, factor 4": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=4),
        "Hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2),
    }


def as_job(found: Table) -> Knowledge:
    """A table as an earlier job whose every training is finished."""
    epochs = rung_epochs(found.validation_right_ASEV.shape[2])
    accuracy_ASR = found.validation_right_ASEV[:, :, epochs].mean(-1)
    arms = tuple(
        Arm(
            teacher=None if teacher is None else qualified(found, teacher),
            teacher_accuracy=None if teacher is None else found.told["arms"][index]["validation_accuracy"],
            curves={seed: tuple(curve.tolist()) for seed, curve in enumerate(accuracy_ASR[index])},
        )
        for index, teacher in enumerate(found.teachers)
    )
    return Knowledge(arms=arms, rungs=RUNGS, seeds=tuple(range(accuracy_ASR.shape[1])))


def base_prior() -> Prior:
    """The default. A bootstrap of the validation pictures adds their error once more."""
    return replace(Prior(), picture_spread=float(np.sqrt(2)) * Prior().picture_spread)


def prior_from(others: list[Table], pictures: int) -> Prior:
    """What other students' tables teach. A bootstrap of the validation pictures adds their error once more."""
    prior = learn([as_job(other) for other in others], Prior())
    spreads = [
        spread**2 * other.validation_right_ASEV.shape[-1] / pictures
        for other in others
        if (spread := picture_spread(other.validation_right_ASEV[:, :, -1])) is not None
    ]
    return replace(prior, picture_spread=float(np.sqrt(2 * np.mean(spreads)))) if spreads else prior


def replayed(own: Table, others: list[Table], jobs: int) -> Iterator[dict[str, Any]]:
    """A row for each way of choosing."""
    prior = prior_from(others, own.validation_right_ASEV.shape[-1])
    drawn = [draw(own, prior, _chance(own, index, "job")) for index in range(jobs)]
    for name, way in ways(own).items():
        outcomes = [way(job, _chance(own, index, name)) for index, job in enumerate(drawn)]
        regrets = np.array([100 * job.regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
        unseen = np.array([100 * job.unseen_regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
        row: dict[str, Any] = {
            "table": own.name, "way": name, "regret": float(regrets.mean()),
            "error": float(regrets.std() / np.sqrt(jobs)), "worst": float(regrets.max()),
            "unseen": float(unseen.mean()), "hit": float((regrets == 0).mean()),
            "share": float(np.mean([done.share for done in outcomes])),
        }  # fmt: skip
        views = [done.view for done in outcomes]
        if views[0] is not None and name != "teacher accuracy":
            best = drawn[0].teachers[int(drawn[0].truth_T.argmax())]
            row["held"] = float(np.mean([best in view.best_set for view in views if view is not None]))
            row["set_size"] = float(np.median([len(view.best_set) for view in views if view is not None]))
        yield {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _chance(own: Table, index: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive(0, own.name, index, purpose)))


def _one(name: str, jobs: int) -> list[dict[str, Any]]:
    tables = {each.name: each for each in table.read_all()}
    own = tables.pop(name)
    same = own.told["method"], own.told["fingerprint"]
    others = [other for other in tables.values() if (other.told["method"], other.told["fingerprint"]) == same]
    return list(replayed(own, others, jobs))


def averaged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way's mean over tables."""
    found = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        mean: dict[str, Any] = {"table": "all", "way": way}
        for name in ("regret", "unseen", "share", "hit", "held", "set_size"):
            values = [row[name] for row in own if name in row]
            if values:
                mean[name] = round(float(np.mean(values)), 4)
        found.append(mean)
    return found


def _ours(row: dict[str, Any]) -> bool:
    return row["way"].startswith("posterior") and "empty store" not in row["way"]


def targets(means: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issue's targets, averaged over tables."""
    by_way = {row["way"]: row for row in means}
    ours = by_way[f"posterior, at most {SHARE:.0%}"]
    above, unseen = (ours[name] - by_way["exhaustive"][name] for name in ("regret", "unseen"))
    # What pruned nothing is the exhaustive policy under another name.
    pruners = [row for row in means if row["way"].startswith("Optuna") and row["share"] < MOST_OF_EVERYTHING]
    best = min(pruners, key=lambda row: (row["regret"], row["share"]))
    equal = [row for row in means if _ours(row) and row["regret"] <= best["regret"]]
    ratio = min((row["share"] for row in equal), default=float("inf")) / best["share"]
    rows = [
        record.target("regret above exhaustive", above, MOST_REGRET, "points"),
        record.target("the same on seeds that no way has seen", unseen, MOST_REGRET, "points"),
        record.target("its cost", ours["share"], SHARE, "of exhaustive"),
        record.target(f"cost at a regret no higher than that of {best['way']}", ratio, 0.5, "of its cost"),
    ]
    for name, own in (("at that cost", ours), ("at a job's default certainty", by_way[BY_DEFAULT])):
        rows.append(record.target(f"median size of the 90% set {name}", own["set_size"], 3, "of 6 teachers"))
        rows.append({"name": f"90% set holds the best {name}", "value": own["held"], "target": 0.9,
                     "unit": "of jobs, at least", "met": own["held"] >= 0.9})  # fmt: skip
    return rows


def main() -> None:
    """Replays, prints the table and writes `results/selection.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500, help="resampled jobs a table")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    names = [each.name for each in table.read_all()]
    with ProcessPoolExecutor(options.processes) as pool:
        rows = [row for found in pool.map(_one, names, [options.jobs] * len(names)) for row in found]
    means = averaged(rows)
    for row in means:
        held = f"  set holds the best {row['held']:.0%}, median {row['set_size']:.1f}" if "held" in row else ""
        print(
            f"{row['way']:44} regret {row['regret']:6.3f} (unseen {row['unseen']:6.3f})  cost {row['share']:6.1%}  "
            f"hit {row['hit']:.0%}{held}"
        )
    found = targets(means)
    result = {
        "command": f"python -m benchmarks.selection --jobs {options.jobs}", "seeds": [0],
        "machine": record.machine(torch.device("cpu")), "versions": record.versions(), "tables": names,
        "targets": found, "rows": means + rows,
    }  # fmt: skip
    record.write("selection", result)
    for each in found:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']} (target {each['target']})")


if __name__ == "__main__":
    main()
