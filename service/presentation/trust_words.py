"""How far an answer can be trusted, in words: stamp, coefficients, rivals; the same on pages and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.presentation.numbers import NOTHING, coefficient, listed, points, short
from service.wire.boards import Correlation
from service.wire.trust import Measured, Rival, RivalComparison, Trust

PROBE = "probe"
ROUNDING = 1e-9
"""An interval that ends so near to 0 holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RivalLine:
    """A rule as people read it; `…_under` is small print. `is_probe`: the rule that the others are rivals of.

    `paired`, `paired_all`: what it lost beyond the probe, in this job and over all jobs.
    """

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
    paired: str
    paired_under: str
    paired_all: str
    paired_all_under: str
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


def rival_lines(trust: Trust) -> list[RivalLine]:
    """The probe first, then every cheaper rule."""
    probe = next((rival.trained_picks for rival in trust.rivals if rival.name == PROBE), [])
    return [_line(rival, probe) for rival in trust.rivals]


def is_judged(trust: Trust) -> bool:
    """Whether anything was measured of any rule, in this job or in earlier ones: before, a table would be empty."""
    return any(
        measured is not None
        for rival in trust.rivals
        for measured in (rival.hit, rival.regret, rival.over_probe, rival.record.hits)
    )


def filled_cells(lines: Sequence[RivalLine]) -> frozenset[str]:
    """The columns of the rivals' table in which some line has a value; the others are left out."""
    names = ("picks", "winner", "regret", "regret_two", "paired", "record", "paired_all")
    return frozenset(name for name in names if any(getattr(line, name) != NOTHING for line in lines))


def paired_sentences(trust: Trust) -> list[str]:
    """Whether the probe was shown to beat the rules: in this job, over all jobs, and what that leaves out."""
    rules = [rival for rival in trust.rivals if rival.name != PROBE]
    paired_all = {rival.title: paired for rival in rules if (paired := rival.record.paired) is not None}
    here = _shown({rival.title: rival.over_probe for rival in rules})
    over_all = _shown({title: paired.difference for title, paired in paired_all.items()})
    if here is None and over_all is None:
        return ["Whether the probe beats these rules cannot be measured yet."]
    among = "" if trust.trained == trust.teachers else ", among the fully trained,"
    said = [f"In this job{among} {here or 'it cannot be measured whether the probe beats these rules'}."]
    if over_all is None:
        return [*said, "Over all jobs it cannot be measured yet: that takes two questions."]
    widest = max(paired_all.values(), key=lambda paired: paired.questions)
    same = all(paired.questions in (0, widest.questions) for paired in paired_all.values())
    said.append(f"Over all jobs, {'' if same else 'up to '}{widest.questions} questions, {over_all}.")
    if widest.complete == 0:
        said.append("In none of these questions was every teacher trained fully: a dropped one may have been the best.")
    elif widest.complete < widest.questions:
        said.append(
            f"In {widest.complete} of these questions every teacher was trained fully; in the others a dropped one may "
            "have been the best."
        )
    return said


def shows_a_difference(trust: Trust) -> bool:
    """Whether the interval against some rule, in this job or over all, leaves out 0: only then is there news."""
    found = [rival.over_probe for rival in trust.rivals]
    found += [None if rival.record.paired is None else rival.record.paired.difference for rival in trust.rivals]
    ends = [(each.low, each.high) for each in found if each is not None and each.low is not None]
    return any(low > ROUNDING or (high is not None and high < -ROUNDING) for low, high in ends if low is not None)


def coefficient_lines(correlations: Sequence[Correlation]) -> list[CoefficientLine]:
    """One line for each relation, in order, with Pearson, Spearman and Kendall; none before any was measured."""
    if all(each.value is None for each in correlations):
        return []
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


def _line(rival: Rival, probe: Sequence[str]) -> RivalLine:
    same = rival.trained_picks == rival.picks
    elsewhere = "" if same or not rival.trained_picks else f"of the fully trained: {_names(rival.trained_picks)}"
    record = rival.record
    fought = record.paired
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
        paired=NOTHING if rival.over_probe is None else points(rival.over_probe.value),
        paired_under=_paired(rival, probe),
        paired_all=NOTHING if fought is None or fought.difference is None else points(fought.difference.value),
        paired_all_under=_paired_all(fought),
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


def _paired(rival: Rival, probe: Sequence[str]) -> str:
    """`probe`: its own pick among the fully trained."""
    if rival.over_probe is None:
        return "" if rival.name == PROBE else "not measurable"
    return "the same pick" if rival.trained_picks == probe else _signed(rival.over_probe) or "one seed, no interval"


def _paired_all(fought: RivalComparison | None) -> str:
    if fought is None or fought.difference is None:
        return ""
    return (
        f"{_signed(fought.difference)}; probe ahead in {fought.ahead} of {fought.questions} questions, "
        f"behind in {fought.behind}"
    )


def _signed(measured: Measured) -> str:
    if measured.low is None or measured.high is None:
        return ""
    return f"{points(measured.low)} to {points(measured.high)}"


def _shown(differences: Mapping[str, Measured | None]) -> str | None:
    """Against which rules the interval says something, in words; None where none has an interval."""
    better: list[str] = []
    worse: list[str] = []
    unsure: list[str] = []
    for title, measured in differences.items():
        if measured is None or measured.low is None or measured.high is None:
            continue
        (better if measured.low > ROUNDING else worse if measured.high < -ROUNDING else unsure).append(title)
    parts = [f"is shown to beat {listed(better)}"] if better else []
    parts += [f"is not shown to beat {listed(unsure)}"] if unsure else []
    parts += [f"is shown to be beaten by {listed(worse)}"] if worse else []
    return f"the probe {'; it '.join(parts)}" if parts else None


def _cell(correlation: Correlation) -> tuple[str, str]:
    if correlation.value is None or correlation.low is None or correlation.high is None:
        return NOTHING, correlation.note or ""
    return coefficient(correlation.value), f"{coefficient(correlation.low)} to {coefficient(correlation.high)}"
