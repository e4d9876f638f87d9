"""Who trains next; pure. Asked when every step of the round before is over, and answered from validation results.

A job explores in the rounds of its policy, then confirms: the likeliest teachers and the student without a teacher are
trained fully on all seeds, and now and then, as an audit, a teacher that was dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dpk_core.randomness import derive
from dpk_core.selection.decide.job_results import Knowledge, Step, is_free
from dpk_core.selection.decide.policies.policy import Limits, affordable, within
from dpk_core.selection.decide.policies.policy import Plan as Decision
from dpk_core.selection.decide.policies.registry import POLICIES
from dpk_core.selection.decide.promotion import promotions
from dpk_core.selection.decide.summary import Outlook, outlook
from dpk_core.selection.posterior import Model
from dpk_core.selection.verdict_view import LEAST_SEEDS
from service.selection_jobs.plan import Plan
from service.selection_jobs.rounds import Round, RoundStage, RoundStep
from service.selection_jobs.schemas import StepPurpose

EXPLORING = 0.5
"""Part of a limit of training time that exploring may use up; the rest is for confirming."""

TOO_LITTLE = "What is left of the limit does not suffice for the likeliest teacher and the student without one."
LATE = "The wall-clock time that was set is over."


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is to decide from. `spent`: training seconds of the job's students; `timed`: whether costs are
    measured; `late`: whether the wall-clock time that was set is over."""

    plan: Plan
    known: Knowledge
    rounds: Sequence[Round]
    spent: float
    timed: bool
    late: bool


def next_round(now: Situation) -> Round | None:
    """The next round; None when nothing more is to be trained. There is always one that confirms, if only in name."""
    confirming = next((each for each in reversed(now.rounds) if each.stage == "confirming"), None)
    if confirming is not None:
        return None if now.late else _go_on_confirming(now, confirming)
    if now.late:
        return _confirm(now, LATE, train=False)
    decision = _explore(now)
    if not decision.steps:
        return _confirm(now, decision.reason)
    steps = [_told(now.plan, step, "explore") for step in decision.steps]
    return _round(now, "exploring", steps, decision.reason)


def _explore(now: Situation) -> Decision:
    spending, policy = now.plan.spending, POLICIES[now.plan.spending.policy]
    limits = Limits(
        cost=None if spending.seconds is None else max(0.0, EXPLORING * spending.seconds - now.spent),
        runs=None if spending.runs is None else max(2, spending.runs - _alone(now)),
        chance=spending.chance, margin=spending.margin,
    )  # fmt: skip
    if limits.cost is None or now.timed:
        return policy.next(now.known.teachers, limits)
    free = policy.next(now.known.teachers, replace(limits, cost=0.0))
    return free if free.steps else _pilot(now, limits)


def _alone(now: Situation) -> int:
    """How many trainings are still to begin for a student without a teacher on every seed."""
    last = len(now.plan.rungs) - 1
    return sum(not is_free(now.known, Step(teacher=None, seed=seed, rung=last)) for seed in now.plan.seeds)


def _pilot(now: Situation, limits: Limits) -> Decision:
    """What time buys is not known before anything was timed: the least that tells something begins, with the next
    likeliest where it failed."""
    teachers = now.known.teachers
    untried = {arm.teacher for arm in teachers.ranked if not arm.begun_seeds}
    if not untried or now.spent >= (now.plan.spending.seconds or 0.0):
        return Decision(steps=(), reason="Nothing could be timed.")
    pair = [teacher for teacher in _view(now.known).chances if teacher in untried][:2]
    steps = tuple(Step(teacher=teacher, seed=now.plan.seeds[0], rung=0) for teacher in pair)
    return within(teachers, steps, replace(limits, cost=None), "The first steps show what training time buys.")


def _confirm(now: Situation, reason: str, *, train: bool = True) -> Round:
    chosen = tuple(each.teacher for each in promotions(now.known, now.plan.promote) if each.promoted)
    audited = _audited(now, chosen)
    steps = _steps(now, chosen, audited) if train else []
    if train and now.timed and not steps and _is_unfinished(now, (None, *chosen[:1])):
        reason = f"{reason} {TOO_LITTLE}"
    return replace(_round(now, "confirming", steps, reason), promoted=chosen, audited=audited)


def _is_unfinished(now: Situation, teachers: Sequence[str | None]) -> bool:
    arms = [arm for arm in now.known.ranked if arm.teacher in teachers]
    return any(arm.reached(seed) < len(now.plan.rungs) for arm in arms for seed in now.plan.seeds[:LEAST_SEEDS])


def _go_on_confirming(now: Situation, before: Round) -> Round | None:
    """What a limit left for later, and others in the place of promoted teachers that failed."""
    alive = {arm.teacher for arm in now.known.ranked}
    kept = [teacher for teacher in before.promoted if teacher in alive]
    order = [each.teacher for each in promotions(now.known, now.plan.promote)]
    instead = [teacher for teacher in order if teacher not in kept and teacher != before.audited]
    chosen = (*kept, *instead[: max(0, min(now.plan.promote, len(before.promoted)) - len(kept))])
    steps = _steps(now, chosen, before.audited)
    if not steps:
        return None
    reason = "In the place of a teacher that failed." if len(kept) < len(before.promoted) else "On the next seed."
    return replace(_round(now, "confirming", steps, reason), promoted=chosen, audited=before.audited)


def _steps(now: Situation, chosen: Sequence[str], audited: str | None) -> list[RoundStep]:
    """All full trainings that are missing; where there is a limit, those of one seed that keep within it."""
    purposes: dict[str | None, StepPurpose] = {None: "confirm", **dict.fromkeys(chosen, "confirm")}
    if audited is not None:
        purposes[audited] = "audit"
    arms = {arm.teacher: arm for arm in now.known.ranked}
    last = len(now.plan.rungs) - 1
    missing = [
        Step(teacher=teacher, seed=seed, rung=last)
        for seed in now.plan.seeds
        for teacher in purposes
        if teacher in arms and arms[teacher].reached(seed) <= last
    ]
    if now.plan.spending.is_limited and missing:
        missing = _within_limits(now, missing, chosen[:1])
    return [_told(now.plan, step, purposes[step.teacher]) for step in missing]


def _within_limits(now: Situation, missing: Sequence[Step], likeliest: Sequence[str]) -> list[Step]:
    """What comes next where it may not be enough for everything: what costs nothing, then one seed at a time.

    Whether the likeliest teacher helps comes first, on the seeds that it takes to say so; half of that says nothing.
    """
    if free := [each for each in missing if is_free(now.known, each)]:
        return free
    limits = Limits(cost=_left(now), runs=now.plan.spending.runs)
    pair = [
        each for each in missing if each.teacher in (None, *likeliest) and each.seed in now.plan.seeds[:LEAST_SEEDS]
    ]
    first = [each for each in pair or missing if each.seed == (pair or missing)[0].seed]
    kept = list(affordable(now.known, first, limits))
    return [] if pair and kept != first else kept


def _left(now: Situation) -> float | None:
    """Seconds that may still be spent; none without a price to hold against them."""
    seconds = now.plan.spending.seconds
    if seconds is None:
        return None
    return max(0.0, seconds - now.spent) if now.timed else 0.0


def _audited(now: Situation, chosen: Sequence[str]) -> str | None:
    """Now and then a dropped teacher, drawn by what the job asks and by nothing else."""
    asked = [now.plan.student, now.plan.data_fingerprint, now.plan.method.name, *sorted(filter(None, now.plan.arms))]
    dropped = sorted(arm.teacher for arm in now.known.ranked if arm.teacher is not None and arm.teacher not in chosen)
    if not dropped or derive(0, "audit", *asked) >= now.plan.spending.audit * 2**63:
        return None
    return dropped[derive(0, "audited", *asked) % len(dropped)]


def _round(now: Situation, stage: RoundStage, steps: Sequence[RoundStep], reason: str) -> Round:
    view = _view(now.known) if now.known.teachers.ranked else None
    return Round(
        stage=stage,
        policy=now.plan.spending.policy,
        steps=tuple(steps),
        reason=reason,
        chances={} if view is None else {teacher or "": chance for teacher, chance in view.chances.items()},
        regret=None if view is None else view.regret,
        spent=now.spent,
        blind=_is_blind(now.known.teachers),
    )


def _is_blind(known: Knowledge) -> bool:
    return all(len(curve) < len(known.rungs) for arm in known.ranked for curve in arm.curves.values())


def _view(known: Knowledge) -> Outlook:
    return outlook(Model(known).posterior.teachers)


def _told(plan: Plan, step: Step, purpose: StepPurpose) -> RoundStep:
    return RoundStep(teacher=step.teacher, seed=step.seed, epochs=plan.rungs[step.rung], purpose=purpose)
