"""What a job says: best, tie, or no teacher helps, in one sentence that claims no more than is known.

Everything comes from the belief about full student accuracies, so seeds and the finite validation set are in it.
`verdict_view` is what is judged by, `verdict_words` the sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dpk_core.selection import verdict_words as words
from dpk_core.selection.decide.job_results import Arm, Knowledge, Step
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN, chance_of_change, chance_within, expected_regret
from dpk_core.selection.posterior import Model
from dpk_core.selection.statistics import Estimate
from dpk_core.selection.verdict_view import View, is_tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. `tied`: the teachers that cannot be told from `best`, likeliest first, without `best` itself.

    The numbers are those of `best`; without one, of the teacher that the sentence names first. `chance`: that no
    teacher is better; `near`: that none is by more than `margin`; `regret`: expected accuracy lost by taking it, as a
    fraction; `change`: the chance that training all the rest would lead to another teacher. None where nothing is
    trained.
    """

    kind: Literal["best", "tie", "no_teacher", "undecided"]
    sentence: str
    best: str | None
    tied: tuple[str, ...]
    final: bool
    margin: float = PRACTICAL_MARGIN
    chance: float | None = None
    near: float | None = None
    regret: float | None = None
    change: float | None = None


def gains(knowledge: Knowledge) -> dict[str, Estimate]:
    """Full accuracy over no teacher, for every teacher that was trained fully on enough seeds.

    Empty while the arm without a teacher was not: then there is nothing to compare with.
    """
    view = View(knowledge=knowledge, belief=Model(knowledge).posterior, margin=PRACTICAL_MARGIN)
    return {arm.teacher: view.gain(arm) for arm in view.trained if arm.teacher} if view.has_baseline else {}


def decide(
    knowledge: Knowledge, *, final: bool, prefer_cheaper: bool = False, margin: float = PRACTICAL_MARGIN
) -> Verdict:
    """The verdict on what is known. `final`: no further result will come. `prefer_cheaper`: of teachers that cannot be
    told apart, the one whose trainings cost least is taken. `margin`: differences up to it do not count."""
    if not any(is_tried(arm) for arm in knowledge.teachers.ranked):
        reason = "no student came to the end of a training under a teacher." if final else "no teacher was tried yet."
        return _undecided(reason, final=final)
    model = Model(knowledge)
    view = View(knowledge=knowledge, belief=model.posterior, margin=margin)
    verdict = _judge(view, prefer_cheaper=prefer_cheaper) if final else _undecided(words.so_far(view), final=False)
    taken = verdict.best or _named_first(view, final=final)
    # Taking a cheaper one in its place is no change of mind about the best.
    best = view.helpful[0].teacher if verdict.best is not None else taken
    among = view.belief.teachers
    return replace(
        verdict, margin=margin, chance=view.among.chances[taken], near=chance_within(among, taken, margin),
        regret=expected_regret(among, taken), change=chance_of_change(model, _remaining(knowledge), best),
    )  # fmt: skip


def _named_first(view: View, *, final: bool) -> str | None:
    """The teacher that a sentence without an answer is about."""
    return (((view.trained or view.finished) if final else ()) or view.tried)[0].teacher


def _judge(view: View, *, prefer_cheaper: bool) -> Verdict:
    if not view.trained:
        return _undecided(words.too_few_seeds(view), final=True)
    if not view.has_baseline:
        return _undecided(words.no_baseline(view), final=True)
    if not view.helpful:
        return _without_help(view)
    best, open_ = view.helpful[0], view.not_ruled_out
    equal = _equals(view, best)
    able = [arm for arm in (best, *equal) if arm in view.helpful]
    taken = min(able, key=lambda arm: arm.cost) if prefer_cheaper else best
    equal = tuple(arm for arm in (best, *equal) if arm is not taken)
    return Verdict(
        kind="tie" if equal or open_ else "best",
        sentence=words.praise(view, taken, equal, cheapest=taken is not best) + words.not_ruled_out(open_),
        best=taken.teacher,
        tied=tuple(arm.teacher for arm in (*equal, *open_) if arm.teacher is not None),
        final=True,
    )


def _without_help(view: View) -> Verdict:
    """No teacher that was trained fully is clearly of use. Another one may be, unless it is ruled out."""
    hopeful = [arm for arm in view.not_ruled_out if view.gain(arm).high > view.margin]
    if hopeful:
        return _undecided(f"{words.no_help(view)}. {words.may_help(hopeful)}", final=True)
    sentence = f"Take no teacher: {words.no_help(view)}."
    return Verdict(kind="no_teacher", sentence=sentence, best=None, tied=(), final=True)


def _equals(view: View, best: Arm) -> tuple[Arm, ...]:
    """Of the teachers trained fully, those that are not clearly worse than the best."""
    return tuple(
        arm
        for arm in view.trained
        if arm is not best and not view.clear(view.belief.difference(best.teacher, arm.teacher))
    )


def _remaining(knowledge: Knowledge) -> list[Step]:
    """Every full training of a teacher's student that is not over."""
    last = len(knowledge.rungs) - 1
    return [
        Step(teacher=arm.teacher, seed=seed, rung=last)
        for arm in knowledge.teachers.ranked
        for seed in knowledge.seeds
        if arm.reached(seed) <= last
    ]


def _undecided(reason: str, *, final: bool) -> Verdict:
    return Verdict(kind="undecided", sentence=f"Undecided: {reason}", best=None, tied=(), final=final)
