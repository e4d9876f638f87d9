"""Every policy on every table: what it regrets and what it costs, beside Optuna, LogME, chance and everything.

    python -m benchmarks.selection [--jobs N] [--processes N]

Replays N resampled jobs a table (`replay`). A job believes beforehand what it would in a store in which one job of
default settings was answered for the table's other student, replayed in its turn; "empty store" is the default prior.
The default prior and the policy were set by looking at the tables named in `TUNED_ON`. So targets are judged on the
others alone: tables of other classes, students and teachers, which were defined before the belief was last changed.
(They had been replayed once when a budget got more reserve, which the costs of all tables set, and near ties of
promotion went to the teacher that is expected to be better.) Regret is in points of test accuracy, cost a share of
training every teacher on the job's three seeds; teachers' own training is counted apart, as all ways of choosing need
it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import torch

from benchmarks import record, table
from benchmarks.charts import regret_over_cost
from benchmarks.replay import (
    RUNGS,
    UNLIMITED,
    Job,
    Outcome,
    at_random,
    by_optuna,
    by_wilcoxon,
    draw,
    follow,
    most_accurate,
    part_of_pictures,
    taught,
    whole_job,
)
from benchmarks.table import Table
from dpk_core.randomness import derive
from dpk_core.selection.decide.job_results import Prior
from dpk_core.selection.decide.policies.registry import POLICIES
from dpk_core.selection.experience import learn
from dpk_core.selection.statistics import CONFIDENCE

BUDGETS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
MOST_REGRET = 0.2
"""Points above the exhaustive policy's, at a share of at most `SHARE` of its cost."""
SHARE = 0.15
MOST_OF_EVERYTHING = 0.98
TUNED_ON = ("fashion", "cifar", "fine", "sparse", "rest", "grey", "middle", "slim", "shifted")
"""Tables of these names were looked at while the belief and the policy were made; targets are judged on the others."""
STORES = 20
"""Different earlier jobs that replays of a table take in turn."""
BY_DEFAULT = "posterior, until a job's default certainty"
WHOLE_JOB = "a whole job by default"
EMPTY = ", empty store"
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
    for store, prior in (("", None), (EMPTY, base_prior())):
        for budget in BUDGETS:
            found[f"posterior, at most {budget:.0%}{store}"] = _policy("posterior", budget, prior)
        found[f"{BY_DEFAULT}{store}"] = _policy("posterior", UNLIMITED, prior, sure=CONFIDENCE)
    for budget in BUDGETS:
        found[f"halving, at most {budget:.0%}"] = _policy("halving", budget)
    for rival in RIVALS:
        scores = [own.told["arms"][index].get(rival) for index in taught(own)]
        if None not in scores:
            found[rival] = _scored(np.array(scores, dtype=np.float64))
    for name, pruner in _pruners().items():
        found[f"Optuna {name}, 1 seed"] = _optuna(pruner, 1)
        found[f"Optuna {name}, 3 seeds"] = _optuna(pruner, 3)
        found[f"Optuna {name}, 1 seed{INFORMED}"] = _optuna(pruner, 1, informed=True)
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


def base_prior() -> Prior:
    """The default."""
    return Prior().at(RUNGS)


def store(others: Sequence[Table], chance: np.random.Generator) -> Prior:
    """What a store teaches in which one job of default settings was answered for each of `others`."""
    jobs = [draw(other, base_prior(), chance) for other in others]
    done = [whole_job(job) for job in jobs]
    prior = learn([each.known for each in done], base_prior())
    parts = [part_of_pictures(job, each.reached) for job, each in zip(jobs, done, strict=True)]
    known = [base_prior().picture_part, *(part for part in parts if part is not None)]
    return replace(prior, picture_part=float(np.mean(known)))


def replayed(own: Table, others: list[Table], jobs: int) -> Iterator[dict[str, Any]]:
    """A row for each way of choosing."""
    priors = [store(others, _chance(own, index, "store")) for index in range(min(STORES, jobs))]
    drawn = [draw(own, priors[index % STORES], _chance(own, index, "job")) for index in range(jobs)]
    for name, way in ways(own).items():
        outcomes = [way(job, _chance(own, index, name)) for index, job in enumerate(drawn)]
        yield _row(own, name, drawn, outcomes)
    for where, prior in (("", None), (EMPTY, base_prior())):
        whole = [whole_job(job if prior is None else replace(job, prior=prior)) for job in drawn]
        verdicts = {kind: sum(each.verdict.kind == kind for each in whole) / jobs for kind in KINDS}
        yield {**_row(own, WHOLE_JOB + where, drawn, [each.outcome for each in whole]), "verdicts": verdicts}


def _row(own: Table, name: str, drawn: Sequence[Job], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    regrets = np.array([100 * job.regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
    unseen = np.array([100 * job.unseen_regret(done.teacher) for job, done in zip(drawn, outcomes, strict=True)])
    row: dict[str, Any] = {
        "table": own.name, "way": name, "regret": float(regrets.mean()),
        "error": float(regrets.std() / np.sqrt(len(drawn))), "worst": float(regrets.max()),
        "unseen": float(unseen.mean()), "hit": float((regrets == 0).mean()),
        "share": float(np.mean([done.share for done in outcomes])),
    }  # fmt: skip
    views = [done.view for done in outcomes if done.view is not None]
    if views:
        best = drawn[0].teachers[int(drawn[0].truth_T.argmax())]
        row["held"] = float(np.mean([best in view.best_set for view in views]))
        chances: dict[str | None, float] = dict(zip(drawn[0].teachers, drawn[0].best_T.tolist(), strict=True))
        row["held_by_chance"] = float(np.mean([sum(chances[each] for each in view.best_set) for view in views]))
        sizes = [len(view.best_set) for view in views]
        row["set_size"] = float(np.median(sizes))
        row["set_sizes"] = [sizes.count(size) for size in range(1, len(drawn[0].teachers) + 1)]
        row["expected"] = float(np.mean([100 * view.regret for view in views]))
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def _chance(own: Table, index: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive(0, own.name, index, purpose)))


def _one(name: str, jobs: int) -> list[dict[str, Any]]:
    tables = {each.name: each for each in table.read_all()}
    own = tables.pop(name)
    same = own.told["method"], own.told["fingerprint"]
    others = [other for other in tables.values() if (other.told["method"], other.told["fingerprint"]) == same]
    return list(replayed(own, others, jobs))


def averaged(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Each way's mean over tables, told as table `name`; regret and held with the standard error that so few tables
    leave (two methods and two students of one data set are counted as if they were others)."""
    found = []
    for way in dict.fromkeys(row["way"] for row in rows):
        own = [row for row in rows if row["way"] == way]
        mean: dict[str, Any] = {"table": name, "way": way}
        for value in ("regret", "unseen", "share", "hit", "held", "held_by_chance", "set_size", "expected"):
            values = [row[value] for row in own if value in row]
            if values:
                mean[value] = round(float(np.mean(values)), 4)
            if value in ("regret", "held") and len(values) > 1:
                mean[f"{value}_error"] = round(float(np.std(values, ddof=1) / np.sqrt(len(values))), 4)
        if "set_sizes" in own[0]:
            mean["set_size_of_all"] = median_size([row["set_sizes"] for row in own])
        if "verdicts" in own[0]:
            mean["verdicts"] = {
                kind: round(float(np.mean([row["verdicts"][kind] for row in own])), 3) for kind in KINDS
            }
        found.append(mean)
    return found


def median_size(counts: Sequence[Sequence[int]]) -> float:
    """The median size of all tables' sets together: `counts` of those with 1, 2, ... teachers, by table."""
    return float(np.median([size for own in counts for size, count in enumerate(own, 1) for _ in range(count)]))


def against_optuna(means: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For every pruner that pruned anything: what it regrets and costs, and what share of its cost the posterior policy
    needs to regret no more, with the earlier job and with an empty store; None: it never regrets so little."""
    found = []
    for row in means:
        # What pruned nothing is the exhaustive policy under another name.
        if row["way"].startswith("Optuna") and row["share"] < MOST_OF_EVERYTHING:
            told = {name: row[name] for name in ("way", "regret", "share")}
            for name, empty in (("ratio", False), ("ratio_empty_store", True)):
                enough = [ours["share"] for ours in means if _ours(ours, empty) and ours["regret"] <= row["regret"]]
                told[name] = round(min(enough) / row["share"], 4) if enough else None
            found.append(told)
    return sorted(found, key=lambda each: (each["regret"], each["share"]))


def _within_share(means: Sequence[dict[str, Any]], where: str) -> tuple[str, dict[str, Any]]:
    """The largest budget, in words, with which the policy really cost at most `SHARE`, and its row: a budget keeps
    room for trainings that come dearer than expected, but one may come dearer still."""
    by_way = {row["way"]: row for row in means}
    rows = {f"at most {budget:.0%}": by_way[f"posterior, at most {budget:.0%}{where}"] for budget in BUDGETS}
    fitting = [name for name, row in rows.items() if row["share"] <= SHARE]
    chosen = fitting[-1] if fitting else next(iter(rows))
    return chosen, rows[chosen]


def _ours(row: dict[str, Any], empty: bool) -> bool:
    way = str(row["way"])
    return way.startswith("posterior") and way.endswith(EMPTY) == empty


def targets(means: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issue's targets, averaged over tables; Optuna's best is judged in its own order of teachers and in ours."""
    by_way = {row["way"]: row for row in means}
    optuna_rows = against_optuna(means)
    rows = []
    for where, ratio in (("", "ratio"), (EMPTY, "ratio_empty_store")):
        within, ours = _within_share(means, where)
        above, unseen = (ours[name] - by_way["exhaustive"][name] for name in ("regret", "unseen"))
        rows += [
            record.target(f"regret above exhaustive, {within}{where}", above, MOST_REGRET, "points"),
            record.target(f"the same on seeds that no way has seen{where}", unseen, MOST_REGRET, "points"),
            record.target(f"its cost{where}", ours["share"], SHARE, "of exhaustive"),
        ]
        for informed in (False, True):
            best = next(each for each in optuna_rows if each["way"].endswith(INFORMED) == informed)
            rows.append({"name": f"cost at a regret no higher than that of {best['way']}{where}", "value": best[ratio],
                         "target": 0.5, "unit": "of its cost; none: never reached",
                         "met": best[ratio] is not None and best[ratio] <= 0.5})  # fmt: skip
        for name, own in (
            (within, ours),
            ("at a job's default certainty", by_way[BY_DEFAULT + where]),
            (WHOLE_JOB, by_way[WHOLE_JOB + where]),
        ):
            for what, key in ("mean of the tables' median sizes", "set_size"), ("median size", "set_size_of_all"):
                rows.append(record.target(f"{what} of the 90% set, {name}{where}", own[key], 3, "of 6"))
            for what, key in (("", "held"), (", truth being of few seeds", "held_by_chance")):
                rows.append({"name": f"90% set holds the best, {name}{what}{where}", "value": own[key], "target": 0.9,
                             "unit": "of jobs, at least", "met": own[key] >= 0.9})  # fmt: skip
    return rows


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
    """The chart's points: budgets of one policy are a line; each pruner of Optuna's is a point, as are free rules. An
    empty store is left out where the other is one as well: no table has the same data and another student."""
    regrets = {str(row["way"]): (row["regret"], row["share"]) for row in means}
    return [
        {"kind": _kind(str(row["way"])), "way": row["way"], "share": row["share"], "regret": row["regret"],
         "line": "at most" in row["way"]}
        for row in means
        if not str(row["way"]).startswith(WHOLE_JOB)
        and not (row["way"].endswith(EMPTY) and regrets.get(row["way"].removesuffix(EMPTY)) == regrets[row["way"]])
    ]  # fmt: skip


def _kind(way: str) -> str:
    name, _, budget = way.partition(", at most")
    if budget:
        return name + (EMPTY if budget.endswith(EMPTY) else "")
    if way.startswith("Optuna"):
        return "Optuna, best teacher first" if way.endswith(INFORMED) else "Optuna"
    if way in RIVALS:
        return "LogME, LEEP, H-score, CKA gap"
    return way.replace(BY_DEFAULT, "posterior")


def main() -> None:
    """Replays, prints the table and writes `results/selection.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=500, help="resampled jobs a table; of those tuned on half")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    tables = table.read_all()
    names = [each.name for each in tables]
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [options.jobs // 2 if name.startswith(TUNED_ON) else options.jobs for name in names]
        rows = [row for found in pool.map(_one, names, jobs) for row in found]
    report = averaged([row for row in rows if not row["table"].startswith(TUNED_ON)], "mean of tables reported on")
    tuned = averaged([row for row in rows if row["table"].startswith(TUNED_ON)], "mean of tables seen before")
    for row in report:
        held = (
            f"  set holds the best {row['held']:.0%}, median size {row['set_size_of_all']:.0f}" if "held" in row else ""
        )
        print(
            f"{row['way']:56} regret {row['regret']:6.3f} (unseen {row['unseen']:6.3f})  cost {row['share']:6.1%}  "
            f"hit {row['hit']:.0%}{held}"
        )
    optuna_rows, found = against_optuna(report), targets(report)
    for each in optuna_rows:
        print(
            f"{each['way']:56} regret {each['regret']:6.3f}  cost {each['share']:6.1%}  ours at {each['ratio']} of it"
        )
    result = {
        "command": f"python -m benchmarks.selection --jobs {options.jobs}", "seeds": [0],
        "machine": record.machine(torch.device("cpu")), "versions": record.versions(), "tables": names,
        "truth": truths(tables),
        "targets": found, "against_optuna": optuna_rows, "rows": report + tuned + rows,
    }  # fmt: skip
    record.write("selection", result)
    regret_over_cost(drawn_rows(report), record.RESULTS)
    for each in found:
        print(f"{'met' if each['met'] else 'NOT MET':8} {each['name']}: {each['value']} (target {each['target']})")


if __name__ == "__main__":
    main()
