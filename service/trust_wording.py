"""How far an answer can be trusted, in words: stamp, coefficients, rivals; the same on pages and in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.best_teacher.schemas import BestTeacher
from service.selection_jobs.schemas import Correlation
from service.selection_jobs.trust_schemas import Measured, Rival, Trust
from service.wording import NOTHING, coefficient, points, short

PROBE = "probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalLine:
    """A rule as people read it; `…_under` is small print. `is_probe`: the rule that the others are rivals of."""

    rule: str
    picks: str
    picks_under: str
    winner: str
    winner_under: str
    regret: str
    regret_under: str
    regret_two: str
    record: str
    record_under: str
    is_probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientLine:
    """One relation with its three coefficients, each a value and its interval or the reason why there is none.

    `note`: why there is none of the three; then there are no cells.
    """

    title: str
    pairs: int
    cells: tuple[tuple[str, str], ...]
    note: str


def stamp_sentence(trust: Trust) -> str:
    """What the stamp is and holds."""
    return (
        f"Protocol {trust.stamp}: only results with the same stamp are ranked together. It is made of "
        f"{', '.join(trust.stamp_holds[:-1])} and {trust.stamp_holds[-1]}."
    )


def other_protocols_sentence(best: BestTeacher) -> str:
    """What other protocols say of the same question; empty where there is none."""
    if not best.others:
        return ""
    said = [
        f"{other.stamp} ({other.recipe}, {other.epochs} epochs) "
        + (
            "no teacher"
            if other.teacher is None and other.verdict == "no_teacher"
            else short(other.teacher or "undecided")
        )
        for other in best.others
    ]
    return f"This holds under protocol {best.stamp}. Not to be ranked with it: {'; '.join(said)}."


def rival_lines(trust: Trust) -> list[RivalLine]:
    """The probe first, then every cheaper rule."""
    return [_line(rival) for rival in trust.rivals]


def coefficient_lines(correlations: Sequence[Correlation]) -> list[CoefficientLine]:
    """One line for each relation, in order, with Pearson, Spearman and Kendall."""
    by_title: dict[str, list[Correlation]] = {}
    for each in correlations:
        by_title.setdefault(each.title, []).append(each)
    return [_coefficients(title, found) for title, found in by_title.items()]


def regret(measured: Measured | None) -> str:
    """A regret in percentage points without a sign, e.g. `0.42`."""
    return NOTHING if measured is None else points(measured.value).lstrip("+")


def _coefficients(title: str, found: Sequence[Correlation]) -> CoefficientLine:
    measured = any(each.value is not None for each in found)
    return CoefficientLine(
        title=f"{title[:1].upper()}{title[1:]}", pairs=found[0].pairs,
        cells=tuple(_cell(each) for each in found) if measured else (),
        note="" if measured else found[0].note or "Not measurable yet.",
    )  # fmt: skip


def _line(rival: Rival) -> RivalLine:
    same = rival.trained_picks == rival.picks
    elsewhere = "" if same or not rival.trained_picks else f"of the fully trained: {_names(rival.trained_picks)}"
    record = rival.record
    lone = record.questions < 2  # this job alone, of which the other cells tell
    return RivalLine(
        rule=f"{rival.title[:1].upper()}{rival.title[1:]}",
        picks=_names(rival.picks),
        picks_under=elsewhere or (rival.note or ""),
        winner=_winner(rival),
        winner_under="" if rival.chance is None else f"{100 * rival.chance:.0f}% chance",
        regret=regret(rival.regret),
        regret_under=_span(rival.regret),
        regret_two=regret(rival.regret_two),
        record=NOTHING if record.hits is None or lone else f"{100 * record.hits.value:.0f}% of {record.questions}",
        record_under="" if lone else _record(rival),
        is_probe=rival.name == PROBE,
    )


def _names(teachers: Sequence[str]) -> str:
    if not teachers:
        return NOTHING
    if len(teachers) > 2:
        return f"any of {len(teachers)}"
    return " or ".join(short(teacher) for teacher in teachers)


def _winner(rival: Rival) -> str:
    if rival.hit is None:
        return "not known" if rival.trained_picks else NOTHING
    return {0.0: "no", 1.0: "yes"}.get(rival.hit, f"{100 * rival.hit:.0f}%")


def _span(measured: Measured | None) -> str:
    if measured is None or measured.low is None or measured.high is None:
        return ""
    return f"{points(measured.low).lstrip('+')} to {points(measured.high).lstrip('+')}"


def _record(rival: Rival) -> str:
    hits, lost = rival.record.hits, rival.record.regret
    parts = []
    if hits is not None and hits.low is not None and hits.high is not None:
        parts.append(f"{100 * hits.low:.0f} to {100 * hits.high:.0f}%")
    if lost is not None:
        parts.append(f"lost {regret(lost)} on average")
    return "; ".join(parts)


def _cell(correlation: Correlation) -> tuple[str, str]:
    if correlation.value is None or correlation.low is None or correlation.high is None:
        return NOTHING, correlation.note or ""
    return coefficient(correlation.value), f"{coefficient(correlation.low)} to {coefficient(correlation.high)}"
