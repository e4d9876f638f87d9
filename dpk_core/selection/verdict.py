"""What a job says: best, tie, or no teacher helps, in one sentence that claims no more than is known.

Everything comes from the belief about full student accuracies, so seeds and the finite validation set are in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dpk_core.selection.knowledge import Arm, Knowledge, Step
from dpk_core.selection.outlook import (
    PRACTICAL_MARGIN,
    Outlook,
    chance_of_change,
    chance_within,
    expected_regret,
    outlook,
)
from dpk_core.selection.posterior import Model, Posterior
from dpk_core.selection.statistics import CONFIDENCE, Estimate, in_words

LEAST_SEEDS = 2
"""Full trainings that it takes to tell a better teacher from luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. `tied`: the teachers that cannot be told from `best`, likeliest first, without `best` itself.

    `chance`: that no teacher is better than `best`; `near`: that none is by more than `margin`; `regret`: expected
    accuracy lost by taking it, as a fraction; `change`: the chance that training all the rest would lead to another
    teacher. None where nothing is trained.
    """

    kind: Literal["best", "tie", "no_teacher", "undecided"]
    sentence: str
    best: str | None
    tied: tuple[str, ...]
    final: bool
    margin: float = PRACTICAL_MARGIN
    chance: float | None = None
    near: float | None = None
    regret: float | None = None
    change: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What there is to judge by. `trained`: teachers fully trained on enough seeds, best expected first."""

    knowledge: Knowledge
    belief: Posterior
    among: Outlook
    trained: tuple[Arm, ...]
    margin: float

    def gain(self, arm: Arm) -> Estimate:
        return self.belief.difference(arm.teacher, None)

    def clear(self, difference: Estimate) -> bool:
        return difference.low > 0 and difference.value > self.margin

    @property
    def helpful(self) -> tuple[Arm, ...]:
        """Those of `trained` that are clearly better than no teacher."""
        return tuple(arm for arm in self.trained if self.clear(self.gain(arm)))

    @property
    def not_ruled_out(self) -> tuple[Arm, ...]:
        """The teachers that were not trained fully, and yet it takes them to hold the best one with confidence."""
        trained = {arm.teacher for arm in self.trained}
        arms = {arm.teacher: arm for arm in self.belief.arms}
        return tuple(arms[teacher] for teacher in self.among.best_set if teacher not in trained)


def gains(knowledge: Knowledge) -> dict[str, Estimate]:
    """Full accuracy over no teacher, for every teacher that was trained fully on enough seeds.

    Empty while the arm without a teacher was not: then there is nothing to compare with.
    """
    if not _has_baseline(knowledge):
        return {}
    belief = Model(knowledge).posterior
    return {arm.teacher: belief.difference(arm.teacher, None) for arm in _trained(knowledge, belief) if arm.teacher}


def decide(
    knowledge: Knowledge, *, final: bool, prefer_cheaper: bool = False, margin: float = PRACTICAL_MARGIN
) -> Verdict:
    """The verdict on what is known. `final`: no further result will come. `prefer_cheaper`: of teachers that cannot be
    told apart, the one whose trainings cost least is taken. `margin`: differences up to it do not count."""
    if not any(arm.curves for arm in knowledge.teachers.ranked):
        reason = "no student came to the end of a training under a teacher." if final else "no teacher was tried yet."
        return _undecided(reason, final=final)
    model = Model(knowledge)
    belief = model.posterior
    view = _View(
        knowledge=knowledge, belief=belief, among=outlook(belief.teachers), trained=_trained(knowledge, belief),
        margin=margin,
    )  # fmt: skip
    verdict = _judge(view, prefer_cheaper=prefer_cheaper) if final else _undecided(_so_far(view), final=False)
    taken = verdict.best or view.among.choice
    # That a cheaper one is taken in its place is no change of mind about the best.
    best = view.helpful[0].teacher if verdict.best is not None else taken
    return replace(
        verdict, margin=margin, chance=view.among.chances[taken], near=chance_within(belief.teachers, taken, margin),
        regret=expected_regret(belief.teachers, taken), change=chance_of_change(model, _remaining(knowledge), best),
    )  # fmt: skip


def _judge(view: _View, *, prefer_cheaper: bool) -> Verdict:
    if not view.trained:
        ahead = f"{_label(view, view.among.choice)} came out ahead, but "
        why = (
            "one seed cannot tell a better teacher from luck"
            if any(arm.at(len(view.knowledge.rungs) - 1) for arm in view.knowledge.teachers.ranked)
            else "no teacher's full training came to its end"
        )
        return _undecided(f"{ahead}{why}.", final=True)
    if not _has_baseline(view.knowledge):
        why = "the arm without a teacher was not trained fully, so its worth is unknown"
        return _undecided(f"{view.trained[0].label} came out ahead, but {why}.", final=True)
    if not view.helpful:
        return _without_help(view)
    best, open_ = view.helpful[0], view.not_ruled_out
    equal = _equals(view, best)
    able = [arm for arm in (best, *equal) if arm in view.helpful]
    taken = min(able, key=lambda arm: arm.cost) if prefer_cheaper else best
    equal = tuple(arm for arm in (best, *equal) if arm is not taken)
    return Verdict(
        kind="tie" if equal or open_ else "best",
        sentence=_praise(view, taken, equal, cheapest=taken is not best) + _named(open_),
        best=taken.teacher,
        tied=tuple(arm.teacher for arm in (*equal, *open_) if arm.teacher is not None),
        final=True,
    )


def _without_help(view: _View) -> Verdict:
    """No teacher that was trained fully is clearly of use. Another one may be, unless it is ruled out."""
    hopeful = [arm for arm in view.not_ruled_out if view.gain(arm).high > view.margin]
    if hopeful:
        names = _listed([arm.label for arm in hopeful])
        return _undecided(f"{_no_help(view)}. {names} may help, but {_was(hopeful)} not trained fully.", final=True)
    return Verdict(kind="no_teacher", sentence=f"Take no teacher: {_no_help(view)}.", best=None, tied=(), final=True)


def _equals(view: _View, best: Arm) -> tuple[Arm, ...]:
    """Of the teachers trained fully, those that are not clearly worse than the best."""
    return tuple(
        arm
        for arm in view.trained
        if arm is not best and not view.clear(view.belief.difference(best.teacher, arm.teacher))
    )


def _trained(knowledge: Knowledge, belief: Posterior) -> tuple[Arm, ...]:
    """Teachers with full trainings on enough seeds, best expected first; of equals, the more accurate, then by name."""
    last = len(knowledge.rungs) - 1
    means = {arm.teacher: float(mean) for arm, mean in zip(belief.arms, belief.mean_A, strict=True)}
    enough = [arm for arm in knowledge.teachers.ranked if len(arm.at(last)) >= LEAST_SEEDS]
    return tuple(sorted(enough, key=lambda arm: (-round(means[arm.teacher], 9), -(arm.teacher_accuracy or 0.0))))


def _has_baseline(knowledge: Knowledge) -> bool:
    last = len(knowledge.rungs) - 1
    return any(arm.teacher is None and len(arm.at(last)) >= LEAST_SEEDS for arm in knowledge.ranked)


def _remaining(knowledge: Knowledge) -> list[Step]:
    """Every full training of a teacher's student that is not over."""
    last = len(knowledge.rungs) - 1
    return [
        Step(teacher=arm.teacher, seed=seed, rung=last)
        for arm in knowledge.teachers.ranked
        for seed in knowledge.seeds
        if arm.reached(seed) <= last
    ]


def _undecided(reason: str, *, final: bool) -> Verdict:
    return Verdict(kind="undecided", sentence=f"Undecided: {reason}", best=None, tied=(), final=final)


def _so_far(view: _View) -> str:
    among = view.among
    lead = f"{_label(view, among.choice)} leads, best with a chance of {in_words(among.chances[among.choice])}"
    others = [_label(view, teacher) for teacher in among.best_set if teacher != among.choice]
    return f"{lead}; {_listed(others)} may still be better." if others else f"{lead}."


def _no_help(view: _View) -> str:
    best, gain = view.trained[0], view.gain(view.trained[0])
    all_trained = len(view.trained) == len(view.knowledge.teachers.ranked)
    change = f"{best.label}, changes the student by {_points(gain.value)} points ({_span(gain)})"
    which = "the best one" if all_trained else "the best of those trained fully"
    if gain.high < 0:
        return f"even {which}, {change}: it does harm"
    meaning = "is too little to matter" if gain.low > 0 else "is within noise of nothing"
    return f"{which}, {change}, which {meaning}"


def _praise(view: _View, taken: Arm, equal: tuple[Arm, ...], *, cheapest: bool) -> str:
    gain = view.gain(taken)
    worth = f"{_points(gain.value)} points ({_span(gain)})"
    if not equal:
        rest = ""
        if len(view.trained) > 1:
            second = next(arm for arm in view.trained if arm is not taken)
            ahead = view.belief.difference(taken.teacher, second.teacher)
            rest = f" and {second.label}, the next best, by {_points(ahead.value)}"
        return f"Take {taken.label}: it beats no teacher by {worth}{rest}."
    names = f"{_listed([arm.label for arm in equal])} {'is' if len(equal) == 1 else 'are'} within noise"
    lead = f"Take {taken.label}{', the cheapest to train with' if cheapest else ''}; {names}; "
    if all(view.clear(view.gain(arm)) for arm in equal):
        least = min(view.gain(arm).value for arm in (taken, *equal))
        every = "both beat" if len(equal) == 1 else "all beat"
        return f"{lead}{every} no teacher by at least {_points(least)} points, {taken.label} by {worth}."
    return f"{lead}{taken.label} beats no teacher by {worth}."


def _named(arms: tuple[Arm, ...]) -> str:
    return f" Not trained fully and not ruled out: {_listed([arm.label for arm in arms])}." if arms else ""


def _label(view: _View, teacher: str | None) -> str:
    return next(arm.label for arm in view.belief.arms if arm.teacher == teacher)


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−").replace("+", "")


def _span(estimate: Estimate) -> str:
    return f"{100 * CONFIDENCE:.0f}% interval {_points(estimate.low)} to {_points(estimate.high)}"


def _was(arms: Sequence[Arm]) -> str:
    return "was" if len(arms) == 1 else "were"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
