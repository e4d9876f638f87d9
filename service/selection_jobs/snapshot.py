"""A job with all its rows, as decisions, pages and estimates look at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dpk_core.selection.state import Arm, Pair, State
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.selection_jobs.plan import Plan

OVER = frozenset({"finished", "failed", "cancelled"})
"""States a run never leaves."""


PURPOSES = ("teacher", "probe", "full")


def lock_order(purpose: str, seed: int, teacher: str | None, content_key: str) -> tuple[int, int, str, str]:
    """The order in which a job makes, finds and locks runs; it depends on their content only.

    Jobs that share runs thus lock them in the same order and never wait for each other in a circle. The first seeds
    come first, so that every arm's pace is soon known.
    """
    return PURPOSES.index(purpose), seed, teacher or "", content_key


@dataclass(slots=True)
class ArmRuns:
    """A candidate's runs by purpose and seed. A cancelled one counts for nothing; another takes its place."""

    candidate: Candidate
    teacher: Run | None = None
    probes: dict[int, Run] = field(default_factory=dict)
    fulls: dict[int, Run] = field(default_factory=dict)

    def put(self, purpose: str, seed: int, run: Run) -> None:
        """Gives `run` its place."""
        if purpose == "teacher":
            self.teacher = run
        else:
            (self.probes if purpose == "probe" else self.fulls)[seed] = run

    @property
    def runs(self) -> list[Run]:
        """All of them: preparation, probes and full trainings, each in the seeds' order."""
        students = [run for by_seed in (self.probes, self.fulls) for _, run in sorted(by_seed.items())]
        return students if self.teacher is None else [self.teacher, *students]

    @property
    def first_failed(self) -> Run | None:
        """The failed run that a person should hear of; the same whichever run failed first."""
        return next((run for run in self.runs if run.state == "failed"), None)

    @property
    def settled(self) -> bool:
        """Whether no run of it is on its way."""
        return all(run.state in OVER for run in self.runs)

    def arm(self) -> Arm:
        """What decisions may see of it: validation accuracies."""
        return Arm(
            teacher=self.candidate.teacher,
            teacher_accuracy=None if self.teacher is None else _accuracy(self.teacher),
            probe=_accuracies(self.probes),
            full=_accuracies(self.fulls),
            failed=self.first_failed is not None,
        )


@dataclass(slots=True)
class Snapshot:
    """A job, its plan, its arms in the request's order, and every link to a run, cancelled ones too."""

    job: SelectionJob
    plan: Plan
    arms: list[ArmRuns]
    links: list[tuple[JobRun, Run]]

    def unfinished(self) -> list[str]:
        """The runs that are not over, in the order in which they are to be locked."""
        teachers = {arm.candidate.id: arm.candidate.teacher for arm in self.arms}
        places = [
            (lock_order(link.purpose, link.seed, teachers[link.candidate_id], run.content_key), run.id)
            for link, run in self.links
            if run.state not in OVER
        ]
        return [run_id for _, run_id in sorted(places)]

    def state(self, history: Sequence[Pair] = ()) -> State:
        """What decisions may look at."""
        return State(
            arms=tuple(arm.arm() for arm in self.arms),
            seeds=self.plan.seeds,
            promote=self.plan.promote,
            history=tuple(history),
            validation_pictures=max(
                (run.result["validation_pictures"] for _, run in self.links if run.result is not None), default=0
            ),
        )


def assemble(
    job: SelectionJob, plan: Plan, candidates: Sequence[Candidate], links: Sequence[tuple[JobRun, Run]]
) -> Snapshot:
    """Puts rows in their places."""
    arms = {candidate.id: ArmRuns(candidate) for candidate in candidates}
    for link, run in links:
        if run.state != "cancelled":
            arms[link.candidate_id].put(link.purpose, link.seed, run)
    return Snapshot(job=job, plan=plan, arms=list(arms.values()), links=list(links))


def _accuracy(run: Run) -> float | None:
    if run.state != "finished":
        return None
    assert run.result is not None
    return float(run.result["validation_accuracy"])


def _accuracies(runs: Mapping[int, Run]) -> dict[int, float]:
    found = ((seed, _accuracy(run)) for seed, run in sorted(runs.items()))
    return {seed: accuracy for seed, accuracy in found if accuracy is not None}
