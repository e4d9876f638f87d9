"""Which teachers are trained fully on all seeds in the end, and for the others why they are not, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dpk_core.selection.decide.job_results import Arm, Knowledge
from dpk_core.selection.decide.summary import Outlook, alike, outlook
from dpk_core.selection.posterior import Model
from dpk_core.selection.statistics import in_words, mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Whether a teacher is trained fully on all seeds, and why in words."""

    teacher: str
    promoted: bool
    reason: str


def promotions(knowledge: Knowledge, count: int) -> tuple[Promotion, ...]:
    """All teachers that did not fail, likeliest first; the first `count` of them are promoted.

    The arm without a teacher is not in question and not in the answer.
    """
    if not knowledge.teachers.ranked:
        return ()
    belief = Model(knowledge).posterior.teachers
    view = outlook(belief)
    arms = {arm.teacher: arm for arm in belief.arms}
    means = {arm.teacher: float(mean) for arm, mean in zip(belief.arms, belief.mean_A, strict=True)}
    order = [arms[teacher] for teacher in _in_order(view, means)]
    last = order[min(count, len(order)) - 1]
    return tuple(
        Promotion(
            teacher=arm.teacher or "", promoted=place < count,
            reason=f"{_said(arm, knowledge, view)}."
            if place < count
            else f"{_said(arm, knowledge, view)}; {_behind(arm, last, means)}.",
        )
        for place, arm in enumerate(order)
    )  # fmt: skip


def _in_order(view: Outlook, means: Mapping[str | None, float]) -> list[str | None]:
    """The choice, then the likeliest. Of those whose chances the draws cannot tell apart the one that is expected to be
    better comes first: of two with hardly a chance that is not the one that is least known."""
    order = [view.choice]
    left = [teacher for teacher in view.chances if teacher != view.choice]
    while left:
        most = max(view.chances[teacher] for teacher in left)
        level = [teacher for teacher in left if alike(most, view.chances[teacher])]
        order.append(max(level, key=lambda teacher: means[teacher]))
        left.remove(order[-1])
    return order


def _said(arm: Arm, knowledge: Knowledge, view: Outlook) -> str:
    chance = f"Was best with a chance of {in_words(view.chances[arm.teacher])}"
    rung = _highest(arm)
    if rung is None:
        return f"{chance}, before any training under it"
    return f"{chance} after {_where(arm, rung, knowledge)}: {_percent(arm, rung)}"


def _behind(arm: Arm, last: Arm, means: Mapping[str | None, float]) -> str:
    """What the last one promoted had at the rung at which the arm was stopped, over the seeds of both; where they share
    none, what is expected of both in full training."""
    rung = _highest(arm)
    if rung is not None and (common := set(arm.at(rung)) & set(last.at(rung))):
        theirs = mean({seed: value for seed, value in last.at(rung).items() if seed in common})
        return f"the last one promoted, {last.label}, had {100 * theirs:.1f}%"
    expected, theirs = means[arm.teacher], means[last.teacher]
    return (
        f"{100 * expected:.1f}% expected in full training, of the last one promoted, {last.label}, {100 * theirs:.1f}%"
    )


def _where(arm: Arm, rung: int, knowledge: Knowledge) -> str:
    seeds = len(arm.at(rung))
    on = f"{seeds} seed{'' if seeds == 1 else 's'}"
    if rung == len(knowledge.rungs) - 1:
        return f"full training on {on}"
    return f"rung {rung + 1} of {len(knowledge.rungs)} ({100 * knowledge.rungs[rung]:.3g}% of the training) on {on}"


def _percent(arm: Arm, rung: int) -> str:
    return f"{100 * mean(arm.at(rung)):.1f}%"


def _highest(arm: Arm) -> int | None:
    """The furthest rung that any of its trainings reached."""
    return max((len(curve) for curve in arm.curves.values()), default=0) - 1 if any(arm.curves.values()) else None
