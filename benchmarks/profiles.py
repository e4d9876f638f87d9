"""Does the light `probe` profile rank teachers as the authors' `paper` profile does?

    DPK_DATA_ROOT=… python -m benchmarks.profiles [--processes N] [--report]

A table's student under teachers that differ (those of `cifar-plain4`), trained under both profiles on the same five
seeds. Finished seeds are kept in `benchmarks/tables/profiles/`, so the trainings can be spread over several sessions;
what is reported is of the seeds that both profiles have, from two on.

Kendall's τ-b is between the teachers' mean student accuracies over seeds. Its 90% interval is a bootstrap over seeds,
with the teachers as they are. Beside it stands how far a profile agrees with itself between two parts of its seeds,
which no profile can be expected to beat.
"""

from __future__ import annotations

import argparse
import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks import record, table
from benchmarks.definitions import DEFINITIONS, SEEDS
from benchmarks.table import Table
from benchmarks.train_tables import train

DEFINITION = replace(
    next(each for each in DEFINITIONS if each.name == "cifar-plain4"), name="profiles-plain4", labels=("probe", "paper")
)
FOLDER = table.TABLES / "profiles"
COMMAND = "python -m benchmarks.profiles"
DRAWS = 10_000
CONFIDENCE = 0.9
LEAST_TAU = 0.8
"""What would let the light profile stand in for the heavy one; ours, the sheet names none."""
LEAST_SEEDS = 2

Accuracies = NDArray[np.float64]


def finished(name: str) -> Table | None:
    """The seeds so far of one of the two tables; None without any."""
    return table.kept(f"{DEFINITION.name}-{name}", FOLDER)


def accuracies(found: Table, seeds: list[int]) -> Accuracies:
    """Test accuracies of the students of `seeds`, teachers x seeds."""
    columns = [found.metadata["seeds"].index(seed) for seed in seeds]
    return np.asarray(found.test_right_ASN[1:, columns].mean(2))


def tau(one_T: Accuracies, other_T: Accuracies) -> float:
    """Kendall's τ-b."""
    return float(stats.kendalltau(one_T, other_T).statistic)


def interval(probe_TS: Accuracies, paper_TS: Accuracies) -> tuple[float, float]:
    """Percentile bootstrap over seeds, which both profiles share."""
    chance = np.random.Generator(np.random.PCG64(0))
    count = probe_TS.shape[1]
    drawn_DS = chance.integers(0, count, (DRAWS, count))
    taus = [tau(probe_TS[:, seeds].mean(1), paper_TS[:, seeds].mean(1)) for seeds in drawn_DS]
    low, high = np.nanquantile(taus, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def agreement_with_itself(found_TS: Accuracies) -> float:
    """Mean τ between the means over half of the seeds (rounded down) and over the others, over all partitions."""
    every = set(range(found_TS.shape[1]))
    parts = [list(part) for part in itertools.combinations(sorted(every), len(every) // 2)]
    return float(
        np.mean([tau(found_TS[:, part].mean(1), found_TS[:, sorted(every - set(part))].mean(1)) for part in parts])
    )


def report() -> None:
    """Prints the table and writes `results/profiles.json`."""
    tables = {name: finished(name) for name in DEFINITION.labels}
    probe, paper = (tables[name] for name in ("probe", "paper"))
    seeds = [] if probe is None or paper is None else [seed for seed in SEEDS if seed in _seeds(probe) & _seeds(paper)]
    if probe is None or paper is None or len(seeds) < LEAST_SEEDS:
        print(f"Nothing to report: {len(seeds)} of {len(SEEDS)} seeds are finished, a comparison takes {LEAST_SEEDS}.")
        return
    result = {"command": COMMAND, "versions": record.versions(), **compared(probe, paper, seeds)}
    path = record.write("profiles", result)
    for row in result["rows"]:
        print(
            f"{row['teacher']:22} teacher {row['teacher_test_accuracy']:6.2f}   probe {row['probe_mean']:6.2f} "
            f"({row['probe_cpu_seconds']:.0f} s)   paper {row['paper_mean']:6.2f} ({row['paper_cpu_seconds']:.0f} s)"
        )
    print(
        f"Kendall's τ-b {result['tau']:.2f} ({CONFIDENCE:.0%} interval {result['tau_low']:.2f} … "
        f"{result['tau_high']:.2f}); with itself {result['agreement_with_itself']}"
    )
    print(f"Written to benchmarks/results/{path.name}.")


def compared(probe: Table, paper: Table, seeds: list[int]) -> dict[str, Any]:
    """The two profiles on `seeds`: τ, its interval and target, and a row for each teacher."""
    tables = {"probe": probe, "paper": paper}
    found = {name: accuracies(each, seeds) for name, each in tables.items()}
    value, (low, high) = tau(*(each.mean(1) for each in found.values())), interval(found["probe"], found["paper"])
    rows: list[dict[str, Any]] = []
    for index, arm in enumerate(probe.metadata["arms"][1:]):
        row = {"teacher": arm["teacher"], "teacher_test_accuracy": round(100 * arm["test_accuracy"], 2)}
        for name, found_TS in found.items():
            row[name] = [round(100 * accuracy, 2) for accuracy in found_TS[index].tolist()]
            row[f"{name}_mean"] = round(100 * float(found_TS[index].mean()), 3)
            row[f"{name}_cpu_seconds"] = round(float(tables[name].seconds_ASE[index + 1].sum(1).mean()), 1)
        rows.append(row)
    return {
        "machine": "; ".join(
            sorted({each["machine"] for found in tables.values() for each in found.metadata["trained"]})
        ),
        "seeds": seeds, "student": probe.metadata["student"], "data": probe.metadata["dataset"],
        "tau": round(value, 3), "tau_low": round(low, 3), "tau_high": round(high, 3), "confidence": CONFIDENCE,
        "agreement_with_itself": {name: round(agreement_with_itself(each), 3) for name, each in found.items()},
        "targets": [{"name": "Kendall's tau of probe and paper", "value": round(value, 3), "target": LEAST_TAU,
                     "unit": "tau-b, at least", "met": value >= LEAST_TAU}],
        "rows": rows,
    }  # fmt: skip


def _seeds(found: Table) -> set[int]:
    return set(found.metadata["seeds"])


def main() -> None:
    """Trains the missing seeds and reports on those that are finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="train nothing, report what is there")
    options = parser.parse_args()
    if not options.report:
        train(DEFINITION, options.processes, COMMAND, FOLDER)
    report()


if __name__ == "__main__":
    main()
