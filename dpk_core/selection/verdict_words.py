"""The sentences of verdicts. A teacher is named only as far as a student was trained under it, and every number is one
of the belief's: those that were never tried are counted."""

from __future__ import annotations

from collections.abc import Sequence

from dpk_core.selection.decide.job_results import Arm
from dpk_core.selection.statistics import CONFIDENCE, Estimate, in_words
from dpk_core.selection.verdict_view import LEAST_SEEDS, View, is_tried


def so_far(view: View) -> str:
    """Who leads while results are still to come, or where no training came to its end."""
    leader, untried = view.tried[0], len(view.teachers) - len(view.tried)
    chance = f"best with a chance of {in_words(view.among.chances[leader.teacher])}"
    lead = f"{leader.label} leads" if not untried else _first_of(view.tried, "tried so far")
    said = [f"{lead}, {chance}"]
    if rivals := [arm.label for arm in view.tried[1:] if arm.teacher in view.among.best_set]:
        said.append(f"{_listed(rivals)} may still be better")
    if untried:
        said.append(f"{_teachers(untried)} {_was(untried)} not tried yet")
    return f"{'; '.join(said)}."


def too_few_seeds(view: View) -> str:
    """Why nothing is decided where no teacher was trained fully on enough seeds."""
    if not view.finished:
        return f"no teacher's full training came to its end; {so_far(view)}"
    lead = _first_of(view.finished, "trained fully")
    return f"{lead}{_but(view.finished)} one seed cannot tell a better teacher from noise."


def no_baseline(view: View) -> str:
    """Why nothing is decided where the student without a teacher was not trained on enough seeds."""
    return (
        f"{_first_of(view.trained, 'trained fully')}{_but(view.trained)} the student without a teacher was not trained "
        f"fully on {LEAST_SEEDS} seeds, so its worth is unknown."
    )


def no_help(view: View) -> str:
    """What the best of the fully trained teachers changes, and that it is of no use."""
    best, gain = view.trained[0], view.gain(view.trained[0])
    harmful = gain.high < 0
    change = f"changes the student by {_worth(gain)}"
    if len(view.teachers) == 1:
        said = f"{best.label} {change}"
    else:
        which = "the best one" if len(view.trained) == len(view.teachers) else "the best of those trained fully"
        said = f"{'even ' if harmful else ''}{which}, {best.label}, {change}"
    if harmful:
        return f"{said}: it does harm"
    return f"{said}, which {'is too little to matter' if gain.low > 0 else 'is within noise of nothing'}"


def may_help(arms: Sequence[Arm]) -> str:
    """That teachers which were not trained fully may help."""
    if not any(is_tried(arm) for arm in arms):
        return f"{_not_trained(arms)} may help."
    return f"{_not_trained(arms)} may help, but {_was(len(arms))} not trained fully."


def praise(view: View, taken: Arm, equal: tuple[Arm, ...], *, cheapest: bool) -> str:
    """Which teacher to take, what it gains over no teacher, and how the next best or its equals compare."""
    worth = _worth(view.gain(taken))
    if not equal:
        return f"Take {taken.label}: it beats no teacher by {worth}{_next_best(view, taken)}."
    lead = f"Take {taken.label}{', the cheapest to train with' if cheapest else ''}; {_compared(view, taken, equal)}; "
    if not all(view.clear(view.gain(arm)) for arm in equal):
        return f"{lead}{taken.label} beats no teacher by {worth}."
    least = _points(min(view.gain(arm).low for arm in (taken, *equal)))
    bound = "" if least == "0.0" else f" by at least {least} points (the lower end of their {_CONFIDENCE} intervals)"
    return f"{lead}{'both' if len(equal) == 1 else 'all'} beat no teacher{bound}, {taken.label} by {worth}."


def not_ruled_out(arms: Sequence[Arm]) -> str:
    """A sentence about the teachers that were not trained fully and may be the best; empty without any."""
    if not arms:
        return ""
    lead = "Not trained fully and not ruled out" if any(is_tried(arm) for arm in arms) else "Not ruled out"
    return f" {lead}: {_not_trained(arms)}."


def _next_best(view: View, taken: Arm) -> str:
    others = [arm for arm in view.trained if arm is not taken]
    if not others:
        return ""
    second = next(arm for arm in view.teachers if arm is not taken)
    which = "the next best" if second is others[0] else "the next best of those trained fully"
    ahead = view.belief.difference(taken.teacher, others[0].teacher)
    return f" and {others[0].label}, {which}, by {_points(ahead.value)}"


def _compared(view: View, taken: Arm, equal: tuple[Arm, ...]) -> str:
    """How its equals compare with the teacher that is taken; each cannot be told from the best one."""
    noise: list[str] = []
    said: list[str] = []
    for arm in equal:
        ahead = view.belief.difference(taken.teacher, arm.teacher)
        if ahead.low <= 0 <= ahead.high:
            noise.append(arm.label)
        elif abs(ahead.value) <= view.margin:
            where = "behind" if ahead.value > 0 else "ahead"
            said.append(f"{arm.label} is {where} by {_points(abs(ahead.value), 2)} points, too little to matter")
        else:
            said.append(f"{arm.label} cannot be told from {view.helpful[0].label}")
    return "; ".join(([f"{_listed(noise)} {'is' if len(noise) == 1 else 'are'} within noise"] if noise else []) + said)


def _first_of(arms: Sequence[Arm], how: str) -> str:
    if len(arms) == 1:
        return f"{arms[0].label} is the only teacher {how}"
    return f"{arms[0].label} leads the {len(arms)} teachers {how}"


def _but(arms: Sequence[Arm]) -> str:
    return ", and" if len(arms) == 1 else ", but"


def _not_trained(arms: Sequence[Arm]) -> str:
    """The teachers that were tried by name, and how many others there are."""
    names = [arm.label for arm in arms if is_tried(arm)]
    untried = len(arms) - len(names)
    return _listed(names + ([f"{_teachers(untried)} that {_was(untried)} not tried"] if untried else []))


def _teachers(count: int) -> str:
    return f"{count} teacher{'' if count == 1 else 's'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


_CONFIDENCE = f"{100 * CONFIDENCE:.0f}%"


def _worth(estimate: Estimate) -> str:
    return (
        f"{_points(estimate.value)} points ({_CONFIDENCE} interval {_points(estimate.low)} to {_points(estimate.high)})"
    )


def _points(fraction: float, digits: int = 1) -> str:
    text = f"{100 * abs(fraction):.{digits}f}"
    return f"−{text}" if fraction < 0 and float(text) else text


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
