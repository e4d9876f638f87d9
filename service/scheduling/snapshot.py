"""A job with all its rows, as decisions, pages and estimates look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dpk_core.selection.decide.schedule import Begun, Decision, newest_confirming
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.scheduling.plan import Plan

OVER = frozenset({"finished", "failed", "cancelled"})
"""States a run never leaves."""


def lock_order(purpose: str, seed: int, teacher: str | None, content_key: str) -> tuple[bool, int, str, str]:
    """The order in which a job makes, finds and locks runs; it depends on their content only, teachers first.

    Jobs that share runs thus lock them in the same order and never wait for each other in a circle. The first seeds
    come first, so that every arm's pace is soon known.
    """
    return purpose != "teacher", seed, teacher or "", content_key


@dataclass(slots=True)
class ArmRuns:
    """A candidate's runs: its teacher's preparation, and its students' by seed and last epoch.

    A cancelled one, or one that is retried, counts for nothing; another takes its place.
    """

    candidate: Candidate
    teacher: Run | None = None
    students: dict[int, dict[int, Run]] = field(default_factory=dict)

    def put(self, purpose: str, seed: int, run: Run) -> None:
        """Gives `run` its place."""
        if purpose == "teacher":
            self.teacher = run
        else:
            self.students.setdefault(seed, {})[run.spec["stop_epoch"]] = run

    @property
    def label(self) -> str:
        """The name people see: the teacher without its family, or `no teacher`."""
        teacher = self.candidate.teacher
        return "no teacher" if teacher is None else teacher.partition("/")[2] or teacher

    @property
    def runs(self) -> list[Run]:
        """All of them: the preparation, then the students' in the order of seeds and epochs."""
        students = [run for _, by_epoch in sorted(self.students.items()) for _, run in sorted(by_epoch.items())]
        return students if self.teacher is None else [self.teacher, *students]

    @property
    def prepared(self) -> bool:
        """Whether students can start: the teacher's weights are there, or there is no teacher."""
        return self.candidate.teacher is None or (self.teacher is not None and self.teacher.state == "finished")

    @property
    def first_failed(self) -> Run | None:
        """The failed run that a person should hear of; the same whichever run failed first."""
        return next((run for run in self.runs if run.state == "failed"), None)

    @property
    def settled(self) -> bool:
        """Whether no run of it is on its way."""
        return all(run.state in OVER for run in self.runs)

    def student(self, seed: int, epochs: int) -> Run | None:
        """The run that carries the seed's training so far: to that epoch, or a finished one that went further."""
        runs = self.students.get(seed, {})
        further = [stop for stop, run in runs.items() if stop > epochs and run.state == "finished"]
        return runs.get(epochs) or (runs[min(further)] if further else None)

    def reached(self, seed: int) -> int:
        """The epoch up to which the seed's training has come; 0: nowhere."""
        return max((stop for stop, run in self.students.get(seed, {}).items() if run.state == "finished"), default=0)

    def test_scores(self) -> dict[int, float]:
        """By seed, of the trainings that came to their end."""
        found = ((seed, run.result) for seed, runs in sorted(self.students.items()) for run in runs.values())
        tested = ((seed, None if result is None else result["test_score"]) for seed, result in found)
        return {seed: float(score) for seed, score in tested if score is not None}


@dataclass(slots=True)
class Snapshot:
    """A job, its plan, its arms in the request's order, every link to a run, cancelled and retried ones too, and its
    decisions."""

    job: SelectionJob
    plan: Plan
    arms: list[ArmRuns]
    links: list[tuple[JobRun, Run]]
    decisions: list[Decision]

    def arm(self, teacher: str | None) -> ArmRuns:
        """The arm of a teacher."""
        return next(arm for arm in self.arms if arm.candidate.teacher == teacher)

    @property
    def confirming(self) -> Decision | None:
        """The newest decision that confirms; None while exploring."""
        return newest_confirming(self.decisions)

    @property
    def begun(self) -> list[Begun]:
        """Every step that was decided."""
        return [step for decision in self.decisions for step in decision.steps]

    def run_of(self, begun: Begun) -> Run | None:
        """The run of a step: its own, or a finished one of the same training that went further."""
        return self.arm(begun.step.teacher).student(begun.step.seed, self.plan.rungs[begun.step.rung])

    def missing(self) -> list[tuple[ArmRuns, Begun]]:
        """The steps that have no run although their teacher is prepared.

        Those of an arm that has failed on another seed are among them: what was decided is trained in any case, as
        decisions would depend on which run ended first otherwise.
        """
        places = [(self.arm(begun.step.teacher), begun) for begun in self.begun]
        return [(arm, begun) for arm, begun in places if arm.prepared and self.run_of(begun) is None]

    def unfinished(self) -> list[str]:
        """The runs that are not over, in the order in which they are to be locked."""
        teachers = {arm.candidate.id: arm.candidate.teacher for arm in self.arms}
        places = [
            (lock_order(link.purpose, link.seed, teachers[link.candidate_id], run.content_key), run.id)
            for link, run in self.links
            if run.state not in OVER
        ]
        return [run_id for _, run_id in sorted(places)]


def assemble(
    job: SelectionJob,
    plan: Plan,
    candidates: Sequence[Candidate],
    links: Sequence[tuple[JobRun, Run]],
    decisions: Sequence[Decision] = (),
) -> Snapshot:
    """Puts rows in their places."""
    arms = {candidate.id: ArmRuns(candidate) for candidate in candidates}
    for link, run in links:
        if run.state != "cancelled" and not link.retried:
            arms[link.candidate_id].put(link.purpose, link.seed, run)
    return Snapshot(job=job, plan=plan, arms=list(arms.values()), links=list(links), decisions=list(decisions))
