"""Does the student's accuracy follow the teacher's under DPK, and under KD? The paper's claim, from whole tables.

    python -m benchmarks.claim

Each point is a teacher: its own test accuracy, and the mean test accuracy over seeds of the student that it taught. A
table's levels say nothing about teachers, so coefficients over several tables count what varies within them
(`dpk_core.selection.evaluate.association`). Students of one data set were taught by the same teachers, which are no new
evidence: over several tables a data set is one group, and a teacher's point the mean of what its students have beyond
their tables' levels. The slope is also computed after each eighth of a training, from validation accuracies.

Two methods are compared on the tables that have both. The difference of their coefficients has the interval of Zou
2007 without its term for what both share; that is wide, as the same teachers taught under both. The difference of their
slopes, and of gains, is paired by seed. From DPK to KD the methods differ in one thing at a time
(`benchmarks.definitions.METHODS`): the effects of the feature term, the loss weights and the temperature are separated,
over all tables that have these arms and in each of them.

Does the best teacher change with few pictures? The teachers that a table of few has in common with tables of many, of
the same classes, are compared by what their students reach on either. Trains nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record, table
from benchmarks.charts import METHOD_NAMES, slope_curves, teacher_and_student
from benchmarks.definitions import CLAIM_ARMS
from benchmarks.table import Table
from dpk_core.selection.estimate import CONFIDENCE, Estimate
from dpk_core.selection.evaluate.association import LEAST_PAIRS, Points, Statistic, associate
from dpk_core.selection.statistics import mean_interval

Vector = NDArray[np.float64]
STATISTICS: tuple[Statistic, ...] = ("pearson", "spearman", "kendall")
POOLED = "all tables"
COMPARED: dict[tuple[str, str], str] = {
    ("dpk", "kd"): "DPK against KD",
    ("dpk", "logits"): "feature term",
    ("logits", "kd1"): "loss weights",
    ("kd1", "kd"): "temperature",
}
"""By two methods, what the difference between them is that of."""
PARTS = 8
FEW, MANY = "few-resnet8w8", ("cifar-resnet8", "cifar-plain4")
"""Tables of CIFAR-100's superclasses: 600 training pictures, and 7,500."""


def points(found: Table) -> Points:
    """Teachers' own test accuracies and their students' mean ones, in points."""
    taught = [index for index, teacher in enumerate(found.teachers) if teacher is not None]
    own = [100 * float(found.metadata["arms"][index]["test_accuracy"]) for index in taught]
    return own, [100 * float(found.truth_A[index]) for index in taught]


def row(name: str, method: str, tables: Sequence[Table]) -> dict[str, Any]:
    """Coefficients over `tables`, the slope and the gain over no teacher, in points.

    The gain's interval is Student's over seeds for one table, over tables for several; a teacher helps, or harms, whose
    own paired by seed lies to one side of 0.
    """
    groups = by_data(tables)
    summary: dict[str, Any] = {"table": name, "method": method, "teachers": sum(len(x) for x, _ in groups)}
    for statistic in STATISTICS:
        summary[statistic] = _as_row(associate(groups, statistic))
    summary["slope"] = round(slope(groups), 3)
    summary["slope_by_eighth"] = [round(float(np.mean(each)), 3) for each in zip(*map(slopes, tables), strict=True)]
    by_seed = [gains_by_seed(each) for each in tables]
    gains = by_seed[0].tolist() if len(tables) == 1 else [float(each.mean()) for each in by_seed]
    summary["gain"] = _as_row(mean_interval(gains))
    own = [found for each in tables for found in _gains_by_teacher(each)]
    summary["students"] = len(own)
    summary["helped"], summary["harmed"] = sum(gain.low > 0 for gain in own), sum(gain.high < 0 for gain in own)
    return summary


def by_data(tables: Sequence[Table]) -> list[Points]:
    """A group for each data set: its teachers' accuracies, and what their students have beyond their tables' levels."""
    groups: dict[str, list[Points]] = {}
    for each in tables:
        groups.setdefault(each.metadata["fingerprint"], []).append(points(each))
    return [
        (found[0][0], np.mean([np.array(y) - np.mean(y) for _, y in found], axis=0).tolist())
        for found in groups.values()
    ]


def _gains_by_teacher(found: Table) -> list[Estimate]:
    by_seed_AS = 100 * found.test_right_ASN.mean(2)
    gains = [mean_interval((own_S - by_seed_AS[0]).tolist()) for own_S in by_seed_AS[1:]]
    return [gain for gain in gains if gain is not None]


def gains_by_seed(found: Table) -> Vector:
    """Mean over teachers of what they add to the student without a teacher, in points, by seed."""
    by_seed_AS = 100 * found.test_right_ASN.mean(2)
    return np.asarray(by_seed_AS[1:].mean(0) - by_seed_AS[0])


def slope(groups: Sequence[Points]) -> float:
    """Points of student for each point of teacher, least squares within groups."""
    x, y = (np.concatenate([np.asarray(pair[side]) - np.mean(pair[side]) for pair in groups]) for side in (0, 1))
    return float(x @ y / (x @ x))


def slopes(found: Table) -> list[float]:
    """After each eighth of the training: points of student for each point of teacher, both in validation accuracy."""
    taught = [index for index, teacher in enumerate(found.teachers) if teacher is not None]
    own = [float(found.metadata["arms"][index]["validation_accuracy"]) for index in taught]
    epochs = found.validation_right_ASEV.shape[2]
    students_AE = found.validation_right_ASEV[taught].mean((1, 3))
    ends = [math.ceil(epochs * part / PARTS) - 1 for part in range(1, PARTS + 1)]
    return [slope([(own, students_AE[:, end].tolist())]) for end in ends]


def slopes_by_seed(found: Table) -> Vector:
    """Points of student for each point of teacher, of each seed's students, in test accuracy."""
    own, _ = points(found)
    students_AS = 100 * found.test_right_ASN[1:].mean(2)
    return np.array([slope([(own, of_seed.tolist())]) for of_seed in students_AS.T])


def comparison(method: str, other: str, tables: Sequence[Table]) -> dict[str, Any] | None:
    """Difference of coefficients, slopes and gains, `method` less `other`, on the tables that have both; None without
    any."""
    found = {
        label: {_base(each): each for each in tables if each.metadata["method"] == label} for label in (method, other)
    }  # fmt: skip
    both = [name for name in found[method] if name in found[other]]
    if not both:
        return None
    coefficients = [associate(by_data([found[label][name] for name in both]), "pearson") for label in (method, other)]
    one, two = coefficients
    pairs = [(found[method][name], found[other][name]) for name in both]
    return {
        "what": COMPARED[method, other], "method": method, "other": other, "tables": both,
        "pearson": None if one is None or two is None else _as_row(difference(one, two)),
        "slope": _as_row(_apart(pairs, slopes_by_seed)), "gain": _as_row(_apart(pairs, gains_by_seed)),
    }  # fmt: skip


def with_all_arms(tables: Sequence[Table]) -> list[str]:
    """Names, without their methods, of the tables that have every arm."""
    bases = [_base(each) for each in tables]
    return sorted({base for base in bases if bases.count(base) == len(CLAIM_ARMS)})


def comparisons_in(name: str, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """One thing at a time, in one table."""
    own, steps = [each for each in tables if _base(each) == name], itertools.pairwise(CLAIM_ARMS)
    return [each for pair in steps if (each := comparison(*pair, own)) is not None]


def _apart(pairs: Sequence[tuple[Table, Table]], measure: Callable[[Table], Vector]) -> Estimate | None:
    """Mean difference of what is measured by seed, with Student's interval: over seeds for one data set, over data sets
    for several."""
    by_data: dict[str, list[Vector]] = {}
    for one, other in pairs:
        by_data.setdefault(one.metadata["fingerprint"], []).append(measure(one) - measure(other))
    apart = [np.mean(of_tables, axis=0) for of_tables in by_data.values()]
    return mean_interval(apart[0].tolist() if len(apart) == 1 else [float(of_seeds.mean()) for of_seeds in apart])


def order_kept(few: Table, many: Table) -> dict[str, Any]:
    """How the students of the teachers of both tables go together, and what is lost on `few` by the best of `many`, in
    points, beside what the worst loses."""
    shared = [teacher for teacher in few.teachers if teacher is not None and teacher in many.teachers]
    on_few, on_many = (100 * each.truth_A[[each.teachers.index(one) for one in shared]] for each in (few, many))
    pairs = [(on_many.tolist(), on_few.tolist())]
    return {
        "few": few.name, "many": many.name, "teachers": len(shared), "best_of_few": shared[int(on_few.argmax())],
        "best_of_many": shared[int(on_many.argmax())], "lost": round(float(on_few.max() - on_few[on_many.argmax()]), 3),
        "most_lost": round(float(np.ptp(on_few)), 3),
        **{name: _as_row(associate(pairs, name)) for name in ("pearson", "kendall")},
    }  # fmt: skip


def _base(found: Table) -> str:
    """Name of a table without its method."""
    return found.name.rpartition("-")[0]


def difference(one: Estimate, other: Estimate) -> Estimate:
    """Of two coefficients, Zou 2007, as if the pairs behind them were not the same."""
    apart = one.value - other.value
    below = float(np.hypot(one.value - one.low, other.high - other.value))
    above = float(np.hypot(one.high - one.value, other.value - other.low))
    return Estimate(value=apart, low=apart - below, high=apart + above)


def _as_row(found: Estimate | None) -> dict[str, float] | None:
    return None if found is None else {name: round(getattr(found, name), 3) for name in ("value", "low", "high")}


def targets(pooled: dict[str, dict[str, Any]], comparisons: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The paper's claim as low ends of intervals that are to be above zero.

    That DPK's coefficient is above KD's, and that its feature term makes it so, on the tables that have both.
    """
    claims = {"Pearson coefficient under DPK": pooled["dpk"]["pearson"]}
    for each in comparisons:
        if each["method"] == "dpk":
            claims[f"Pearson coefficient under DPK less that under {METHOD_NAMES[each['other']]}"] = each["pearson"]
    return [
        {
            "name": name, "value": found["low"], "target": 0.0, "unit": "low end of 90% interval",
            "met": found["low"] > 0,
        }
        for name, found in claims.items() if found is not None
    ]  # fmt: skip


def main() -> None:
    """Prints the coefficients, writes `results/claim.json` and the charts."""
    tables = table.read_all(CLAIM_ARMS)
    by_method = {
        method: found
        for method in CLAIM_ARMS
        if (found := [each for each in tables if each.metadata["method"] == method])
    }
    if not {"dpk", "kd"} <= by_method.keys():
        raise SystemExit("benchmarks/tables has no whole tables of DPK and KD. Train some with `make bench-tables`.")
    rows = [row(each.name, method, [each]) for method, found in by_method.items() for each in found]
    pooled = {method: row(POOLED, method, found) for method, found in by_method.items()}
    compared = [each for pair in COMPARED if (each := comparison(*pair, tables)) is not None]
    in_one = [each for name in with_all_arms(tables) for each in comparisons_in(name, tables)]
    by_name = {each.name: each for each in tables}
    orders = [
        order_kept(by_name[f"{FEW}-{method}"], by_name[f"{many}-{method}"])
        for method in ("dpk", "kd") for many in MANY if f"{FEW}-{method}" in by_name
    ]  # fmt: skip
    claims = targets(pooled, compared)
    for each in (*rows, *pooled.values()):
        print(_line(each))
    for each in (*compared, *in_one):
        print(_difference_line(each))
    for each in orders:
        print(_order_line(each))
    path = record.write("claim", {
        "command": "python -m benchmarks.claim", "machine": "reads benchmarks/tables, trains nothing", "seeds": [0],
        "versions": record.versions(), "confidence": CONFIDENCE, "least_pairs": LEAST_PAIRS,
        "differences": [*compared, *in_one], "few_pictures": orders, "targets": claims,
        "rows": [*rows, *pooled.values()],
    })  # fmt: skip
    chart = teacher_and_student([_chart_rows(each) for each in tables], record.RESULTS)
    late = slope_curves(rows, record.RESULTS)
    for each in claims:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']}")
    print(f"Written to benchmarks/results: {path.name}, {chart.name}, {late.name}.")


def _chart_rows(found: Table) -> list[dict[str, Any]]:
    own, students = points(found)
    return [
        {
            "table": _base(found), "method": METHOD_NAMES[found.metadata["method"]],
            "teacher": str(arm["teacher"]).partition("/")[2], "teacher_accuracy": x, "accuracy": y,
            "low": y - 100 * error, "high": y + 100 * error, "no_teacher": 100 * float(found.truth_A[0]),
        }
        for arm, x, y, error in zip(found.metadata["arms"][1:], own, students, found.truth_error_A[1:], strict=True)
    ]  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    coefficients = "  ".join(f"{name} {_shown(row[name]):22}" for name in STATISTICS)
    helped = f"of {row['students']} {row['helped']} helped, {row['harmed']} harmed, gain {_shown(row['gain'])}"
    by_eighth = " ".join(f"{each:+.2f}" for each in row["slope_by_eighth"])
    return f"{row['table']:26} {row['method']:6} {coefficients} slope {row['slope']:+.2f} ({by_eighth})  {helped}"


def _difference_line(row: dict[str, Any]) -> str:
    where = f"{len(row['tables'])} tables" if len(row["tables"]) > 1 else row["tables"][0]
    values = ", ".join(f"{name} {_shown(row[name])}" for name in ("pearson", "slope", "gain"))
    return f"{row['what']}: {METHOD_NAMES[row['method']]} less {METHOD_NAMES[row['other']]}, {where}: {values}"


def _order_line(row: dict[str, Any]) -> str:
    return (
        f"{row['few']} beside {row['many']}, {row['teachers']} teachers: Kendall {_shown(row['kendall'])}; the best of "
        f"many, {row['best_of_many']}, loses {row['lost']:.2f} of {row['most_lost']:.2f} points"
    )


def _shown(found: dict[str, float] | None) -> str:
    return "not measurable" if found is None else f"{found['value']:+.2f} ({found['low']:+.2f} … {found['high']:+.2f})"


if __name__ == "__main__":
    main()
