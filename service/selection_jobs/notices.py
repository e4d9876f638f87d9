"""What a reader of a job's results must know besides the numbers, each sentence once; pure.

Most of it was noticed by runs and is stored in their results, so it is known of reused ones too. What limits left out
and who does no better than chance is read off the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from dpk_core.chance import chance_sentence, no_detector_sentence
from dpk_core.selection.decide.confirming import RIVAL_CHANCE
from dpk_core.selection.decide.schedule import newest_confirming, since_reopened
from dpk_core.tasks import TaskName
from service.presentation.decision_words import LIMIT_KINDS, decision_reason
from service.presentation.metric_words import WORDS
from service.presentation.numbers import counted, duration, listed, percent
from service.presentation.teacher_words import input_notices
from service.scheduling.costs import clock_seconds
from service.scheduling.evidence import Result, preparation_result
from service.scheduling.plan import Spending
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.wire.jobs import Notice

TRAIN_LONGER = "Train longer, or check the recipe, the picture scaling and the labels."


def row_notices(snapshot: Snapshot, arm: ArmRuns) -> list[Notice]:
    """What an arm's teacher and students were noticed for, warnings first; what holds for all is the job's."""
    shared = {notice.message for notice in _shared(snapshot)}
    stored = (Notice.model_validate(each) for run in arm.runs for each in run.final_notices)
    found = [*_inputs(snapshot, arm), *_chance(arm, snapshot.plan.task), *stored]
    return _once(notice for notice in found if notice.message not in shared)


def _inputs(snapshot: Snapshot, arm: ArmRuns) -> list[Notice]:
    """How pictures are prepared for the teacher, and how its classes were matched."""
    teacher = arm.candidate.teacher
    found = [] if teacher is None else input_notices(snapshot.plan.preparation(teacher), snapshot.plan.side)
    return [Notice(level="warning" if is_warning else "info", message=message) for message, is_warning in found]


def job_notices(snapshot: Snapshot) -> list[Notice]:
    """What failed or was left out altogether, what the data is like, then what the students of every arm were noticed
    for."""
    limits = _limits(snapshot)
    return _once(
        [*_lost(snapshot), *limits, *([] if limits else _fewer(snapshot)), *_data(snapshot), *_shared(snapshot)]
    )


def cautions(snapshot: Snapshot) -> list[str]:
    """Why a verdict may not mean what it seems to: what its pictures are, and that somebody learned nothing."""
    found = [*_blind_teachers(snapshot), *_blind_student(snapshot)]
    data = [each.message for each in snapshot.plan.data_findings if each.caution]
    return [*data, *found[:-1], f"{found[-1]} {TRAIN_LONGER}"] if found else data


def _data(snapshot: Snapshot) -> list[Notice]:
    return [
        Notice(level="info" if each.level == "info" else "warning", message=each.message)
        for each in snapshot.plan.data_findings
    ]


def _once(found: Iterable[Notice]) -> list[Notice]:
    by_message: dict[str, Notice] = {}
    for notice in found:
        by_message.setdefault(notice.message, notice)
    return sorted(by_message.values(), key=lambda notice: notice.level != "warning")


def _stored(result: Result | None) -> list[Notice]:
    return [Notice.model_validate(notice) for notice in (result or {}).get("notices", ())]


def _shared(snapshot: Snapshot) -> list[Notice]:
    """What was noticed of the student under every arm that has a result, of which there are several."""
    by_arm = [
        {notice.message: notice for run in _finished(arm) for notice in _stored(run)}
        for arm in snapshot.arms
        if _finished(arm)
    ]
    if len(by_arm) < 2:
        return []
    first, *others = by_arm
    return [notice for message, notice in first.items() if all(message in other for other in others)]


def _finished(arm: ArmRuns) -> list[Result]:
    """Results of an arm's students."""
    return [run.result for runs in arm.students.values() for run in runs.values() if run.result is not None]


def _full(arm: ArmRuns, epochs: int) -> list[Result]:
    """Of those that were trained to the end."""
    return [result for result in _finished(arm) if result["epochs"] == epochs]


def _is_blind(results: Sequence[Result]) -> bool:
    """Whether every score is within noise of guessing."""
    return bool(results) and all(result["near_chance"] for result in results)


def _said(who: str, results: Sequence[Result], task: TaskName) -> str:
    score = fmean(result["validation_score"] for result in results)
    pictures = results[0]["validation_pictures"]
    if task == "detection":
        return no_detector_sentence(who, score, pictures)
    return chance_sentence(who, score, pictures, results[0]["guess_score"])


def _chance(arm: ArmRuns, task: TaskName) -> list[Notice]:
    """The same sentence as the runner's, also of results that came without it."""
    prepared = preparation_result(arm)
    if prepared is None or not _is_blind([prepared]):
        return []
    return [Notice(level="warning", message=_said("The teacher", [prepared], task))]


def _blind_teachers(snapshot: Snapshot) -> list[str]:
    known = {arm.label: prepared for arm in snapshot.arms if (prepared := preparation_result(arm)) is not None}
    blind = {label: prepared for label, prepared in known.items() if _is_blind([prepared])}
    if not blind:
        return []
    metric = WORDS[snapshot.plan.task]
    names = [f"{label} ({metric.score(prepared['validation_score'])})" for label, prepared in blind.items()]
    guessing = f"{metric.guessing} {metric.score(next(iter(blind.values()))['guess_score'])}"
    if len(blind) == len(known):
        return [
            f"No teacher {metric.one_better}: {listed(names)}, {guessing}. So this says nothing about teachers that "
            "have learned these classes."
        ]
    one = len(names) == 1
    return [
        f"{listed(names)} {metric.one_no_better if one else metric.several_no_better}, {guessing}. So this says "
        f"nothing about {'it' if one else 'them'} once trained."
    ]


def _blind_student(snapshot: Snapshot) -> list[str]:
    epochs = snapshot.plan.epochs
    alone = _full(snapshot.arm(None), epochs)
    if not _is_blind(alone):
        return []
    taught = [results for arm in snapshot.arms if arm.candidate.teacher is not None if (results := _full(arm, epochs))]
    so = (
        "Nor does it under any teacher, so nothing can be compared."
        if taught and all(_is_blind(results) for results in taught)
        else "What a teacher adds cannot be measured against that."
    )
    return [f"{_said('Without a teacher the student', alone, snapshot.plan.task)} {so}"]


def _lost(snapshot: Snapshot) -> list[Notice]:
    """That no teacher is left; a job whose every arm failed says so itself."""
    taught = [arm for arm in snapshot.arms if arm.candidate.teacher is not None]
    if snapshot.job.state == "failed" or any(arm.first_failed is None for arm in taught):
        return []
    return [Notice(level="warning", message="Every teacher failed; the reasons stand in their rows.")]


def _fewer(snapshot: Snapshot) -> list[Notice]:
    """Why fewer teachers than `budget.promote` allows were trained fully, where no limit says it."""
    taught = [arm for arm in snapshot.arms if arm.candidate.teacher is not None]
    failed = [arm for arm in taught if arm.first_failed is not None]
    trained = sum(arm.candidate.status == "finished" for arm in taught)
    if snapshot.job.state != "finished" or not 0 < trained < snapshot.plan.promote:
        return []
    why = (
        f"{listed([arm.label for arm in failed])} failed"
        if trained + len(failed) == len(taught)
        else f"no other had a chance above {percent(RIVAL_CHANCE, 0)} of being the best"
    )
    said = f"{counted(trained, 'teacher')} {'was' if trained == 1 else 'were'} trained fully"
    return [Notice(level="info", message=f"budget.promote allows {snapshot.plan.promote}, and {said}: {why}.")]


def _limits(snapshot: Snapshot) -> list[Notice]:
    """Where a limit ended exploring, and which trainings that were to be finished it cut short."""
    spending = snapshot.plan.spending
    if snapshot.job.state != "finished" or not spending.is_limited:
        return []
    messages = []
    since = since_reopened(snapshot.decisions)
    confirming = next((each for each in since if each.stage == "confirming"), None)
    if cut := [arm for arm in snapshot.arms if arm.candidate.status == "stopped"]:
        messages.append(
            f"{_reached(snapshot, spending)} cut the job short: {_under(cut)} the student was not trained fully on "
            "every seed."
        )
    elif confirming is not None and confirming.reason.kind in LIMIT_KINDS:
        reason = decision_reason(confirming.reason, WORDS[snapshot.plan.task])
        messages.append(f"A limit ended exploring. {reason}")
    untried = [arm for arm in snapshot.arms if arm.candidate.status == "not_promoted" and not _finished(arm)]
    if untried and messages:
        messages.append(f"Under {listed([arm.label for arm in untried])} the student was not trained at all.")
    return [Notice(level="warning", message=message) for message in messages]


def _under(arms: Sequence[ArmRuns]) -> str:
    """`under a and b, and without a teacher`."""
    taught = [arm.label for arm in arms if arm.candidate.teacher is not None]
    alone = ["without a teacher"] if len(taught) < len(arms) else []
    return ", and ".join([*([f"under {listed(taught)}"] if taught else []), *alone])


def _reached(snapshot: Snapshot, spending: Spending) -> str:
    """The limit that ended the job; where it was one of several and not the clock's, all that may have."""
    wall, took = spending.wall_seconds, clock_seconds(snapshot.job) or 0.0
    newest = newest_confirming(snapshot.decisions)
    # The job's end is of this process's clock, and the limit of the database's.
    late = newest is not None and newest.reason.kind == "time_over"
    clock = [] if wall is None else [f"{duration(wall)} of wall-clock time (budget.wall_seconds)"]
    others = []
    if spending.seconds is not None:
        others.append(f"{duration(spending.seconds)} of training time (budget.seconds)")
    if spending.runs is not None:
        others.append(f"{spending.runs} trainings (budget.runs)")
    limits = clock if clock and (late or took >= (wall or 0.0) or not others) else others
    return f"The limit{'' if len(limits) == 1 else 's'} of {listed(limits)}"
