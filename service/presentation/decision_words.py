"""Why decisions were made, and why candidates stand where they do: facts as sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dpk_core.selection.decide.facts import Promotion
from service.presentation.metric_words import ACCURACY, MetricWords
from service.presentation.numbers import chance, counted, listed, margin_in_words, points_in_words, short
from service.scheduling.states import JobFailure, Reason
from service.wire.boards import Decision

if TYPE_CHECKING:
    from dpk_core.selection.decide.policies.policy import Reason as DecisionReason

SHORT = "What is left of the limit does not suffice for the likeliest teacher and the student without one."
_REASONS = {
    "free": "What the store holds already costs nothing.",
    "first_look": "A first look at every teacher.",
    "expected_regret": "It lowers the expected regret most for its cost.",
    "pilot": "The first steps show what training time buys.",
    "rivals": "Other teachers that may be the best, on the seeds of the first.",
    "next_seed": "On the next seed.",
    "replacement": "In the place of a teacher that failed.",
    "nothing_changes": "No affordable training is expected to change the answer.",
    "everything_done": "Every training that the policy asks for is finished.",
    "no_cost_left": "What is left of the training time that was set may not suffice for the next training.",
    "no_runs_left": "The number of trainings that was set is reached.",
    "all_failed": "Every teacher has failed.",
    "nothing_timed": "Nothing could be timed.",
    "time_over": "The wall-clock time that was set is over.",
    "retried": "Failed trainings are tried again, so the job explores again.",
}
LIMIT_KINDS = frozenset({"no_cost_left", "no_runs_left", "time_over"})
"""Reasons for which a limit, and not an answer, ended exploring."""


def decision_reason(reason: DecisionReason, metric: MetricWords = ACCURACY) -> str:
    """Why a decision was made."""
    said = _said(reason, metric)
    return f"{said} {SHORT}" if reason.short else said


def _said(reason: DecisionReason, metric: MetricWords) -> str:
    teacher = short(reason.teacher)
    match reason.kind:
        case "contenders":
            return f"The least advanced of the {reason.count} of {reason.total} teachers that may be the best."
        case "survivors":
            return f"{reason.count} of {reason.total} teachers train up to rung {(reason.rung or 0) + 1}."
        case "whole_seed":
            return f"Seed {reason.seed} is trained fully under every teacher that competes."
        case "most_accurate":
            return f"{teacher} has the best {metric.name} of the teachers."
        case "no_teacher_score":
            return f"No teacher's own {metric.name} is known."
        case "lead_and_no_teacher":
            return f"Does {teacher}, the likeliest teacher, help? Full trainings beside the student without a teacher."
        case "teacher_added":
            return f"{teacher} was added, so the job explores again."
        case "sure":
            return f"{teacher} is the best teacher with a chance of {chance(reason.chance)}."
        case "near_enough":
            lost, margin = points_in_words(reason.regret or 0.0, 2), margin_in_words(reason.margin or 0.0)
            return (
                f"It matters too little to go on: taking {teacher} is expected to lose {lost} {metric.points}, "
                f"and up to {margin} do not count."
            )
        case _:
            return _REASONS[reason.kind]


def candidate_reason(reason: Reason | None, metric: MetricWords = ACCURACY) -> str | None:
    """Why a candidate has its status."""
    if reason is None:
        return None
    match reason.kind:
        case "failed":
            what = "The preparation" if reason.seed is None else f"The training with seed {reason.seed}"
            return f"{what} failed: {reason.failure}"
        case "baseline":
            return "Always trained fully: it is what every teacher is measured against."
        case "audit":
            return "Trained fully all the same, as an audit of what is dropped."
        case "near_chance":
            return f"Not trained under: the teacher {metric.one_no_better}."
        case _:
            assert reason.promotion is not None
            return promotion_sentence(reason.promotion, metric)


def promotion_sentence(promotion: Promotion, metric: MetricWords = ACCURACY) -> str:
    """What a teacher's promotion rested on; of those not promoted, how the last promoted one compared."""
    looked = promotion.looked
    said = f"Was best with a chance of {chance(promotion.chance)}"
    if looked is None:
        said += ", before any training under it"
    else:
        where = (
            "full training"
            if looked.fraction == 1
            else f"rung {looked.rung + 1} of {looked.rungs} ({100 * looked.fraction:.3g}% of the training)"
        )
        said += f" after {where} on {counted(looked.seeds, 'seed')}: {metric.score(looked.score)}"
    if promotion.promoted:
        return f"{said}."
    last = f"the last one promoted, {short(promotion.last)},"
    if promotion.last_score is not None:
        return f"{said}; {last} had {metric.score(promotion.last_score)}."
    theirs = metric.score(promotion.last_expected)
    return f"{said}; {metric.score(promotion.expected)} expected in full training, of {last} {theirs}."


def failure_sentence(failure: JobFailure, failed: Sequence[tuple[str, str | None]]) -> str:
    """Why a job failed; where every arm did, each cause once, with the arms (label and failure) that it ended."""
    if failure.kind == "outdated":
        return (
            f"The training code changed while the job was under way (version {failure.before} → {failure.now}); submit "
            "it again: what was finished before is not mixed with what comes now."
        )
    causes: dict[str, list[str]] = {}
    for label, cause in failed:
        causes.setdefault(cause or "No reason is known.", []).append(label)
    if len(causes) == 1:
        return f"No training finished. {next(iter(causes))}"
    said = [f"{', '.join(labels)}: {cause}" for cause, labels in causes.items()]
    return " ".join(["No training finished.", *said])


def who(decision: Decision) -> str:
    """Under whom a decision trains the student: `resnet14 and resnet20`, an audit named as such."""
    names = dict.fromkeys(
        ("no teacher" if step.teacher is None else short(step.teacher))
        + (" (audit)" if step.purpose == "audit" else "")
        for step in decision.steps
    )
    return listed(list(names)) if names else "nobody"


def where(decision: Decision) -> str:
    """On which seeds and up to which epoch a decision trains: `seeds 0 and 1, to epoch 6`; empty without a step."""
    if not decision.steps:
        return ""
    seeds = sorted({step.seed for step in decision.steps})
    epochs = sorted({step.epochs for step in decision.steps})
    plural = "" if len(seeds) == 1 else "s"
    return f"seed{plural} {listed([str(seed) for seed in seeds])}, to epoch {listed([str(each) for each in epochs])}"


def why(decisions: Sequence[Decision], index: int) -> str:
    """Why a decision trains whom it trains; the first one that confirms says so."""
    decision = decisions[index]
    confirms = decision.stage == "confirming" and (index == 0 or decisions[index - 1].stage != "confirming")
    return f"Confirming. {decision.reason}" if confirms else decision.reason


def decision_sentences(decisions: Sequence[Decision]) -> list[str]:
    """Each decision in a line: `2: resnet14 and resnet20; seed 0, to epoch 6. Why.`"""
    return [
        f"{decision.number}: {who(decision)}{f'; {where(decision)}' if decision.steps else ''}. {why(decisions, index)}"
        for index, decision in enumerate(decisions)
    ]
