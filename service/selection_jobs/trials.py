"""A job's runs, or the store's, as fidelity and rivals look at them; pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from dpk_core.selection.trials import Question, Trial
from service.selection_jobs.snapshot import ArmRuns, Snapshot


@dataclass(slots=True)
class Taught:
    """What students reached under one teacher and protocol: accuracy by rung and seed, CKA gap by seed."""

    reached: dict[float, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    gaps: dict[int, float] = field(default_factory=dict)

    def add(self, spec: dict[str, Any], seed: int, result: dict[str, Any]) -> None:
        """Puts what a student's finished run found in its place."""
        rung = spec["stop_epoch"] / spec["training"]["recipe"]["epochs"]
        self.reached[rung][seed] = result["validation_accuracy"]
        if (gap := (result.get("scores") or {}).get("cka_gap")) is not None:
            self.gaps[seed] = gap

    def trial(self, name: str, teacher: dict[str, Any] | None, *, audited: bool = False) -> Trial:
        """`teacher`: the result of the teacher's preparation, if it has one."""
        scores = {} if teacher is None else {"size": float(teacher["parameters"]), **(teacher.get("scores") or {})}
        return Trial(
            teacher=name, teacher_accuracy=None if teacher is None else teacher["validation_accuracy"],
            reached={rung: dict(by_seed) for rung, by_seed in sorted(self.reached.items())}, scores=scores,
            gaps=dict(sorted(self.gaps.items())), audited=audited,
        )  # fmt: skip


def job_question(snapshot: Snapshot) -> Question:
    """The job's teachers that did not fail, with what is known of them by now."""
    able = [arm for arm in snapshot.arms if arm.candidate.teacher is not None and arm.candidate.status != "failed"]
    return Question(trials=tuple(arm_trial(snapshot, arm) for arm in able), seeds=snapshot.plan.seeds)


def row_scores(trial: Trial) -> dict[str, float]:
    """What a row shows: the CKA gap as its mean over the teacher's own seeds."""
    gap = {"cka_gap": fmean(trial.gaps.values())} if trial.gaps else {}
    return {**trial.scores, **gap}


def arm_trial(snapshot: Snapshot, arm: ArmRuns) -> Trial:
    """What is known of one arm; the one without a teacher has no name."""
    taught, teacher, audited = Taught(), None, False
    for link, run in snapshot.links:
        if link.candidate_id != arm.candidate.id:
            continue
        audited |= link.purpose == "audit"
        if run.state != "finished" or run.result is None:
            continue
        if link.purpose == "teacher":
            teacher = run.result
        else:
            taught.add(run.spec, link.seed, run.result)
    return taught.trial(arm.candidate.teacher or "", teacher, audited=audited)
