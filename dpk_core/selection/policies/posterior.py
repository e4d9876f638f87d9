"""Spending where it most lowers the expected regret: a knowledge gradient over sets of arms.

One result of one arm tells nothing by itself (what a rung misses is unknown, and a seed moves all arms alike), so what
is weighed are sets: the k likeliest arms, carried to one rung on one seed. Frazier, Powell & Dayanik 2009 give the
criterion for single, correlated measurements; here it is a set's, divided by what the set costs. With few results
that comes out as successive halving; with clear ones it stops paying for arms that cannot win any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from dpk_core.selection.knowledge import Knowledge, Step, step_cost
from dpk_core.selection.outlook import chance_within, outlook, worth
from dpk_core.selection.policies.policy import STOP_DONE, Limits, Plan, affordable, within
from dpk_core.selection.posterior import Model


class ByPosterior:
    """Takes the set of steps that lowers the expected regret most per second."""

    name: ClassVar[str] = "posterior"

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """The best set within the limits; stops when the answer is sure enough or no set is worth anything."""
        if not knowledge.ranked:
            return Plan(steps=(), reason="Every arm has failed.")
        model = Model(knowledge)
        view = outlook(model.posterior)
        if limits.chance is not None and any(arm.curves for arm in knowledge.ranked):
            if view.chances[view.choice] >= limits.chance:
                return Plan(steps=(), reason=f"The choice is best with a chance of {view.chances[view.choice]:.0%}.")
            if (chance := chance_within(model.posterior, view.choice, limits.margin)) >= limits.chance:
                near = f"no arm is better by more than {100 * limits.margin:.1f} points with a chance of {chance:.0%}"
                return Plan(steps=(), reason=f"It matters too little to go on: {near}.")
        order = tuple(view.chances)
        best: tuple[float, tuple[Step, ...]] = (0.0, ())
        wanted = False
        for steps in _sets(knowledge, order):
            wanted = True
            if affordable(knowledge, steps, limits) != steps:
                continue
            price = sum(step_cost(knowledge, step) for step in steps)
            rate = worth(model, steps) / price
            if rate > best[0] * (1 + 1e-9):
                best = (rate, steps)
        if not best[1]:
            reason = "No affordable training is expected to change the answer." if wanted else STOP_DONE
            return Plan(steps=(), reason=reason)
        arms = len({step.teacher for step in best[1]})
        where = f"seed {best[1][0].seed} to rung {best[1][0].rung + 1}"
        reason = f"Training {arms} arm{'' if arms == 1 else 's'} on {where} lowers the expected regret most."
        return within(knowledge, best[1], limits, reason)


def _sets(knowledge: Knowledge, order: tuple[str | None, ...]) -> Iterator[tuple[Step, ...]]:
    """The likeliest two, three, … arms, each to every rung of every seed begun and of the next one."""
    begun = [seed for seed in knowledge.seeds if any(arm.reached(seed) for arm in knowledge.ranked)]
    fresh = [seed for seed in knowledge.seeds if seed not in begun][:1]
    reached = {(arm.teacher, seed): arm.reached(seed) for arm in knowledge.ranked for seed in knowledge.seeds}
    seen = set()
    for seed in (*begun, *fresh):
        for rung in range(len(knowledge.rungs)):
            for count in range(1, len(order) + 1):
                steps = tuple(
                    Step(teacher=teacher, seed=seed, rung=rung)
                    for teacher in order[:count]
                    if reached[teacher, seed] <= rung
                )
                if steps and steps not in seen:
                    seen.add(steps)
                    yield steps
