"""What a job knows: its rows as decisions see them. Validation results only; the test split never gets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Any

from dpk_core.codec import from_json
from dpk_core.evidence import Values, sampling_variance, unpack
from dpk_core.protocol import PackedEvidence
from dpk_core.selection.decide.job_results import Arm, JobResults
from dpk_core.selection.decide.schedule import Begun, StepState
from service.database.tables import Run
from service.scheduling.plan import Plan
from service.scheduling.snapshot import ArmRuns, Snapshot

Result = Mapping[str, Any]
"""`RunResult` as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the students' runs measured, cancelled ones too: `scores` by training and epoch, whichever run of the
    training it was; `epochs` that each run trained itself, those that it took over from another left out."""

    scores: Mapping[str, Mapping[int, float]]
    epochs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store holds of one training: the last epoch of its finished runs, 0 without one, and the epochs of
    the checkpoints from which a longer run can go on. `trained`: of those at the end of their own run, where only the
    result is missing."""

    finished: int
    checkpoints: tuple[int, ...]
    trained: tuple[int, ...] = ()

    def up_to(self, epoch: int) -> int:
        """How many epochs of a run to `epoch` need not be trained."""
        if self.finished >= epoch or epoch in self.trained:
            return epoch
        return max((each for each in self.checkpoints if each < epoch), default=0)


StoredByTraining = Mapping[tuple[str | None, int], Stored]
"""By teacher and seed."""
NOT_ASKED: StoredByTraining = MappingProxyType({})


def job_results(snapshot: Snapshot, measured: Measured, stored: StoredByTraining = NOT_ASKED) -> JobResults:
    """All arms with their curves at the plan's rungs, their paces and evidence. `stored`: what need not be paid for."""
    plan = snapshot.plan
    arms = tuple(
        Arm(
            teacher=arm.candidate.teacher, teacher_score=_teacher_score(arm), near_chance=is_near_chance(arm),
            paces=paces(arm, plan, measured), curves=_curves(arm, plan.rungs, measured), evidence=_evidence(arm, plan),
            failed=arm.first_failed is not None, begun=begun_seeds(snapshot, arm),
            stored=_fractions(plan, arm.candidate.teacher, stored),
        )
        for arm in snapshot.arms
    )  # fmt: skip
    return JobResults(
        arms=arms, rungs=plan.fractions, seeds=plan.seeds, sampling_variance=_sampling_variance(snapshot),
        spend_near_chance=plan.spending.spend_near_chance, exact_costs=plan.spending.seconds is not None,
    )  # fmt: skip


def step_state(snapshot: Snapshot, begun: Begun) -> StepState:
    """Whether a step is over. One without a run is still to come, unless its teacher's preparation has failed."""
    run, teacher = snapshot.run_of(begun), snapshot.arm(begun.step.teacher).teacher
    if run is None:
        return "failed" if teacher is not None and teacher.state == "failed" else "running"
    return "finished" if run.state == "finished" else "failed" if run.state == "failed" else "running"


def is_near_chance(arm: ArmRuns) -> bool:
    """Whether the teacher's score is within noise of guessing."""
    result = preparation_result(arm)
    return result is not None and bool(result["near_chance"])


def preparation_result(arm: ArmRuns) -> Result | None:
    """What the preparation of an arm's teacher found."""
    return None if arm.teacher is None or arm.teacher.state != "finished" else arm.teacher.result


def _sampling_variance(snapshot: Snapshot) -> float:
    """Of a validation score, as the teachers' own scores have it on average."""
    results = [found for arm in snapshot.arms if (found := preparation_result(arm)) is not None]
    known = [values for found in results if (values := _values(found)) is not None]
    return fmean(map(sampling_variance, known)) if known else 0.0


def begun_seeds(snapshot: Snapshot, arm: ArmRuns) -> frozenset[int]:
    """The seeds of an arm's trainings that the job began, those that failed too; what was finished before is free."""
    return frozenset(
        link.seed
        for link, _ in snapshot.links
        if link.candidate_id == arm.candidate.id and link.purpose != "teacher" and not link.reused
    )


def _fractions(plan: Plan, teacher: str | None, stored: StoredByTraining) -> dict[int, tuple[float, ...]]:
    held = {seed: stored[teacher, seed] for seed in plan.seeds if (teacher, seed) in stored}
    return {seed: tuple(each.up_to(rung) / plan.epochs for rung in plan.rungs) for seed, each in held.items()}


def paces(arm: ArmRuns, plan: Plan, measured: Measured) -> dict[int, float]:
    """Device seconds that a full training takes at the pace of each seed's first run, reused runs too."""
    found = {}
    for seed, runs in sorted(arm.students.items()):
        timed = [run for _, run in sorted(runs.items()) if run.state == "finished" and measured.epochs.get(run.id, 0)]
        if timed and timed[0].seconds > 0:
            found[seed] = timed[0].seconds / measured.epochs[timed[0].id] * plan.epochs
    return found


def _teacher_score(arm: ArmRuns) -> float | None:
    result = preparation_result(arm)
    return None if result is None else float(result["validation_score"])


def _curves(arm: ArmRuns, rungs: Sequence[int], measured: Measured) -> dict[int, tuple[float, ...]]:
    curves = {}
    for seed, runs in sorted(arm.students.items()):
        reached = arm.reached(seed)
        if not reached:
            continue
        ends = {stop: run.result for stop, run in runs.items() if run.result is not None}
        by_epoch = measured.scores.get(runs[reached].training_key, {})
        results = {stop: float(result["validation_score"]) for stop, result in ends.items()}
        values = {**by_epoch, **results}
        # Every epoch is measured; were one lost, the next one's value stands for it, and no job gets stuck.
        curves[seed] = tuple(values[min(each for each in values if each >= rung)] for rung in rungs if rung <= reached)
    return curves


def _evidence(arm: ArmRuns, plan: Plan) -> dict[int, Values]:
    """What the full trainings' students made of each validation picture, by seed."""
    fulls: dict[int, Run] = {seed: runs[plan.epochs] for seed, runs in arm.students.items() if plan.epochs in runs}
    results = {seed: run.result for seed, run in sorted(fulls.items()) if run.state == "finished"}
    values = {seed: _values(result) for seed, result in results.items()}
    return {seed: each for seed, each in values.items() if each is not None}


def _values(result: Result | None) -> Values | None:
    stored = None if result is None else result["validation_evidence"]
    return None if stored is None else unpack(from_json(PackedEvidence, stored))
