"""How results are said to people: the same words on the pages and in the terminal. Knows the wire schemas only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from service.presentation.metric_words import ACCURACY, MetricWords
from service.presentation.numbers import NO_BREAK, NOTHING, chance, clock, coefficient, duration
from service.scheduling.states import PreparationKind
from service.wire.boards import Correlation, Interval, Leaderboard, Ledger, PreparedTeacher, Row, Summary, Verdict
from service.wire.jobs import Job

_NOW: dict[str, str] = {
    "preparing_teachers": "the teachers are being prepared",
    "exploring": "short trainings under the teachers are being compared",
    "confirming": "the likeliest teachers train the student fully",
    "deciding": "the results are being weighed",
}

_THEN: dict[str, str] = {
    "preparing_teachers": "the teachers were being prepared",
    "exploring": "short trainings under the teachers were being compared",
    "confirming": "the likeliest teachers trained the student fully",
    "deciding": "the results were being weighed",
}

_PREPARED: dict[PreparationKind, str] = {
    "train": "training",
    "as_is": "taken as it is",
    "head": "training a new head",
    "fine_tune": "fine-tuning",
}


def spread(summary: Summary | None, metric: MetricWords = ACCURACY) -> str:
    """Mean and standard deviation over the seeds, e.g. `94.44% ± 0.52`; the mean alone for a single seed."""
    return NOTHING if summary is None else metric.mean_and_spread(summary.mean, summary.sd)


def bounds(interval: Interval | None, metric: MetricWords = ACCURACY) -> str:
    """The interval of a score, e.g. `93.1 to 95.2%`; empty for None."""
    return "" if interval is None else metric.interval(interval.low, interval.high)


def odds(verdict: Verdict | None, metric: MetricWords = ACCURACY) -> str:
    """How sure a verdict is, in a sentence or two; empty where nothing is known, or no teacher is named."""
    if verdict is None or verdict.kind == "no_teacher" or verdict.chance is None or verdict.regret is None:
        return ""
    text = f"Best of the teachers with a chance of {chance(verdict.chance)}"
    if verdict.near is not None and verdict.margin is not None:
        text += f", within {metric.margin(verdict.margin)} of the best with {chance(verdict.near)}"
    text += f"; expected loss {100 * verdict.regret:.2f} {metric.points}"
    if verdict.change is None:
        return f"{text}."
    return f"{text}. Training all of them fully would change the answer with a chance of {chance(verdict.change)}."


def preparation(prepared: PreparedTeacher) -> str:
    """How a teacher comes to its weights, and the seconds once they are known: `5 epochs of fine-tuning, 12 s`."""
    way = _PREPARED[prepared.kind]
    if prepared.epochs:
        way = f"{prepared.epochs} epoch{'' if prepared.epochs == 1 else 's'} of {way}"
    return way if prepared.seconds is None else f"{way}, {duration(prepared.seconds).replace(' ', NO_BREAK)}"


def preparation_sentence(rows: Sequence[Row]) -> str:
    """How each teacher was prepared; empty where all of them were trained from random weights, as usual."""
    prepared = [(row.label, row.preparation) for row in rows if row.preparation is not None]
    if all(each.kind == "train" for _, each in prepared):
        return ""
    return f"Teachers: {'; '.join(f'{label}, {preparation(each)}' for label, each in prepared)}."


def headline(
    state: str, stage: str | None, finished_at: datetime | None, failure: str | None, verdict: str | None
) -> str:
    """What there is to say first of a job: the failure, the cancellation, the verdict, or what is going on."""
    match state:
        case "failed":
            return failure or "The job failed."
        case "cancelled":
            return _cancelled(stage, finished_at)
        case "cancelling":
            return "The job is being cancelled: its trainings are being stopped."
        case "paused":
            so_far = "It goes on from its checkpoints." if verdict is None else verdict
            return f"Paused: nothing is trained until the job is resumed. {so_far}"
        case "queued":
            return "Waiting for a worker to begin."
        case _ if verdict is not None:
            return verdict
        case _:
            return "No verdict yet." if stage is None else f"No verdict yet: {_NOW[stage]}."


def board_headline(board: Leaderboard) -> str:
    """The job's headline, a verdict without its cautions, which stand beside it."""
    said = board.verdict is not None and board.job.state in ("running", "finished")
    return board.verdict.sentence if board.verdict is not None and said else board.job.headline


def progress_summary(board: Leaderboard) -> str:
    """What a reader who does not see the page hears when it changes: the stage, and what there is to say first."""
    stage = next((each.title for each in board.job.progress if each.state == "running"), None)
    said = board_headline(board)
    return said if stage is None or board.job.state != "running" else f"{stage}. {said}"


def _cancelled(stage: str | None, finished_at: datetime | None) -> str:
    when = "" if finished_at is None else f" on {clock(finished_at)}"
    if stage is None:
        return f"Cancelled by request{when}, before anything was trained."
    return (
        f"Cancelled by request{when}, while {_THEN[stage]}. What was trained until then is kept: another job that asks "
        "for the same goes on from it."
    )


def done(job: Job) -> float:
    """The part of the training steps that the job counts on now which is behind it, 0 … 1."""
    steps = [stage for stage in job.progress if stage.stage != "deciding"]
    total = sum(stage.total for stage in steps)
    return sum(min(stage.done, stage.total) for stage in steps) / total if total else 0.0


def filled_columns(rows: Sequence[Row]) -> frozenset[str]:
    """The leaderboard's columns in which some row has a value; the others are left out."""
    filled: dict[str, Sequence[object]] = {
        "rank": [row.rank for row in rows],
        "parameters": [row.teacher_parameters for row in rows],
        "teacher_accuracy": [row.teacher_accuracy for row in rows],
        "chance": [row.chance for row in rows],
        "full": [row.full for row in rows],
        "expected": [row.expected for row in rows],
        "gain": [row.gain for row in rows],
        "time": [row.seconds or None for row in rows],
    }
    return frozenset(name for name, values in filled.items() if any(value is not None for value in values))


def known_correlations(board: Leaderboard) -> list[str]:
    """The correlations in sentences; nothing while none is measured and the job may still measure some."""
    known = board.job.state == "finished" or any(each.value is not None for each in board.correlations)
    return correlation_sentences(board.correlations) if known else []


def correlation_sentences(correlations: Sequence[Correlation]) -> list[str]:
    """Pearson's correlations that were measured, with their intervals, and a word on those that could not be."""
    pearson = [each for each in correlations if each.statistic == "pearson"]
    sentences = [_correlation(each, each.value) for each in pearson if each.value is not None]
    notes = Counter(each.note or "Not measurable yet." for each in pearson if each.value is None)
    for note, number in notes.items():
        others = "1 other coefficient" if number == 1 else f"{number} other coefficients"
        sentences.append(f"{others if sentences else others.replace(' other', '')}: {note[:1].lower()}{note[1:]}")
    return sentences


def _correlation(correlation: Correlation, value: float) -> str:
    text = f"{correlation.title[:1].upper()}{correlation.title[1:]}: {coefficient(value)}"
    if correlation.low is not None and correlation.high is not None:
        low, high = coefficient(correlation.low), coefficient(correlation.high)
        text += f", {100 * correlation.confidence:.0f}% interval {low} to {high}"
    text += f" (from {correlation.pairs} pairs)."
    return text if correlation.note is None else f"{text} {correlation.note}"


def ledger_sentence(ledger: Ledger) -> str:
    """Spent, saved and reused training time in one or two sentences; empty while there is none."""
    if ledger.spent == 0 and ledger.reused == 0:
        return ""
    if ledger.spent == 0 and ledger.reused > 0:
        return f"Nothing was trained anew: earlier jobs had trained the same, {duration(ledger.reused)} of it."
    text = f"{duration(ledger.spent)} of training spent"
    if ledger.saved is not None and ledger.saved > 0:
        text += f"; {duration(ledger.saved)} saved against training the student fully under every teacher"
    text += "."
    if ledger.wall is not None:
        text += f" It took {duration(ledger.wall)} by the clock."
    if ledger.reused > 0:
        text += f" {duration(ledger.reused)} more came from the store: earlier jobs had trained the same."
    return text
