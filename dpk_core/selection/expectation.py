"""What each arm's full student accuracy is expected to be: a linear Gaussian model, solved exactly.

    y_i  = level + slope·(x_i − mean x) + u_i      a teacher's full student accuracy; x_i its own accuracy
    y_0  free                                       no teacher
    p_is = y_i − gain + v_i + noise                 probe of seed s
    f_is = y_i + noise                              full training of seed s

The paper's claim, a student that follows its teacher, enters through `slope` and through nothing else. It is measured:
regression within students over the store's earlier jobs and this job's finished trainings, with a prior of zero, so
that thin evidence leaves it near zero. The spreads (seeds, for probes and full trainings apart; how far probes mislead)
are measured too, beside small priors.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from dpk_core.selection.state import Arm, Pair, State
from dpk_core.selection.statistics import CONFIDENCE, Estimate, mean

TEACHER_SPREAD = 0.02
"""Prior sd of what a teacher adds beyond the line, as a fraction (2 points)."""
PROBE_MISMATCH = 0.01
"""Prior sd of v: how far an arm's probe misleads about its full training, after the common gain."""
SEED_SPREAD = 0.01
"""Prior sd of one result over seeds."""
SLOPE_SPREAD = 1.0
"""Prior sd of the slope: a point of teacher accuracy rarely moves a student by more than a point or two."""
PRIOR_WEIGHT = 2.0
"""Pseudo-observations behind each prior variance."""
FLAT = 10.0
"""Sd of an unknown that accuracies, being in 0 … 1, cannot contradict."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """The posterior over all arms that have a result: means and joint covariance, in the order of `arms`."""

    arms: tuple[Arm, ...]
    mean: Vector
    covariance: npt.NDArray[np.float64]


def believe(state: State) -> Belief:
    """The posterior of every ranked arm's full accuracy given the state."""
    arms = tuple(arm for arm in state.arms if not arm.failed and (arm.probe or arm.full))
    count = len(arms)
    level, gain = count, count + 1
    probe_noise, full_noise = _variance([arm.probe for arm in arms]), _variance([arm.full for arm in arms])
    mismatch = _mismatch(arms)
    slope = _slope(state)
    known = [arm.teacher_accuracy for arm in arms if arm.teacher_accuracy is not None]
    centre = float(np.mean(known)) if known else 0.0

    rows: list[Vector] = []
    seen: list[float] = []
    variances: list[float] = []

    def observe(coefficients: dict[int, float], value: float, variance: float) -> None:
        row = np.zeros(count + 2)
        for index, coefficient in coefficients.items():
            row[index] = coefficient
        rows.append(row)
        seen.append(value)
        variances.append(variance)

    observe({level: 1.0}, 0.5, FLAT**2)
    observe({gain: 1.0}, 0.0, FLAT**2)
    for index, arm in enumerate(arms):
        if arm.teacher is None:
            observe({index: 1.0}, 0.5, FLAT**2)
        else:
            offset = 0.0 if arm.teacher_accuracy is None else slope * (arm.teacher_accuracy - centre)
            observe({index: 1.0, level: -1.0}, offset, TEACHER_SPREAD**2)
        if arm.probe:
            observe({index: 1.0, gain: -1.0}, mean(arm.probe), mismatch + probe_noise / len(arm.probe))
        if arm.full:
            observe({index: 1.0}, mean(arm.full), full_noise / len(arm.full))

    design, weights = np.array(rows), 1 / np.array(variances)
    precision = design.T @ (design * weights[:, None])
    covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    posterior = covariance @ (design.T @ (weights * np.array(seen)))
    return Belief(arms=arms, mean=posterior[:count], covariance=covariance[:count, :count])


def expected_accuracies(state: State) -> dict[str | None, Estimate]:
    """Expected full accuracy by teacher, with intervals clipped to 0 … 1.

    Empty until some arm has been trained fully: before that, probes tell the order but not the level.
    """
    if not any(arm.full and not arm.failed for arm in state.arms):
        return {}
    belief = believe(state)
    reach = float(special.ndtri(0.5 + CONFIDENCE / 2))
    estimates = {}
    for index, arm in enumerate(belief.arms):
        value, half = float(belief.mean[index]), reach * float(np.sqrt(belief.covariance[index, index]))
        estimates[arm.teacher] = Estimate(
            value=min(1.0, max(0.0, value)), low=max(0.0, value - half), high=min(1.0, value + half)
        )
    return estimates


def ranking(state: State) -> tuple[str | None, ...]:
    """Teachers (None: no teacher) by expected full accuracy, best first; arms without a result are left out.

    Equal expectations go to the more accurate teacher, then by name, so that the order of the request is irrelevant.
    """
    belief = believe(state)

    def place(index: int) -> tuple[Any, ...]:
        arm = belief.arms[index]
        return (-round(float(belief.mean[index]), 10), -(arm.teacher_accuracy or 0.0), arm.teacher or "")

    return tuple(belief.arms[index].teacher for index in sorted(range(len(belief.arms)), key=place))


def _variance(results: list[dict[int, float]]) -> float:
    """Variance of one result over seeds: the measured one within results, beside the prior."""
    total, freedom = PRIOR_WEIGHT * SEED_SPREAD**2, PRIOR_WEIGHT
    for result in results:
        if len(result) > 1:
            total += float(np.var(list(result.values()))) * len(result)
            freedom += len(result) - 1
    return total / freedom


def _mismatch(arms: tuple[Arm, ...]) -> float:
    """Variance of v: how much the gain from probe to full training differs between arms, beside the prior."""
    rises = [mean(arm.full) - mean(arm.probe) for arm in arms if arm.full and arm.probe]
    scatter = float(np.var(rises)) * len(rises) if rises else 0.0
    return (PRIOR_WEIGHT * PROBE_MISMATCH**2 + scatter) / (PRIOR_WEIGHT + max(0, len(rises) - 1))


def _slope(state: State) -> float:
    """Points of student accuracy per point of teacher accuracy, shrunk towards zero where evidence is thin."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in state.history:
        groups[pair.group].append(pair)
    for arm in state.arms:
        if arm.teacher_accuracy is not None and arm.full and not arm.failed:
            own = Pair(group="", teacher_accuracy=arm.teacher_accuracy, student_accuracy=mean(arm.full))
            groups[""].append(own)
    crossed = squared = 0.0
    for pairs in groups.values():
        x = np.array([pair.teacher_accuracy for pair in pairs])
        y = np.array([pair.student_accuracy for pair in pairs])
        crossed += float((x - x.mean()) @ (y - y.mean()))
        squared += float((x - x.mean()) @ (x - x.mean()))
    return crossed / (squared + TEACHER_SPREAD**2 / SLOPE_SPREAD**2)
