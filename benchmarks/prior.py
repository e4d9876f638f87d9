"""What belief about curves the tables ask for: the default prior's numbers by maximum likelihood, and when a teacher's
slope comes to show.

    python -m benchmarks.prior [--processes N]

Fits every number of the belief (`dpk_core.selection.posterior`) to whole tables, each with the widths that a job takes
into account (`dpk_core.selection.fitting`), under three assumptions: that all of the slope shows at every rung; that it
does, but for a tilt of each rung; and that a part of it shows, to be fitted. The default prior is wider than what is
found, as two kinds of pictures are not all there are. Only the tables are fitted that `benchmarks.selection` calls
tuned on; how likely what was found makes the others is told beside it. So are each table's spreads by moments
(`benchmarks.table_spreads`). Trains nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from benchmarks import record, table
from benchmarks.replay import rung_epochs, taught
from benchmarks.selection import TUNED_ON
from benchmarks.table import Table
from benchmarks.table_spreads import shared, spreads
from dpk_core.selection.decide.job_results import STANDARD_RUNGS, Arm, Knowledge, Prior
from dpk_core.selection.fitting import log_likelihood

Assumption = Literal["all of the slope", "all of it, tilted", "a part of it"]
ASSUMPTIONS: tuple[Assumption, ...] = ("all of the slope", "all of it, tilted", "a part of it")
GROUPS = ("fashion", "cifar100", "all of them")
"""Tables of one kind of pictures, by the beginning of their data set's name."""
SURE = 3.0
"""Nats by which an assumption must be better to be preferred: twenty times as likely."""
STEPS = 15
"""Of the fit: its last ones gain less than a nat."""
LEAST, MOST = 0.001, 0.5
"""Between which standard deviations are looked for."""
BELOW = len(STANDARD_RUNGS) - 1

Vector = NDArray[np.float64]


def knowledge(found: Table, prior: Prior) -> Knowledge:
    """All of a table's results."""
    epochs = rung_epochs(found.validation_right_ASEV.shape[2], STANDARD_RUNGS)
    accuracy_ASE = found.validation_right_ASEV.mean(-1)
    arms = tuple(
        Arm(
            teacher=found.teachers[index],
            teacher_accuracy=found.told["arms"][index]["validation_accuracy"],
            curves={seed: tuple(curve[epochs].tolist()) for seed, curve in enumerate(accuracy_ASE[index])},
        )
        for index in taught(found)
    )
    return Knowledge(
        arms=arms, rungs=STANDARD_RUNGS, seeds=tuple(range(accuracy_ASE.shape[1])), prior=prior,
        pictures=found.validation_right_ASEV.shape[-1],
    )  # fmt: skip


def fit(jobs: Sequence[Knowledge], assumption: Assumption) -> tuple[Prior, float]:
    """The likeliest prior, and the log likelihood of all results under it, in nats."""
    first = Prior()
    start = _to_vector(replace(first, follows=(0.3, 0.3, 0.6, 1.0)))
    bounds: list[tuple[float, float]] = [(-2.0, 2.0)] * (1 + BELOW) + [(np.log(LEAST), np.log(MOST))] * (
        len(start) - 2 - BELOW
    )
    bounds.append((0.0, 0.95))

    def loss(vector: Vector) -> float:
        prior = _from_vector(vector, assumption)
        return -sum(log_likelihood(replace(job, prior=prior)) for job in jobs)

    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    return _from_vector(found.x, assumption), -float(found.fun)


def _to_vector(prior: Prior) -> Vector:
    """Slope and its part at each rung, then logarithms of spreads (of walks, of each of their steps), persistence."""
    spreads = (
        prior.slope_spread, prior.teacher_spread, prior.common_spread, *prior.seed_spread, *_steps(prior.tilt),
        *_steps(prior.mismatch),
    )  # fmt: skip
    logarithms = np.log(np.clip(spreads, LEAST, MOST))
    return np.array([prior.slope, *prior.follows[:-1], *logarithms, prior.persistence])


def _from_vector(vector: Vector, assumption: Assumption) -> Prior:
    slope, follows, persistence = float(vector[0]), vector[1 : 1 + BELOW], float(vector[-1])
    slope_spread, teacher, common, *others = np.exp(vector[1 + BELOW : -1]).tolist()
    seed, tilt, mismatch = others[: BELOW + 1], others[BELOW + 1 : 2 * BELOW + 1], others[2 * BELOW + 1 :]
    return Prior(
        slope=slope, slope_spread=slope_spread, teacher_spread=teacher, common_spread=common, seed_spread=tuple(seed),
        follows=(*follows.tolist(), 1.0) if assumption == "a part of it" else (1.0,) * (BELOW + 1),
        tilt=(0.0,) * (BELOW + 1) if assumption == "all of the slope" else _walk(tilt),
        mismatch=_walk(mismatch), persistence=persistence,
    )  # fmt: skip


def _steps(walk: tuple[float, ...]) -> Vector:
    squared = np.array(walk) ** 2
    return np.asarray(np.sqrt(squared[:-1] - squared[1:]))


def _walk(steps: Sequence[float]) -> tuple[float, ...]:
    return (*np.sqrt(np.cumsum(np.square(steps)[::-1])[::-1]).tolist(), 0.0)


def row(group: str, assumption: Assumption) -> dict[str, Any]:
    """The fit to a group of tables."""
    tuned = [each for each in table.read_all() if each.name.startswith(TUNED_ON)]
    tables = tuned if group == GROUPS[-1] else [each for each in tuned if each.told["dataset"].startswith(group)]
    prior, likelihood = fit([knowledge(each, Prior()) for each in tables], assumption)
    others = [knowledge(each, prior) for each in table.read_all() if not each.name.startswith(TUNED_ON)]
    told: dict[str, Any] = {
        "tables": group, "shows": assumption, "log_likelihood": round(likelihood, 1),
        "on_others": round(sum(log_likelihood(job) for job in others), 1), "slope": round(prior.slope, 3),
        "slope_spread": round(prior.slope_spread, 3), "teacher_spread": round(prior.teacher_spread, 4),
        "common_spread": round(prior.common_spread, 4), "persistence": round(prior.persistence, 3),
    }  # fmt: skip
    for name in ("follows", "tilt", "mismatch", "seed_spread"):
        told[name] = [round(value, 4) for value in getattr(prior, name)]
    return told


def targets(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """That the slope shows late is to be so much likelier than that it always shows, also where nothing was fitted."""
    found = []
    for name, value in (("", "log_likelihood"), (", on tables that were not fitted", "on_others")):
        by_name = {each["shows"]: each[value] for each in rows if each["tables"] == GROUPS[-1]}
        gained = round(by_name["a part of it"] - by_name["all of it, tilted"], 1)
        found.append({"name": f"a part of the slope shows, against all of it, tilted{name}", "value": gained,
                      "target": SURE, "unit": "nats, at least", "met": gained >= SURE})  # fmt: skip
    return found


def main() -> None:
    """Fits, prints and writes `results/prior.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    wanted = [(group, assumption) for group in GROUPS for assumption in ASSUMPTIONS]
    with ProcessPoolExecutor(options.processes) as pool:
        rows = list(pool.map(row, *zip(*wanted, strict=True)))
    for each in rows:
        print(
            f"{each['tables']:12} {each['shows']:18} log likelihood {each['log_likelihood']:8.1f}  "
            f"(of others {each['on_others']:8.1f})  "
            f"slope {each['slope']:.2f} ± {each['slope_spread']:.2f}, shows by {each['follows']}, "
            f"tilt {each['tilt']}, mismatch {each['mismatch']}, seeds {each['seed_spread']}, "
            f"teacher {each['teacher_spread']}"
        )
    tables = table.read_all()
    by_table = [spreads(each) for each in tables]
    for told in by_table:
        print(
            f"{told['table']:26} teachers about their line {told['off_line']:.2f}, luck {told['luck_by_epoch']}, "
            f"of a picture {told['told_apart']:.2f} is a training's own"
        )
    tuned = [each for each in tables if each.name.startswith(TUNED_ON)]
    both = {"tuned on": shared(tuned), "all": shared(tables)}
    print(f"Added for both students, of what teachers add beyond their line: {both}")
    found = targets(rows)
    path = record.write("prior", {
        "command": "python -m benchmarks.prior", "machine": "reads benchmarks/tables, trains nothing", "seeds": [],
        "versions": record.versions(), "rungs": STANDARD_RUNGS, "targets": found, "rows": rows, "spreads": by_table,
        "shared": both,
    })  # fmt: skip
    for each in found:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']} {each['unit']}")
    print(f"Written to {path.name}.")


if __name__ == "__main__":
    main()
