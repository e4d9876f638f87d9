"""What a job says: best, tie, or no teacher helps, in one sentence that claims no more than was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dpk_core.selection.expectation import expected_accuracies, ranking
from dpk_core.selection.paired import paired_noise
from dpk_core.selection.policy import promotions
from dpk_core.selection.state import Arm, State
from dpk_core.selection.statistics import CONFIDENCE, Estimate, mean

PRACTICAL_MARGIN = 0.003
"""Differences up to this size (.3 points) are of no practical use, however certain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. `tied`: teachers that the evidence cannot tell from `best`, without `best` itself."""

    kind: Literal["best", "tie", "no_teacher", "undecided"]
    sentence: str
    best: str | None
    tied: tuple[str, ...]
    final: bool


def gains(state: State) -> dict[str, Estimate]:
    """Full accuracy over no teacher, paired by seed, for every teacher trained fully on all seeds.

    Empty with one seed, or when the arm without a teacher is not finished: then no interval can be given.
    """
    baseline = _baseline(state)
    if baseline is None:
        return {}
    return {
        arm.teacher: difference
        for arm in _finished(state)
        if arm.teacher is not None and (difference := _difference(state, arm, baseline)) is not None
    }


def decide(state: State, *, final: bool) -> Verdict:
    """The verdict on what is known. `final`: no further result will come."""
    finished = {arm.teacher: arm for arm in _finished(state)}
    order = [finished[teacher] for teacher in ranking(state) if teacher is not None and teacher in finished]
    if not final:
        return _undecided(_outlook(state), final=False)
    if not order:
        return _undecided("Undecided: no teacher's full training came to its end.", final=True)
    if len(state.seeds) < 2:
        return _undecided(
            f"Undecided: {order[0].label} came out ahead, but one seed cannot tell a better teacher from luck.",
            final=True,
        )
    best, baseline = order[0], _baseline(state)
    if baseline is None:
        return _undecided(
            f"Undecided: {best.label} came out ahead, but the arm without a teacher failed, so its worth is unknown.",
            final=True,
        )
    gain = _difference(state, best, baseline)
    assert gain is not None
    if not _clear(gain):
        return Verdict(kind="no_teacher", sentence=_no_help(best, gain), best=None, tied=(), final=True)
    tied = tuple(arm for arm in order[1:] if not _clear(_difference(state, best, arm)))
    return Verdict(
        kind="tie" if tied else "best",
        sentence=_praise(state, best, gain, tied, order, baseline) + _not_ruled_out(state, best),
        best=best.teacher,
        tied=tuple(arm.teacher for arm in tied if arm.teacher is not None),
        final=True,
    )


def _finished(state: State) -> list[Arm]:
    return [arm for arm in state.arms if not arm.failed and set(state.seeds) <= set(arm.full)]


def _baseline(state: State) -> Arm | None:
    return next((arm for arm in _finished(state) if arm.teacher is None), None)


def _difference(state: State, arm: Arm, other: Arm) -> Estimate | None:
    noise = paired_noise([each.full for each in _finished(state)])
    return None if noise is None else noise.difference(mean(arm.full) - mean(other.full), len(state.seeds))


def _clear(difference: Estimate | None) -> bool:
    return difference is not None and difference.low > 0 and difference.value > PRACTICAL_MARGIN


def _undecided(sentence: str, *, final: bool) -> Verdict:
    return Verdict(kind="undecided", sentence=sentence, best=None, tied=(), final=final)


def _outlook(state: State) -> str:
    probed = [arm for arm in state.arms if arm.teacher is not None and not arm.failed]
    if not probed or any(set(state.seeds) - set(arm.probe) for arm in probed):
        return "Undecided: the probes are not over yet."
    promoted = {promotion.teacher for promotion in promotions(state) if promotion.promoted}
    names = _listed([arm.label for arm in probed if arm.teacher in promoted])
    return f"Undecided: after the probes {names} {'is' if len(promoted) == 1 else 'are'} being trained fully."


def _no_help(best: Arm, gain: Estimate) -> str:
    change = f"changes the student by {_points(gain.value)} points ({_span(gain)})"
    if gain.high < 0:
        return f"Take no teacher: even the best one, {best.label}, {change}: it does harm."
    meaning = "is too little to matter" if gain.low > 0 else "is within noise of nothing"
    return f"Take no teacher: the best one, {best.label}, {change}, which {meaning}."


def _praise(state: State, best: Arm, gain: Estimate, tied: tuple[Arm, ...], order: list[Arm], baseline: Arm) -> str:
    worth = f"{_points(gain.value)} points ({_span(gain)})"
    if not tied:
        lead = f"Take {best.label}: it beats no teacher by {worth}"
        rest = (
            ""
            if len(order) == 1
            else f" and {order[1].label}, the next best, by " + _points(mean(best.full) - mean(order[1].full))
        )
        return f"{lead}{rest}."
    names = f"{_listed([arm.label for arm in tied])} {'is' if len(tied) == 1 else 'are'} within noise"
    lead = f"Take {best.label}; {names}; "
    if all(_clear(_difference(state, arm, baseline)) for arm in tied):
        least = min(mean(arm.full) for arm in (best, *tied)) - mean(baseline.full)
        every = "both beat" if len(tied) == 1 else "all beat"
        return f"{lead}{every} no teacher by at least {_points(least)} points, {best.label} by {worth}."
    return f"{lead}{best.label} beats no teacher by {worth}."


def _not_ruled_out(state: State, best: Arm) -> str:
    """Names the teachers that were dropped after their probes and yet may be as good."""
    expected, finished = expected_accuracies(state), _finished(state)
    able = [
        arm.label
        for arm in state.arms
        if arm.teacher in expected and arm not in finished and expected[arm.teacher].high > expected[best.teacher].value
    ]
    return f" Not trained fully and not ruled out: {_listed(able)}." if able else ""


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−").replace("+", "")


def _span(estimate: Estimate) -> str:
    return f"{100 * CONFIDENCE:.0f}% interval {_points(estimate.low)} to {_points(estimate.high)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
