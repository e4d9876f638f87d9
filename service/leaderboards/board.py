"""The leaderboard: every candidate in its place, what can be said, how far to trust it and what it cost; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dpk_core.catalogue.weights import word_for
from dpk_core.codec import differences, to_json
from dpk_core.detection_settings import PyramidSettings
from dpk_core.dpk_settings import KdSettings
from dpk_core.recipes import DPK_DEFAULTS, recipe
from dpk_core.selection.decide.job_results import Arm, JobResults
from dpk_core.selection.decide.summary import Summary, model, summary_of
from dpk_core.selection.estimate import Estimate
from dpk_core.spec import Start
from dpk_core.tasks import METRICS
from service.database.documents import read_stored
from service.database.tables import Run
from service.leaderboards.curves import Measurements, curves
from service.leaderboards.earlier import Earlier
from service.leaderboards.ledger import ledger
from service.leaderboards.records import comparison_group, row_scores
from service.leaderboards.trust import fidelity, job_stamp, row_stamp, trust
from service.presentation.decision_words import candidate_reason, decision_reason
from service.presentation.metric_words import WORDS
from service.scheduling.costs import row_seconds
from service.scheduling.evidence import Measured, job_results
from service.scheduling.plan import Plan
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.scheduling.states import Reason
from service.selection_jobs.notices import row_notices
from service.wire import boards
from service.wire import jobs as schemas


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beliefs:
    """What is believed of the arms; empty before the first result, `expected` before the first full training: until
    then the order is known, but not the level."""

    order: tuple[str | None, ...] = ()
    chances: Mapping[str, float]
    expected: Mapping[str | None, Estimate]
    gains: Mapping[str, Estimate]


def leaderboard(
    snapshot: Snapshot,
    job: schemas.Job,
    verdict: boards.Verdict | None,
    measurements: Measurements,
    measured: Measured,
    earlier: Earlier,
    samples: boards.Samples | None = None,
) -> boards.Leaderboard:
    """Ranked candidates first, best first; then those without a rank in the request's order.

    `earlier`: what the store knew when the job was asked for. `samples`: of a job of detection.
    """
    results = job_results(snapshot, measured)
    group = comparison_group(snapshot, results)
    return boards.Leaderboard(
        job=job,
        metric=METRICS[snapshot.plan.task],
        setup=_setup(snapshot),
        rows=_rows(snapshot, results),
        verdict=verdict,
        decisions=_decisions(snapshot),
        correlations=fidelity(group, earlier.groups, snapshot.plan.task),
        trust=trust(snapshot, group, earlier.judged, earlier.winner),
        ledger=ledger(snapshot, measured),
        curves=curves(snapshot, measurements),
        samples=samples,
    )


def _decisions(snapshot: Snapshot) -> list[boards.Decision]:
    words = WORDS[snapshot.plan.task]
    return [
        boards.Decision(
            number=number, stage=each.stage, reason=decision_reason(each.reason, words),
            chances={} if each.summary is None else each.summary.chances,
            regret=None if each.summary is None else each.summary.regret,
            steps=[
                boards.DecisionStep(
                    teacher=begun.step.teacher, seed=begun.step.seed, epochs=snapshot.plan.rungs[begun.step.rung],
                    purpose=begun.purpose,
                )
                for begun in each.steps
            ],
        )
        for number, each in enumerate(snapshot.decisions, 1)
    ]  # fmt: skip


def _setup(snapshot: Snapshot) -> boards.Setup:
    plan = snapshot.plan
    return boards.Setup(
        student_weights=_weights(plan.student, plan.student_start),
        method_settings=to_json(plan.method),
        method_changes=_method_changes(plan),
        recipe=plan.student_recipe.name,
        recipe_settings=to_json(plan.student_recipe),
        recipe_changes=recipe_changes(plan),
        recipe_notes=list(plan.recipe_notes),
        learning_rate=plan.student_recipe.learning_rate,
        batch_size=plan.student_recipe.batch_size,
        epochs=plan.student_recipe.epochs,
        rungs=list(plan.rungs),
        teacher_epochs=plan.teacher_recipe.epochs,
        policy=plan.spending.policy,
        promote=plan.promote,
        seeds=list(plan.seeds),
        train_pictures=plan.train_pictures,
        channels=plan.channels,
        side=plan.side,
        data_fingerprint=plan.data_fingerprint,
        data_notes=[each.message for each in plan.data_findings],
        training_version=plan.version,
        environments=_environments(snapshot),
    )


def _environments(snapshot: Snapshot) -> list[boards.Environment]:
    found: list[boards.Environment] = []
    for _, run in snapshot.links:
        if run.result is None or run.device is None:
            continue
        each = boards.Environment(device=run.device, versions=run.result.get("versions") or {})
        if each not in found:
            found.append(each)
    return sorted(found, key=lambda each: (each.device, sorted(each.versions.items())))


def _method_changes(plan: Plan) -> dict[str, Any]:
    defaults = DPK_DEFAULTS.get(plan.student_recipe.name)
    if plan.method.kd is not None:
        return differences(plan.method.kd, KdSettings())
    if plan.method.pyramid is not None:
        return differences(plan.method.pyramid, PyramidSettings())
    return {} if plan.method.dpk is None or defaults is None else differences(plan.method.dpk, defaults)


def recipe_changes(plan: Plan) -> dict[str, Any]:
    """Settings that are not what the recipe of that name says for these epochs, this batch size and this data."""
    chosen = plan.student_recipe
    try:
        base = recipe(
            chosen.name, epochs=chosen.epochs, batch_size=plan.batch_size_asked, train_pictures=plan.train_pictures
        )
    except KeyError:  # of an earlier version
        return {}
    return differences(chosen, base)


def _beliefs(results: JobResults) -> _Beliefs:
    if not any(arm.is_tried for arm in results.arms if not arm.failed) or not results.candidates:
        return _Beliefs(chances={}, expected={}, gains={})
    found = model(results)
    summary = summary_of(found)
    full = found.full
    expected: dict[str | None, Estimate] = {teacher: summary.expected[teacher] for teacher in summary.ranking}
    if full is not None and full.has_baseline:
        expected[None] = full.alone()
    level_is_known = any(results.full_seeds(arm) for arm in results.candidates)
    return _Beliefs(
        order=_order(summary, expected), chances=summary.chances, expected=expected if level_is_known else {},
        gains={} if full is None else full.gains(),
    )  # fmt: skip


def _order(summary: Summary, expected: Mapping[str | None, Estimate]) -> tuple[str | None, ...]:
    """The teachers by rank, and no teacher before the first that is expected to be worse."""
    order: list[str | None] = list(summary.ranking)
    if None in expected:
        worse = (place for place, each in enumerate(order) if expected[each].value < expected[None].value)
        order.insert(next(worse, len(order)), None)
    return tuple(order)


def _rows(snapshot: Snapshot, results: JobResults) -> list[boards.Row]:
    stamp, beliefs = job_stamp(snapshot), _beliefs(results)
    comparable = {arm.candidate.teacher for arm in snapshot.arms if row_stamp(snapshot, arm) == stamp}
    beliefs = replace(beliefs, order=tuple(teacher for teacher in beliefs.order if teacher in comparable))
    rows = [_row(snapshot, arm, each, beliefs) for arm, each in zip(snapshot.arms, results.arms, strict=True)]
    return sorted(rows, key=lambda row: (row.rank is None, row.rank or 0))


def _row(snapshot: Snapshot, arm: ArmRuns, known: Arm, beliefs: _Beliefs) -> boards.Row:
    candidate, order = arm.candidate, beliefs.order
    teacher = {} if arm.teacher is None or arm.teacher.result is None else arm.teacher.result
    last = len(snapshot.plan.rungs) - 1
    tests = arm.test_scores()
    return boards.Row(
        rank=order.index(candidate.teacher) + 1 if candidate.teacher in order else None,
        candidate_id=candidate.id,
        teacher=candidate.teacher,
        label=arm.label,
        status=candidate.status,
        reason=candidate_reason(
            None if candidate.reason is None else read_stored(Reason, candidate.reason), WORDS[snapshot.plan.task]
        ),
        teacher_accuracy=teacher.get("validation_score"),
        teacher_test_accuracy=teacher.get("test_score"),
        teacher_parameters=teacher.get("parameters"),
        stamp=row_stamp(snapshot, arm),
        scores=row_scores(arm),
        preparation=None if candidate.teacher is None else _preparation(snapshot.plan, candidate.teacher, arm.teacher),
        inherits=candidate.teacher is not None and snapshot.plan.method.inherits,
        probe=_summary(known.at(0)) if last else None,
        full=_summary(known.at(last)),
        test=_summary(tests),
        expected=_interval(beliefs.expected.get(candidate.teacher)) if candidate.teacher in order else None,
        chance=beliefs.chances.get(candidate.teacher or ""),
        gain=None if candidate.teacher is None else _interval(beliefs.gains.get(candidate.teacher)),
        teacher_run_id=None if arm.teacher is None else arm.teacher.id,
        seconds=row_seconds(snapshot.links, candidate.id),
        seeds=[_seed(snapshot.plan, seed, arm, known, tests) for seed in snapshot.plan.seeds],
        notices=row_notices(snapshot, arm),
    )


def _seed(plan: Plan, seed: int, arm: ArmRuns, known: Arm, tests: Mapping[int, float]) -> boards.SeedResult:
    curve = known.curves.get(seed, ())
    runs = arm.students.get(seed, {})
    return boards.SeedResult(
        seed=seed,
        rungs=[boards.RungResult(epochs=epochs, score=at) for epochs, at in zip(plan.rungs, curve, strict=False)],
        probe_score=curve[0] if curve and len(plan.rungs) > 1 else None,
        full_score=curve[-1] if len(curve) == len(plan.rungs) else None,
        test_score=tests.get(seed),
        run_id=runs[max(runs)].id if runs else None,
    )


def _preparation(plan: Plan, teacher: str, run: Run | None) -> boards.PreparedTeacher:
    found = plan.preparation(teacher)
    return boards.PreparedTeacher(
        **_weights(found.model, found.start).model_dump(), kind=found.kind, epochs=found.recipe.epochs,
        seconds=None if run is None or run.state != "finished" else run.seconds,
    )  # fmt: skip


def _weights(model: str, start: Start | None) -> boards.StartingWeights:
    identity = None if start is None else start.identity
    if start is not None and start.source == "pretrained":
        identity = f"{start.name}, {start.identity}"
    return boards.StartingWeights(weights=word_for(model, start), identity=identity)


def _summary(values: Mapping[int, float]) -> boards.Summary | None:
    return boards.Summary.of([values[seed] for seed in sorted(values)])


def _interval(estimate: Estimate | None) -> boards.Interval | None:
    return None if estimate is None else boards.Interval.model_validate(to_json(estimate))
