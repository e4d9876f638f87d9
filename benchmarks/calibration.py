"""Is what the verdict claims true? Coverage, false takes and power in jobs whose truth is known.

    python -m benchmarks.calibration [--jobs N] [--processes N]

`cells`: every arm trained fully on every seed (`pictures.CELLS`). `whole jobs`: teachers are looked at, the least
advanced contender goes on, the two likeliest are confirmed beside no teacher. `hopeless`: a candidate that learns
nothing is added. `tables`: the real tables' pictures and seeds drawn anew. Rows are kept as they are made; a run goes
on with those that have fewer than N jobs. Widths and gains are in points.

Legend: A arms (no teacher last), T teachers, S seeds, V pictures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from benchmarks import record
from benchmarks.pictures import CELLS, COMMON_SD, OUTLIER, RUNGS, SEED_SD, Cell, simulated
from benchmarks.replay import taught
from benchmarks.table import TABLES, read
from dpk_core.selection.belief.best_arm import BestArm, best_arm
from dpk_core.selection.belief.choosing import believe
from dpk_core.selection.belief.crossed import Gain, Scores, difference, final_scores, helping, towards_line
from dpk_core.selection.belief.effects import Places, Setting

POINTS, MARGIN, SURE = 100.0, 0.003, 0.9
Z = float(stats.norm.ppf(0.95))
LOOKS = (0, 1, 3, 7)
"""Rungs (0-based eighths) at which a whole job looks at a training."""
PROMOTED = 2
WHOLE = tuple(
    Cell(kind, 4, 3, pictures) for pictures in (539, 5000) for kind in ("gain0", "harm", "one1", "one2", "one3")
)
TABLE_JOBS = 4
"""A table gets one resample for every so many jobs of a cell."""
Measured = dict[str, float]
Right = NDArray[np.bool_]


def cover(gains: list[Gain], true_T: NDArray[np.float64], extra_T: NDArray[np.float64] | float = 0.0) -> float:
    """Share of gains whose interval holds the truth, which itself has a variance of `extra_T`."""
    half_T, value_T = (np.array([getattr(each, name) for each in gains]) for name in ("high", "value"))
    return float((np.abs(value_T - true_T) <= np.hypot(half_T - value_T, Z * np.sqrt(extra_T))).mean())


def width(gains: list[Gain]) -> float:
    """Mean width of the intervals in points."""
    return POINTS * float(np.mean([each.high - each.low for each in gains]))


def informed_width(right_ASV: Right, cell: Cell) -> float:
    """Width of the plain paired interval that knows how much seeds differ; an outlier counts in their variance."""
    apart_TSV = right_ASV[:-1].astype(np.float32) - right_ASV[-1]
    seeds = 2 * SEED_SD**2 + (cell.kind == "outlier") * OUTLIER**2 / cell.teachers / cell.seeds
    variance_T = apart_TSV.mean(1).var(1, ddof=1) / cell.pictures + seeds / cell.seeds
    return float(2 * Z * POINTS * np.sqrt(variance_T).mean())


def chosen(scores: Scores, candidates: int) -> int | None:
    """The place of the teacher that is taken; None: none is clearly better than no teacher."""
    helps = helping(scores, candidates, margin=MARGIN).arms
    return max(helps, key=lambda arm: scores.mean_A[arm], default=None)


def all_trained(cell: Cell, job: int) -> Measured:
    """One job of a cell."""
    made = simulated(cell, cell.chance(job))
    right_ASV, true_T = made.right_RASV[-1], made.truth_A[:-1] - cell.base
    scores = final_scores(right_ASV)
    gains = [difference(scores, arm) for arm in range(cell.teachers)]
    best = best_arm(*towards_line(scores, made.teacher_T))
    take = chosen(scores, cell.teachers)
    found = {
        "cover": cover(gains, true_T), "width": width(gains), "informed_width": informed_width(right_ASV, cell),
        "take": float(take is not None), "useless_take": float(take is not None and true_T[take] <= 0),
        "set_size": len(best.best_set),
    }  # fmt: skip
    return found | ({"held": float(int(true_T.argmax()) in best.best_set)} if cell.has_best else {})


def explored(setting: Setting, accuracy_TSR: NDArray[np.float64]) -> BestArm:
    """Looks at every teacher, then carries the least advanced contender on until the best is clear or near enough."""
    teachers, seeds, looks = accuracy_TSR.shape
    seen = {(arm, 0): 1 for arm in range(teachers)}
    while True:
        rows = np.array([(arm, seed, look) for (arm, seed), count in seen.items() for look in range(count)])
        at = Places(*rows.T)
        belief = believe(setting, at, accuracy_TSR[at.arm_N, at.seed_N, at.rung_N])
        best = best_arm(belief.mean_A, belief.covariance_AA, margin=MARGIN)
        contenders = best.best_set if len(best.best_set) > 1 else np.argsort(-best.chance_A, kind="stable")[:2]
        done = {arm: sum(seen.get((arm, seed), 0) for seed in range(seeds)) for arm in map(int, contenders)}
        going = [arm for arm in done if done[arm] < seeds * looks]
        if best.chance_A[best.lead] >= SURE or best.regret <= MARGIN or not going:
            return best
        arm = min(going, key=lambda arm: done[arm])
        seed = next(seed for seed in range(seeds) if seen.get((arm, seed), 0) < looks)
        seen[arm, seed] = seen.get((arm, seed), 0) + 1


def whole_job(cell: Cell, job: int) -> Measured:
    """One job whose teachers are chosen by their early rungs."""
    made = simulated(cell, cell.chance(job, 1), LOOKS)
    true_T, rate = made.truth_A[:-1] - cell.base, float(made.right_RASV[-1].mean())
    setting = Setting(
        teacher_score_A=made.teacher_T, fractions=tuple((look + 1) / RUNGS for look in LOOKS), seeds=cell.seeds,
        sampling_variance=rate * (1 - rate) / cell.pictures,
    )  # fmt: skip
    best = explored(setting, made.right_RASV[:, :-1].mean(-1).transpose(1, 2, 0))
    promoted = np.argsort(-best.chance_A, kind="stable")[:PROMOTED]
    scores = final_scores(made.right_RASV[-1][[*promoted, -1]])
    take = chosen(scores, cell.teachers)
    found = {"take": float(take is not None), "useless_take": float(take is not None and true_T[promoted[take]] <= 0)}
    if take is not None:
        found["taken_cover"] = cover([difference(scores, take)], true_T[promoted[take]])
    return found


def with_hopeless(pictures: int, job: int) -> Measured:
    """How far a teacher's gain and its interval move when a candidate that learns nothing is added, in points."""
    cell = Cell("gain2", 3, 3, pictures)
    chance = cell.chance(job, 2)
    right_ASV = simulated(cell, chance).right_RASV[-1].copy()
    right_ASV[2] &= chance.random(right_ASV.shape[1:]) < 0.25
    there, gone = (difference(final_scores(right_ASV[arms]), 0) for arms in ([0, 1, 2, 3], [0, 1, 3]))
    wider = (there.high - there.low) - (gone.high - gone.low)
    return {"moved": POINTS * abs(there.value - gone.value), "wider": POINTS * wider}


def of_table(name: str, how: str, job: int) -> Measured:
    """One resample of a table. `bootstrap`: pictures with replacement and 3 of 5 seeds against the table's means, which
    is too easy, as 3 of 5 seeds differ from the 5 by less than from fresh ones. `halves`: half of the pictures and 3
    seeds against the other pictures and seeds, whose own noise widens the interval."""
    table = read(TABLES / f"{name}.npz")
    right_ASV = table.validation_right_ASEV[[*taught(table), table.teachers.index(None)], :, -1]
    pictures = right_ASV.shape[-1]
    chance = np.random.default_rng([job, *map(ord, name)])
    order, half = chance.permutation(right_ASV.shape[1]), chance.permutation(pictures)
    drawn, left = np.sort(order[:3]), np.sort(order[3:])
    if how == "bootstrap":
        scores, extra = final_scores(right_ASV[:, drawn][..., chance.integers(pictures, size=pictures)]), 0.0
        goal_A = right_ASV.mean((1, 2))
    else:
        scores = final_scores(right_ASV[:, drawn][..., half[: pictures // 2]])
        others = right_ASV[:, left][..., half[pictures // 2 :]]
        goal_A = others.mean((1, 2))
        extra = np.array([difference(final_scores(others), arm).standard_error ** 2 for arm in range(len(goal_A) - 1)])
    gains = [difference(scores, arm) for arm in range(len(goal_A) - 1)]
    return {"cover": cover(gains, goal_A[:-1] - goal_A[-1], extra), "width": width(gains)}


def parts(jobs: int) -> Iterator[tuple[str, str, int, Callable[[int], Measured]]]:
    """Every row there is to be: part, name, jobs, and what makes one job."""
    yield from (("cells", cell.name, jobs, partial(all_trained, cell)) for cell in CELLS)
    yield from (("whole jobs", cell.name, jobs, partial(whole_job, cell)) for cell in WHOLE)
    yield from (("hopeless", f"V{pictures}", jobs, partial(with_hopeless, pictures)) for pictures in (539, 5000))
    names = sorted(path.stem for path in TABLES.glob("*.npz"))
    few = max(1, jobs // TABLE_JOBS)
    yield from (("tables", f"{how} {name}", few, partial(of_table, name, how))
                for how in ("bootstrap", "halves") for name in names)  # fmt: skip


def row(part: str, name: str, jobs: int, one: Callable[[int], Measured]) -> dict[str, Any]:
    """Means over jobs, each with its standard error, and the largest."""
    made = [one(job) for job in range(jobs)]
    found: dict[str, Any] = {"part": part, "name": name, "jobs": jobs}
    for key in sorted({key for each in made for key in each}):
        values = np.array([each[key] for each in made if key in each])
        error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
        found[key] = {"mean": round(float(values.mean()), 4), "error": round(error, 4), "most": round(values.max(), 4)}
    return found


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issue's targets, as far as their rows exist."""

    def of(part: str, key: str, keep: Callable[[str], bool] = lambda name: True) -> list[float]:
        return [row[key]["mean"] for row in rows if row["part"] == part and key in row and keep(row["name"])]

    def wild(name: str) -> bool:
        return name.startswith(("outlier", "t3"))

    def least(name: str, value: float, limit: float) -> dict[str, Any]:
        return {"name": name, "value": round(value, 4), "target": limit, "unit": "share, at least", "met": value >= limit}

    covers = of("cells", "cover")
    ratios = [width / ruler for width, ruler in zip(of("cells", "width"), of("cells", "informed_width"), strict=True)]
    plain = [ratio for ratio, name in zip(ratios, [r["name"] for r in rows if r["part"] == "cells"], strict=True)
             if not name.startswith("outlier")]  # fmt: skip
    wild_covers = of("cells", "cover", lambda name: wild(name) and " S2 " not in name)
    tables = [of("tables", "cover", lambda name, how=how: name.startswith(how)) for how in ("bootstrap", "halves")]  # type: ignore[misc]
    found = [
        least("gain interval covers, mean of all cells", float(np.mean(covers)), 0.87),
        record.target("gain interval covers, mean of all cells", float(np.mean(covers)), 0.93, "share, at most"),
        least("gain interval covers, worst cell without outlier or heavy tails",
              min(of("cells", "cover", lambda name: not wild(name))), 0.86),
        least("gain interval covers, worst cell with them and 3 seeds or more", min(wild_covers), 0.84),
        record.target("width over an interval that knows the seeds' spread, mean of cells without outlier",
                      float(np.mean(plain)), 1.05, "ratio"),
        record.target("the same, mean of all cells", float(np.mean(ratios)), 1.05, "ratio"),
        least("90 % set holds the best, worst cell that has one", min(of("cells", "held")), 0.88),
    ]  # fmt: skip
    for pictures in (539, 5000):
        at = f" V{pictures} "
        for kind, key, limit in (("gain0", "take", 0.05), ("harm", "take", 0.01)):
            value = of("whole jobs", key, lambda name, k=kind, a=at: name.startswith(k) and a in name)  # type: ignore[misc]
            found.append(record.target(f"whole jobs that say take X: {kind},{at.rstrip()}", value[0], limit, "share"))
    for kind, limit in (("one2", 0.65), ("one3", 0.95)):
        value = of("whole jobs", "take", lambda name, k=kind: name.startswith(k) and " V539 " in name)  # type: ignore[misc]
        found.append(least(f"whole jobs that say take X: {kind}, V539", value[0], limit))
    moved = [row["moved"]["mean"] for row in rows if row["part"] == "hopeless"]
    found.append(record.target("a hopeless candidate moves another's gain, mean", max(moved), 0.12, "points"))
    for name, values, limit in zip(("bootstrap", "halves"), tables, (0.87, 0.87), strict=True):
        found.append(least(f"gain interval covers, real tables, {name}", float(np.mean(values)), limit))
    return found


def main() -> None:
    """Makes the rows that are missing; writes `results/calibration.json` after each of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=400, help="simulated jobs of each cell")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    path = record.RESULTS / "calibration.json"
    known = {(row["part"], row["name"]): row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
    wanted = list(parts(options.jobs))
    missing = [each for each in wanted if known.get(each[:2], {"jobs": 0})["jobs"] < each[2]]
    with ProcessPoolExecutor(options.processes) as pool:
        for made in pool.map(row, *zip(*missing, strict=True)) if missing else ():
            known[made["part"], made["name"]] = made
            rows = [known[each[:2]] for each in wanted if each[:2] in known]
            whole = len(rows) == len(wanted)
            record.write("calibration", {
                "command": f"python -m benchmarks.calibration --jobs {options.jobs}", "jobs": options.jobs,
                "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
                "simulated": {"seed_sd": SEED_SD, "common_sd": COMMON_SD, "outlier": OUTLIER},
                "targets": targets(rows) if whole else [], "rows": rows,
            })  # fmt: skip
            print(made["part"], made["name"], {key: value["mean"] for key, value in made.items() if isinstance(value, dict)}, flush=True)
    for target in json.loads(path.read_text())["targets"]:
        print(f"{'met   ' if target['met'] else 'NOT MET'} {target['name']}: {target['value']} ({target['target']} {target['unit']})")


if __name__ == "__main__":
    main()
