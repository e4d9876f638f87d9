"""Regret of selection rules: every rule's pick against the fully trained teachers, with confidence intervals.

Regret is the accuracy lost by a rule's pick against the best; regret@2 by the better one of its two best. Where their
intervals come from: `dpk_core.selection.evaluate.regret`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpk_core.selection.estimate import Estimate, wilson
from dpk_core.selection.evaluate.records import FULL, ComparisonGroup
from dpk_core.selection.evaluate.regret import Loss, Regret, level_draws, loss
from dpk_core.selection.evaluate.rules import Rule, RuleName, picks
from dpk_core.selection.statistics import Matrix, mean_interval

PROBE: RuleName = "probe"
TWO = 2
ROUNDING = 1e-9
"""Differences of mean accuracies up to this are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What following a rule would have given.

    `picks`: its choice among all teachers; several where it cannot tell them apart, and then one of them at random.
    `hit`: the part of them that is the winner, None where one was not trained fully; `chance`: that the pick truly is
    the best of the trained. `trained_picks`, `regret`, `regret_two`: among the fully trained alone. `over_probe`: its
    regret less the probe's, paired; None for the probe itself and where one of the two has no pick among the trained.
    `missing`: the teachers that it has no score for.
    """

    name: RuleName
    picks: tuple[str, ...]
    trained_picks: tuple[str, ...]
    hit: float | None
    chance: float | None
    regret: Regret | None
    regret_two: Regret | None
    over_probe: Regret | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleEvaluation:
    """Over how many of the teachers, the best of them, and every rule."""

    teachers: int
    trained: int
    audited: int
    winner: str | None
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """The probe against a rule over `questions`, in each of which both could be judged.

    `ahead`, `equal`, `behind`: in how many the rule lost more than the probe, as much, less. `complete`: in how many of
    them every teacher was trained fully; in the others a dropped one may have been better than all that are compared.
    `difference`: accuracy that the rule lost beyond the probe's loss, mean over the questions; None for fewer than two.
    """

    questions: int
    complete: int
    ahead: int
    equal: int
    behind: int
    difference: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A rule over many questions: how often its pick among the trained was the winner, and what it lost on average.

    `paired`: the probe against it; None for the probe itself.
    """

    name: RuleName
    questions: int
    hits: Estimate | None
    regret: Estimate | None
    paired: PairedComparison | None


def evaluate_rules(group: ComparisonGroup, rules: Sequence[Rule]) -> RuleEvaluation:
    """Every rule's judgement. Without two fully trained teachers there is no winner and no regret."""
    trained = group.trained
    levels = group.levels(FULL)
    known = len(trained) >= TWO
    winner = max(sorted(levels), key=lambda teacher: levels[teacher]) if known else None
    draws = level_draws(group) if known else None
    judged = levels if known else {}
    probe = next((_loss(rule, judged, draws) for rule in rules if rule.name == PROBE), None)
    return RuleEvaluation(
        teachers=len(group.records),
        trained=len(trained),
        audited=sum(each.audited for each in trained),
        winner=winner,
        judgements=tuple(_judge(rule, judged, winner, draws, probe) for rule in rules),
    )


def records(found: Sequence[RuleEvaluation]) -> tuple[Record, ...]:
    """Each rule over all questions in which it could be judged, in the order of the rules."""
    judged: dict[RuleName, list[tuple[RuleEvaluation, Judgement]]] = {}
    for each in found:
        for judgement in each.judgements:
            judged.setdefault(judgement.name, []).append((each, judgement))
    return tuple(_record(name, pairs) for name, pairs in judged.items())


def compare_paired(fought: Sequence[tuple[float, bool]]) -> PairedComparison:
    """From each question's difference of losses, rule less probe, and whether every teacher was trained fully in it."""
    differences = [difference for difference, _ in fought]
    ahead = sum(each > ROUNDING for each in differences)
    behind = sum(each < -ROUNDING for each in differences)
    return PairedComparison(
        questions=len(fought),
        complete=sum(complete for _, complete in fought),
        ahead=ahead,
        equal=len(fought) - ahead - behind,
        behind=behind,
        difference=mean_interval(differences),
    )


def _record(name: RuleName, judged: Sequence[tuple[RuleEvaluation, Judgement]]) -> Record:
    regrets = [judgement.regret.value for _, judgement in judged if judgement.regret is not None]
    hits = [
        judgement.trained_picks.count(each.winner or "") / len(judgement.trained_picks)
        for each, judgement in judged
        if judgement.regret is not None
    ]
    fought = [
        (judgement.over_probe.value, each.trained == each.teachers)
        for each, judgement in judged
        if judgement.over_probe is not None
    ]
    return Record(
        name=name,
        questions=len(hits),
        hits=wilson(math.fsum(hits), len(hits)) if hits else None,
        regret=mean_interval(regrets),
        paired=None if name == PROBE else compare_paired(fought),
    )


def _judge(
    rule: Rule, levels: Mapping[str, float], winner: str | None, draws: Matrix | None, probe: Loss | None
) -> Judgement:
    chosen = [one for (one,) in picks(rule.scores)]
    able = picks({teacher: score for teacher, score in rule.scores.items() if teacher in levels})
    lost, lost_by_two = _loss(rule, levels, draws), _loss(rule, levels, draws, TWO)
    reached = bool(chosen) and set(chosen) <= set(levels)
    names = sorted(levels)
    chance = None
    if reached and draws is not None:
        best_D = draws.argmax(1)
        chance = float(np.mean([(best_D == names.index(one)).mean() for one in chosen]))
    return Judgement(
        name=rule.name,
        picks=tuple(chosen),
        trained_picks=tuple(one for (one,) in able),
        hit=chosen.count(winner or "") / len(chosen) if reached else None,
        chance=chance,
        regret=None if lost is None else lost.regret,
        regret_two=None if lost_by_two is None else lost_by_two.regret,
        over_probe=None if lost is None or probe is None or rule.name == PROBE else lost.over(probe).regret,
        missing=rule.missing,
    )


def _loss(rule: Rule, levels: Mapping[str, float], draws: Matrix | None, count: int = 1) -> Loss | None:
    """Of its `count` best among the teachers in `levels`."""
    scores = {teacher: score for teacher, score in rule.scores.items() if teacher in levels}
    return loss(levels, picks(scores, count), draws)
