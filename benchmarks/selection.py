"""Every way of choosing on every table: what it regrets and what it costs.

    python -m benchmarks.selection [--jobs N] [--processes N]

Replays N resampled jobs a table (`replay`): the product's policies at budgets, its whole jobs on one and several slots,
top-two Thompson sampling and successive elimination on the same belief, Optuna's pruners, transfer scores, chance and
everything. Regret is in points of test accuracy, cost a share of training every teacher on the job's three seeds;
teachers' own training is counted apart, as all ways of choosing need it. Targets are judged on the mean over all
tables.

A table's rows are kept when they are all there, under a hash of what they were made by, so the benchmark goes on where
it was stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import optuna
import torch

from benchmarks import record, subsets, table
from benchmarks.charts import regret_over_cost
from benchmarks.replay import (
    UNLIMITED,
    Job,
    Outcome,
    at_random,
    by_optuna,
    by_wilcoxon,
    draw,
    elimination,
    follow,
    most_accurate,
    taught,
    top_two,
    whole_job,
)
from benchmarks.table import Table
from dpk_core.randomness import derive
from dpk_core.selection.decide.job_results import EIGHTHS, Arm, JobResults
from dpk_core.selection.decide.schedule import Rules, next_decision

BUDGETS = (0.05, 0.15, 0.3)
SLOTS = (1, 2, 4, 8)
TODAY = {0.05: 0.277, 0.15: 0.236, 0.3: 0.172, "whole": 0.161}
"""Regret of the policy before this one: the issue's figures, that at 5 % from the results that it committed."""
MOST_TIME = {1: 0.45, 2: 0.5, 4: 0.6, 8: 0.8}
MOST_SHARE = {1: 0.42, 8: 0.5}
MOST_OF_EVERYTHING = 0.98
INFORMED = ", best teacher first"
RIVALS = ("logme", "leep", "h_score", "cka_gap")

KINDS: tuple[str, ...] = ("best", "tie", "no_teacher", "undecided")
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
        found[f"adaptive, at most {budget:.0%}"] = _policy("adaptive", budget)
        found[f"halving, at most {budget:.0%}"] = _policy("halving", budget)
        found[f"top-two Thompson, at most {budget:.0%}"] = _top_two(budget)
        found[f"successive elimination, at most {budget:.0%}"] = _elimination(budget)
    for slots in SLOTS:
        found[_whole(slots)] = _whole_job(slots)
    for rival in RIVALS:
        scores = [own.metadata["arms"][index].get(rival) for index in taught(own)]
        if None not in scores:
            found[rival] = _scored(np.array(scores, dtype=np.float64))
    for name, pruner in _pruners().items():
        found[f"Optuna {name}, 1 seed"] = _optuna(pruner, 1)
        found[f"Optuna {name}, 3 seeds"] = _optuna(pruner, 3)
        found[f"Optuna {name}, 1 seed{INFORMED}"] = _optuna(pruner, 1, informed=True)
    for threshold in (0.3, 0.6):
        found[f"Optuna Wilcoxon p<{threshold}"] = _wilcoxon(threshold)
    return found


def _whole(slots: int) -> str:
    return f"whole job, {slots} slot{'' if slots == 1 else 's'}"


def _policy(name: str, budget: float) -> Way:
    return lambda job, _: follow(name, job, budget)


def _top_two(budget: float) -> Way:
    return lambda job, chance: top_two(job, budget, chance)


def _elimination(budget: float) -> Way:
    return lambda job, _: elimination(job, budget)


def _whole_job(slots: int) -> Way:
    return lambda job, _: whole_job(job, slots)


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


def replayed(own: Table, jobs: int) -> Iterator[dict[str, Any]]:
    """A row for each way of choosing."""
    drawn = [draw(own, _chance(own, index, "job")) for index in range(jobs)]
    for name, way in ways(own).items():
        yield _row(own, name, drawn, [way(job, _chance(own, index, name)) for index, job in enumerate(drawn)])


def _row(own: Table, name: str, drawn: Sequence[Job], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    regrets = np.array([100 * job.regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
    unseen = np.array([100 * job.unseen_regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
    row: dict[str, Any] = {
        "table": own.name, "way": name, "regret": float(regrets.mean()),
        "error": float(regrets.std() / np.sqrt(len(drawn))), "worst": float(regrets.max()),
        "unseen": float(unseen.mean()), "hit": float((regrets == 0).mean()),
        "share": float(np.mean([done.share for done in outcomes])),
    }  # fmt: skip
    if views := [done.view for done in outcomes if done.view is not None]:
        best = drawn[0].teachers[int(drawn[0].truth_T.argmax())]
        row["held"] = float(np.mean([best in view.best_set for view in views]))
        chances = dict(zip(drawn[0].teachers, drawn[0].best_T.tolist(), strict=True))
        row["held_by_chance"] = float(np.mean([sum(chances[each] for each in view.best_set) for view in views]))
        row["set_size"] = float(np.mean([len(view.best_set) for view in views]))
        row["expected"] = float(np.mean([100 * view.regret for view in views]))
    if times := [done.time for done in outcomes if done.time is not None]:
        row["time"] = float(np.mean(times))
        row["verdicts"] = {kind: sum(done.verdict == kind for done in outcomes) / len(drawn) for kind in KINDS}
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _chance(own: Table, index: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive(0, own.name, index, purpose)))


def _one(name: str, jobs: int) -> list[dict[str, Any]]:
    made_by = record.made_by("selection", "replay", "table", data=table.TABLES / f"{name}.npz")
    path = subsets.WORK / "selection" / f"{name}-{jobs}-{made_by}.json"
    if not path.exists():
        (own,) = (each for each in table.read_all() if each.name == name)
        found = list(replayed(own, jobs))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.replace(path)
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows


def averaged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each way's mean over tables; regret and held with the standard error that so few tables leave (two methods and
    two students of one data set are counted as if they were others)."""
    found = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        mean: dict[str, Any] = {"table": "mean of all tables", "way": way}
        for value in ("regret", "unseen", "share", "hit", "held", "held_by_chance", "set_size", "expected", "time"):
            values = [row[value] for row in own if value in row]
            if values:
                mean[value] = round(float(np.mean(values)), 4)
            if value in ("regret", "held") and len(values) > 1:
                mean[f"{value}_error"] = round(float(np.std(values, ddof=1) / np.sqrt(len(values))), 4)
        if "verdicts" in own[0]:
            mean["verdicts"] = {
                kind: round(float(np.mean([row["verdicts"][kind] for row in own])), 3) for kind in KINDS
            }
        found.append(mean)
    return found


def decision_seconds(teachers: int = 33, seeds: int = 20) -> float:
    """CPU seconds of one decision among so many, half of whose trainings have come to 7/8."""
    chance = np.random.default_rng(3)
    level = 0.8 - np.linspace(0.2, 0, len(EIGHTHS))
    curves = [
        {seed: tuple((level + chance.normal(0, 0.01, len(EIGHTHS)))[:7].tolist()) for seed in range(seeds)}
        for _ in range(teachers)
    ]
    arms = tuple(
        Arm(teacher=f"t{index}", teacher_score=0.9, paces={0: 1.0}, curves=each) for index, each in enumerate(curves)
    )
    known = JobResults(arms=arms, rungs=EIGHTHS, seeds=tuple(range(seeds)), sampling_variance=1e-4)
    seen = known.seen_at({(arm.teacher, seed): 7 for arm in arms for seed in range(seeds)}, failed=())
    began = time.process_time()
    next_decision(seen, [], lambda _: "finished", Rules(slots=8, chance=0.999999, margin=0.0))
    return time.process_time() - began


def targets(means: Sequence[dict[str, Any]], seconds: float) -> list[dict[str, Any]]:
    """The issue's targets, on the mean over all tables. A regret may lie one standard error above today's."""
    by_way = {row["way"]: row for row in means}
    found = []
    for budget in BUDGETS:
        row = by_way[f"adaptive, at most {budget:.0%}"]
        limit = round(TODAY[budget] + row["regret_error"], 4)
        found.append(record.target(f"regret at {budget:.0%}", row["regret"], limit, "points, at most"))
    whole = by_way[_whole(1)]
    limit = round(TODAY["whole"] + whole["regret_error"], 4)
    found.append(record.target("regret of the whole job", whole["regret"], limit, "points, at most"))
    for slots, most in MOST_SHARE.items():
        found.append(
            record.target(f"cost, {_whole(slots)}", by_way[_whole(slots)]["share"], most, "of exhaustive, at most")
        )
    for slots, most in MOST_TIME.items():
        found.append(
            record.target(f"time, {_whole(slots)}", by_way[_whole(slots)]["time"], most, "of exhaustive, at most")
        )
    found.append(record.target("a decision among 33 teachers, 20 seeds, 8 rungs", seconds, 0.2, "CPU seconds, at most"))
    return found


def truths(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """What regret is measured against: teachers' mean test accuracies over all seeds in %, with standard errors."""
    return [
        {
            "table": each.name, "teacher": each.teachers[index], "accuracy": round(100 * float(each.truth_A[index]), 2),
            "error": round(100 * float(each.truth_error_A[index]), 2),
        }
        for each in tables
        for index in taught(each)
    ]  # fmt: skip


def drawn_rows(means: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The chart's points: budgets of one policy are a line; each pruner of Optuna's is a point, as are free rules."""
    return [
        {"kind": _kind(str(row["way"])), "way": row["way"], "share": row["share"], "regret": row["regret"],
         "line": "at most" in row["way"]}
        for row in means
        if not str(row["way"]).startswith("whole job") or row["way"] == _whole(1)
    ]  # fmt: skip


def _kind(way: str) -> str:
    name, _, budget = way.partition(", at most")
    if budget:
        return name
    if way.startswith("Optuna"):
        return "Optuna, best teacher first" if way.endswith(INFORMED) else "Optuna"
    if way in RIVALS:
        return "LogME, LEEP, H-score, CKA gap"
    return "whole job" if way.startswith("whole job") else way


def main() -> None:
    """Replays, prints the table and writes `results/selection.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="resampled jobs a table")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tables = table.read_all()
    names = [each.name for each in tables]
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for name, found in zip(names, pool.map(_one, names, [options.jobs] * len(names)), strict=True):
            print(name, flush=True)
            rows += found
    means, seconds = averaged(rows), decision_seconds()
    for row in means:
        more = f"  set holds the best {row['held']:.0%}, {row['set_size']:.1f} teachers" if "held" in row else ""
        more += f"  time {row['time']:.0%}" if "time" in row else ""
        print(
            f"{row['way']:46} regret {row['regret']:6.3f} ± {row['regret_error']:.3f} (unseen {row['unseen']:6.3f})  "
            f"cost {row['share']:6.1%}  hit {row['hit']:.0%}{more}"
        )
    judged = targets(means, seconds)
    record.write("selection", {
        "command": f"python -m benchmarks.selection --jobs {options.jobs}", "seeds": [0],
        "machine": record.machine(torch.device("cpu")), "versions": record.versions(), "tables": names,
        "truth": truths(tables), "targets": judged, "rows": means + rows,
    })  # fmt: skip
    regret_over_cost(drawn_rows(means), record.RESULTS)
    for each in judged:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']} (target {each['target']})")


if __name__ == "__main__":
    main()
