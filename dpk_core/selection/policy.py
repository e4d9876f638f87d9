"""Who trains on after the probes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dpk_core.selection.expectation import ranking
from dpk_core.selection.state import Arm, State
from dpk_core.selection.statistics import mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Whether a teacher's probes are continued to full training, and why in words."""

    teacher: str
    promoted: bool
    reason: str


def promotions(state: State) -> tuple[Promotion, ...]:
    """Synchronous halving with replicate seeds: the `promote` teachers expected to be best go on.

    Called once, when every probe is over. Full results that are there already are not looked at: which of them are
    depends on timing, and the answer must not. Failed teachers and the arm without a teacher are not in the answer.
    """
    probed = replace(state, arms=tuple(replace(arm, full={}) for arm in state.arms if arm.teacher is not None))
    by_name = {arm.teacher: arm for arm in probed.arms}
    order = [teacher for teacher in ranking(probed) if teacher is not None]
    answer = []
    for place, teacher in enumerate(order):
        promoted = place < state.promote
        reason = f"{_ordinal(place + 1)} of {len(order)} after the probes ({_probe(by_name[teacher])})"
        if not promoted:
            last = by_name[order[state.promote - 1]]
            reason += f"; the last one promoted, {last.label}, had {_probe(last)}"
        answer.append(Promotion(teacher=teacher, promoted=promoted, reason=reason + "."))
    return tuple(answer)


def _probe(arm: Arm) -> str:
    return f"probe {100 * mean(arm.probe):.1f}%"


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
