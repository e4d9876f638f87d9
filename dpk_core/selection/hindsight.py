"""Would a cheaper rule have done? Every rule's pick against the fully trained teachers, with what chance left open.

Regret is the accuracy lost by a rule's pick against the best; regret@2 by the better one of its two best. Intervals
come from the seeds: draws of the teachers' true levels around their means, with the spread of the two-way layout
teacher × seed and a Student's tail for how little is known of it. The luck of the validation pictures is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.paired import paired_noise
from dpk_core.selection.predictors import Predictor, PredictorName, picks
from dpk_core.selection.statistics import CONFIDENCE, Estimate, mean_interval, wilson
from dpk_core.selection.trials import FULL, Question, shared_seeds

DRAWS = 4096
DRAW_SEED = 2206_06067
TWO = 2

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """A loss of accuracy as a fraction; without an interval where one seed is all there is."""

    value: float
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What following a rule would have given.

    `picks`: its choice among all teachers; several where it cannot tell them apart, and then one of them at random.
    `hit`: the part of them that is the winner, None where one was not trained fully; `chance`: that the pick truly is
    the best of the trained. `trained_picks`, `regret`, `regret_two`: among the fully trained alone.
    """

    name: PredictorName
    title: str
    picks: tuple[str, ...]
    trained_picks: tuple[str, ...]
    hit: float | None
    chance: float | None
    regret: Regret | None
    regret_two: Regret | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hindsight:
    """Over how many of the teachers, the best of them, and every rule. `note`: what that leaves out."""

    teachers: int
    trained: int
    audited: int
    winner: str | None
    note: str
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A rule over many questions: how often its pick among the trained was the winner, and what it lost on average."""

    name: PredictorName
    title: str
    questions: int
    hits: Estimate | None
    regret: Estimate | None


def look_back(question: Question, rules: Sequence[Predictor]) -> Hindsight:
    """Every rule's judgement. Without two fully trained teachers there is no winner and no regret."""
    trained = question.trained
    levels = question.levels(FULL)
    known = len(trained) >= TWO
    winner = max(sorted(levels), key=lambda teacher: levels[teacher]) if known else None
    draws = _draws(question) if known else None
    return Hindsight(
        teachers=len(question.trials),
        trained=len(trained),
        audited=sum(each.audited for each in trained),
        winner=winner,
        note=_censoring(question),
        judgements=tuple(_judge(rule, levels if known else {}, winner, draws) for rule in rules),
    )


def records(found: Sequence[Hindsight]) -> tuple[Record, ...]:
    """Each rule over all questions in which it could be judged, in the order of the rules."""
    judged: dict[PredictorName, list[tuple[Hindsight, Judgement]]] = {}
    for each in found:
        for judgement in each.judgements:
            judged.setdefault(judgement.name, []).append((each, judgement))
    answer = []
    for name, pairs in judged.items():
        regrets = [judgement.regret.value for _, judgement in pairs if judgement.regret is not None]
        hits = [
            judgement.trained_picks.count(each.winner or "") / len(judgement.trained_picks)
            for each, judgement in pairs
            if judgement.regret is not None
        ]
        measured = wilson(math.fsum(hits), len(hits)) if hits else None
        title = pairs[0][1].title
        answer.append(Record(name=name, title=title, questions=len(hits), hits=measured, regret=mean_interval(regrets)))
    return tuple(answer)


def _judge(rule: Predictor, levels: Mapping[str, float], winner: str | None, draws: Matrix | None) -> Judgement:
    chosen = [one for (one,) in picks(rule.scores)]
    scores = {teacher: score for teacher, score in rule.scores.items() if teacher in levels}
    able = picks(scores)
    reached = bool(chosen) and set(chosen) <= set(levels)
    names = sorted(levels)
    chance = None
    if reached and draws is not None:
        best_D = draws.argmax(1)
        chance = float(np.mean([(best_D == names.index(one)).mean() for one in chosen]))
    return Judgement(
        name=rule.name,
        title=rule.title,
        picks=tuple(chosen),
        trained_picks=tuple(one for (one,) in able),
        hit=chosen.count(winner or "") / len(chosen) if reached else None,
        chance=chance,
        regret=_regret(levels, able, draws),
        regret_two=_regret(levels, picks(scores, TWO), draws),
        note=rule.note,
    )


def _regret(levels: Mapping[str, float], sets: Sequence[Sequence[str]], draws: Matrix | None) -> Regret | None:
    """Mean over the equally likely sets of what the best of a set loses."""
    if not sets:
        return None
    best = max(levels.values())
    value = math.fsum(best - max(levels[one] for one in some) for some in sets) / len(sets)
    if draws is None:
        return Regret(value=value, low=None, high=None)
    places = {teacher: place for place, teacher in enumerate(sorted(levels))}
    lost_D = draws.max(1) - np.mean([draws[:, [places[one] for one in some]].max(1) for some in sets], axis=0)
    low, high = np.quantile(lost_D, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Regret(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _draws(question: Question) -> Matrix | None:
    """Of the fully trained teachers' levels, draws × teachers by name; None where one seed tells no spread."""
    trained = question.trained
    noise = paired_noise([each.reached[FULL] for each in trained])
    if noise is None:
        return None
    levels = question.levels(FULL)
    means_A = np.array([levels[each.teacher] for each in trained])
    random = np.random.Generator(np.random.PCG64(DRAW_SEED))
    tail_D = np.sqrt(noise.freedom / random.chisquare(noise.freedom, DRAWS))
    seeds = len(shared_seeds(trained, FULL))
    spread_DA = random.standard_normal((DRAWS, len(trained))) * noise.sd / math.sqrt(seeds)
    return np.asarray(means_A + tail_D[:, None] * spread_DA)


def _censoring(question: Question) -> str:
    count, trained = len(question.trials), question.trained
    if len(trained) < TWO:
        return f"Not measurable with {len(trained)} of {count} teachers trained fully (it takes at least 2)."
    if len(trained) == count:
        return f"Over all {count} teachers, every one trained fully."
    audited = sum(each.audited for each in trained)
    note = f"Over the {len(trained)} of {count} teachers that were trained fully"
    if audited:
        return f"{note}, {audited} of them dropped before and trained all the same, to check on the dropping."
    return f"{note}; the others were dropped on the way, so the probe looks better here than it may be."
