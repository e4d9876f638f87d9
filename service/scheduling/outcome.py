"""What a finished job came to, in the few facts that look-ups over many jobs need; pure."""

from __future__ import annotations

from dataclasses import dataclass

from dpk_core.codec import content_key
from dpk_core.selection.decide.facts import VerdictKind
from dpk_core.selection.decide.job_results import JobResults
from dpk_core.selection.decide.schedule import since_reopened
from dpk_core.selection.decide.summary import model
from dpk_core.selection.decide.verdict import Verdict
from dpk_core.selection.evaluate.records import FULL, ComparisonGroup, TeacherRecord
from service.scheduling.snapshot import ArmRuns, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Chances of being best by teacher, as last stated before any teacher's full training was known, and `trained`:
    the mean full accuracy of the teachers that were trained fully (`ComparisonGroup.trained`), on the seeds that they
    share. A failed teacher is in neither.

    `question`: equal for jobs that find the same trainings: one protocol, the same teachers and seeds.
    """

    question: str
    chances: dict[str, float]
    trained: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The verdict and what it rests on. `seeds`: the most full trainings under one teacher; `tried`: teachers under
    which a student was trained at all; `trained`: those of them under which one was trained fully.

    `gains`: mean full score over no teacher's, a fraction, of every teacher trained on enough seeds to be judged.
    `stated` is None where the job stated no chances, or not of every teacher.
    """

    kind: VerdictKind
    best: str | None
    seeds: int
    tried: int
    trained: int
    recipe: str
    epochs: int
    gains: dict[str, float]
    stated: Stated | None

    @property
    def is_decided(self) -> bool:
        """Whether it has an answer."""
        return self.kind != "undecided"

    @property
    def strength(self) -> int:
        """How well-founded it is: seeds times teachers compared."""
        return self.seeds * self.tried


def outcome(snapshot: Snapshot, verdict: Verdict, results: JobResults) -> Outcome:
    """What the job came to, at its end."""
    teachers = [arm for arm in _able(snapshot) if any(arm.reached(seed) for seed in arm.students)]
    fully = [_full_seeds(arm) for arm in teachers]
    recipe = snapshot.plan.student_recipe
    full = model(results).full if results.candidates else None
    gained = {} if full is None else {teacher: each.value for teacher, each in full.gains().items()}
    return Outcome(
        kind=verdict.kind, best=verdict.best, seeds=max(fully, default=0), tried=len(fully),
        trained=sum(map(bool, fully)), recipe=recipe.name, epochs=recipe.epochs,
        gains=gained, stated=_stated(snapshot),
    )  # fmt: skip


def _able(snapshot: Snapshot) -> list[ArmRuns]:
    return [arm for arm in snapshot.arms if arm.candidate.teacher is not None and arm.candidate.status != "failed"]


def _full_seeds(arm: ArmRuns) -> int:
    finished = [[run for run in runs.values() if run.state == "finished"] for runs in arm.students.values()]
    return sum(any(run.purpose == "full" for run in runs) for runs in finished)


def _stated(snapshot: Snapshot) -> Stated | None:
    plan = snapshot.plan
    # Not those stated before a teacher was added or a failed one retried.
    decisions = since_reopened(snapshot.decisions)
    summaries = [each.summary for each in decisions if each.blind and each.summary is not None]
    if not summaries:
        return None
    able = {arm.candidate.teacher for arm in _able(snapshot)}
    question = content_key([snapshot.job.protocol, sorted(filter(None, plan.arms)), list(plan.seeds)])
    chances = {teacher: chance for teacher, chance in summaries[-1].chances.items() if teacher in able}
    return Stated(question=question, chances=chances, trained=_trained(snapshot))


def _trained(snapshot: Snapshot) -> dict[str, float]:
    plan, found = snapshot.plan, []
    for arm in _able(snapshot):
        ends = {seed: runs[plan.epochs].result for seed, runs in arm.students.items() if plan.epochs in runs}
        full = {seed: float(result["validation_score"]) for seed, result in ends.items() if result is not None}
        found.append(TeacherRecord(teacher=arm.candidate.teacher or "", reached={FULL: full}))
    return ComparisonGroup(records=tuple(found)).levels(FULL)
