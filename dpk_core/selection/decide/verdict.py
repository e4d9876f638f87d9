"""What a job may say: one teacher, a tie, no teacher, or undecided, as facts. `service.presentation` makes the words.

Which teacher is best comes from the summary (`summary`), whether it helps and by how much from the full trainings alone
(`full_trainings`): "take X" is Dunnett's test over all candidates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from dpk_core.selection.decide.facts import VerdictKind
from dpk_core.selection.decide.full_trainings import FullTrainings
from dpk_core.selection.decide.job_results import Arm, JobResults, Step
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN, Model, Summary, chance_of_change, model, summary_of
from dpk_core.selection.estimate import Estimate

Worth = Literal["helps", "too_small", "within_noise", "harms"]
"""What a gain over no teacher comes to."""
Undecided = Literal[
    "nothing_tried", "so_far", "no_full_training", "one_seed", "no_baseline", "others_may_help", "near_chance"
]
"""Why nothing is decided; `so_far`: results are still to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many teachers compete, were tried, were trained fully on a seed, and on enough seeds to be judged."""

    candidates: int = 0
    tried: int = 0
    finished: int = 0
    trained: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer as facts.

    `best`: the teacher to take; `lead`: the teacher that the numbers are about, which is `best` where there is one.
    `equals`: teachers trained fully that are not clearly worse; `open`: teachers that were not and may be the best.
    `untried`: those of them under which no student was trained. `chance`: that no teacher is better than `lead`;
    `near`: that none is by more than `margin`; `regret`: score that taking it is expected to lose; `change`: chance
    that training all the rest would lead to another teacher. `worth` and `gain`: over no teacher; `gains`: of `lead`
    and its equals; `ahead`: score of `lead` over each of them, and over `runner_up`, the next in rank of those trained.
    """

    kind: VerdictKind
    final: bool
    undecided: Undecided | None = None
    best: str | None = None
    lead: str | None = None
    cheapest: bool = False
    equals: tuple[str, ...] = ()
    open: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    """While undecided so far: the other teachers that were tried and may be the best."""
    runner_up: str | None = None
    runner_up_is_second: bool = False
    counts: Counts = Counts()
    margin: float = PRACTICAL_MARGIN
    chance: float | None = None
    near: float | None = None
    regret: float | None = None
    change: float | None = None
    worth: Worth | None = None
    gain: Estimate | None = None
    gains: dict[str, Estimate] = field(default_factory=dict)
    ahead: dict[str, Estimate] = field(default_factory=dict)

    @property
    def tied(self) -> tuple[str, ...]:
        """The teachers that are not distinguishable from `best`, those trained fully first."""
        return (*self.equals, *self.open) if self.best is not None else ()


def decide(
    results: JobResults, *, final: bool, prefer_cheaper: bool = False, margin: float = PRACTICAL_MARGIN
) -> Verdict:
    """The verdict on what is known. `final`: no further result will come. `prefer_cheaper`: of teachers that are not
    distinguishable, the one whose trainings cost least is taken. `margin`: differences up to it do not count."""
    if not any(arm.is_tried for arm in results.candidates):
        counts = Counts(candidates=len(results.candidates))
        return Verdict(kind="undecided", undecided="nothing_tried", final=final, margin=margin, counts=counts)
    found = model(results)
    best = found.best(margin)
    view = _View(results, found, summary_of(found, best), margin)
    verdict = _judge(view, prefer_cheaper=prefer_cheaper) if final else _leading(view, "so_far")
    lead = verdict.lead or view.summary.lead
    # Taking a cheaper one in its place is no change of mind about the best.
    likeliest = view.trained[0] if verdict.cheapest else lead
    place = [arm.teacher for arm in found.arms].index(lead)
    return replace(
        verdict, final=final, margin=margin, counts=view.counts, lead=lead, chance=view.summary.chances[lead],
        near=float(best.near_A[place]), regret=float(best.regret_A[place]),
        change=chance_of_change(found, _remaining(results), likeliest),
    )  # fmt: skip


class _View:
    """Groups of teachers, each in the order of ranks."""

    def __init__(self, results: JobResults, found: Model, summary: Summary, margin: float) -> None:
        self.results, self.summary, self.margin = results, summary, margin
        arms = {arm.teacher or "": arm for arm in found.arms}
        self.arms: Mapping[str, Arm] = arms
        self.tried = [teacher for teacher in summary.ranking if arms[teacher].is_tried]
        self.finished = [teacher for teacher in summary.ranking if results.full_seeds(arms[teacher])]
        self.full: FullTrainings | None = found.full
        self.trained = [] if found.full is None else [each for each in summary.ranking if each in found.full.teachers]
        self.open = tuple(each for each in summary.best_set if each not in self.trained)
        self.untried = tuple(each for each in self.open if not arms[each].is_tried)
        self.counts = Counts(
            candidates=len(arms), tried=len(self.tried), finished=len(self.finished), trained=len(self.trained)
        )


def _judge(view: _View, *, prefer_cheaper: bool) -> Verdict:
    full = view.full
    if full is None:
        return _leading(view, "one_seed" if view.finished else "no_full_training")
    if not full.has_baseline:
        return replace(_leading(view, "no_baseline"), lead=view.trained[0])
    helps = full.helping(len(view.arms), view.margin)
    helpful = [each for each in view.trained if each in helps]
    lead = helpful[0] if helpful else view.trained[0]
    if view.arms[lead].near_chance:
        verdict = Verdict(kind="undecided", undecided="near_chance", final=True)
        return _about(view, full, lead, verdict, helps=bool(helpful))
    if not helpful:
        return _without_help(view, full, lead)
    tied = full.tied(lead, view.margin)
    # A teacher near chance carries no firm verdict, as an equal neither.
    equals = [each for each in view.trained if each in tied and not view.arms[each].near_chance]
    able = [each for each in (lead, *equals) if each in helpful]
    taken = min(able, key=view.results.cost) if prefer_cheaper else lead
    equals = [each for each in (lead, *equals) if each != taken]
    verdict = Verdict(
        kind="tie" if equals or view.open else "best", final=True, best=taken, cheapest=taken != lead,
        equals=tuple(equals), open=view.open, untried=view.untried,
    )  # fmt: skip
    return _about(view, full, taken, verdict, helps=True)


def _without_help(view: _View, full: FullTrainings, lead: str) -> Verdict:
    """No teacher that was trained fully is clearly of use. Another one may be, unless it is ruled out."""
    alone = full.alone()
    hopeful = tuple(each for each in view.open if view.summary.expected[each].high - alone.value > view.margin)
    if not hopeful:
        return _about(view, full, lead, Verdict(kind="no_teacher", final=True), helps=False)
    untried = tuple(each for each in hopeful if each in view.untried)
    verdict = Verdict(kind="undecided", undecided="others_may_help", final=True, open=hopeful, untried=untried)
    return _about(view, full, lead, verdict, helps=False)


def _about(view: _View, full: FullTrainings, lead: str, verdict: Verdict, *, helps: bool) -> Verdict:
    """With the numbers of the teacher that it is about, and whether that helps clearly."""
    gain = full.gain(lead)
    others = [each for each in view.trained if each != lead]
    compared = dict.fromkeys((*verdict.equals, *others[:1]))
    return replace(
        verdict, lead=lead, worth="helps" if helps else _worthless(gain, view.margin), gain=gain,
        gains={each: full.gain(each) for each in (lead, *verdict.equals)},
        ahead={each: full.ahead(lead, each) for each in compared},
        runner_up=others[0] if others else None,
        runner_up_is_second=bool(others) and next(each for each in view.summary.ranking if each != lead) == others[0],
    )  # fmt: skip


def _worthless(gain: Estimate, margin: float) -> Worth:
    """Of a gain that is too small to matter, or not clear after the choice among several."""
    return "harms" if gain.high < 0 else "too_small" if gain.low > 0 and gain.value <= margin else "within_noise"


def _leading(view: _View, undecided: Undecided) -> Verdict:
    """Who leads where no answer can be given."""
    groups = {"one_seed": view.finished, "no_baseline": view.trained}
    lead = groups.get(undecided, view.tried)[0]
    rivals = tuple(each for each in view.tried if each != lead and each in view.summary.best_set)
    return Verdict(kind="undecided", undecided=undecided, final=False, lead=lead, rivals=rivals)


def _remaining(results: JobResults) -> Sequence[Step]:
    """Every full training of a candidate's student that is not over."""
    return [
        Step(teacher=arm.teacher, seed=seed, rung=results.last)
        for arm in results.candidates
        for seed in results.seeds
        if arm.reached(seed) <= results.last
    ]
