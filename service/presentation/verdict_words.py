"""A verdict's facts as a sentence. A teacher is named only as far as a student was trained under it; those that were
never tried are counted."""

from __future__ import annotations

from collections.abc import Sequence

from dpk_core.selection.decide.job_results import LEAST_SEEDS
from dpk_core.selection.decide.verdict import Verdict
from service.presentation.metric_words import ACCURACY, MetricWords
from service.presentation.numbers import chance, counted, gain_in_words, least_gain, listed, points_in_words, short


def verdict_sentence(verdict: Verdict, metric: MetricWords = ACCURACY) -> str:
    """What the verdict says, in the words of its metric."""
    if verdict.best is not None:
        return _praise(verdict, metric) + _not_ruled_out(verdict)
    if verdict.kind == "no_teacher":
        return f"Take no teacher: {_no_help(verdict, metric)}."
    return f"Undecided: {_why_undecided(verdict, metric)}"


def _why_undecided(verdict: Verdict, metric: MetricWords) -> str:
    counts, lead = verdict.counts, short(verdict.lead)
    match verdict.undecided:
        case "nothing_tried":
            if verdict.final:
                return "no student came to the end of a training under a teacher."
            return "no teacher was tried yet."
        case "no_full_training":
            return f"no full training under a teacher finished; {_so_far(verdict)}"
        case "one_seed":
            first = _first_of(lead, counts.finished, "trained fully")
            return f"{first}{_but(counts.finished)} one seed cannot tell a better teacher from noise."
        case "no_baseline":
            first = _first_of(lead, counts.trained, "trained fully")
            return (
                f"{first}{_but(counts.trained)} the student without a teacher was not trained fully on {LEAST_SEEDS} "
                "seeds, so its worth is unknown."
            )
        case "others_may_help":
            tried = len(verdict.open) > len(verdict.untried)
            but = f", but {_was(len(verdict.open))} not trained fully" if tried else ""
            return f"{_no_help(verdict, metric)}. {_not_trained(verdict)} may help{but}."
        case "near_chance" if verdict.worth == "helps":
            assert verdict.gain is not None
            helps = f"beats no teacher by {gain_in_words(verdict.gain, metric.points)}"
            return f"{_named(verdict)} {helps}, but has learned nothing itself: it {metric.one_no_better}."
        case "near_chance":
            return f"{_named(verdict)} {metric.one_no_better}; it {_change(verdict, metric)}."
        case _:
            return _so_far(verdict)


def _so_far(verdict: Verdict) -> str:
    """Who leads while results are still to come, or where no training came to its end."""
    counts, lead = verdict.counts, short(verdict.lead)
    untried = counts.candidates - counts.tried
    leads = f"{lead} leads" if not untried else _first_of(lead, counts.tried, "tried so far")
    said = [f"{leads}, best with a chance of {chance(verdict.chance)}"]
    if verdict.rivals:
        said.append(f"{listed([short(each) for each in verdict.rivals])} may still be better")
    if untried:
        said.append(f"{counted(untried, 'teacher')} {_was(untried)} not tried yet")
    return f"{'; '.join(said)}."


def _no_help(verdict: Verdict, metric: MetricWords) -> str:
    """What the best of the fully trained teachers changes, and that it is of no use."""
    lead, change = short(verdict.lead), _change(verdict, metric)
    if verdict.counts.candidates == 1:
        return f"{lead} {change}"
    return f"{'even ' if verdict.worth == 'harms' else ''}{_which(verdict)}, {lead}, {change}"


def _which(verdict: Verdict) -> str:
    """How the best fully trained teacher stands among the candidates."""
    all_trained = verdict.counts.trained == verdict.counts.candidates
    return "the best one" if all_trained else "the best of those trained fully"


def _named(verdict: Verdict) -> str:
    """The teacher at the beginning of a sentence."""
    lead = short(verdict.lead)
    return lead if verdict.counts.candidates == 1 else f"{lead}, {_which(verdict)},"


def _change(verdict: Verdict, metric: MetricWords) -> str:
    """What that teacher changes, which is no help."""
    assert verdict.gain is not None
    counts, said = verdict.counts, f"changes the student by {gain_in_words(verdict.gain, metric.points)}"
    if verdict.worth == "harms":
        return f"{said}: it does harm"
    if verdict.worth == "too_small":
        return f"{said}, which is too little to matter"
    if verdict.gain.low > 0:
        return f"{said}, which is within noise for the best of {counted(counts.candidates, 'teacher')}"
    return f"{said}, which is within noise of nothing"


def _praise(verdict: Verdict, metric: MetricWords) -> str:
    """Which teacher to take, what it gains over no teacher, and how the next best or its equals compare."""
    assert verdict.gain is not None
    taken, worth = short(verdict.best), gain_in_words(verdict.gain, metric.points)
    if not verdict.equals:
        return f"Take {taken}: it beats no teacher by {worth}{_next_best(verdict)}."
    lead = f"Take {taken}{', the cheapest to train with' if verdict.cheapest else ''}; {_compared(verdict, metric)}; "
    least = min(verdict.gains.values(), key=lambda gain: gain.low)
    if least.low <= 0:
        return f"{lead}{taken} beats no teacher by {worth}."
    interval = f"{100 * verdict.gain.confidence:.0f}% intervals"
    at_least = f"at least {least_gain(least)} {metric.points} (the lower end of their {interval})"
    return f"{lead}{'both' if len(verdict.equals) == 1 else 'all'} beat no teacher by {at_least}, {taken} by {worth}."


def _next_best(verdict: Verdict) -> str:
    if verdict.runner_up is None:
        return ""
    which = "the next best" if verdict.runner_up_is_second else "the next best of those trained fully"
    ahead = verdict.ahead[verdict.runner_up]
    return f" and {short(verdict.runner_up)}, {which}, by {points_in_words(ahead.value)}"


def _compared(verdict: Verdict, metric: MetricWords) -> str:
    """How its equals compare with the teacher that is taken, from which they may be clearly apart: each is not
    distinguishable from the best one, and the cheapest may have been taken."""
    noise: list[str] = []
    said: list[str] = []
    for teacher in verdict.equals:
        ahead, name = verdict.ahead[teacher], short(teacher)
        if not ahead.low <= 0 <= ahead.high:
            where = "behind" if ahead.value > 0 else "ahead"
            lead = points_in_words(abs(ahead.value), 2)
            matters = "" if abs(ahead.value) > verdict.margin else ", too little to matter"
            said.append(f"{name} is {where} by {lead} {metric.points}{matters}")
        else:
            noise.append(name)
    return "; ".join(([f"{listed(noise)} {'is' if len(noise) == 1 else 'are'} within noise"] if noise else []) + said)


def _not_ruled_out(verdict: Verdict) -> str:
    """A sentence about the teachers that were not trained fully and may be the best; empty without any."""
    if not verdict.open:
        return ""
    tried = len(verdict.open) > len(verdict.untried)
    return f" {'Not trained fully and not ruled out' if tried else 'Not ruled out'}: {_not_trained(verdict)}."


def _not_trained(verdict: Verdict) -> str:
    """The teachers that were tried by name, and how many others there are."""
    names = [short(each) for each in verdict.open if each not in verdict.untried]
    untried = len(verdict.untried)
    return listed(names + ([f"{counted(untried, 'teacher')} that {_was(untried)} not tried"] if untried else []))


def _first_of(lead: str, count: int, how: str) -> str:
    return f"{lead} is the only teacher {how}" if count == 1 else f"{lead} leads the {count} teachers {how}"


def _but(count: int) -> str:
    return ", and" if count == 1 else ", but"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def cautioned(sentence: str, cautions: Sequence[str]) -> str:
    """A verdict with its cautions, for where it stands alone."""
    return " ".join([sentence, *(f"Caution: {caution}" for caution in cautions)])
