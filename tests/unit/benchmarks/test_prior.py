"""The belief's numbers are found again where they are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import prior, table
from dpk_core.selection import fitting
from dpk_core.selection.decide.job_results import Knowledge
from tests.unit.benchmarks.made_up_table import made_up
from tests.unit.selection.made_up import PRIOR, RUNGS, SEEDS, reveal, world


def late(seed: int) -> Knowledge:
    """A job whose students follow their teachers late, as the default prior has it."""
    chance = np.random.Generator(np.random.PCG64(seed))
    own = 0.8 + 0.05 * chance.normal(size=6)
    slope = chance.normal(0.5, 0.05)
    truth = 0.7 + slope * (own - 0.8) + 0.004 * chance.normal(size=6)
    results = world(chance, truth, replace(PRIOR, tilt=(0.0,) * 4), own, slope)
    known = reveal(results, {(index, each): len(RUNGS) for index in range(6) for each in SEEDS})
    arms = (replace(arm, teacher_accuracy=float(x)) for arm, x in zip(known.arms, own, strict=True))
    return replace(known, arms=tuple(arms))


def test_a_slope_that_shows_late_is_seen_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # These jobs are all as wide as each other; with other widths to weigh it takes many times as long.
    for widths in ("APART", "LUCK"):
        monkeypatch.setattr(fitting, widths, (1.0,))
        monkeypatch.setattr(fitting, f"{widths}_CHANCES", (1.0,))
    jobs = [late(seed) for seed in range(6)]
    found, likelihood = prior.fit(jobs, "a part of it")
    assert found.follows == pytest.approx(PRIOR.follows, abs=0.2)
    assert found.slope == pytest.approx(0.5, abs=0.1)
    assert found.seed_spread == pytest.approx(PRIOR.seed_spread, rel=0.3)
    tilted, other = prior.fit(jobs, "all of it, tilted")
    assert tilted.follows == (1.0,) * 4
    assert likelihood > other + prior.SURE


def test_only_tables_that_were_looked_at_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [made_up(f"{name}-a-dpk", seed) for seed, name in enumerate(("fashion", "cifar", "slim", "later"))]
    for each, dataset in zip(tables, ("fashion_14px", "cifar100_16px", "fashion_3k", "fashion_9k"), strict=True):
        each.told["dataset"] = dataset
    monkeypatch.setattr(table, "read_all", lambda: tables)
    seen: list[str] = []

    def fit(jobs: list[Knowledge], _: prior.Assumption) -> tuple[Any, float]:
        seen.append(str(len(jobs)))
        return PRIOR, 0.0

    monkeypatch.setattr(prior, "fit", fit)
    rows = [prior.row(group, "a part of it") for group in prior.GROUPS]
    assert seen == ["2", "1", "3"]
    assert rows[-1]["follows"] == list(PRIOR.follows)


def test_the_targets_are_likelihood_ratios() -> None:
    rows = [
        {"tables": prior.GROUPS[-1], "shows": shows, "log_likelihood": value, "on_others": value}
        for shows, value in zip(prior.ASSUMPTIONS, (1.0, 2.0, 4.0), strict=True)
    ]
    assert [each["met"] for each in prior.targets(rows)] == [False, False]
    rows[-1]["on_others"] = 5.0
    assert [each["met"] for each in prior.targets(rows)] == [False, True]
    rows[-1]["log_likelihood"] = 5.0
    assert [each["met"] for each in prior.targets(rows)] == [True, True]
