"""Where a candidate stands, read off its runs; pure. In whatever order the runs ended, the standing is the same."""

from __future__ import annotations

from collections.abc import Sequence

from service.database.tables import Run
from service.selection_jobs.schemas import CandidateStatus, Stage
from service.selection_jobs.snapshot import ArmRuns

Standing = tuple[CandidateStatus, str | None]

STAGES: tuple[Stage, ...] = ("preparing_teachers", "probing", "training", "deciding")
"""In order; a job's stage only moves forward."""

_WORDS = {"teacher": "preparation", "probe": "probe", "full": "full training"}


def prepared(arm: ArmRuns) -> bool:
    """Whether probes can start: the teacher's weights are there, or there is no teacher."""
    return arm.candidate.teacher is None or (arm.teacher is not None and arm.teacher.state == "finished")


def probes_over(arm: ArmRuns, seeds: Sequence[int]) -> bool:
    """Whether nothing more will come before the promotion; all seeds of a failed arm are waited for too."""
    return arm.settled and (arm.first_failed is not None or set(seeds) <= set(arm.probes))


def fulls_over(arm: ArmRuns, seeds: Sequence[int]) -> bool:
    """Whether nothing more will come at all, once promotions are decided."""
    unwanted = arm.candidate.status != "promoted"
    return arm.settled and (unwanted or arm.first_failed is not None or set(seeds) <= set(arm.fulls))


def standing(arm: ArmRuns, seeds: Sequence[int]) -> Standing:
    """The candidate's status and why. A promotion decided before is kept unless the arm has finished or failed."""
    candidate = arm.candidate
    if arm.first_failed is not None:
        return "failed", _failure(arm.first_failed)
    if candidate.status in ("promoted", "finished", "not_promoted"):
        finished = candidate.status == "promoted" and _all_finished(arm.fulls, seeds)
        return ("finished" if finished else _known(candidate.status)), candidate.reason
    if not prepared(arm):
        return ("preparing" if arm.teacher is not None and arm.teacher.state == "running" else "waiting"), None
    if _all_finished(arm.probes, seeds):
        return "probed", None
    begun = any(run.state != "queued" for run in arm.probes.values())
    return ("probing" if begun or candidate.teacher is not None else "waiting"), None


def stage(arms: Sequence[ArmRuns], seeds: Sequence[int], *, decided: bool) -> Stage:
    """The earliest stage with something left to do."""
    if not all(prepared(arm) or arm.first_failed is not None for arm in arms):
        return "preparing_teachers"
    if not decided:
        return "probing"
    return "deciding" if all(fulls_over(arm, seeds) for arm in arms) else "training"


def _all_finished(runs: dict[int, Run], seeds: Sequence[int]) -> bool:
    return all(seed in runs and runs[seed].state == "finished" for seed in seeds)


def _failure(run: Run) -> str:
    seed = "" if run.purpose == "teacher" else f" with seed {run.seed}"
    return f"The {_WORDS[run.purpose]}{seed} failed: {run.failure}"


def _known(status: str) -> CandidateStatus:
    return "promoted" if status == "promoted" else "finished" if status == "finished" else "not_promoted"
