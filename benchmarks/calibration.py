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
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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
from dpk_core.selection.belief.choosing import BestArm, believe, best_arm
from dpk_core.selection.belief.crossed import Gain, Scores, difference, final_scores, helping, towards_line
from dpk_core.selection.belief.effects import Places, Setting

POINTS, MARGIN, SURE = 100.0, 0.003, 0.9
Z = float(stats.norm.ppf(0.95))
LOOKS = (0, 1, 3, 7)
"""Rungs (0-based eighths) at which a whole job looks at a training."""
PROMOTED = 2
WHOLE = tuple(
    Cell(kind, 4, 3, pictures) for pictures in (539, 5000) for kind in ("gain0", "harm", "one2", "one3", "one1")
)
TABLE_JOBS = 8
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


@functools.lru_cache(maxsize=1)
def _last_epoch(name: str) -> Right:
    table = read(TABLES / f"{name}.npz")
    return table.validation_right_ASEV[[*taught(table), table.teachers.index(None)], :, -1]


def of_table(name: str, how: str, job: int) -> Measured:
    """One resample of a table. `bootstrap`: pictures with replacement and 3 of 5 seeds against the table's means, which
    is too easy, as 3 of 5 seeds differ from the 5 by less than from fresh ones. `halves`: half of the pictures and 3
    seeds against the other pictures and seeds, whose own noise widens the interval."""
    right_ASV = _last_epoch(name)
    pictures = right_ASV.shape[-1]
    chance = np.random.default_rng([job, *map(ord, name)])
    order, half = chance.permutation(right_ASV.shape[1]), chance.permutation(pictures)
    drawn, left, extra_T = np.sort(order[:3]), np.sort(order[3:]), np.zeros(len(right_ASV) - 1)
    if how == "bootstrap":
        scores = final_scores(right_ASV[:, drawn][..., chance.integers(pictures, size=pictures)])
        goal_A = right_ASV.mean((1, 2))
    else:
        scores = final_scores(right_ASV[:, drawn][..., half[: pictures // 2]])
        others = right_ASV[:, left][..., half[pictures // 2 :]]
        goal_A = others.mean((1, 2))
        extra_T = np.array(
            [difference(final_scores(others), arm).standard_error ** 2 for arm in range(len(goal_A) - 1)]
        )
    gains = [difference(scores, arm) for arm in range(len(goal_A) - 1)]
    return {"cover": cover(gains, goal_A[:-1] - goal_A[-1], extra_T), "width": width(gains)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row that is wanted: what it is about, how many jobs it takes, and what makes one of them."""

    part: str
    name: str
    jobs: int
    one: Callable[[int], Measured]
    table: str | None = None
    cell: Cell | None = None

    @property
    def made_by(self) -> str:
        """What it rests on: a row that was kept under another hash is made anew."""
        modules = ("calibration", "pictures", "replay", "table")
        return record.made_by(*modules, data=None if self.table is None else TABLES / f"{self.table}.npz")


def wanted(jobs: int) -> Iterator[Row]:
    """Every row."""
    for cell in WHOLE:
        yield Row(part="whole jobs", name=cell.name, jobs=jobs, one=partial(whole_job, cell), cell=cell)
    for pictures in (539, 5000):
        yield Row(part="hopeless", name=f"V{pictures}", jobs=jobs, one=partial(with_hopeless, pictures))
    for cell in CELLS:
        yield Row(part="cells", name=cell.name, jobs=jobs, one=partial(all_trained, cell), cell=cell)
    names = sorted(path.stem for path in TABLES.glob("*.npz"))
    for how in ("bootstrap", "halves"):
        for name in names:
            yield Row(
                part=how, name=name, jobs=max(1, jobs // TABLE_JOBS), one=partial(of_table, name, how), table=name
            )


def made(row: Row) -> dict[str, Any]:
    """The row's means over jobs, each with its standard error, and the largest value."""
    found: dict[str, Any] = {"part": row.part, "name": row.name, "jobs": row.jobs, "made_by": row.made_by}
    if row.cell is not None:
        found |= {"kind": row.cell.kind, "seeds": row.cell.seeds, "pictures": row.cell.pictures}
    measured = [row.one(job) for job in range(row.jobs)]
    for key in sorted({key for each in measured for key in each}):
        values = np.array([each[key] for each in measured if key in each])
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        numbers = {"mean": values.mean(), "error": error, "most": values.max()}
        found[key] = {name: round(float(number), 4) for name, number in numbers.items()} | {"count": len(values)}
    return found


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How the rows stand to the targets; a target is left out while it has no row."""
    cells = [row for row in rows if row["part"] == "cells"]
    wild = [row for row in cells if row["kind"] in ("outlier", "t3")]
    calm = [row for row in cells if row not in wild]
    wider = {row["name"]: row["width"]["mean"] / row["informed_width"]["mean"] for row in cells}
    no_outlier = [ratio for name, ratio in wider.items() if not name.startswith("outlier")]
    found: list[dict[str, Any]] = []

    def takes(kind: str, pictures: int) -> list[float]:
        whole = [row for row in rows if row["part"] == "whole jobs"]
        return means([row for row in whole if (row["kind"], row["pictures"]) == (kind, pictures)], "take")

    def at_least(name: str, values: list[float], limit: float) -> None:
        if values:
            value = min(values)
            found.append(
                {"name": name, "value": round(value, 4), "target": limit, "unit": "at least", "met": value >= limit}
            )

    def at_most(name: str, values: list[float], limit: float, unit: str = "at most") -> None:
        if values:
            found.append(record.target(name, max(values), limit, unit))

    def means(rows: list[dict[str, Any]], key: str) -> list[float]:
        return [row[key]["mean"] for row in rows if key in row]

    def whole_mean(values: list[float]) -> list[float]:
        return [float(np.mean(values))] if values else []

    covers = whole_mean(means(cells, "cover"))
    at_least("gain interval covers: mean of all cells", covers, 0.87)
    at_most("gain interval covers: mean of all cells", covers, 0.93)
    at_least("gain interval covers: worst cell without an outlier or heavy tails", means(calm, "cover"), 0.86)
    three_seeds = [row for row in wild if row["seeds"] >= 3]
    at_least("gain interval covers: worst cell with them, 3 seeds or more", means(three_seeds, "cover"), 0.84)
    at_most("gain interval covers: widest cell", means(cells, "cover"), 0.95)
    at_most("width over that of an interval which knows the seeds' spread: mean of cells without an outlier",
            whole_mean(no_outlier), 1.05)  # fmt: skip
    at_most("the same: widest cell without an outlier", no_outlier, 1.05)
    at_least("90 % set holds the best: worst cell that has one", means(cells, "held"), 0.88)
    for kind, limit in (("gain0", 0.05), ("harm", 0.01)):
        for pictures in (539, 5000):
            at_most(f"whole jobs that take a teacher: {kind}, {pictures} pictures", takes(kind, pictures), limit)
    for kind, limit in (("one2", 0.65), ("one3", 0.95)):
        at_least(f"whole jobs that take a teacher: {kind}, 539 pictures", takes(kind, 539), limit)
    hopeless = [row for row in rows if row["part"] == "hopeless"]
    at_most("a hopeless candidate moves another's gain: mean", means(hopeless, "moved"), 0.12, "points")
    for how in ("bootstrap", "halves"):
        covered = means([row for row in rows if row["part"] == how], "cover")
        at_least(f"gain interval covers: mean of the real tables, {how}", whole_mean(covered), 0.87)
    return found


def missing(rows: Sequence[Row]) -> list[Row]:
    """Those that were not made yet by today's code, of so many jobs."""
    known = _kept(rows)
    return [row for row in rows if known.get((row.part, row.name), {"jobs": 0})["jobs"] < row.jobs]


def _kept(rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Any]]:
    path = record.RESULTS / "calibration.json"
    found = json.loads(path.read_text())["rows"] if path.exists() else []
    today = {(row.part, row.name): row.made_by for row in rows}
    return {
        key: row for row in found if (key := (row["part"], row["name"])) in today and row.get("made_by") == today[key]
    }


def main() -> None:
    """Makes the rows that are missing; writes `results/calibration.json` after each of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=400, help="simulated jobs of each cell")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    path, rows = record.RESULTS / "calibration.json", list(wanted(options.jobs))
    known = _kept(rows)
    with ProcessPoolExecutor(options.processes) as pool:
        for new in pool.map(made, missing(rows)):
            known[new["part"], new["name"]] = new
            ready = [known[row.part, row.name] for row in rows if (row.part, row.name) in known]
            record.write("calibration", {
                "command": f"python -m benchmarks.calibration --jobs {options.jobs}",
                "jobs": options.jobs, "rows_missing": len(rows) - len(ready),
                "machine": record.machine(torch.device("cpu")), "versions": record.versions(),
                "simulated": {"seed_sd": SEED_SD, "common_sd": COMMON_SD, "outlier": OUTLIER},
                "targets": targets(ready), "rows": ready,
            })  # fmt: skip
            print(new["part"], new["name"], {key: each["mean"] for key, each in new.items() if isinstance(each, dict)},
                  flush=True)  # fmt: skip
    for each in json.loads(path.read_text())["targets"]:
        word = "met" if each["met"] else "NOT MET"
        print(f"{word:8}{each['name']}: {each['value']} ({each['unit']} {each['target']})")


if __name__ == "__main__":
    main()
