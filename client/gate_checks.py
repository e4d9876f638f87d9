"""Whether a pipeline may go on with what is known of the best teacher; pure. What is not known does not pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from client.exit_codes import ExitCode
from service.best_teacher.schemas import BestTeacher
from service.presentation.metric_words import words_of
from service.presentation.numbers import chance, duration

NO_TEACHER = "none"
"""How a pipeline names the student without a teacher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a pipeline asks of the answer. `expect`: a teacher, or `NO_TEACHER`; None: any single teacher.

    `min_chance`: of no teacher being better; `max_loss`: expected, as a fraction; `max_age`: in seconds. `allow_tie`: a
    teacher that is tied with the best one will do.
    """

    expect: str | None = None
    min_chance: float | None = None
    max_loss: float | None = None
    max_age: float | None = None
    allow_tie: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One demand and how it stands. `code`: how the command ends where this is the first that fails."""

    name: str
    passed: bool
    message: str
    code: ExitCode


def checks(best: BestTeacher, demands: Demands) -> list[Check]:
    """Every demand, in the order in which they decide the exit code."""
    return [_fresh(best), *_young(best, demands), _decided(best), _teacher(best, demands), *_evidence(best, demands)]


def exit_code(found: Sequence[Check]) -> ExitCode:
    """That of the first check that fails."""
    return next((check.code for check in found if not check.passed), ExitCode.FINE)


def _waits(best: BestTeacher, otherwise: ExitCode) -> ExitCode:
    return otherwise if best.running is None else ExitCode.RUNNING


def _fresh(best: BestTeacher) -> Check:
    message = " ".join(best.stale_because) if best.stale else "Data, weights and training code are those of the job."
    return Check(name="fresh", passed=not best.stale, message=message, code=_waits(best, ExitCode.NOTHING_FOUND))


def _young(best: BestTeacher, demands: Demands) -> Iterator[Check]:
    if demands.max_age is not None:
        message = f"The answer is {duration(best.age_seconds)} old; allowed: {duration(demands.max_age)}."
        passed = best.age_seconds <= demands.max_age
        yield Check(name="age", passed=passed, message=message, code=_waits(best, ExitCode.NOTHING_FOUND))


def _decided(best: BestTeacher) -> Check:
    decided = best.verdict != "undecided"
    return Check(
        name="decided", passed=decided, message=best.sentence, code=_waits(best, ExitCode.UNDECIDED)
    )  # fmt: skip


def _teacher(best: BestTeacher, demands: Demands) -> Check:
    """Whether the answer is the teacher that is expected, or without one, a single teacher."""
    expect, tied = demands.expect, {best.teacher, *best.tied}
    answer = {
        "best": f"The best teacher is {best.teacher}",
        "tie": f"{best.teacher} is tied with {', '.join(best.tied)}",
        "no_teacher": "No teacher helps",
        "undecided": "No teacher is named",
    }[best.verdict]
    code = ExitCode.FINE
    if best.verdict == "undecided":
        code = ExitCode.UNDECIDED
    elif best.verdict == "no_teacher":
        code = ExitCode.FINE if expect == NO_TEACHER else ExitCode.NO_TEACHER
    elif expect is not None and expect not in (tied if best.verdict == "tie" else {best.teacher}):
        code = ExitCode.CHANGED
    elif best.verdict == "tie" and not demands.allow_tie:
        code = ExitCode.TIE
    message = f"{answer}; expected: {'no teacher' if expect == NO_TEACHER else expect}." if expect else f"{answer}."
    return Check(name="teacher", passed=code == ExitCode.FINE, message=message, code=code)


def _evidence(best: BestTeacher, demands: Demands) -> Iterator[Check]:
    """That the teacher is the best one with the chance, and within the loss, that were asked for. Where no teacher
    helps there is neither."""
    if best.verdict == "no_teacher":
        return
    if (least := demands.min_chance) is not None:
        known = "not known" if best.chance is None else chance(best.chance)
        message = f"Its chance of being the best teacher is {known}; at least {chance(least)} is asked for."
        passed = best.chance is not None and best.chance >= least
        yield Check(name="chance", passed=passed, message=message, code=_waits(best, ExitCode.UNDECIDED))
    if (most := demands.max_loss) is not None:
        unit = words_of(best.metric).points
        loss = "not known" if best.expected_loss is None else f"{100 * best.expected_loss:.2f} {unit}"
        message = f"Its expected loss is {loss}; at most {100 * most:.2f} {unit} are allowed."
        passed = best.expected_loss is not None and best.expected_loss <= most
        yield Check(name="loss", passed=passed, message=message, code=_waits(best, ExitCode.UNDECIDED))
