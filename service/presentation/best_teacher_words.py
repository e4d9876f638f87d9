"""The best teacher in words."""

from __future__ import annotations

from collections.abc import Sequence

from service.best_teacher.schemas import BestTeacher, OtherAnswer
from service.presentation.metric_words import MetricWords, words_of
from service.presentation.numbers import chance, clock, counted, duration, gain_in_words, listed, short
from service.presentation.words import bounds

HOLDS = "The answer holds: it is decided, and data, weights and training code are those of its job."
MOST_NAMED = 5
"""Other answers that are listed by name."""


def stale_sentence(because: Sequence[str]) -> str:
    """That an answer may not hold any more, and why."""
    return f"This answer is stale. {' '.join(because)}"


def sentences(best: BestTeacher) -> list[str]:
    """The whole answer, a line each."""
    metric = words_of(best.metric)
    found = [best.sentence, _odds(best, metric)]
    if (expected := best.expected_score) is not None and best.verdict in ("best", "tie"):
        found.append(f"Expected {metric.name}: {metric.score(expected.value)} ({bounds(expected, metric)}).")
    if best.gain is not None:
        found.append(f"Gain over no teacher: {gain_in_words(best.gain, metric.points)}.")
    found += [_basis(best), _running(best), *_others(best)]
    return [sentence for sentence in found if sentence]


def lacking(answer: BestTeacher | None, max_age: float | None) -> str | None:
    """Why an answer does not suffice, whatever teachers are asked about; None where it does."""
    if answer is None:
        return "No finished job has asked this under this protocol."
    if answer.stale:
        return " ".join(answer.stale_because)
    if max_age is not None and answer.age_seconds > max_age:
        return f"The answer is {duration(answer.age_seconds)} old; allowed: {duration(max_age)}."
    return "The job that answers could not decide." if answer.verdict == "undecided" else None


def not_compared(teachers: Sequence[str]) -> str:
    """That the job which answers left out teachers of the request."""
    names = listed([short(teacher) for teacher in teachers])
    return f"The job that answers did not compare {counted(len(teachers), 'teacher')} of the request: {names}."


def no_result_before(state: str) -> str:
    """Why a job in this state is no answer."""
    return f"The job before is {state}."


def ended_before(age: float) -> str:
    """Why a job that ended so many seconds ago is no answer any more."""
    return f"The job before ended {duration(age)} ago."


def _odds(best: BestTeacher, metric: MetricWords) -> str:
    if best.chance is None or best.expected_loss is None:
        return ""
    near = ""
    if best.chance_within_margin is not None and best.margin is not None:
        near = f", within {metric.margin(best.margin)} of the best with {chance(best.chance_within_margin)}"
    loss = f"expected loss {100 * best.expected_loss:.2f} {metric.points}"
    return f"Best of the teachers with a chance of {chance(best.chance)}{near}; {loss}."


def _basis(best: BestTeacher) -> str:
    seeds, epochs = counted(best.seeds, "seed"), counted(best.epochs, "epoch")
    asked = counted(best.candidates, "teacher")
    return (
        f"From {seeds} of {epochs}; {asked}, {best.teachers_tried} tried, {best.teachers_trained} trained fully. "
        f"Finished {clock(best.finished_at)}, {_age(best.age_seconds)} ago, under protocol {best.stamp}."
    )


def _running(best: BestTeacher) -> str:
    return "" if best.running is None else f"Job {best.running.job}, which asks the same, is {best.running.state}."


def _others(best: BestTeacher) -> list[str]:
    """Other answers: first those that may be ranked with this one, then those that may not."""
    same = [other for other in best.others if other.same_protocol]
    apart = [other for other in best.others if not other.same_protocol]
    found = [f"Also under this protocol: {_listed(same)}."] if same else []
    return [*found, f"Not to be ranked with it: {_listed(apart)}."] if apart else found


def _listed(others: Sequence[OtherAnswer]) -> str:
    said = [f"{_said(other)} (job {other.job})" for other in others[:MOST_NAMED]]
    more = len(others) - len(said)
    return "; ".join([*said, f"{more} more"] if more else said)


def _said(other: OtherAnswer) -> str:
    differs = ", ".join(other.differs)
    if other.verdict == "undecided":
        return differs if differs.startswith("undecided") else f"undecided, {differs}"
    return f"{'no teacher' if other.teacher is None else short(other.teacher)}, {differs}"


def _age(seconds: float) -> str:
    days = seconds / 86_400
    return duration(seconds) if days < 2 else f"{days:.0f} days"
