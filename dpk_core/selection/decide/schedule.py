"""Who trains next, whenever a slot is free; pure.

Decisions follow an event clock: a step lasts as long as its part of the training at the arm's recorded pace. A decision
is made at the moment when that clock has a free slot, from the results of the steps that it calls finished, and waits
until they really are. So a job's decisions follow from its results and paces, never from which run ended first.

A job explores as its policy says, then confirms: the lead and no teacher are trained fully, up to the next seed without
which the verdict category could still change, and further teachers while they may be the best. Slots that exploring
leaves idle confirm already; those that confirming leaves idle begin the seed after the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from dpk_core.selection.decide.confirming import by_halves, missing_steps, pair_steps, rivals
from dpk_core.selection.decide.facts import Promotion, Purpose
from dpk_core.selection.decide.job_results import LEAST_SEEDS, JobResults, Step, is_free
from dpk_core.selection.decide.policies.adaptive import Adaptive
from dpk_core.selection.decide.policies.exhaustive import Exhaustive
from dpk_core.selection.decide.policies.halving import Halving
from dpk_core.selection.decide.policies.policy import Limits, Policy, Proposal, Reason, affordable, within
from dpk_core.selection.decide.policies.teacher_accuracy import TeacherAccuracy
from dpk_core.selection.decide.promotion import in_order, promotions
from dpk_core.selection.decide.summary import Model, Summary, model, summary_of

POLICIES: dict[str, Policy] = {each.name: each for each in (Adaptive(), Exhaustive(), Halving(), TeacherAccuracy())}
"""By name; each is stateless, so one of each is enough."""

EXPLORING = 0.5
"""Part of a budget of training time that exploring may use up; the rest is for confirming."""

REOPENING = frozenset({"teacher_added", "retried"})
"""Reasons of a decision that trains nothing: from it on a job explores again, with arms that it had left out."""

StepState = Literal["running", "finished", "failed"]
Wait = Literal["wait"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A step that was decided: `begins` and `ends` by the event clock, in device seconds of the first slot."""

    step: Step
    purpose: Purpose
    begins: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a job decides. `promote`: teachers that are confirmed at most; `slots`: trainings side by side; `seconds`,
    `runs`: its budget; `audited`: which of the dropped teachers is trained fully all the same, if any."""

    policy: str = "adaptive"
    promote: int = 1
    slots: int = 1
    chance: float | None = 0.9
    margin: float = 0.003
    seconds: float | None = None
    runs: int | None = None
    audited: Callable[[Sequence[str]], str | None] = lambda _: None

    @property
    def is_budget(self) -> bool:
        """Whether a job may have to end before everything is trained that should be."""
        return self.seconds is not None or self.runs is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision at the moment `at` of the event clock. `promoted`, `audited`: of a job that confirms, the teachers
    that are trained fully; `promotions`: why, where others than before are promoted; `summary`: what was believed;
    `blind`: no teacher's full training was known."""

    stage: Literal["exploring", "confirming"]
    reason: Reason
    at: float
    steps: tuple[Begun, ...] = ()
    promoted: tuple[str, ...] = ()
    audited: str | None = None
    promotions: tuple[Promotion, ...] = ()
    summary: Summary | None = None
    blind: bool = True


def since_reopened(decisions: Sequence[Decision]) -> Sequence[Decision]:
    """The decisions since a job began to explore anew; all of them where it never did."""
    last = max((place for place, each in enumerate(decisions) if each.reason.kind in REOPENING), default=0)
    return decisions[last:]


def newest_confirming(decisions: Sequence[Decision]) -> Decision | None:
    """The newest decision that confirms; None while a job explores."""
    return next((each for each in reversed(since_reopened(decisions)) if each.stage == "confirming"), None)


def next_decision(
    results: JobResults, decisions: Sequence[Decision], state: Callable[[Begun], StepState], rules: Rules, *,
    spent: float = 0.0, late: bool = False,
) -> Decision | Wait | None:  # fmt: skip
    """The next decision; `wait`: a step that the clock calls finished is not over; None: nothing more is to be trained.

    `spent`: device seconds of the job's students until now. `late`: the wall-clock time that was set is over, and
    nothing is under way any more. There is always a decision that confirms, if only in name.
    """
    begun = [each for decision in decisions for each in decision.steps]
    confirmed = newest_confirming(decisions)
    now = decisions[-1].at if decisions else 0.0
    while True:
        seen = [each for each in begun if late or each.ends <= now]
        running = [each for each in begun if not (late or each.ends <= now)]
        # Asked before a decision too: of what was over when the last one was made, a person may have had some retried.
        if not late and any(state(each) == "running" for each in seen):
            return "wait"
        at = _At(_seen(results, begun, seen, state), rules, running, now, confirmed, spent)
        if late:
            return None if confirmed else at.confirm(Reason(kind="time_over"), train=False)
        if (decision := at.decide()) is not None:
            return decision
        if not running:
            return None
        now = min(each.ends for each in running)


def _seen(
    results: JobResults, begun: Sequence[Begun], seen: Sequence[Begun], state: Callable[[Begun], StepState]
) -> JobResults:
    """What was known when only the steps `seen` were over. A failure counts once the step that failed is seen; one
    before any training (of a teacher's preparation) counts at once."""
    reached: dict[tuple[str | None, int], int] = {}
    for each in seen:
        if state(each) == "finished":
            training = each.step.training
            reached[training] = max(reached.get(training, 0), each.step.rung + 1)
    failures = {each.step.teacher for each in begun if state(each) == "failed"}
    known = {each.step.teacher for each in seen if state(each) == "failed"}
    failed = {arm.teacher for arm in results.arms if arm.failed and arm.teacher not in failures - known}
    return results.seen_at(reached, failed)


class _At:
    """The moment of a decision."""

    def __init__(
        self, known: JobResults, rules: Rules, running: Sequence[Begun], now: float, confirmed: Decision | None,
        spent: float,
    ) -> None:  # fmt: skip
        self.known, self.rules, self.running, self.now, self.confirmed = known, rules, running, now, confirmed
        self.spent = spent
        self.busy = frozenset(each.step.training for each in running)
        self.free = rules.slots - len(running)
        self.is_slotwise = rules.policy == "adaptive" and not rules.is_budget

    @cached_property
    def belief(self) -> Model | None:
        """Posterior over final scores. Expensive; computed only when a slot is free."""
        return model(self.known) if self.known.candidates else None

    @cached_property
    def summary(self) -> Summary | None:
        """The belief in short."""
        return None if self.belief is None else summary_of(self.belief)

    def _pair(self, lead: str, *, ahead: int = 0) -> tuple[Step, ...]:
        full = None if self.belief is None else self.belief.full
        return pair_steps(self.known, lead, full, self.rules.margin, ahead=ahead)

    def decide(self) -> Decision | None:
        """A decision with something new in it; None: nothing to begin now."""
        if not self.is_slotwise and self.running:
            return None
        if self.is_slotwise and self.running and self.free <= 0:
            return None
        if self.confirmed is None:
            proposal = self._explore()
            if not proposal.enough:
                return self._exploring(proposal)
            if self.is_slotwise:
                return self._confirm_by_slots(proposal.reason, first=True)
            return self.confirm(proposal.reason)
        if self.is_slotwise:
            return self._confirm_by_slots(None, first=False)
        return self._go_on_confirming(self.confirmed)

    def _explore(self) -> Proposal:
        rules = self.rules
        limits = Limits(
            cost=None if rules.seconds is None else max(0.0, EXPLORING * rules.seconds - self.spent),
            runs=None if rules.runs is None else max(2, rules.runs - self._alone()),
            chance=rules.chance, margin=rules.margin,
        )  # fmt: skip
        policy = POLICIES[rules.policy]
        if limits.cost is None or self.known.is_timed:
            return policy.next(self.known, limits, self.busy)
        free = policy.next(self.known, replace(limits, cost=0.0), self.busy)
        return free if free.steps else self._pilot(limits)

    def _alone(self) -> int:
        """How many trainings are still to begin for a student without a teacher on every seed."""
        if self.known.alone is None:
            return 0
        steps = (Step(teacher=None, seed=seed, rung=self.known.last) for seed in self.known.seeds)
        return sum(not is_free(self.known, step) for step in steps)

    def _pilot(self, limits: Limits) -> Proposal:
        """What time buys is not known before anything was timed: the least that tells something begins, with the next
        likeliest where it failed."""
        untried = [] if self.summary is None else [
            each for each in self.summary.chances if not self.known.arm(each).begun_seeds
        ]  # fmt: skip
        if not untried or self.spent >= (self.rules.seconds or 0.0):
            return Proposal(reason=Reason(kind="nothing_timed"), enough=True)
        steps = tuple(Step(teacher=teacher, seed=self.known.seeds[0], rung=0) for teacher in untried[:2])
        return within(self.known, steps, replace(limits, cost=None), Reason(kind="pilot"))

    def _exploring(self, proposal: Proposal) -> Decision | None:
        if proposal.together:
            return self._decision("exploring", [(step, "explore") for step in proposal.steps], proposal.reason)
        steps: list[tuple[Step, Purpose]] = [(step, "explore") for step in proposal.steps]
        reason = proposal.reason
        if self.rules.slots > 1 and self.summary is not None:
            begun = {step.training for step, _ in steps}
            idle = self._idle(self._pair(self.summary.lead, ahead=1))
            steps += [(step, "confirm") for step in idle if step.training not in begun]
            if not proposal.steps and steps:
                reason = Reason(kind="lead_and_no_teacher", teacher=self.summary.lead)
        if not steps and not self.running:
            # Nothing is under way and nobody goes on: exploring cannot say more.
            return self._confirm_by_slots(Reason(kind="everything_done"), first=True)
        return self._decision("exploring", steps[: self.free], reason) if steps else None

    def _idle(self, steps: Sequence[Step]) -> list[Step]:
        return [by_halves(self.known, step) for step in steps if step.training not in self.busy]

    def _confirm_by_slots(self, reason: Reason | None, *, first: bool) -> Decision | None:
        """The next steps of confirming for the slots that are free."""
        if self.summary is None:
            steps, chosen = self._idle(missing_steps(self.known, (None,))), tuple[str, ...]()
        else:
            others = rivals(self.summary, self.rules.promote - 1)
            pair = self._pair(self.summary.lead)
            steps = self._idle((*pair, *missing_steps(self.known, others)))
            if pair and self.rules.slots > 1:
                ahead = self._pair(self.summary.lead, ahead=1)
                steps += [each for each in self._idle(ahead) if each not in steps]
            chosen = (self.summary.lead, *others)
            reason = reason or (
                Reason(kind="lead_and_no_teacher", teacher=self.summary.lead) if pair
                else Reason(kind="rivals", count=len(others))
            )  # fmt: skip
        audited = self._audited(chosen) if first else (self.confirmed.audited if self.confirmed else None)
        wanted: list[tuple[Step, Purpose]] = [(step, "confirm") for step in steps]
        if audited is not None and audited not in chosen:
            audit = self._idle(missing_steps(self.known, (audited,)))
            wanted += [(step, "audit") for step in audit]
        if not wanted and not first:
            return None
        reason = reason or Reason(kind="next_seed")
        return self._confirming(wanted[: max(0, self.free)], reason, chosen, audited)

    def confirm(self, reason: Reason, *, train: bool = True) -> Decision:
        """The likeliest teachers and no teacher, on every seed, as far as a budget lets it."""
        chosen = self._chosen()
        audited = self._audited(chosen)
        steps = self._all_steps(chosen, audited) if train else []
        lead = chosen[:1]
        if train and self.known.is_timed and not steps and self._is_unfinished((None, *lead)):
            reason = replace(reason, short=True)
        return self._confirming(steps, reason, chosen, audited)

    def _go_on_confirming(self, before: Decision) -> Decision | None:
        """What a budget left for later, and others in the place of promoted teachers that failed."""
        alive = {arm.teacher for arm in self.known.candidates}
        kept = [teacher for teacher in before.promoted if teacher in alive]
        order = [] if self.summary is None else in_order(self.summary)
        instead = [teacher for teacher in order if teacher not in kept and teacher != before.audited]
        chosen = (*kept, *instead[: max(0, min(self.rules.promote, len(before.promoted)) - len(kept))])
        steps = self._all_steps(chosen, before.audited)
        if not steps:
            return None
        reason = Reason(kind="replacement" if len(kept) < len(before.promoted) else "next_seed")
        return self._confirming(steps, reason, chosen, before.audited)

    def _chosen(self) -> tuple[str, ...]:
        return () if self.summary is None else tuple(in_order(self.summary)[: self.rules.promote])

    def _audited(self, chosen: Sequence[str]) -> str | None:
        return self.rules.audited([arm.teacher or "" for arm in self.known.candidates if arm.teacher not in chosen])

    def _is_unfinished(self, teachers: Sequence[str | None]) -> bool:
        arms = [arm for arm in self.known.arms if arm.teacher in teachers and not arm.failed]
        return any(arm.reached(seed) <= self.known.last for arm in arms for seed in self.known.seeds[:LEAST_SEEDS])

    def _all_steps(self, chosen: Sequence[str], audited: str | None) -> list[tuple[Step, Purpose]]:
        """All full trainings that are missing; where there is a budget, those of one seed that keep within it."""
        purposes: dict[str | None, Purpose] = {None: "confirm", **dict.fromkeys(chosen, "confirm")}
        if audited is not None:
            purposes[audited] = "audit"
        missing = list(missing_steps(self.known, tuple(purposes)))
        if self.rules.is_budget and missing:
            missing = self._within_budget(missing, chosen[:1])
        return [(step, purposes[step.teacher]) for step in missing]

    def _within_budget(self, missing: Sequence[Step], likeliest: Sequence[str]) -> list[Step]:
        """What comes next where it may not be enough for everything: what costs nothing, then one seed at a time.

        Whether the likeliest teacher helps comes first, on the seeds that it takes to say so: half says nothing.
        """
        if free := [each for each in missing if is_free(self.known, each)]:
            return free
        seconds = self.rules.seconds
        # Without a price nothing can be held against what is left.
        left = None if seconds is None else max(0.0, seconds - self.spent) if self.known.is_timed else 0.0
        first_seeds = self.known.seeds[:LEAST_SEEDS]
        pair = [each for each in missing if each.teacher in (None, *likeliest) and each.seed in first_seeds]
        first = [each for each in pair or missing if each.seed == (pair or missing)[0].seed]
        kept = list(affordable(self.known, first, Limits(cost=left, runs=self.rules.runs)))
        return [] if pair and kept != first else kept

    def _confirming(
        self, steps: Sequence[tuple[Step, Purpose]], reason: Reason, chosen: tuple[str, ...], audited: str | None
    ) -> Decision:
        is_new = self.confirmed is None or chosen != self.confirmed.promoted
        why = promotions(self.known, self.summary, chosen) if is_new and chosen and self.summary is not None else ()
        decision = self._decision("confirming", steps, reason)
        return replace(decision, promoted=chosen, audited=audited, promotions=why)

    def _decision(
        self, stage: Literal["exploring", "confirming"], steps: Sequence[tuple[Step, Purpose]], reason: Reason
    ) -> Decision:
        begun = tuple(
            Begun(step=step, purpose=purpose, begins=self.now, ends=self.now + self._lasts(step))
            for step, purpose in steps
        )
        full = [arm for arm in self.known.teachers if self.known.full_seeds(arm)]
        return Decision(
            stage=stage, reason=reason, at=self.now, steps=begun, summary=self.summary, blind=not full
        )  # fmt: skip

    def _lasts(self, step: Step) -> float:
        reached = self.known.arm(step.teacher).reached(step.seed)
        part = self.known.rungs[step.rung] - (self.known.rungs[reached - 1] if reached else 0.0)
        return part * self.known.cost(step.teacher)
