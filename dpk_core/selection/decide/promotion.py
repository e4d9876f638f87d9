"""Which teachers are confirmed, in which order, and what was known of each then."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dpk_core.selection.decide.facts import FurthestRung, Promotion
from dpk_core.selection.decide.job_results import Arm, JobResults
from dpk_core.selection.decide.summary import Summary
from dpk_core.selection.statistics import is_same_chance, mean


def promotions(results: JobResults, view: Summary, promoted: Collection[str]) -> tuple[Promotion, ...]:
    """All candidates, likeliest first, of which these are promoted, one at least."""
    order = in_order(view)
    last = results.arm([teacher for teacher in order if teacher in promoted][-1])
    return tuple(_promotion(results.arm(each), each in promoted, last, results, view) for each in order)


def in_order(view: Summary) -> list[str]:
    """The lead, then the likeliest. Of those whose chances the draws cannot tell apart the one that is expected to be
    better comes first: of two with hardly a chance that is not the one that is least known."""
    order = [view.lead]
    left = [teacher for teacher in view.ranking if teacher != view.lead]
    while left:
        most = max(view.chances[teacher] for teacher in left)
        order.append(next(teacher for teacher in left if is_same_chance(most, view.chances[teacher])))
        left.remove(order[-1])
    return order


def _promotion(arm: Arm, promoted: bool, last: Arm, results: JobResults, view: Summary) -> Promotion:
    looked = _looked(arm, results)
    shared: Mapping[int, float] = {}
    if looked is not None:
        theirs = last.at(looked.rung)
        shared = {seed: theirs[seed] for seed in arm.at(looked.rung) if seed in theirs}
    teacher, other = arm.teacher or "", last.teacher or ""
    return Promotion(
        teacher=teacher, promoted=promoted, chance=view.chances[teacher], looked=looked,
        expected=view.expected[teacher].value, last=other, last_score=mean(shared) if shared else None,
        last_expected=view.expected[other].value,
    )  # fmt: skip


def _looked(arm: Arm, results: JobResults) -> FurthestRung | None:
    if not arm.is_tried:
        return None
    rung = max(len(curve) for curve in arm.curves.values()) - 1
    at = arm.at(rung)
    return FurthestRung(
        rung=rung, rungs=len(results.rungs), fraction=results.rungs[rung], seeds=len(at), score=mean(at)
    )
