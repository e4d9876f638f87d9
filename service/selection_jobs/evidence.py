"""What a job knows: its rows as the pure part sees them. Validation results only; the test split never gets here."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.codec import from_json
from dpk_core.selection.decide.job_results import TIMED, UNTIMED, Arm, Knowledge, Prior
from dpk_core.selection.fitting import fitted
from dpk_core.selection.spreads import picture_part
from service.selection_jobs.plan import Plan
from service.selection_jobs.snapshot import ArmRuns, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the students' runs measured, cancelled ones too: `accuracies` by training and epoch, whichever run of the
    training it was; `epochs` that each run trained itself, those that it took over from another left out."""

    accuracies: Mapping[str, Mapping[int, float]]
    epochs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store holds of one training: the last epoch of its finished runs, 0 without one, and the epochs of the
    checkpoints from which another run can go on."""

    finished: int
    checkpoints: tuple[int, ...]

    def up_to(self, epoch: int) -> int:
        """How many epochs of a run to `epoch` need not be trained."""
        if self.finished >= epoch:
            return epoch
        return max((each for each in self.checkpoints if each < epoch), default=0)


StoredByTraining = Mapping[tuple[str | None, int], Stored]
"""By teacher and seed."""
NOT_ASKED: StoredByTraining = MappingProxyType({})


def knowledge(snapshot: Snapshot, evidence: Evidence, stored: StoredByTraining = NOT_ASKED) -> Knowledge:
    """All arms with their curves at the plan's rungs, their costs, and what was believed beforehand, made as wide as
    the results ask for. `stored`: what need not be paid for."""
    plan = snapshot.plan
    prices, measured = _prices(snapshot, evidence), paces(snapshot, evidence)
    arms = tuple(
        Arm(
            teacher=arm.candidate.teacher, teacher_accuracy=_teacher_accuracy(arm), cost=price * plan.epochs,
            cost_spread=_cost_spread(arm.candidate.teacher, pace), curves=_curves(arm, plan.rungs, evidence),
            failed=arm.first_failed is not None, begun=_begun(snapshot, arm),
            stored=_fractions(plan, arm.candidate.teacher, stored),
        )
        for arm, price, pace in zip(snapshot.arms, prices, measured, strict=True)
    )  # fmt: skip
    known = Knowledge(
        arms=arms, rungs=plan.fractions, seeds=plan.seeds, prior=_prior(snapshot), pictures=_pictures(snapshot)
    )  # fmt: skip
    return fitted(known)


def _pictures(snapshot: Snapshot) -> int | None:
    """Validation pictures, of which every finished run tells; None before the first of them."""
    results = (run.result for arm in snapshot.arms for run in arm.runs if run.result is not None)
    return next((int(result["validation_pictures"]) for result in results), None)


def _begun(snapshot: Snapshot, arm: ArmRuns) -> frozenset[int]:
    """The seeds of an arm's trainings that the job began, those that failed too; what was finished before is free."""
    return frozenset(
        link.seed
        for link, _ in snapshot.links
        if link.candidate_id == arm.candidate.id and link.purpose != "teacher" and not link.reused
    )


def _fractions(plan: Plan, teacher: str | None, stored: StoredByTraining) -> dict[int, tuple[float, ...]]:
    held = {seed: stored[teacher, seed] for seed in plan.seeds if (teacher, seed) in stored}
    return {seed: tuple(each.up_to(rung) / plan.epochs for rung in plan.rungs) for seed, each in held.items()}


def paces(snapshot: Snapshot, evidence: Evidence) -> list[float | None]:
    """Measured seconds per epoch of each arm's student, reused runs too; None where nothing was timed."""
    found: list[float | None] = []
    for arm in snapshot.arms:
        runs = [run for runs in arm.students.values() for run in runs.values() if run.state == "finished"]
        epochs = sum(evidence.epochs.get(run.id, 0) for run in runs)
        seconds = sum(run.seconds for run in runs if evidence.epochs.get(run.id, 0))
        found.append(seconds / epochs if epochs and seconds > 0 else None)
    return found


def _prices(snapshot: Snapshot, evidence: Evidence) -> list[float]:
    """Seconds per epoch that decisions count with.

    A teacher without a time of its own costs what the others cost on average, the student without a teacher, which has
    less to do, what the cheapest costs, and nothing timed at all costs 1. Where no time is set as a limit, only steps
    of a factor of two count: that a training was interrupted, or had a busy machine, must not decide who trains next.
    """
    measured = paces(snapshot, evidence)
    known = [pace for pace in measured if pace is not None]
    if not known:
        return [1.0] * len(measured)
    untimed = [min(known) if arm.candidate.teacher is None else fmean(known) for arm in snapshot.arms]
    prices = [usual if pace is None else pace for usual, pace in zip(untimed, measured, strict=True)]
    if snapshot.plan.spending.seconds is not None:
        return prices
    least = min(known)
    return [least * 2.0 ** round(math.log2(price / least)) for price in prices]


def _cost_spread(teacher: str | None, pace: float | None) -> float:
    """None for an untimed student without a teacher: its price is high already."""
    if pace is None:
        return 0.0 if teacher is None else UNTIMED
    return TIMED


def _teacher_accuracy(arm: ArmRuns) -> float | None:
    if arm.teacher is None or arm.teacher.result is None:
        return None
    return float(arm.teacher.result["validation_accuracy"])


def _curves(arm: ArmRuns, rungs: Sequence[int], evidence: Evidence) -> dict[int, tuple[float, ...]]:
    curves = {}
    for seed, runs in sorted(arm.students.items()):
        reached = arm.reached(seed)
        if not reached:
            continue
        ends = {stop: run.result for stop, run in runs.items() if run.result is not None}
        measured = evidence.accuracies.get(runs[reached].training_key, {})
        results = {stop: float(result["validation_accuracy"]) for stop, result in ends.items()}
        values = {**measured, **results}
        # Every epoch is measured; were one lost, the next one's value stands for it, and no job gets stuck.
        curves[seed] = tuple(values[min(each for each in values if each >= rung)] for rung in rungs if rung <= reached)
    return curves


def _prior(snapshot: Snapshot) -> Prior:
    """What was believed at the start; how much the choice of pictures does is this job's own, once measured."""
    stored = snapshot.job.prior
    prior = Prior().at(snapshot.plan.fractions) if stored is None else from_json(Prior, stored)
    fulls = [
        {seed: runs[snapshot.plan.epochs].result for seed, runs in arm.students.items() if snapshot.plan.epochs in runs}
        for arm in snapshot.arms
        if arm.candidate.teacher is not None and arm.first_failed is None
    ]
    found = part_of_pictures(fulls)
    if found is None:
        return prior
    # Few teachers measure it badly, now and then as nothing: what was believed counts as much.
    return replace(prior, picture_part=(prior.picture_part + found) / 2)


def part_of_pictures(results: Sequence[Mapping[int, dict[str, Any] | None]]) -> float | None:
    """`picture_part` of the arms' full results by seed, as far as they tell of every picture."""
    return picture_part([
        {seed: _bits(each) for seed, each in by_seed.items() if each is not None and each.get("validation_right")}
        for by_seed in results
    ])  # fmt: skip


def _bits(result: Mapping[str, Any]) -> NDArray[np.bool_]:
    packed = np.frombuffer(base64.b64decode(result["validation_right"]), dtype=np.uint8)
    return np.unpackbits(packed, count=result["validation_pictures"]).astype(np.bool_)
