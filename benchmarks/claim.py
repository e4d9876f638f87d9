"""Does the student's accuracy follow the teacher's under DPK, and under KD? The paper's claim, from the tables.

    python -m benchmarks.claim

Each point is a teacher: its own test accuracy, and the mean test accuracy over seeds of the student that it taught. A
table's levels say nothing about teachers, so coefficients over several tables count what varies within them
(`dpk_core.selection.association`). Tables of one data set share their teachers, so intervals over several tables are
percentile bootstraps that draw teachers once for each data set, alike for both methods. Trains nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import record, table
from benchmarks.charts import teacher_and_student
from benchmarks.table import Table
from dpk_core.selection.association import LEAST_PAIRS, Points, Statistic, associate
from dpk_core.selection.statistics import CONFIDENCE, Estimate, mean_interval

STATISTICS: tuple[Statistic, ...] = ("pearson", "spearman", "kendall")
METHODS = ("dpk", "kd")
DRAWS = 2_000
POOLED = "all tables"


def points(found: Table) -> Points:
    """Teachers' own test accuracies and their students' mean ones, in points."""
    taught = [index for index, teacher in enumerate(found.teachers) if teacher is not None]
    own = [100 * float(found.told["arms"][index]["test_accuracy"]) for index in taught]
    return own, [100 * float(found.truth_A[index]) for index in taught]


def row(name: str, method: str, tables: Sequence[Table]) -> dict[str, Any]:
    """Coefficients over `tables`, the slope and the gain over no teacher, in points.

    The gain's interval is Student's over seeds for one table, over tables for several.
    """
    groups = [points(each) for each in tables]
    told: dict[str, Any] = {"table": name, "method": method, "teachers": sum(len(x) for x, _ in groups)}
    for statistic in STATISTICS:
        found = associate(groups, statistic)
        if found is not None and len(tables) > 1:
            found = redrawn(found.value, tables, functools.partial(_value, statistic=statistic))
        told[statistic] = _told(found)
    told["slope"] = round(slope(groups), 3)
    by_seed = [_gain_by_seed(each) for each in tables]
    gains = by_seed[0] if len(tables) == 1 else [float(np.mean(each)) for each in by_seed]
    told["gain"] = _told(mean_interval(gains))
    by_teacher = [100 * (each.truth_A[1:] - each.truth_A[0]) for each in tables]
    told["teachers_that_help"] = int(sum((gain > 0).sum() for gain in by_teacher))
    return told


def _gain_by_seed(found: Table) -> list[float]:
    """Mean over teachers of what they add to the student without a teacher, in points, by seed."""
    by_seed_AS = 100 * found.test_right_ASN.mean(2)
    gains: list[float] = (by_seed_AS[1:].mean(0) - by_seed_AS[0]).tolist()
    return gains


def slope(groups: Sequence[Points]) -> float:
    """Points of student for each point of teacher, least squares within groups."""
    x, y = (np.concatenate([np.asarray(pair[side]) - np.mean(pair[side]) for pair in groups]) for side in (0, 1))
    return float(x @ y / (x @ x))


def difference(dpk: Sequence[Table], kd: Sequence[Table]) -> Estimate:
    """Pooled Pearson coefficient under DPK less that under KD; both on the same tables of data and students."""

    def apart(drawn: Sequence[Points]) -> float:
        return _value(drawn[: len(dpk)], "pearson") - _value(drawn[len(dpk) :], "pearson")

    tables = [*dpk, *kd]
    return redrawn(apart([points(each) for each in tables]), tables, apart)


def redrawn(value: float, tables: Sequence[Table], statistic: Callable[[Sequence[Points]], float]) -> Estimate:
    """`value` with a percentile bootstrap over teachers, drawn once for all tables of one data set."""
    groups = [points(each) for each in tables]
    data = [each.told["fingerprint"] for each in tables]
    chance = np.random.Generator(np.random.PCG64(0))
    found = []
    for _ in range(DRAWS):
        kept = {name: chance.integers(0, len(x), len(x)) for name, (x, _) in zip(data, groups, strict=True)}
        drawn = [
            (np.asarray(x)[kept[name]].tolist(), np.asarray(y)[kept[name]].tolist())
            for name, (x, y) in zip(data, groups, strict=True)
        ]
        found.append(statistic(drawn))
    low, high = np.nanquantile(found, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Estimate(value=value, low=float(low), high=float(high))


def _value(groups: Sequence[Points], statistic: Statistic) -> float:
    """Not a number where the draw leaves nothing to measure."""
    found = associate(groups, statistic)
    return float("nan") if found is None else found.value


def _told(found: Estimate | None) -> dict[str, float] | None:
    return None if found is None else {name: round(getattr(found, name), 3) for name in ("value", "low", "high")}


def targets(pooled: dict[str, dict[str, Any]], apart: Estimate) -> list[dict[str, Any]]:
    """The paper's claim as low ends of intervals that are to be above zero."""
    claims = {
        "Pearson coefficient under DPK": pooled["dpk"]["pearson"]["low"],
        "Pearson coefficient under DPK less that under KD": apart.low,
    }
    return [
        {"name": name, "value": round(low, 3), "target": 0.0, "unit": "low end of 90% interval", "met": low > 0}
        for name, low in claims.items()
    ]


def main() -> None:
    """Prints the coefficients, writes `results/claim.json` and the chart."""
    tables = table.read_all()
    by_method = {method: [each for each in tables if each.told["method"] == method] for method in METHODS}
    rows = [row(each.name, method, [each]) for method, found in by_method.items() for each in found]
    pooled = {method: row(POOLED, method, found) for method, found in by_method.items()}
    apart = difference(by_method["dpk"], by_method["kd"])
    found = targets(pooled, apart)
    for each in (*rows, *pooled.values()):
        print(_line(each))
    print(f"Pearson, DPK less KD: {apart.value:.2f} ({apart.low:.2f} … {apart.high:.2f})")
    path = record.write("claim", {
        "command": "python -m benchmarks.claim", "machine": "reads benchmarks/tables, trains nothing", "seeds": [0],
        "versions": record.versions(), "confidence": CONFIDENCE, "least_pairs": LEAST_PAIRS,
        "difference": _told(apart), "targets": found, "rows": [*rows, *pooled.values()],
    })  # fmt: skip
    chart = teacher_and_student([_chart_rows(each) for each in tables], record.RESULTS)
    for each in found:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']}")
    print(f"Written to benchmarks/results: {path.name}, {chart.name}.")


def _chart_rows(found: Table) -> list[dict[str, Any]]:
    own, students = points(found)
    return [
        {
            "table": found.name.rpartition("-")[0], "method": found.told["method"].upper(),
            "teacher": str(arm["teacher"]).partition("/")[2], "teacher_accuracy": x, "accuracy": y,
            "low": y - 100 * error, "high": y + 100 * error, "no_teacher": 100 * float(found.truth_A[0]),
        }
        for arm, x, y, error in zip(found.told["arms"][1:], own, students, found.truth_error_A[1:], strict=True)
    ]  # fmt: skip


def _line(told: dict[str, Any]) -> str:
    def shown(name: str) -> str:
        found = told[name]
        return (
            "not measurable" if found is None else f"{found['value']:+.2f} ({found['low']:+.2f} … {found['high']:+.2f})"
        )

    coefficients = "  ".join(f"{name} {shown(name):22}" for name in STATISTICS)
    helped = f"{told['teachers_that_help']} of {told['teachers']} help, gain {shown('gain')}"
    return f"{told['table']:26} {told['method']:4} {coefficients} slope {told['slope']:+.2f}  {helped}"


if __name__ == "__main__":
    main()
