"""How far a job is, in training steps, and how long the rest may take; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from service.database.tables import Run
from service.scheduling.candidate_status import promoted
from service.scheduling.snapshot import Snapshot
from service.scheduling.states import STAGES, Stage
from service.wire.jobs import StageProgress, StageState

Kind = Literal["teacher", "judged", "taught", "alone"]
"""`judged`: a teacher that is taken as it is."""

_OF_PURPOSE: dict[str, Stage] = {
    "teacher": "preparing_teachers", "explore": "exploring", "confirm": "confirming", "audit": "confirming",
}  # fmt: skip
"""The stage of a link's purpose."""

TITLES: dict[Stage, str] = {
    "preparing_teachers": "Teachers prepared",
    "exploring": "Exploring",
    "confirming": "Full training",
    "deciding": "Verdict",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run that the plan asks for, whether it exists yet or not. `first_step`: where it goes on from."""

    stage: Stage
    arm: int
    kind: Kind
    first_step: int
    last_step: int
    run: Run | None

    @property
    def total(self) -> int:
        """Steps of this run alone."""
        return self.last_step - self.first_step

    @property
    def done(self) -> int:
        """Steps of this run that are behind it."""
        if self.run is None:
            return 0
        if self.run.state == "finished":
            return self.total
        return min(self.total, max(0, self.run.step - self.first_step))


def planned_runs(snapshot: Snapshot) -> list[PlannedRun]:
    """Every run the job counts on now: those decided so far, and until a decision confirms, the full trainings of as
    many teachers as may be promoted. Failed arms drop out."""
    places = [place for place, arm in enumerate(snapshot.arms) if arm.first_failed is None]
    found = [each for place in places for each in _preparation(snapshot, place)]
    reached: dict[tuple[int, int], int] = {}
    for begun in snapshot.begun:
        step, epochs = begun.step, snapshot.plan.rungs[begun.step.rung]
        place = next(at for at, arm in enumerate(snapshot.arms) if arm.candidate.teacher == step.teacher)
        if place in places:
            run = snapshot.run_of(begun)
            found.append(_student(snapshot, _OF_PURPOSE[begun.purpose], (place, step.seed), reached, epochs, run))
    spending = snapshot.plan.spending
    by_slots = spending.policy == "adaptive" and not spending.is_limited
    if snapshot.confirming is None or (by_slots and snapshot.job.state in ("running", "paused")):
        teachers = [place for place in places if snapshot.arms[place].candidate.teacher is not None]
        if snapshot.confirming is not None:
            chosen = promoted(snapshot)
            teachers = [place for place in teachers if snapshot.arms[place].candidate.teacher in chosen]
        alone = [place for place in places if snapshot.arms[place].candidate.teacher is None]
        wanted = [*teachers[: snapshot.plan.promote], *alone]
        epochs = snapshot.plan.epochs
        trainings = [(place, seed) for place in wanted for seed in snapshot.plan.seeds]
        missing = [each for each in trainings if reached.get(each, 0) < epochs]
        found += [_student(snapshot, "confirming", each, reached, epochs, run=None) for each in missing]
    return found


def _preparation(snapshot: Snapshot, place: int) -> Iterator[PlannedRun]:
    arm, steps = snapshot.arms[place], snapshot.plan.steps_per_epoch
    if arm.candidate.teacher is not None:
        epochs = snapshot.plan.preparation(arm.candidate.teacher).recipe.epochs
        yield PlannedRun(
            stage="preparing_teachers", arm=place, kind="teacher" if epochs else "judged", first_step=0,
            last_step=steps * epochs or 1, run=arm.teacher,
        )  # fmt: skip


def _student(
    snapshot: Snapshot, stage: Stage, training: tuple[int, int], reached: dict[tuple[int, int], int], epochs: int,
    run: Run | None,
) -> PlannedRun:  # fmt: skip
    """The part of a training that goes on from where the runs before have brought it."""
    place, steps = training[0], snapshot.plan.steps_per_epoch
    first, reached[training] = reached.get(training, 0), epochs
    return PlannedRun(
        stage=stage, arm=place, kind="alone" if snapshot.arms[place].candidate.teacher is None else "taught",
        first_step=steps * first, last_step=steps * epochs, run=run,
    )  # fmt: skip


def stages(snapshot: Snapshot) -> list[StageProgress]:
    """Every stage with the steps done and to do. The verdict counts as one step."""
    counted: dict[Stage, list[int]] = {stage: [0, 0] for stage in STAGES}
    for each in planned_runs(snapshot):
        counted[each.stage][0] += each.done
        counted[each.stage][1] += each.total
    if snapshot.confirming is None:
        counted["exploring"][1] = max(counted["exploring"][1], _most_exploring(snapshot))
    over = snapshot.job.state == "finished"
    counted["deciding"] = [int(over), 1]
    return [_stage(snapshot, stage, done, total) for stage, (done, total) in counted.items()]


def _most_exploring(snapshot: Snapshot) -> int:
    """Steps that exploring can come to: how many decisions there will be is not known, and a bar must not go back."""
    plan = snapshot.plan
    teachers = sum(arm.candidate.teacher is not None and arm.first_failed is None for arm in snapshot.arms)
    return teachers * len(plan.seeds) * plan.epochs * plan.steps_per_epoch


def _stage(snapshot: Snapshot, stage: Stage, done: int, total: int) -> StageProgress:
    state = _state_under_way(snapshot, stage, done, total)
    if snapshot.job.state == "paused" and state == "running":
        state = "paused"
    if snapshot.job.state in ("failed", "cancelled"):
        state = _state_at_end(snapshot, stage)
    elif stage == "preparing_teachers" and _all_failed(snapshot, stage):
        state = "failed"
    return StageProgress(stage=stage, title=TITLES[stage], done=done, total=total, state=state)


def _state_under_way(snapshot: Snapshot, stage: Stage, done: int, total: int) -> StageState:
    reached = -1 if snapshot.job.stage is None else STAGES.index(snapshot.job.stage)
    if reached > STAGES.index(stage) or (done >= total and reached >= 0):
        return "done"
    return "running" if reached == STAGES.index(stage) or done > 0 else "waiting"


def _state_at_end(snapshot: Snapshot, stage: Stage) -> StageState:
    """Of a job that failed or was cancelled: it ended in the last stage that had a run."""
    ran = [each for each in STAGES if _runs(snapshot, each)]
    if stage not in ran:
        return "not_reached"
    if stage == ran[-1]:
        return "failed" if snapshot.job.state == "failed" else "stopped"
    return "failed" if _all_failed(snapshot, stage) else "done"


def _all_failed(snapshot: Snapshot, stage: Stage) -> bool:
    runs = _runs(snapshot, stage)
    return bool(runs) and all(run.state == "failed" for run in runs)


def _runs(snapshot: Snapshot, stage: Stage) -> list[Run]:
    return [run for link, run in snapshot.links if _OF_PURPOSE[link.purpose] == stage]


def remaining_seconds(snapshot: Snapshot, slots: int) -> float | None:
    """Seconds until the end if `slots` runs at a time go on as fast as those so far; None while nothing was timed."""
    if snapshot.job.state not in ("queued", "running"):
        return None
    planned = planned_runs(snapshot)
    pace = _pace(planned)
    if not pace:
        return None
    waiting = [(each.total - each.done) * _seconds_per_step(pace, each) for each in planned if each.total > each.done]
    return max(sum(waiting) / max(1, slots), max(waiting, default=0.0))


def _pace(known: Sequence[PlannedRun]) -> dict[tuple[Kind, int], float]:
    """Measured seconds per step by kind of training and arm; reused runs were timed too. A run may serve several
    planned runs, and is counted once, with the steps that it trained itself."""
    runs = {each.run.id: ((each.kind, each.arm), each.run) for each in known if each.run is not None}
    seconds: dict[tuple[Kind, int], float] = defaultdict(float)
    steps: dict[tuple[Kind, int], int] = defaultdict(int)
    for place, run in runs.values():
        if run.seconds > 0:
            seconds[place] += run.seconds
            steps[place] += _own_steps(run)
    return {place: seconds[place] / steps[place] for place in seconds}


def _own_steps(run: Run) -> int:
    """Those it took over from another run left out. To judge a teacher as it is counts as one."""
    return max(1, run.step - (run.inherited["step"] if run.inherited else 0))


def _seconds_per_step(pace: dict[tuple[Kind, int], float], wanted: PlannedRun) -> float:
    """The arm's own pace, else that of its kind, else that of everything."""
    if (own := pace.get((wanted.kind, wanted.arm))) is not None:
        return own
    alike = [value for (kind, _), value in pace.items() if kind == wanted.kind]
    return fmean(alike or pace.values())
