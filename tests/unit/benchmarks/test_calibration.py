"""Simulated jobs with known truth: what is claimed of them is true as often as it says, within binomial bounds."""

from __future__ import annotations

import numpy as np
from scipy import stats

from benchmarks.calibration import Row, all_trained, cover, made, targets, wanted, whole_job, with_hopeless
from benchmarks.pictures import CELLS, Cell, simulated
from dpk_core.selection.belief.crossed import difference, final_scores

JOBS = 200


def test_a_teachers_interval_covers_its_true_gain_in_nine_of_ten_jobs() -> None:
    for cell in (Cell("ordinary", 2, 3, 539), Cell("gain5", 2, 3, 539)):
        covered = 0
        for job in range(JOBS):
            one = simulated(cell, cell.chance(job, 9))
            gain = difference(final_scores(one.right_RASV[-1]), 0)
            covered += gain.low <= one.truth_A[0] - one.truth_A[-1] <= gain.high
        low, high = stats.binom.ppf((0.005, 0.995), JOBS, (0.87, 0.93))
        assert low <= covered <= high, cell.name


def test_four_teachers_that_do_nothing_are_rarely_taken() -> None:
    cell = Cell("gain0", 4, 3, 539)
    taken = sum(all_trained(cell, job + 10_000)["take"] for job in range(JOBS))
    assert taken <= stats.binom.ppf(0.99, JOBS, 0.05)


def test_a_whole_job_finds_three_points_and_takes_no_harm() -> None:
    taken, harmful = (
        sum(whole_job(Cell(kind, 4, 3, 539), job + 10_000)["take"] for job in range(15)) for kind in ("one3", "harm")
    )
    assert taken >= 12
    assert harmful == 0


def test_a_hopeless_candidate_moves_a_gain_by_at_most_an_eighth_of_a_point() -> None:
    assert np.mean([with_hopeless(539, job)["moved"] for job in range(20)]) <= 0.12


def test_simulated_pictures_have_the_rate_that_is_called_the_truth() -> None:
    cell = Cell("gain5", 2, 3, 2000)
    rates_A = np.mean([simulated(cell, cell.chance(job)).right_RASV[-1].mean((1, 2)) for job in range(60)], axis=0)
    np.testing.assert_allclose(rates_A, [0.95, 0.95, 0.9], atol=0.004)


def test_the_cells_are_the_52_of_the_issue_and_rows_have_names_of_their_own() -> None:
    rows = list(wanted(400))
    assert len(CELLS) == 52
    assert len({(row.part, row.name) for row in rows}) == len(rows)


def test_a_row_has_mean_error_and_most() -> None:
    row = made(Row(part="hopeless", name="x", jobs=3, one=lambda job: {"moved": float(job)}))
    assert row["moved"] == {"mean": 1.0, "error": round(1 / np.sqrt(3), 4), "most": 2.0, "count": 3}


def test_truth_with_noise_of_its_own_widens_what_counts_as_covered() -> None:
    gain = difference(final_scores(simulated(Cell("gain2", 2, 3, 539), np.random.default_rng(0)).right_RASV[-1]), 0)
    outside = np.array([gain.high + 0.001])
    assert cover([gain], outside) == 0
    assert cover([gain], outside, np.array([1e-4])) == 1


def test_targets_say_what_is_not_met() -> None:
    rows = []
    for row in wanted(8):
        found = {"part": row.part, "name": row.name, "jobs": 8, "cover": {"mean": 0.9}, "width": {"mean": 2.0},
                 "informed_width": {"mean": 2.0}, "take": {"mean": 0.03}, "moved": {"mean": 0.05}}  # fmt: skip
        if row.cell is not None:
            found |= {"kind": row.cell.kind, "seeds": row.cell.seeds, "pictures": row.cell.pictures}
            if row.cell.has_best and row.part == "cells":
                found["held"] = {"mean": 0.8}
        rows.append(found)
    missed = [each["name"] for each in targets(rows) if not each["met"]]
    assert missed == [
        "90 % set holds the best: worst cell that has one",
        *(f"whole jobs that take a teacher: harm, {pictures} pictures" for pictures in (539, 5000)),
        *(f"whole jobs that take a teacher: {kind}, 539 pictures" for kind in ("one2", "one3")),
    ]
